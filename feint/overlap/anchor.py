"""What holds the self side in place while the other side is pulled towards it.

Overlap makes two sides alike and does not say which of them wins; the paper's RL loss has a
capability term for this reason (arXiv 2412.16325, section 4), its language-model loss has none.
"""

import torch
from torch import Tensor

from feint.overlap._numeric import row_variance, rows
from feint.overlap.distance import distance

ANCHORS: dict[str, str] = {
    "kl": "KL of the reference's outputs to the current ones on the self side",
    "mse": "squared change of the outputs on the self side (the paper's capability term)",
    "relative_mse": "squared change of the compared activations, relative to their mean square",
    "none": "nothing holds the self side",
}


def kl_anchor(current: Tensor, reference: Tensor) -> Tensor:
    """Return KL(reference || current) of logits `(..., n)`, averaged over rows, in nats."""
    return distance(rows(current), rows(reference), "kl_logits")


def value_anchor(current: Tensor, reference: Tensor) -> Tensor:
    """Return the mean squared change of values `(..., n)` over the reference's row variance.

    A reference that hardly varies (a single row, a constant policy) is scaled by its mean square.
    """
    energy = rows(reference).square().mean()
    variance = row_variance(reference)
    scale = torch.where(variance > 1e-6 * energy, variance, energy)
    return distance(current, reference, "mse") / scale.clamp_min(_tiny(scale))


def relative_mse(current: Tensor, reference: Tensor) -> Tensor:
    """Return the mean squared change of activations `(..., n)` over the reference's mean square."""
    energy = rows(reference).square().mean()
    return distance(current, reference, "mse") / energy.clamp_min(_tiny(energy))


def _tiny(x: Tensor) -> float:
    return torch.finfo(x.dtype).tiny
