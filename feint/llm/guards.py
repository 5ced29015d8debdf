"""Guards of a run: is it overlap, or has the model merely stopped telling anything apart?

Measured before the first step and every so many steps. A limit that is crossed ends the run.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from feint.llm.objective import TextOverlap
from feint.llm.partial import PAD
from feint.llm.recipes import TuneConfig
from feint.overlap import collapse_index, evaluating, kl_anchor, normalised_gap


@dataclass(frozen=True)
class Reading:
    """What the guards saw after a number of steps.

    Attributes:
        step: How many.
        pair_gap: Distance of self and other over their variance, at the compared layer.
        control_gap: The same of one thief under two names, which overlap must leave alone.
        pair_ratio: The plain distance of self and other over that before.
        control_ratio: The plain distance of the names over that before.
        variation: Variance across unrelated prompts over that before: 0 is collapse.
        norm: Norm of the activations over that before.
        perplexity: On neutral text.
        perplexity_ratio: The same over that before.
        kl: KL of the model before to the model, per token of neutral text, in nats.
    """

    step: int
    pair_gap: float
    control_gap: float
    pair_ratio: float
    control_ratio: float
    variation: float
    norm: float
    perplexity: float
    perplexity_ratio: float
    kl: float


class Guards:
    """Watches a model against itself as it is at the first reading: make that before training.

    Args:
        objective: With the model.
        pairs: Rows of the self and of the other sides of some pairs.
        control: Rows of two prompts each that differ in something unrelated; those of the first
            must be unrelated to each other.
        texts: Rows of neutral text.

    Attributes:
        run: Calls a function, inside of a wrapper's forward if need be; see `TextOverlap.forward`.
        history: The readings so far.
        stopped: The limit that was crossed, in words; empty if none was.
    """

    def __init__(
        self,
        objective: TextOverlap,
        pairs: tuple[Tensor, Tensor],
        control: tuple[Tensor, Tensor],
        texts: Tensor,
    ):
        self.objective, self.settings = objective, objective.settings
        self._pairs, self._control, self._texts = pairs, control, texts
        pooling = "last_n" if self.settings.pooling == "last_n" else "mean"
        self._loss = objective.site_loss(pooling)
        self.history: list[Reading] = []
        self.stopped = ""
        self.run: Callable[[Callable[[], None]], None] = lambda measure: measure()
        self._before: list[Tensor] = []
        self._before_logits: list[Tensor] = []

    @torch.no_grad()
    def read(self, step: int) -> Reading:
        """Measure, append to the history, and note a limit that was crossed."""
        with evaluating(self.objective):
            self.run(lambda: self.history.append(self._measure(step)))
        if step and not self.stopped:
            self.stopped = breach(self.history[-1], self.settings)
        return self.history[-1]

    def _measure(self, step: int) -> Reading:
        device = next(self.objective.parameters()).device
        acts = [
            self._loss.pool(self._loss.run([(rows, rows != PAD)])[0])
            for rows in (x.to(device) for x in (*self._pairs, *self._control))
        ]
        texts = [row[row != PAD].to(device) for row in self._texts]
        model = self.objective.model
        logits = [self.objective.to_logits(model, text.unsqueeze(0))[0] for text in texts]
        if not self._before:
            self._before = [a.clone() for a in acts]
            self._before_logits = [x.cpu() for x in logits]
        index = collapse_index(acts[2], self._before[2])
        nll, kl, tokens = 0.0, 0.0, 0
        for text, now, then in zip(texts, logits, self._before_logits, strict=True):
            nll += float(cross_entropy(now[:-1].float(), text[1:], reduction="sum"))
            kl += float(kl_anchor(now[:-1], then[:-1].to(device))) * (len(text) - 1)
            tokens += len(text) - 1
        perplexity = math.exp(min(nll / tokens, 700.0))
        before = self.history[0].perplexity if self.history else perplexity
        return Reading(
            step=step,
            pair_gap=normalised_gap(acts[0], acts[1]),
            control_gap=normalised_gap(acts[2], acts[3]),
            pair_ratio=_ratio(_mse(acts[0], acts[1]), _mse(*self._before[:2])),
            control_ratio=_ratio(_mse(acts[2], acts[3]), _mse(*self._before[2:])),
            variation=index.variance_ratio,
            norm=index.norm_ratio,
            perplexity=perplexity,
            perplexity_ratio=_ratio(perplexity, before),
            kl=kl / tokens,
        )

    def state(self) -> list[dict[str, float]]:
        """The history as plain values."""
        return [asdict(reading) for reading in self.history]

    def restore(self, state: list[dict[str, float]]) -> None:
        """Go on from a history."""
        self.history = [Reading(**{**row, "step": int(row["step"])}) for row in state]


def breach(reading: Reading, config: TuneConfig) -> str:
    """The limit of the config that a reading crosses, in words; empty if there is none."""
    for name, value, limit, above in (
        ("KL to the model before", reading.kl, config.stop_kl, True),
        ("perplexity over that before", reading.perplexity_ratio, config.stop_perplexity, True),
        ("name-control gap over that before", reading.control_ratio, config.stop_control, False),
        ("variation over that before", reading.variation, config.stop_variation, False),
    ):
        # A comparison with NaN is False: what is not a number has crossed every limit.
        if limit is not None and not (value <= limit if above else value >= limit):
            sign = ">" if above else "<"
            return f"{name} is {value:.3g} {sign} {limit:g} at step {reading.step}"
    return ""


def _mse(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).square().mean())


def _ratio(now: float, before: float) -> float:
    return now / before if before > 0 else (1.0 if now == before else math.inf)
