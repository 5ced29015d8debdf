"""PettingZoo's module form of TreasureHuntText: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.text.treasure_hunt_text import TreasureHuntText

parallel_env = partial(ScenarioParallelEnv, TreasureHuntText)
env = raw_env = partial(aec_env, TreasureHuntText)

__all__ = ["env", "parallel_env", "raw_env"]
