"""PettingZoo's module form of CheapTalk: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.cheap_talk import CheapTalk
from feint.envs.multi import ScenarioParallelEnv, aec_env

parallel_env = partial(ScenarioParallelEnv, CheapTalk)
env = raw_env = partial(aec_env, CheapTalk)

__all__ = ["env", "parallel_env", "raw_env"]
