"""DeceptivePath: walk to a goal on a map before somebody who works out which goal it is."""

from feint.envs.deceptive_path.scenario import (
    DeceptivePath,
    DeceptivePathEnv,
    DeceptivePathVectorEnv,
)

__all__ = ["DeceptivePath", "DeceptivePathEnv", "DeceptivePathVectorEnv"]
