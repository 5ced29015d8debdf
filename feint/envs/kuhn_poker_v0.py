"""PettingZoo's module form of KuhnPoker: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.kuhn_poker import KuhnPoker
from feint.envs.multi import ScenarioParallelEnv, aec_env

parallel_env = partial(ScenarioParallelEnv, KuhnPoker)
env = raw_env = partial(aec_env, KuhnPoker)

__all__ = ["env", "parallel_env", "raw_env"]
