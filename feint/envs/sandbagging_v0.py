"""PettingZoo's module form of Sandbagging: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.sandbagging import Sandbagging

parallel_env = partial(ScenarioParallelEnv, Sandbagging)
env = raw_env = partial(aec_env, Sandbagging)

__all__ = ["env", "parallel_env", "raw_env"]
