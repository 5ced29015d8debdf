"""SB3 algorithms with self-other overlap, and what it takes to train and judge them."""

from feint.agents.checkpoint import AgentCard, load_agent, load_into, read_card, save_agent
from feint.agents.counterfactual import Ward, counterfactuals, ward
from feint.agents.evaluation import Episodes, evaluate, play, policy_of, scripted
from feint.agents.export import export_mlp
from feint.agents.fork import ForkedPairs, Forks, fork
from feint.agents.league import League
from feint.agents.overlap import AgentOverlap, SelfOtherOverlap
from feint.agents.parallel_vec_env import ParallelVecEnv
from feint.agents.pool import Pool
from feint.agents.probing import hidden_activations
from feint.agents.regularized import RegularizedMixin
from feint.agents.regularizer import Bound, Regularizer, Terms
from feint.agents.resume import Saver, load_state, save_state
from feint.agents.self_modeling import AgentSelfModel, SelfModeling
from feint.agents.self_play import train_roles
from feint.agents.shared_vec_env import SharedVectorEnv, make_shared_vec_env
from feint.agents.soo import (
    SOOA2C,
    SOODQN,
    SOOPPO,
    SOOSAC,
    SOOTD3,
    SOOMaskablePPO,
    SOOMixin,
    SOORecurrentPPO,
)
from feint.agents.time_limits import TimeLimitsTogether
from feint.agents.twin import Altered, ForkedTwin, masked, twin
from feint.agents.vec_env import GymVecEnv, make_vec_env

__all__ = [
    "SOOA2C",
    "SOODQN",
    "SOOPPO",
    "SOOSAC",
    "SOOTD3",
    "AgentCard",
    "AgentOverlap",
    "AgentSelfModel",
    "Altered",
    "Bound",
    "Episodes",
    "ForkedPairs",
    "ForkedTwin",
    "Forks",
    "GymVecEnv",
    "League",
    "ParallelVecEnv",
    "Pool",
    "RegularizedMixin",
    "Regularizer",
    "SOOMaskablePPO",
    "SOOMixin",
    "SOORecurrentPPO",
    "Saver",
    "SelfModeling",
    "SelfOtherOverlap",
    "SharedVectorEnv",
    "Terms",
    "TimeLimitsTogether",
    "Ward",
    "counterfactuals",
    "evaluate",
    "export_mlp",
    "fork",
    "hidden_activations",
    "load_agent",
    "load_into",
    "load_state",
    "make_shared_vec_env",
    "make_vec_env",
    "masked",
    "play",
    "policy_of",
    "read_card",
    "save_agent",
    "save_state",
    "scripted",
    "train_roles",
    "twin",
    "ward",
]
