"""PettingZoo's module form of EscapeRoomText: `parallel_env()`, `env()`, `raw_env()`."""

from functools import partial

from feint.envs.multi import ScenarioParallelEnv, aec_env
from feint.envs.text.escape_room_text import EscapeRoomText

parallel_env = partial(ScenarioParallelEnv, EscapeRoomText)
env = raw_env = partial(aec_env, EscapeRoomText)

__all__ = ["env", "parallel_env", "raw_env"]
