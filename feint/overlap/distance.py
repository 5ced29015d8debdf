"""How far apart two sides are: the distances that overlap training makes small."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from feint.overlap._messages import unknown
from feint.overlap._numeric import at_least_float32

_LOG_FLOOR = 1e-25  # the constant of the released code


def _mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference over rows and units (the paper)."""
    return (a - b).square().mean()


def _log_mse(a: Tensor, b: Tensor) -> Tensor:
    """log(mse + 1e-25): what the released code measures in place of the mse."""
    return (_mse(a, b) + _LOG_FLOOR).log()


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine similarity of the vectors (last dimension), averaged; blind to their norms."""
    return (1 - F.cosine_similarity(a, b, dim=-1)).mean()


def _kl_logits(a: Tensor, b: Tensor) -> Tensor:
    """KL(b || a) of softmax distributions over the last dimension, summed, divided by the rows.

    With a = self and b = other this is KL(other || self) of the released code, which sums over
    positions and divides by the batch (`batchmean`): so do `(batch, positions, n)` inputs here.
    """
    log_a, log_b = F.log_softmax(a, dim=-1), F.log_softmax(b, dim=-1)
    return F.kl_div(log_a, log_b, reduction="batchmean", log_target=True)


def _action(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of the module's outputs (the last edit of the released RL code)."""
    return _mse(a, b)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": _mse,
    "log_mse": _log_mse,
    "cosine": _cosine,
    "kl_logits": _kl_logits,
    "action": _action,
}

OUTPUT_DISTANCES = frozenset({"kl_logits", "action"})
"""The distances that compare the module's outputs and not its hidden activations."""


def distance(a: Tensor, b: Tensor, kind: str) -> Tensor:
    """Return the distance of `a` (the self side) and `b` (the other side), in float32 or wider.

    Args:
        a: `(..., n)`, activations, or logits or values for `OUTPUT_DISTANCES`.
        b: As `a`.
        kind: A name in `DISTANCES`. All are symmetric but `"kl_logits"`, which is KL(b || a).

    Returns:
        A scalar; zero (`"log_mse"`: log 1e-25) if the sides are equal.

    Raises:
        ValueError: For an unknown name or different shapes.
    """
    if kind not in DISTANCES:
        raise unknown("distance", kind, DISTANCES)
    if a.shape != b.shape:
        raise ValueError(
            f"the two sides must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}; "
            f"pad or pool them alike"
        )
    return DISTANCES[kind](at_least_float32(a), at_least_float32(b))
