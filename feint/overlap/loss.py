"""The self-other overlap loss.

After Carauleanu et al., "Towards Safe and Honest AI Agents with Neural Self-Other Overlap"
(arXiv 2412.16325), section 3, with what that paper leaves open made explicit.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from feint.overlap._messages import unknown
from feint.overlap._numeric import at_least_float32, global_norm, times
from feint.overlap.anchor import kl_anchor, relative_mse, value_anchor
from feint.overlap.capture import check_layers
from feint.overlap.config import OverlapConfig
from feint.overlap.distance import OUTPUT_DISTANCES, distance
from feint.overlap.forward import Forward, call, run_sides, trim
from feint.overlap.pairs import Pairs, Side
from feint.overlap.pooling import pool
from feint.overlap.shams import find_sham

_NO_GRADIENT = 1e-12  # a term with less gradient than this has no direction to rescale


@dataclass(frozen=True)
class OverlapTerms:
    """The loss of one batch and its parts; all are scalars.

    Attributes:
        loss: `coef * dose_scale * overlap + anchor_coef * anchor`; back-propagate this.
        overlap: The distance of the two sides (or what the sham has in its place), unweighted.
        anchor: The anchor, unweighted.
        n_valid: How many pairs were defined.
        dose_scale: The factor that matched the dose; 1 if none was asked for.
    """

    loss: Tensor
    overlap: Tensor
    anchor: Tensor
    n_valid: int
    dose_scale: float = 1.0


class OverlapLoss:
    """A loss that makes a module treat the other side of each pair like the self side.

    All sides run through the module in one batch, or `apart`, and the forward ends at the last
    hooked layer if nothing above it is needed. No hook stays on the module, and no global random
    state is used.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        >>> overlap = OverlapLoss(net, OverlapConfig(layers=("1",)))
        >>> terms = overlap(Pairs(torch.zeros(5, 4), torch.ones(5, 4)))
        >>> terms.loss.backward()

    Attributes:
        reference: The frozen copy of `module` that the anchor compares with, in eval mode; `None`
            without an anchor. To resume a run, load its state too: a new object copies the module
            as it is by then.
        generator: The source of the shams' draws, on the CPU.

    Args:
        module: The module to train. It is copied here if there is an anchor.
        config: What to compare, how.
        forward: Runs a module on inputs `(batch, ...)` and returns its outputs, `(batch, n)` or
            `(batch, positions, n)`; by default it calls the module. It must use the module it is
            given, since it also runs the reference.
        outputs: Whether the outputs are logits or values (such as mean actions), for the `"kl"`
            anchor: KL in nats, or the squared change relative to the reference's variance.
        seed: Seeds `generator`.
        apart: Run each side by itself, cut to its last real position; a detached side without an
            anchor then runs without gradient. The gradients are the same; on a CPU it is faster.
        stop: End the forward at the last hooked layer where nothing above it is needed; `False` for
            a `forward` that sees to that itself.

    Raises:
        ValueError: If a layer does not exist, or the distance does not fit the outputs.
    """

    def __init__(
        self,
        module: nn.Module,
        config: OverlapConfig,
        forward: Forward | None = None,
        outputs: Literal["logits", "values"] = "logits",
        seed: int = 0,
        apart: bool = False,
        stop: bool = True,
    ):
        if outputs not in ("logits", "values"):
            raise unknown("kind of outputs", outputs, ("logits", "values"))
        if config.distance == "kl_logits" and outputs == "values":
            raise ValueError(
                "distance 'kl_logits' compares logits, but outputs='values'; "
                "use distance='action', or outputs='logits'"
            )
        self._hooked = () if config.distance in OUTPUT_DISTANCES else config.layers
        if self._hooked:
            check_layers(module, self._hooked)
        self.module = module
        self.config = config
        self.forward: Forward = forward or call
        self.outputs = outputs
        self.generator = torch.Generator().manual_seed(seed)
        self.reference: nn.Module | None = None
        if config.anchor != "none":
            self.reference = copy.deepcopy(module).eval().requires_grad_(False)
        self._sham = find_sham(config.sham)
        self._apart = apart
        above = config.anchor in ("kl", "mse") or self._sham.needs_outputs
        self._stop = stop and not above
        self._detach = self._sham.detach or config.detach

    def __call__(self, pairs: Pairs, dose: float | None = None) -> OverlapTerms:
        """Return the loss on a batch of pairs.

        Args:
            pairs: The batch. With nothing to compare or anchor the loss is an exact zero that
                still has a graph.
            dose: If given, the overlap term is rescaled so that the norm of its gradient over the
                module's parameters is this (in place of `coef`), or left out if it has no gradient.

        Raises:
            ValueError: If the inputs, the layers and the pooling do not fit together, or `dose` is
                negative, not finite, or asked for without gradients.
        """
        bystanders = pairs.undefined() if self.config.anchor_bystanders else []
        pairs = pairs.defined()
        compared = self._sham.pairs(pairs, self.generator) if len(pairs) else None
        if compared is not None and not self._meets(compared):
            compared = None
        batches = compared.sides() if compared is not None else []
        anchored = []  # which batches the anchor is on
        if self.config.anchor != "none":
            # It is on the real self side: run that too where a sham compares something else.
            if compared is not None and compared.self_inputs is pairs.self_inputs:
                anchored.append(0)
            elif len(pairs):
                bystanders = [(pairs.self_inputs, pairs.mask_self), *bystanders]
            anchored += range(len(batches), len(batches) + len(bystanders))
            batches += bystanders
        frozen = ("self", "other").index(self._detach) if self._detach != "none" else None
        sides = self.run(batches, frozen=None if compared is None or frozen in anchored else frozen)

        overlap = self._zero() if compared is None else self._overlap(sides[0], sides[1])
        anchor = self._anchor_over([sides[k] for k in anchored])
        scale = 1.0 if dose is None else self._dose_scale(overlap, dose)
        weighted = []
        if compared is not None and scale > 0:
            weighted.append(times(self.config.coef * scale, overlap))
        if anchored:
            weighted.append(times(self.config.anchor_coef, anchor))
        loss = sum(weighted[1:], start=weighted[0]) if weighted else self._zero()
        return OverlapTerms(loss, overlap, anchor, len(pairs), scale)

    def overlap_grad_norm(self, terms: OverlapTerms, params: Iterable[Tensor]) -> float:
        """Return the norm of the gradient of `coef * overlap` over `params`: the dose.

        The graph is kept, so `terms.loss.backward()` may follow.
        """
        return self._norm(terms.overlap, params)

    def run(
        self,
        batches: Sequence[tuple[Tensor, Tensor | None]],
        reference: bool = False,
        frozen: int | None = None,
    ) -> list[Side]:
        """Run several batches of `(inputs, mask)` through the module, in one forward or `apart`.

        Args:
            batches: Inputs `(rows, ...)`, alike but for the number of rows, and their masks.
            reference: Run the frozen copy instead.
            frozen: Which batch needs no gradient, if they run apart.

        Returns:
            One side for each batch, with activations not yet pooled.

        Raises:
            ValueError: If the inputs cannot share a batch, or a layer's output is no batch of them.
        """
        module = self.reference if reference else self.module
        if module is None:
            raise ValueError("there is no reference without an anchor; set anchor in the config")
        if not self._apart:
            return run_sides(module, self.forward, batches, self._hooked, self._stop)
        sides = []
        for k, (inputs, mask) in enumerate(batches):
            if self.config.pooling != "all":  # whatever padding holds is a part of "all"
                inputs, mask = trim(inputs, mask)
            with torch.set_grad_enabled(torch.is_grad_enabled() and k != frozen):
                sides += run_sides(module, self.forward, [(inputs, mask)], self._hooked, self._stop)
        return sides

    def compare(self, a: Side, b: Side) -> tuple[Side, Side]:
        """Pool two sides for a comparison, with the side that `detach` names detached."""
        mask_a, mask_b = a.mask, b.mask
        if self.config.pooling == "masked" and mask_a is not None and mask_b is not None:
            n = min(mask_a.shape[1], mask_b.shape[1])
            if mask_a.shape != mask_b.shape:  # the sides ran apart
                a, b = replace(a, acts=a.acts[:, :n]), replace(b, acts=b.acts[:, :n])
            mask_a = mask_b = mask_a[:, :n] & mask_b[:, :n]  # position by position: both real
        a, b = replace(a, acts=self.pool(a, mask_a)), replace(b, acts=self.pool(b, mask_b))
        if self._detach == "self":
            a = replace(a, acts=a.acts.detach())
        elif self._detach == "other":
            b = replace(b, acts=b.acts.detach())
        return a, b

    def pool(self, side: Side, mask: Tensor | None = None) -> Tensor:
        """Pool the activations of a side as the config says, by `mask` or else its own mask."""
        mask = side.mask if mask is None else mask
        return pool(side.acts, self.config.pooling, mask, self.config.last_n)

    def _meets(self, pairs: Pairs) -> bool:
        """Whether there is a position to compare: a sham may pair rows that share none."""
        if self.config.pooling != "masked" or pairs.mask_self is None or pairs.mask_other is None:
            return True
        return bool((pairs.mask_self & pairs.mask_other).any())

    def _overlap(self, a: Side, b: Side) -> Tensor:
        a, b = self.compare(a, b)
        if self._sham.term is not None:
            return self._sham.term(a, b)
        return distance(a.acts, b.acts, self.config.distance)

    def _anchor_over(self, sides: Sequence[Side]) -> Tensor:
        """The anchor over several sides, each row, or real position, counting alike."""
        if not sides:
            return self._zero()
        found = [
            self._drift(side, reference)
            for side, reference in zip(sides, self._references(sides), strict=True)
        ]
        if len(sides) == 1:
            return found[0]
        counts = [len(s.inputs) if s.mask is None else int(s.mask.sum()) for s in sides]
        parts = [drift * (n / sum(counts)) for drift, n in zip(found, counts, strict=True)]
        return sum(parts[1:], start=parts[0])

    def anchor(self, side: Side) -> Tensor:
        """Return the anchor on the self side, unweighted."""
        return self._drift(side, *self._references([side]))

    def _references(self, sides: Sequence[Side]) -> list[Side]:
        """What the frozen copy makes of the sides; to compare outputs it needs no hooks."""
        assert self.reference is not None  # there is an anchor
        hooked = () if self.config.anchor == "kl" else self._hooked
        batches = [(side.inputs, side.mask) for side in sides]
        with torch.no_grad():
            return run_sides(self.reference, self.forward, batches, hooked, self._stop)

    def _drift(self, side: Side, reference: Side) -> Tensor:
        """The anchor of one side, given what the reference makes of it."""
        if self.config.anchor == "relative_mse":
            return relative_mse(self.pool(side), self.pool(reference))
        assert side.outputs is not None and reference.outputs is not None  # these never stop early
        now = pool(side.outputs, "masked", side.mask)
        then = pool(reference.outputs, "masked", side.mask)
        if self.config.anchor == "mse":
            return distance(now, then, "mse")
        return kl_anchor(now, then) if self.outputs == "logits" else value_anchor(now, then)

    def _dose_scale(self, overlap: Tensor, dose: float) -> float:
        if not (math.isfinite(dose) and dose >= 0):
            raise ValueError(f"dose must be a finite gradient norm of at least 0, got {dose}")
        if not torch.is_grad_enabled():
            raise ValueError("dose needs gradients, but they are off; leave torch.no_grad()")
        norm = self._norm(overlap, self.module.parameters())
        return dose / norm if norm >= _NO_GRADIENT else 0.0

    def _norm(self, overlap: Tensor, params: Iterable[Tensor]) -> float:
        wanted = [p for p in params if p.requires_grad]
        if not wanted or not overlap.requires_grad:
            return 0.0
        term = times(self.config.coef, overlap)
        return global_norm(torch.autograd.grad(term, wanted, retain_graph=True, allow_unused=True))

    def _zero(self) -> Tensor:
        """Return an exact zero with a graph; empty slices, so that no NaN of a weight enters."""
        zero = torch.zeros(())
        for p in self.module.parameters():
            if p.requires_grad:
                zero = zero.to(p.device) + at_least_float32(p.reshape(-1)[:0].sum())
        return zero
