"""PettingZoo's module form of BurglarText: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.text.burglar_text import BurglarText

parallel_env = partial(ScenarioParallelEnv, BurglarText)
env = raw_env = partial(aec_env, BurglarText)

__all__ = ["env", "parallel_env", "raw_env"]
