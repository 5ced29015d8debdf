"""Self-modeling: networks that predict their own activations, and how simple that makes them.

After "Unexpected Benefits of Self-Modeling in Neural Systems" (arXiv 2407.10188), with the controls
that its reviewers asked for.
"""

from feint.selfmodel.llc import LLC, SGLD, module_llc, temperature
from feint.selfmodel.model import FORMS, SelfModel, SelfPrediction, WidenedLinear
from feint.selfmodel.report import SelfReport, identity_distance, self_report
from feint.selfmodel.target import NORMS, TARGETS, SelfModelConfig, Target, fresh_copy

__all__ = [
    "FORMS",
    "LLC",
    "NORMS",
    "SGLD",
    "TARGETS",
    "SelfModel",
    "SelfModelConfig",
    "SelfPrediction",
    "SelfReport",
    "Target",
    "WidenedLinear",
    "fresh_copy",
    "identity_distance",
    "module_llc",
    "self_report",
    "temperature",
]
