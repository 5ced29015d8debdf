"""PettingZoo's module form of Oversight: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.oversight import Oversight

parallel_env = partial(ScenarioParallelEnv, Oversight)
env = raw_env = partial(aec_env, Oversight)

__all__ = ["env", "parallel_env", "raw_env"]
