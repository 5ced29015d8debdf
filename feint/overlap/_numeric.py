"""Small pieces of arithmetic that the loss and the guards share."""

from collections.abc import Iterable

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32 or wider: squares of small half-precision values are lost."""
    if x.dtype == torch.float32 or x.dtype == torch.float64:
        return x
    return x.to(torch.promote_types(x.dtype, torch.float32))


def rows(x: Tensor) -> Tensor:
    """Flatten `x: (..., hidden)` to `(rows, hidden)` in float32 or wider."""
    x = at_least_float32(x)
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def times(factor: float, x: Tensor) -> Tensor:
    """Return `factor * x`, which for a factor of 1 is `x` itself, without a node in the graph."""
    return x if factor == 1 else factor * x


def row_variance(x: Tensor) -> Tensor:
    """Return the population variance of `x: (..., hidden)` over its rows, averaged over units."""
    return rows(x).var(dim=0, unbiased=False).mean()


def global_norm(grads: Iterable[Tensor | None]) -> float:
    """Return the Euclidean norm of all gradients together; `None` counts as zero."""
    norms = [torch.linalg.vector_norm(at_least_float32(g.detach())) for g in grads if g is not None]
    if not norms:
        return 0.0
    # A model may be spread over several devices.
    return float(torch.linalg.vector_norm(torch.stack([n.to(norms[0].device) for n in norms])))
