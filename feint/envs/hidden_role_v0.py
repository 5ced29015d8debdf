"""PettingZoo's module form of HiddenRole: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.hidden_role import HiddenRole
from feint.envs.multi import ScenarioParallelEnv, aec_env

parallel_env = partial(ScenarioParallelEnv, HiddenRole)
env = raw_env = partial(aec_env, HiddenRole)

__all__ = ["env", "parallel_env", "raw_env"]
