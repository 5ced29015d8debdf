"""The self-other overlap loss, its shams and its guards; knows nothing of RL or of text."""

from feint.overlap._numeric import global_norm
from feint.overlap.anchor import ANCHORS, kl_anchor, relative_mse, value_anchor
from feint.overlap.capture import activations, capture, layer_names
from feint.overlap.config import DETACH, OverlapConfig
from feint.overlap.distance import DISTANCES, OUTPUT_DISTANCES, distance
from feint.overlap.guards import (
    CollapseIndex,
    OverlapReport,
    collapse_index,
    control_gap,
    evaluating,
    gradient_ratio,
    measure,
    normalised_gap,
)
from feint.overlap.loss import OverlapLoss, OverlapTerms
from feint.overlap.pairs import Pairs, Side
from feint.overlap.pooling import POOLINGS, pool
from feint.overlap.shams import SHAMS, Sham, derangement, register_sham

__all__ = [
    "ANCHORS",
    "DETACH",
    "DISTANCES",
    "OUTPUT_DISTANCES",
    "POOLINGS",
    "SHAMS",
    "CollapseIndex",
    "OverlapConfig",
    "OverlapLoss",
    "OverlapReport",
    "OverlapTerms",
    "Pairs",
    "Sham",
    "Side",
    "activations",
    "capture",
    "collapse_index",
    "control_gap",
    "derangement",
    "distance",
    "evaluating",
    "global_norm",
    "gradient_ratio",
    "kl_anchor",
    "layer_names",
    "measure",
    "normalised_gap",
    "pool",
    "register_sham",
    "relative_mse",
    "value_anchor",
]
