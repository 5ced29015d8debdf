"""The local learning coefficient (LLC, also RLCT), estimated by SGLD around trained weights.

Lau et al. (2023), arXiv 2308.12108. Two variants: `released` has the semantics of devinterp 0.2.0
as the code of arXiv 2407.10188 calls it; `corrected` has the inverse temperature of the whole
training set, the loss at the start on all of it, eval mode and a burn-in. Each has its own scale.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

Weights = list[Tensor]
"""One tensor per parameter, (models, chains, ...)."""

Losses = Callable[[Weights, Tensor, Tensor], Tensor]
"""Mean loss of each model and chain on a batch, (models, chains)."""


@dataclass(frozen=True)
class SGLD:
    """How to sample.

    Attributes:
        lr: step size, epsilon.
        localization: pull back to where the chain began, gamma.
        nbeta: inverse temperature times the number of examples.
        chains: independent chains; chain i is seeded `seed + i`.
        draws: steps whose loss counts, in each chain.
        burn_in: steps before those.
        seed: see `chains`.

    Raises:
        ValueError: for values out of range.
    """

    lr: float = 1e-4
    localization: float = 100.0
    nbeta: float = 1.0
    chains: int = 4
    draws: int = 1000
    burn_in: int = 0
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("lr", "nbeta"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be finite and > 0, got {value}")
        if not (math.isfinite(self.localization) and self.localization >= 0):
            raise ValueError(f"localization must be finite and >= 0, got {self.localization}")
        if self.chains < 1 or self.draws < 2 or self.burn_in < 0:
            raise ValueError(
                "chains must be >= 1, draws >= 2 and burn_in >= 0; "
                f"got {self.chains}, {self.draws}, {self.burn_in}"
            )


class LLC(NamedTuple):
    """An estimate, and whether it means anything."""

    value: float
    spread: float  #: standard deviation between chains
    drift: float  #: last quarter of the draws minus the one before: far from 0, it has not settled
    invalid: str  #: why it must not be read as complexity; empty where it may


def temperature(rows: int) -> float:
    """`n / ln n`: devinterp's `optimal_temperature` of a batch, or of a whole training set."""
    if rows < 2:
        raise ValueError(f"the temperature n / ln n needs n >= 2, got {rows}")
    return rows / math.log(rows)


def sample(start: Sequence[Tensor], losses: Losses, batches: Iterable, settings: SGLD) -> Tensor:
    """Losses along chains of stochastic gradient Langevin dynamics, of many models at once.

    Each step: the loss of a batch is noted, then every weight moves by `-lr/2 * (nbeta * gradient +
    localization * (w - w0)) + sqrt(lr) * N(0, 1)`. All models see the same noise in chain i, as
    when each is sampled by itself with the same seed.

    Args:
        start: one tensor per parameter, (models, ...), in the order in which noise is drawn.
        losses: see `Losses`.
        batches: as many (inputs, labels) as `burn_in + draws`, or more.
        settings: see `SGLD`.

    Returns:
        (models, chains, draws) float64.
    """
    chains = settings.chains
    origin = [p.detach().unsqueeze(1) for p in start]
    weights = [p.repeat(1, chains, *(1,) * (p.dim() - 2)) for p in origin]
    noise = [torch.empty_like(w[0]) for w in weights]
    luck = [torch.Generator().manual_seed(settings.seed + i) for i in range(chains)]
    pull, push = 0.5 * settings.lr * settings.localization, 0.5 * settings.lr * settings.nbeta
    trace = []
    for x, y in islice(batches, settings.burn_in + settings.draws):
        weights = [w.detach().requires_grad_() for w in weights]
        loss = losses(weights, x, y)
        grads = torch.autograd.grad(loss.sum(), weights)
        trace.append(loss.detach().double())
        for i, generator in enumerate(luck):
            for each in noise:
                each[i].normal_(generator=generator)
        with torch.no_grad():  # in place: these steps wait for memory
            for w, g, w0, n in zip(weights, grads, origin, noise, strict=True):
                w.lerp_(w0.expand_as(w), pull)
                w.add_(g, alpha=-push).add_(n, alpha=settings.lr**0.5)
    if len(trace) < settings.burn_in + settings.draws:
        raise ValueError(f"{settings.draws} draws need as many batches, got {len(trace)}")
    return torch.stack(trace[settings.burn_in :], dim=-1)


def estimates(
    trace: Tensor, start_loss: Tensor, nbeta: float, half: bool, lost: Sequence[str] | None = None
) -> list[LLC]:
    """What the losses along the chains say, for each model.

    Args:
        trace: (models, chains, draws) float.
        start_loss: (models,) float, the loss where the chains began.
        nbeta: as in sampling.
        half: count the second half of the draws only, as the released code.
        lost: for each model, why its estimate is void already (chance accuracy), or "".

    Returns:
        One estimate for each model. It is invalid where a chain found a lower loss than its start
        had, which therefore was no minimum, or where it diverged.
    """
    draws = trace.shape[-1]
    llc = nbeta * (trace - start_loss.to(trace).view(-1, 1, 1))
    counted = llc[..., draws // 2 :] if half else llc
    found = []
    for k, mine in enumerate(counted):
        chains = mine.mean(-1)
        quarter = max(1, draws // 4)
        drift = llc[k, :, -quarter:].mean() - llc[k, :, -2 * quarter : -quarter].mean()
        why = "" if lost is None else lost[k]
        if not torch.isfinite(chains).all():
            why = why or "diverged: take a smaller lr"
        elif float(chains.mean()) <= 0:
            why = why or "not at a minimum of its loss"
        spread = float(chains.std()) if len(chains) > 1 else float("nan")
        found.append(LLC(float(chains.mean()), spread, float(drift), why))
    return found


def chance(accuracy: float, classes: int) -> str:
    """Why a net of that accuracy has no complexity to speak of: it is (nearly) at chance; or ""."""
    bar = 1 / classes + 0.1 * (1 - 1 / classes)
    return "" if accuracy >= bar else f"chance accuracy ({accuracy:.2f})"


# -- any module -----------------------------------------------------------------------------------


def module_llc(
    module: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    settings: SGLD,
    variant: str = "released",
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    seed: int = 0,
) -> LLC:
    """The LLC of any module.

    Args:
        module: at its trained weights; it stays as it is.
        batches: the training set in batches of (inputs, labels), in the order of training.
        settings: see `SGLD`.
        variant: "released": batches in their order, again and again, train mode, the loss at the
            start on the first `chains` batches, and the second half of the draws; or "corrected":
            batches at random, eval mode, the loss at the start on all, and all draws after the
            burn-in.
        criterion: mean loss of outputs and labels.
        seed: of the random order.

    Raises:
        ValueError: for an unknown variant.
    """
    released = _released(variant)
    net = copy.deepcopy(module).train(released)
    names = [name for name, p in net.named_parameters() if p.requires_grad]
    buffers = [copy.deepcopy(dict(net.named_buffers())) for _ in range(settings.chains)]

    def losses(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        found = []
        for c in range(weights[0].shape[1]):
            mine = {name: w[0, c] for name, w in zip(names, weights, strict=True)}
            found.append(criterion(functional_call(net, {**mine, **buffers[c]}, (x,)), y))
        return torch.stack(found).unsqueeze(0)

    first = batches[: settings.chains] if released else batches
    sizes = torch.tensor([1.0 if released else float(len(y)) for _, y in first])
    with torch.no_grad():
        at_start = torch.tensor(
            [float(criterion(net(x), y)) for x, y in first], dtype=torch.float64
        )
    start_loss = (at_start * sizes).sum() / sizes.sum()
    if released:  # train mode moves a batch norm's statistics, which the chains then begin with
        buffers[:] = [copy.deepcopy(dict(net.named_buffers())) for _ in buffers]
    start = [p.unsqueeze(0) for name, p in net.named_parameters() if p.requires_grad]
    order = cycle(batches) if released else _at_random(batches, seed)
    trace = sample(start, losses, order, settings)
    return estimates(trace, start_loss.view(1), settings.nbeta, half=released)[0]


VARIANTS = ("released", "corrected")


def _released(variant: str) -> bool:
    if variant not in VARIANTS:
        raise ValueError(f"variant must be 'released' or 'corrected', got {variant!r}")
    return variant == "released"


def _at_random(batches: Sequence, seed: int) -> Iterator:
    luck = torch.Generator().manual_seed(seed)
    while True:
        yield batches[int(torch.randint(len(batches), (1,), generator=luck))]
