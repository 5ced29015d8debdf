"""PettingZoo's module form of PhysicalDeception: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.physical_deception import PhysicalDeception

parallel_env = partial(ScenarioParallelEnv, PhysicalDeception)
env = raw_env = partial(aec_env, PhysicalDeception)

__all__ = ["env", "parallel_env", "raw_env"]
