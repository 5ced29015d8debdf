"""SB3 algorithms with self-other overlap, and what it takes to train and judge them."""

from feint.agents.checkpoint import AgentCard, load_agent, load_into, read_card, save_agent
from feint.agents.evaluation import Episodes, evaluate, play, policy_of, scripted
from feint.agents.export import export_mlp
from feint.agents.regularizer import AgentOverlap
from feint.agents.soo import SOODQN, SOOPPO, SOOMixin
from feint.agents.vec_env import GymVecEnv, make_vec_env

__all__ = [
    "SOODQN",
    "SOOPPO",
    "AgentCard",
    "AgentOverlap",
    "Episodes",
    "GymVecEnv",
    "SOOMixin",
    "evaluate",
    "export_mlp",
    "load_agent",
    "load_into",
    "make_vec_env",
    "play",
    "policy_of",
    "read_card",
    "save_agent",
    "scripted",
]
