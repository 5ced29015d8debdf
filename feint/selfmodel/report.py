"""How well a network predicts itself, and what that did to its activations."""

from typing import NamedTuple

import torch
from torch import Tensor


class SelfReport(NamedTuple):
    """What stands beside every result."""

    r2: float  #: share of the targets' variance that is predicted; NaN where they do not vary
    activation_rms: float  #: of the targets
    identity_distance: float  #: |W_s - I| / |I|; NaN where the self-model is not square


def self_report(prediction: Tensor, target: Tensor, weight: Tensor) -> SelfReport:
    """Judge a self-prediction on a batch.

    Args:
        prediction: (..., n) float.
        target: (..., n) float, the activations.
        weight: (n, h) float, the rows that predict. The distance from the identity means something
            only where the target is what the last layer reads: there W_s = I is a perfect model.

    Returns:
        The numbers.
    """
    with torch.no_grad():
        wanted = target.reshape(-1, target.shape[-1]).double()
        error = (prediction.reshape(wanted.shape).double() - wanted).square().sum()
        spread = (wanted - wanted.mean(0)).square().sum()
        r2 = float(1 - error / spread) if spread > 0 else float("nan")
        return SelfReport(r2, float(wanted.square().mean().sqrt()), identity_distance(weight))


def identity_distance(weight: Tensor) -> float:
    """Frobenius norm of `W - I`, (n, n), over that of I; NaN for a matrix that is not square."""
    if weight.shape[0] != weight.shape[1]:
        return float("nan")
    eye = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    return float((weight.detach() - eye).norm() / eye.norm())
