"""Oversight: do the work, or bridge the meter while nobody looks."""

from feint.envs.oversight.scenario import Oversight, OversightEnv, OversightVectorEnv

__all__ = ["Oversight", "OversightEnv", "OversightVectorEnv"]
