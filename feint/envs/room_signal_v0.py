"""PettingZoo's module form of RoomSignal: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.room_signal import RoomSignal

parallel_env = partial(ScenarioParallelEnv, RoomSignal)
env = raw_env = partial(aec_env, RoomSignal)

__all__ = ["env", "parallel_env", "raw_env"]
