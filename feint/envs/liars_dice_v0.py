"""PettingZoo's module form of LiarsDice: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.liars_dice import LiarsDice
from feint.envs.multi import ScenarioParallelEnv, aec_env

parallel_env = partial(ScenarioParallelEnv, LiarsDice)
env = raw_env = partial(aec_env, LiarsDice)

__all__ = ["env", "parallel_env", "raw_env"]
