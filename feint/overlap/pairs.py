"""What the overlap loss eats: the same situations, told about oneself and about the other."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Side:
    """One side after the forward.

    Attributes:
        inputs: `(batch, ...)`, what was run.
        mask: `(batch, positions)` bool, the real positions; `None` if all are.
        acts: The compared activations, `(batch, [positions,] hidden)`, the layers side by side;
            pooled where a sham's `term` sees them.
        outputs: The module's outputs, `(batch, [positions,] n)`; `None` if they were not computed.
    """

    inputs: Tensor
    mask: Tensor | None
    acts: Tensor
    outputs: Tensor | None


@dataclass(frozen=True)
class Pairs:
    """A batch of self/other pairs; row i of both sides is one situation.

    Attributes:
        self_inputs: `(batch, ...)`, the self version.
        other_inputs: The other version, of the same shape and dtype.
        valid: `(batch,)` bool, where the pair is defined; `None` if everywhere. Other rows never
            contribute.
        mask_self: `(batch, positions)` bool, the real positions, for pooling; `None` if all are.
        mask_other: As `mask_self`; given together with it.
        irrelevant: Two batches of equal shape that differ, row by row, in something unrelated to
            self and other, for the sham of that name. Its rows need not be those of the pairs;
            each counts.
        mask_irrelevant: The real positions of both, as `mask_self`.
        mask_bystanders: `(batch, positions)` bool, positions of the self side at which there is no
            pair, of rows that have one elsewhere: the anchor may hold those too.

    Raises:
        ValueError: If shapes or dtypes do not fit together.
    """

    self_inputs: Tensor
    other_inputs: Tensor
    valid: Tensor | None = None
    mask_self: Tensor | None = None
    mask_other: Tensor | None = None
    irrelevant: tuple[Tensor, Tensor] | None = None
    mask_irrelevant: tuple[Tensor, Tensor] | None = None
    mask_bystanders: Tensor | None = None

    def __post_init__(self) -> None:
        _same("self_inputs and other_inputs", self.self_inputs, self.other_inputs)
        if self.self_inputs.ndim < 1:
            raise ValueError("inputs must be batches, (batch, ...), got a scalar")
        if (self.mask_self is None) != (self.mask_other is None):
            raise ValueError("mask_self and mask_other come together; give both or neither")
        if self.valid is not None:
            _bool("valid", self.valid, ndim=1, batch=len(self))
        for name in ("mask_self", "mask_other", "mask_bystanders"):
            mask = getattr(self, name)
            if mask is not None:
                _bool(name, mask, ndim=2, batch=len(self))
        if self.irrelevant is not None:
            _same("the two sides of irrelevant", *self.irrelevant)
        if self.mask_irrelevant is not None:
            _same("the two masks of mask_irrelevant", *self.mask_irrelevant)

    def __len__(self) -> int:
        return len(self.self_inputs)

    def sides(self) -> list[tuple[Tensor, Tensor | None]]:
        """Return inputs and mask of the self side, then of the other side."""
        return [(self.self_inputs, self.mask_self), (self.other_inputs, self.mask_other)]

    def defined(self) -> "Pairs":
        """Return the pairs that are defined, with `valid=None`."""
        if self.valid is None:
            return self
        if bool(self.valid.all()):
            return replace(self, valid=None)
        chosen = self.valid.nonzero().squeeze(1)  # a bool index would be turned into this each time

        def kept(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[chosen]

        return replace(
            self,
            self_inputs=self.self_inputs[chosen],
            other_inputs=self.other_inputs[chosen],
            mask_self=kept(self.mask_self),
            mask_other=kept(self.mask_other),
            mask_bystanders=kept(self.mask_bystanders),
            valid=None,
        )

    def undefined(self) -> list[tuple[Tensor, Tensor | None]]:
        """Return inputs and mask of the self side where no pair is defined.

        A list: the rows without a pair, if any; and the rows that have positions without one.
        """
        found = []
        if self.valid is not None and not bool(self.valid.all()):
            rest = ~self.valid
            mask = None if self.mask_self is None else self.mask_self[rest]
            found.append((self.self_inputs[rest], mask))
        if self.mask_bystanders is not None and bool(self.mask_bystanders.any()):
            found.append((self.self_inputs, self.mask_bystanders))
        return found


def _same(what: str, a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(
            f"{what} must have one shape and dtype, got {tuple(a.shape)} {a.dtype} and "
            f"{tuple(b.shape)} {b.dtype}; pad sequences to one length"
        )


def _bool(name: str, x: Tensor, ndim: int, batch: int) -> None:
    if x.dtype != torch.bool or x.ndim != ndim or len(x) != batch:
        shape = f"({batch},)" if ndim == 1 else f"({batch}, positions)"
        raise ValueError(
            f"{name} must be bool of shape {shape}, got {x.dtype} of shape {tuple(x.shape)}"
        )
