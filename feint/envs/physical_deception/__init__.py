"""PhysicalDeception: lead an onlooker to the wrong place by where you walk."""

from feint.envs.physical_deception.scenario import (
    PhysicalDeception,
    PhysicalDeceptionEnv,
    PhysicalDeceptionVectorEnv,
)

__all__ = ["PhysicalDeception", "PhysicalDeceptionEnv", "PhysicalDeceptionVectorEnv"]
