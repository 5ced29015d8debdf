"""The settings of an overlap loss, checked when they are made."""

import math
from dataclasses import dataclass

from feint.overlap._messages import unknown
from feint.overlap.anchor import ANCHORS
from feint.overlap.distance import DISTANCES, OUTPUT_DISTANCES
from feint.overlap.pooling import POOLINGS
from feint.overlap.shams import find_sham

DETACH: dict[str, str] = {
    "self": "the self side is the target: gradient through the other side only",
    "other": "the other side is the target: gradient through the self side only",
    "none": "gradient through both sides (the paper)",
}


@dataclass(frozen=True)
class OverlapConfig:
    """What is compared, how, and what holds it in place.

    Attributes:
        layers: Dotted names of the layers that are compared, side by side; unused, and may be
            empty, for a distance of the outputs (`"kl_logits"`, `"action"`).
        coef: Weight of the overlap term, finite and not negative.
        distance: A name in `DISTANCES`.
        pooling: A name in `POOLINGS`; of no effect on activations without positions.
        last_n: How many positions the pooling `"last_n"` keeps.
        detach: A name in `DETACH`. Directed by default: with gradient through both sides the shams
            do as well as overlap.
        anchor: A name in `ANCHORS`.
        anchor_coef: Weight of the anchor, finite and not negative.
        anchor_bystanders: Anchor also the inputs for which no pair is defined, so that overlap
            changes nothing but the other side.
        sham: A name in `SHAMS`, or `"none"` for the treatment.

    Raises:
        ValueError: If a setting is out of range, unknown, or makes no sense with another one.
    """

    layers: tuple[str, ...]
    coef: float = 1.0
    distance: str = "mse"
    pooling: str = "masked"
    last_n: int = 8
    detach: str = "self"
    anchor: str = "kl"
    anchor_coef: float = 1.0
    anchor_bystanders: bool = False
    sham: str = "none"

    def __post_init__(self) -> None:
        if isinstance(self.layers, str):
            raise ValueError(
                f"layers must be a tuple of names, got the string {self.layers!r}; "
                f"write ({self.layers!r},)"
            )
        object.__setattr__(self, "layers", tuple(self.layers))
        for kind, choices in (
            ("distance", DISTANCES),
            ("pooling", POOLINGS),
            ("detach", DETACH),
            ("anchor", ANCHORS),
        ):
            if getattr(self, kind) not in choices:
                raise unknown(kind, getattr(self, kind), choices)
        if not self.layers and self.distance not in OUTPUT_DISTANCES:
            raise ValueError(
                f"layers is empty, but distance {self.distance!r} compares hidden activations; "
                f"name at least one layer (layer_names(module) lists them)"
            )
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must not repeat, got {self.layers}; name each once")
        for name in ("coef", "anchor_coef"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and not negative, got {value}")
        if self.last_n < 1:
            raise ValueError(f"last_n must be at least 1, got {self.last_n}")
        find_sham(self.sham)
        if self.sham == "reverse" and self.detach == "other":
            raise ValueError(
                "sham 'reverse' with detach='other' is the treatment itself; use detach='self'"
            )
        if self.sham == "anchor_only" and self.anchor == "none":
            raise ValueError("sham 'anchor_only' with anchor='none' trains nothing; set an anchor")
