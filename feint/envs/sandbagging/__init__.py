"""Sandbagging: fail a test on purpose, to be deployed."""

from feint.envs.sandbagging.scenario import Sandbagging, SandbaggingEnv, SandbaggingVectorEnv

__all__ = ["Sandbagging", "SandbaggingEnv", "SandbaggingVectorEnv"]
