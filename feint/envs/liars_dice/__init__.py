"""LiarsDice: bid on dice that are not there."""

from feint.envs.liars_dice.scenario import LiarsDice, LiarsDiceEnv, LiarsDiceVectorEnv

__all__ = ["LiarsDice", "LiarsDiceEnv", "LiarsDiceVectorEnv"]
