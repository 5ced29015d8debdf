"""RoomSignal: tell somebody which room holds the treasure, or another room."""

from feint.envs.room_signal.scenario import RoomSignal, RoomSignalEnv, RoomSignalVectorEnv

__all__ = ["RoomSignal", "RoomSignalEnv", "RoomSignalVectorEnv"]
