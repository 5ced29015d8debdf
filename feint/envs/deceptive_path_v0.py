"""PettingZoo's module form of DeceptivePath: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.deceptive_path import DeceptivePath
from feint.envs.multi import ScenarioParallelEnv, aec_env

parallel_env = partial(ScenarioParallelEnv, DeceptivePath)
env = raw_env = partial(aec_env, DeceptivePath)

__all__ = ["env", "parallel_env", "raw_env"]
