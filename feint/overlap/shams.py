"""Shams: what could look like overlap without being it.

A sham replaces the overlap term and nothing else: the anchor, the layers and the distance are
those of the treatment, and the dose can be matched to it (`dose` of `OverlapLoss.__call__`).
Published replications found that some shams do most of what was credited to overlap.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feint.overlap._messages import unknown
from feint.overlap._numeric import at_least_float32
from feint.overlap.pairs import Pairs, Side

Rewrite = Callable[[Pairs, torch.Generator], Pairs | None]
Term = Callable[[Side, Side], Tensor]


def _as_they_are(pairs: Pairs, _generator: torch.Generator) -> Pairs:
    return pairs


def _no_term(_pairs: Pairs, _generator: torch.Generator) -> None:
    return None


@dataclass(frozen=True)
class Sham:
    """A replacement of the overlap term.

    Attributes:
        name: How a config names it.
        description: One line, for tables.
        pairs: From the defined pairs and a generator (on the CPU) to those compared; `None` leaves
            the term out of this batch.
        term: From the two sides, pooled and with the detached side detached, to the scalar that
            replaces the distance; `None` keeps the distance.
        detach: Replaces the config's `detach`; `None` keeps it.
        needs_outputs: Whether `term` reads the sides' `outputs`.
    """

    name: str
    description: str
    pairs: Rewrite = _as_they_are
    term: Term | None = None
    detach: str | None = None
    needs_outputs: bool = False


TREATMENT = Sham("none", "the overlap loss itself")

SHAMS: dict[str, Sham] = {}
"""The shams by name. Not among them: `"none"`, the treatment."""


def register_sham(sham: Sham) -> Sham:
    """Add a sham, so that a config may name it.

    Returns:
        The sham.

    Raises:
        ValueError: If the name is taken.
    """
    if sham.name == TREATMENT.name or sham.name in SHAMS:
        raise ValueError(f"the sham name {sham.name!r} is taken; choose another")
    SHAMS[sham.name] = sham
    return sham


def find_sham(name: str) -> Sham:
    """Return the sham of that name, or the treatment for `"none"`.

    Raises:
        ValueError: If there is none; the choices are listed.
    """
    if name == TREATMENT.name:
        return TREATMENT
    if name not in SHAMS:
        raise unknown("sham", name, [TREATMENT.name, *SHAMS])
    return SHAMS[name]


def derangement(n: int, generator: torch.Generator) -> Tensor:
    """Draw a permutation of `0..n-1` that leaves nothing in place.

    It is a single random cycle, so the partner of each row is uniform among the others.

    Returns:
        `(n,)` int64, on the CPU.

    Raises:
        ValueError: If `n < 2`: no such permutation exists.
    """
    if n < 2:
        raise ValueError(f"a derangement needs at least 2 rows, got {n}")
    order = torch.randperm(n, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


def _shuffled(pairs: Pairs, generator: torch.Generator) -> Pairs | None:
    if len(pairs) < 2:  # a lone row has no other partner than its own
        return None
    order = derangement(len(pairs), generator).to(pairs.other_inputs.device)
    mask = None if pairs.mask_other is None else pairs.mask_other[order]
    return replace(pairs, other_inputs=pairs.other_inputs[order], mask_other=mask)


def _unrelated(pairs: Pairs, generator: torch.Generator) -> Pairs | None:
    others = replace(pairs, self_inputs=pairs.other_inputs, mask_self=pairs.mask_other)
    return _shuffled(others, generator)


def _self_self(pairs: Pairs, _generator: torch.Generator) -> Pairs:
    return replace(pairs, other_inputs=pairs.self_inputs, mask_other=pairs.mask_self)


def _irrelevant(pairs: Pairs, _generator: torch.Generator) -> Pairs:
    if pairs.irrelevant is None:
        raise ValueError(
            "sham 'irrelevant' got pairs without irrelevant inputs; give "
            "Pairs(..., irrelevant=(inputs_a, inputs_b)) that differ in something unrelated"
        )
    mask_a, mask_b = pairs.mask_irrelevant or (None, None)
    a, b = pairs.irrelevant
    return Pairs(a, b, mask_self=mask_a, mask_other=mask_b)


def _mean_square(_a: Side, b: Side) -> Tensor:
    return at_least_float32(b.acts).square().mean()


for _sham in (
    Sham("shuffled", "each self side with the other side of another row", _shuffled),
    Sham("unrelated", "each other side with the other side of another row", _unrelated),
    Sham("self_self", "each self side with itself: only the network's own noise", _self_self),
    Sham("anchor_only", "no overlap term, only the anchor", _no_term),
    Sham(
        "activation_l2",
        "mean square of the other side's activations in place of the distance",
        term=_mean_square,
        detach="self",
    ),
    Sham("irrelevant", "pairs that differ in something irrelevant", _irrelevant),
    Sham("reverse", "the other side is the fixed target, the self side is pulled", detach="other"),
):
    register_sham(_sham)
