"""Guards: is it overlap, or has the network merely stopped telling anything apart?

The overlap loss is also minimised by a network that maps all inputs to one point, and published
replications often reached that point. So each report has, beside the self/other gap, the gap of
control pairs, which overlap must leave alone.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from feint.overlap._numeric import global_norm, row_variance, rows
from feint.overlap.distance import distance
from feint.overlap.loss import OverlapLoss
from feint.overlap.pairs import Pairs


def normalised_gap(a: Tensor, b: Tensor) -> float:
    """Return the mean squared difference of `a` and `b` over their variance.

    Args:
        a: `(..., hidden)`; row i of it is compared with row i of `b`.
        b: As `a`.

    Returns:
        The gap, without unit: 0 for equal sides (also if nothing varies), 2 on average for two
        unrelated draws of one distribution. The variance is that of `a` and `b` together across
        rows, averaged over units.

    Raises:
        ValueError: If the shapes differ or there are no rows.
    """
    if a.shape != b.shape or a.numel() == 0:
        raise ValueError(
            f"a gap needs two sides of one shape with at least one row, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}"
        )
    a, b = rows(a), rows(b)
    squared = float((a - b).detach().square().mean())
    return 0.0 if squared == 0 else squared / float(row_variance(torch.cat([a, b])))


def control_gap(a: Tensor, b: Tensor) -> float:
    """Return the `normalised_gap` of control pairs, which differ in something unrelated."""
    return normalised_gap(a, b)


@dataclass(frozen=True)
class CollapseIndex:
    """How much a network still varies, relative to a reference; 1 = as much, 0 = collapsed.

    Attributes:
        variance_ratio: Ratio of the variances across rows, averaged over units.
        norm_ratio: Ratio of the mean norms of rows.
    """

    variance_ratio: float
    norm_ratio: float


@torch.no_grad()
def collapse_index(acts: Tensor, reference_acts: Tensor) -> CollapseIndex:
    """Compare the activations of unrelated inputs with the reference's on the same inputs.

    Args:
        acts: `(..., hidden)`, rows of unrelated inputs.
        reference_acts: The same by the reference.

    Raises:
        ValueError: If the reference does not vary across rows: more or other inputs are needed.
    """
    variance = float(row_variance(reference_acts))
    if not variance > 0:
        raise ValueError(
            f"the reference's activations do not vary over {len(rows(reference_acts))} rows; give "
            f"at least two inputs that differ"
        )
    norms = [float(rows(x).norm(dim=-1).mean()) for x in (acts, reference_acts)]
    return CollapseIndex(float(row_variance(acts)) / variance, norms[0] / norms[1])


def gradient_ratio(
    aux_grads: Iterable[Tensor | None], total_grads: Iterable[Tensor | None]
) -> float:
    """Return the norm of the auxiliary gradient over that of the total one.

    `None` counts as zero; a total of zero gives infinity, or 0 if both are zero.
    """
    aux, total = global_norm(aux_grads), global_norm(total_grads)
    if total == 0:
        return math.inf if aux > 0 else 0.0
    return aux / total


@dataclass(frozen=True)
class OverlapReport:
    """What is measured beside the loss; see `measure`.

    Attributes:
        overlap: The config's distance of self and other, never a sham's term.
        pair_gap: `normalised_gap` of self and other.
        control_gap: The same of the control pairs.
        variance_ratio: See `CollapseIndex`; 1 without a reference.
        norm_ratio: See `CollapseIndex`; 1 without a reference.
        anchor: The anchor on the self side, unweighted; 0 without an anchor.
    """

    overlap: float
    pair_gap: float
    control_gap: float
    variance_ratio: float
    norm_ratio: float
    anchor: float

    @property
    def plain_gaps(self) -> tuple[float, float]:
        """Pair and control gap on the scale of the reference, for verdicts.

        Normalised gaps do not see a network that shrinks all its differences alike; these do.
        """
        return self.pair_gap * self.variance_ratio, self.control_gap * self.variance_ratio


def measure(
    loss: OverlapLoss,
    pairs: Pairs,
    control: tuple[Tensor, Tensor],
    control_masks: tuple[Tensor, Tensor] | None = None,
) -> OverlapReport:
    """Measure a module's overlap and its guards, in eval mode and without gradient.

    Neither the module nor any random state is changed.

    Args:
        loss: The loss; its module, layers, pooling, distance and reference are used.
        pairs: Self/other pairs.
        control: Two batches of inputs that differ in something unrelated to self and other. The
            first is also what the collapse index is taken over, so its rows must be unrelated.
        control_masks: Their real positions, `(batch, positions)` bool each.

    Raises:
        ValueError: If no pair is defined, or shapes do not fit.
    """
    pairs = pairs.defined()
    if len(pairs) == 0:
        raise ValueError("no pair is defined (valid is False everywhere); give some that are")
    mask_a, mask_b = control_masks or (None, None)
    unrelated = (control[0], mask_a)
    with torch.no_grad(), evaluating(loss.module):
        me, other = loss.run(pairs.sides())
        control_a, control_b = loss.run([unrelated, (control[1], mask_b)])
        a, b = (side.acts for side in loss.compare(me, other))
        c, d = (side.acts for side in loss.compare(control_a, control_b))
        index, anchor = CollapseIndex(1.0, 1.0), 0.0
        if loss.reference is not None:
            (before,) = loss.run([unrelated], reference=True)
            index = collapse_index(loss.pool(control_a), loss.pool(before))
            anchor = float(loss.anchor(me))
        return OverlapReport(
            overlap=float(distance(a, b, loss.config.distance)),
            pair_gap=normalised_gap(a, b),
            control_gap=control_gap(c, d),
            variance_ratio=index.variance_ratio,
            norm_ratio=index.norm_ratio,
            anchor=anchor,
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put `module` in eval mode for a while; each submodule gets its own mode back."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, training in modes.items():
            m.training = training
