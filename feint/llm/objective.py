"""The overlap step on text: what is compared, what is anchored, and no work besides.

After Carauleanu et al., arXiv 2412.16325, section 3: two forwards, and the mean squared difference
of one attention output. Here neither runs above that layer, nor below the first that is trained.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feint.llm.loading import blocks, decoder, name_of, o_proj_name, unwrapped
from feint.llm.partial import PAD, TextForward
from feint.llm.recipes import TuneConfig
from feint.overlap import (
    OverlapConfig,
    OverlapLoss,
    Pairs,
    activations,
    evaluating,
    global_norm,
    kl_anchor,
    pool,
    relative_mse,
)

_NO_GRADIENT = 1e-12  # a term with less gradient than this has no direction to rescale
_TARGET_BATCH = 8  # texts in a batch when the anchor's targets are made


class Terms(NamedTuple):
    """The loss of a batch of pairs and its parts, all scalars; only `loss` has a graph."""

    loss: Tensor
    overlap: Tensor  #: the distance, or what a sham has in its place; neither weighted nor divided
    anchor: Tensor  #: unweighted
    dose: Tensor  #: gradient norm of the overlap term, weighted and rescaled; NaN if not measured


class TextOverlap(nn.Module):
    """A language model with its overlap loss: calling it with a batch gives the loss.

    It is the module that is trained, so that wrappers such as `DistributedDataParallel` and FSDP
    see a forward that ends as forwards do.

    Attributes:
        model: The language model, with adapters or without.
        settings: The run's.
        layer: The compared layer.
        site: The dotted name in `model` of the module whose output is compared.
        first: The first layer that is trained.
        first_value: The overlap term at the first step, by which it is divided; `None` before.
        dose: Rescale the overlap term to this gradient norm; `None` does not.
        record_dose: Measure that norm.

    Args:
        model: See above.
        config: See `settings`.
        anchor_rows: `(texts, positions)` int64 with `PAD`, what the anchor is on.

    Raises:
        ValueError: If the layers or the adapters do not fit the model.
    """

    accepts_loss_kwargs = False  # for Trainer: the loss is a mean over each batch

    def __init__(self, model: nn.Module, config: TuneConfig, anchor_rows: Tensor | None = None):
        super().__init__()
        depth = len(blocks(model))
        self.model, self.settings = model, config
        self.layer, trained = config.layer_of(depth), config.adapted(depth)
        self.site = site_name(model, config.site, self.layer)
        self.first = trained.start if config.prefix_cache and not _dropout(model) else 0
        self.first_value: float | None = None
        self.dose: float | None = None
        self.record_dose = config.record_dose
        self.sham = config.text_sham()
        self._prefixes: dict[bytes, Tensor] = {}
        device = next(model.parameters()).device
        together = device.type != "cpu" if config.together is None else config.together
        self.to_logits, self.to_site = self.forward_to(logits=True), self.forward_to()
        logits = config.distance == "kl_logits"
        self._loss = OverlapLoss(
            model,
            config.overlap_config((self.site,)),
            forward=self.forward_to(logits=logits, exact_padding=config.pooling == "all"),
            seed=config.seed,
            apart=not together,
            stop=False,  # these forwards end by themselves
        )
        self._rows = anchor_rows
        self._targets: list[Tensor] = []
        if config.anchor != "none" and (anchor_rows is None or not len(anchor_rows)):
            raise ValueError(f"anchor {config.anchor!r} needs texts; give some, or set 'none'")

    @property
    def _no_split_modules(self) -> list[str]:
        """What FSDP is to wrap one by one: the blocks."""
        return [type(blocks(self.model)[0]).__name__]

    def forward_to(self, logits: bool = False, exact_padding: bool = False) -> TextForward:
        """A forward up to the compared activations, or to the logits, with the prefix cache."""
        return TextForward(
            logits=logits,
            last=None if logits else self.layer,
            attention_only=not logits and self.settings.site == "o_proj",
            first=self.first,
            exact_padding=exact_padding,
            cache=self._prefixes,
        )

    def site_loss(self, pooling: str) -> OverlapLoss:
        """A loss on the compared layer whatever the run's distance is, for guards."""
        config = OverlapConfig(
            (self.site,), pooling=pooling, last_n=self.settings.last_n, detach="none", anchor="none"
        )
        return OverlapLoss(self.model, config, forward=self.to_site, apart=True, stop=False)

    def forward(
        self,
        self_rows: Tensor | None = None,
        other_rows: Tensor | None = None,
        anchor: Tensor | None = None,
        next_rows: Tensor | None = None,
        run: Any = None,
    ) -> Any:
        """The loss of a batch, as a dict of the `Terms`.

        Args:
            self_rows: `(batch, positions)` int64 with `PAD`.
            other_rows: As `self_rows`.
            anchor: `(n,)` int64, which of the anchor's texts take part.
            next_rows: What a sham predicts token by token; `None` for the pairs themselves.
            run: In place of all that, call this and return what it gives: whatever a wrapper sets
                up for a forward then holds for it too.
        """
        if run is not None:
            return run()
        assert self_rows is not None and other_rows is not None
        overlap = self._overlap(self_rows, other_rows, next_rows)
        drift = self._anchor(anchor)
        pull, dose = self._weighted(overlap)
        parts = [pull] if overlap is not None else []
        if self.settings.anchor != "none":
            parts.append(self.settings.anchor_coef * drift)
        loss = sum(parts[1:], start=parts[0])
        found = drift.new_zeros(()) if overlap is None else overlap.detach()
        return Terms(loss, found, drift.detach(), drift.new_tensor(dose))._asdict()

    def _overlap(self, me: Tensor, other: Tensor, next_rows: Tensor | None) -> Tensor | None:
        """The overlap term or the sham's; `None` where a sham has none."""
        if self.sham.overlap == "anchor_only":
            return None
        if self.sham.next_token:
            return self.next_token_loss(torch.cat([me, other]) if next_rows is None else next_rows)
        pairs = Pairs(me, other, mask_self=me != PAD, mask_other=other != PAD)
        return self._loss(pairs).overlap

    def next_token_loss(self, rows: Tensor) -> Tensor:
        """Mean negative log-likelihood of each token after the first, in nats."""
        logits = self.to_logits(self.model, rows)[:, :-1].flatten(0, 1).float()
        # With padding on the left nothing real comes before a row's first token.
        wanted = rows[:, 1:].masked_fill(rows[:, :-1] == PAD, PAD)
        return F.cross_entropy(logits, wanted.flatten(), ignore_index=PAD)

    def _weighted(self, overlap: Tensor | None) -> tuple[Tensor, float]:
        """The overlap term in the loss, and the norm of its gradient."""
        if overlap is None:
            return torch.zeros(()), 0.0
        pull = self.settings.coef * overlap
        if self.settings.normalise:
            if self.first_value is None and torch.is_grad_enabled():
                self.first_value = _mean_over_processes(overlap.detach()) or 1.0
            pull = pull / (self.first_value or 1.0)
        if not (self.record_dose or self.dose is not None) or not pull.requires_grad:
            return pull, float("nan")
        # The gradient is taken here once, and handed on by a term that is linear in the weights:
        # nothing is computed twice, and DDP's hooks see it as they see any other.
        weights = [p for p in self.parameters() if p.requires_grad]
        grads = torch.autograd.grad(pull, weights, allow_unused=True)
        norm = global_norm(grads)
        scale = 1.0
        if self.dose is not None:
            scale = self.dose / norm if norm >= _NO_GRADIENT else 0.0
        terms = [(p * (scale * g)).sum() for p, g in zip(weights, grads, strict=True)
                 if g is not None]  # fmt: skip
        linear = sum(terms[1:], start=terms[0])
        return linear - linear.detach() + scale * pull.detach(), scale * norm

    @torch.no_grad()
    def hold(self) -> None:
        """Take the model as it is now for what the anchor holds on to: call it before training."""
        if self.settings.anchor == "none":
            return
        assert self._rows is not None
        found, device = [], next(self.model.parameters()).device
        with evaluating(self.model):
            for part in self._rows.to(device).split(_TARGET_BATCH):
                part = _tight(part)
                acts = self._anchored(part)
                found += [act[row != PAD].cpu() for act, row in zip(acts, part, strict=True)]
        self._targets = found

    def _anchored(self, rows: Tensor) -> Tensor:
        """What the anchor compares: activations or logits."""
        if self.settings.anchor == "kl":
            return self.to_logits(self.model, rows)
        run = lambda: self.to_site(self.model, rows)  # noqa: E731 - shorter than a nested def
        return activations(self.model, [self.site], run)[0][self.site]

    def _anchor(self, which: Tensor | None) -> Tensor:
        """The anchor, averaged over texts, so that a batch split over processes gives the same."""
        device = next(self.model.parameters()).device
        if self.settings.anchor == "none":
            return torch.zeros((), device=device)
        assert which is not None and self._rows is not None and self._targets, "call hold() first"
        rows = _tight(self._rows[which.cpu()].to(device))
        drift = kl_anchor if self.settings.anchor == "kl" else relative_mse
        found = [
            drift(pool(act.unsqueeze(0), "masked", (row != PAD).unsqueeze(0)),
                  self._targets[k].to(device))
            for act, row, k in zip(self._anchored(rows), rows, which.tolist(), strict=True)
        ]  # fmt: skip
        return torch.stack(found).mean()


def site_name(model: nn.Module, site: str, layer: int) -> str:
    """The dotted name of the module whose output is compared: a name in `recipes.SITES`."""
    if site == "o_proj":
        return o_proj_name(model, layer)
    return name_of(model, decoder(model).layers[layer])  # type: ignore[index]


def _tight(rows: Tensor) -> Tensor:
    """The columns that hold a token."""
    return rows[:, (rows != PAD).any(dim=0)]


def _dropout(model: nn.Module) -> bool:
    """Whether the model itself, without adapters, draws anything in training."""
    config = unwrapped(model).config
    names = ("attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop")
    return any(getattr(config, name, 0.0) for name in names)


def _mean_over_processes(x: Tensor) -> float:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        x = x.clone()
        torch.distributed.all_reduce(x)
        x = x / torch.distributed.get_world_size()
    return float(x)
