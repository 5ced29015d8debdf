"""Adding a loss to an SB3 algorithm without touching its `train()`.

An identity node sits in the graph of the algorithm's own loss; when that loss is back-propagated,
the node adds the auxiliary loss's gradient. The result is exactly the gradient of the sum.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class _Inject(torch.autograd.Function):
    """`x` in the forward; in the backward, `auxiliary` as if it were added to the loss."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, auxiliary: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        return grads[0], grads[0].new_ones(())


class _ScaleGradient(torch.autograd.Function):
    """`x` in the forward; its gradient times `factor` in the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def inject(x: Tensor, auxiliary: Tensor) -> Tensor:
    """`x` unchanged; any loss that uses it also back-propagates the scalar `auxiliary`, once."""
    return _Inject.apply(x, auxiliary)  # pyright: ignore[reportReturnType]


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` unchanged, with its gradient times `factor`.

    At 1 there is no node at all; at 0 the graph ends here, so that no backward of zeros is run.
    """
    if factor == 1.0:
        return x
    if factor == 0.0:
        return x.detach()
    return _ScaleGradient.apply(x, factor)  # pyright: ignore[reportReturnType]


@contextmanager
def replaced_method(owner: Any, name: str, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """For a while, `owner.name` is `wrap(owner.name)`; the class's own method is back afterwards.

    Raises:
        RuntimeError: if the instance has such an attribute of its own already (a seam in use).
    """
    if name in vars(owner):
        raise RuntimeError(f"{type(owner).__name__}.{name} is wrapped already: training is nested")
    setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield
    finally:
        delattr(owner, name)
