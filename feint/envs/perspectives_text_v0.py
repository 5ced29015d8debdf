"""PettingZoo's module form of PerspectivesText: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.text.perspectives_text import PerspectivesText

parallel_env = partial(ScenarioParallelEnv, PerspectivesText)
env = raw_env = partial(aec_env, PerspectivesText)

__all__ = ["env", "parallel_env", "raw_env"]
