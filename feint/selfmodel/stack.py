"""Many one-hidden-layer networks trained as one: seeds x variations, in stacked weights.

The networks of one seed share its batches, so the first layer is one product for all of them. Each
network gets, to rounding, the parameters that it would get when trained by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import cycle, islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from feint.overlap import derangement
from feint.selfmodel.data import Data
from feint.selfmodel.llc import LLC, SGLD, Weights, estimates, sample
from feint.selfmodel.nets import MLP
from feint.selfmodel.report import identity_distance

#: What the extra rows predict; "none" leaves the rows idle.
PREDICTED = ("own", "shuffled", "random", "earlier", "none")


@dataclass(frozen=True)
class Training:
    """How every network of a stack is trained: SGD at a constant rate.

    Attributes:
        lr: learning rate.
        momentum: of SGD.
        nesterov: Nesterov's form of it.
        batch_size: rows of a batch.
        epochs: passes.
        same_order: every epoch has the same batches in the same order, as in the released code.
    """

    lr: float = 0.005
    momentum: float = 0.9
    nesterov: bool = True
    batch_size: int = 512
    epochs: int = 50
    same_order: bool = True


@dataclass(frozen=True)
class Variations:
    """What differs between the networks of one seed, and the kind of loss that they share.

    Attributes:
        weights: of the self-prediction, one per network.
        decays: weight decay (coupled, as SGD's), one per network; empty for none.
        predicted: see `PREDICTED`. "earlier" is the hidden layer before its ReLU, which no linear
            map of what is left after it gives.
        detach: let no gradient through the target.
        dose: in place of self-prediction, a penalty on the mean square of the hidden activations,
            whose gradient on them has this norm: (steps, seeds, networks), from `Stack.dose`.
    """

    weights: tuple[float, ...]
    decays: tuple[float, ...] = ()
    predicted: str = "own"
    detach: bool = True
    dose: Tensor | None = None

    def __post_init__(self) -> None:
        if self.predicted not in PREDICTED:
            raise ValueError(f"predicted must be one of {', '.join(PREDICTED)}")
        if self.decays and len(self.decays) != len(self.weights):
            raise ValueError("give one decay for each weight, or none")


@dataclass
class Measures:
    """What a trained network is like; one number per seed and network, (seeds, networks).

    Attributes:
        accuracy: on the test set.
        train_loss: cross-entropy on the training set.
        width: SD of the class rows of the last layer, biases left out.
        activation_rms: of the hidden activations, on the test set.
        dead: share of hidden units that are 0 for all of it.
        r2: of the self-prediction, on the test set.
        identity: |W_s - I| / |I|.
    """

    accuracy: Tensor
    train_loss: Tensor
    width: Tensor
    activation_rms: Tensor
    dead: Tensor
    r2: Tensor
    identity: Tensor


@dataclass
class Stack:
    """Trained networks.

    Attributes:
        seeds: their seeds.
        params: fc1 weight, fc1 bias, fc2 weight, fc2 bias, each (seeds, networks, ...).
        classes: rows of fc2 that are logits.
        dose: (steps, seeds, networks), norms of the self-prediction's gradient on the hidden
            activations, where they were asked for.
        history: (epochs, seeds, networks), width after each epoch.
    """

    seeds: tuple[int, ...]
    params: Weights
    classes: int
    dose: Tensor | None = None
    history: Tensor = field(default_factory=lambda: torch.empty(0))

    def classifier(self) -> Weights:
        """The parameters without the rows that predict."""
        w1, b1, w2, b2 = self.params
        return [w1, b1, w2[:, :, : self.classes], b2[:, :, : self.classes]]


def initial(
    inputs: int, hidden: int, classes: int, seed: int, predicts: bool = True
) -> list[Tensor]:
    """Parameters before training, drawn as the released code draws them.

    It builds a net without self-model first, draws an input for it, and then builds the one that
    is trained; so the hidden layer and the class rows are the same with and without a self-model,
    and the last bias is not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        MLP(inputs, hidden, classes)
        torch.randn(1, inputs)
        net = MLP(inputs, hidden, classes + (hidden if predicts else 0))
    return [p.detach() for p in net.parameters()]


def hidden_and_outputs(params: Weights, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden layer before and after its ReLU, and the last layer, each (seeds, networks, rows, .).

    Args:
        params: see `Stack`.
        x: (seeds, rows, inputs).
    """
    w1, b1, w2, b2 = params
    seeds, nets, hidden, _ = w1.shape
    before = linear(x, w1.flatten(1, 2), b1.flatten(1, 2))
    before = before.view(seeds, -1, nets, hidden).transpose(1, 2)
    after = before.relu()
    out = linear(after.flatten(0, 1), w2.flatten(0, 1), b2.flatten(0, 1))
    return before, after, out.view(seeds, nets, *out.shape[1:])


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Stacked linear layers: (n, rows, inputs), (n, outputs, inputs), (n, outputs).

    The gradient of `weight` is laid out as it is. That of torch's own batched product comes
    transposed, and copying it takes as long as the product.
    """
    return _Linear.apply(x, weight, bias)  # pyright: ignore[reportReturnType]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        own = grad.bmm(weight) if ctx.needs_input_grad[0] else None
        return own, grad.mT.bmm(x), grad.sum(1)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean over rows: logits (seeds, networks, rows, classes), y (seeds, rows) to (seeds, nets)."""
    seeds, nets, rows, classes = logits.shape
    labels = y.unsqueeze(1).expand(seeds, nets, rows).reshape(-1)
    each = F.cross_entropy(logits.reshape(-1, classes), labels, reduction="none")
    return each.view(seeds, nets, rows).mean(-1)


class _Other:
    """What a control predicts, by seed: shuffles and random networks, as when trained alone."""

    def __init__(self, seeds: Sequence[int], predicted: str, w1: Tensor):
        self.predicted = predicted
        self.luck = [torch.Generator().manual_seed(seed) for seed in seeds]
        if predicted == "random":
            hidden, inputs = w1.shape[2:]
            drawn = [initial(inputs, hidden, 1, 100_003 + seed, False) for seed in seeds]
            self.fixed = [torch.stack([d[k] for d in drawn]).unsqueeze(1).to(w1) for k in (0, 1)]

    def __call__(self, x: Tensor, before: Tensor, after: Tensor) -> Tensor:
        if self.predicted == "earlier":
            return before
        if self.predicted == "random":
            w1, b1 = self.fixed
            return (torch.bmm(x, w1[:, 0].mT) + b1).relu().unsqueeze(1).expand_as(after)
        if self.predicted == "shuffled" and after.shape[2] > 1:
            rows = after.shape[2]
            order = torch.stack([derangement(rows, luck) for luck in self.luck])
            return torch.stack([a[:, o] for a, o in zip(after, order, strict=True)])
        return after


def train(
    data: Data,
    hidden: int,
    seeds: Sequence[int],
    how: Training,
    variations: Variations,
    record_dose: bool = False,
) -> Stack:
    """Train one network for each seed and variation.

    Args:
        data: the task; its dtype is that of the networks.
        hidden: units.
        seeds: of initial weights and of the order of the batches.
        how: the settings that all share.
        variations: what differs between the networks of a seed.
        record_dose: note the norm of the self-prediction's gradient on the hidden activations.

    Returns:
        The trained networks.
    """
    x = data.x.flatten(1)
    nets = len(variations.weights)
    active = variations.predicted != "none" and any(variations.weights) and variations.dose is None
    params = _start(x, hidden, data.classes, seeds, variations.weights, active)
    optimizer = torch.optim.SGD(params, how.lr, how.momentum, nesterov=how.nesterov)
    weight = torch.tensor(variations.weights, dtype=x.dtype)
    decay = torch.tensor(variations.decays or (0.0,) * nets, dtype=x.dtype)
    other = _Other(seeds, variations.predicted, params[0])
    doses, history, step = [], [], 0
    for epoch in range(how.epochs):
        for index in batch_indices(len(x), seeds, how, epoch):
            seen = _rows(x, index)
            before, after, out = hidden_and_outputs(params, seen)
            loss = cross_entropy(out[..., : data.classes], data.y[index])
            if active:
                target = other(seen, before, after)
                error = out[..., data.classes :] - (
                    target.detach() if variations.detach else target
                )
                loss = loss + weight * error.square().mean((-2, -1))
                if record_dose:
                    doses.append(_dose(error, weight, params[2][:, :, data.classes :]))
            elif variations.dose is not None:
                size = after.shape[2] * after.shape[3]
                norm = 2.0 / size * torch.linalg.vector_norm(after.detach(), dim=(-2, -1))
                strength = variations.dose[step] / norm.clamp_min(1e-12)
                loss = loss + strength * after.square().mean((-2, -1))
            optimizer.zero_grad()
            loss.sum().backward()
            if variations.decays:
                for p in params:
                    assert p.grad is not None
                    p.grad.add_(decay.view(1, nets, *(1,) * (p.dim() - 2)) * p.detach())
            optimizer.step()
            step += 1
        history.append(width(params[2][:, :, : data.classes]))
    return Stack(
        tuple(seeds),
        [p.detach() for p in params],
        data.classes,
        torch.stack(doses) if doses else None,
        torch.stack(history),
    )


def _start(
    x: Tensor,
    hidden: int,
    classes: int,
    seeds: Sequence[int],
    weights: Sequence[float],
    active: bool,
) -> Weights:
    """Initial parameters, (seeds, networks, ...); a baseline's idle rows are 0."""
    stacks: list[list[Tensor]] = []
    for seed in seeds:
        bare = initial(x.shape[1], hidden, classes, seed, predicts=False)
        wide = initial(x.shape[1], hidden, classes, seed) if active else bare
        padded = [F.pad(p, (0, 0) * (p.dim() - 1) + (0, len(wide[3]) - classes)) if k > 1 else p
                  for k, p in enumerate(bare)]  # fmt: skip
        each = [wide if weight else padded for weight in weights]
        stacks.append([torch.stack(p) for p in zip(*each, strict=True)])
    params = [torch.stack(p).to(x.dtype) for p in zip(*stacks, strict=True)]
    return [p.requires_grad_() for p in params]


def batch_indices(rows: int, seeds: Sequence[int], how: Training, epoch: int) -> Iterator[Tensor]:
    """Indices of each batch of an epoch, (seeds, batch); the last batch may be smaller."""
    orders = []
    for seed in seeds:
        luck = torch.Generator().manual_seed(seed if how.same_order else seed + 7919 * (epoch + 1))
        orders.append(torch.randperm(rows, generator=luck))
    order = torch.stack(orders)
    for k in range(0, rows, how.batch_size):
        yield order[:, k : k + how.batch_size]


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """`x[index]`, (n, inputs) and (seeds, batch); three times as fast."""
    return x.index_select(0, index.flatten()).view(*index.shape, -1)


def width(rows: Tensor) -> Tensor:
    """SD of the entries of (..., classes, h) weights, as `torch.std` gives it."""
    return rows.detach().flatten(-2).std(-1)


def measure(stack: Stack, data: Data, predicts: bool) -> Measures:
    """See `Measures`; self-prediction is that of the hidden layer, after its ReLU."""
    found: dict[str, list[Tensor]] = {f.name: [] for f in fields(Measures)}
    x, sd = data.test_x.flatten(1).unsqueeze(0), width(stack.classifier()[2])
    nan = torch.full(sd.shape[1:], float("nan"), dtype=torch.float64)
    train_loss = _loss_on(stack.classifier(), data)
    for s in range(len(stack.seeds)):  # one by one, for the memory
        with torch.no_grad():
            _, after, out = hidden_and_outputs([p[s : s + 1] for p in stack.params], x)
        after, out = after[0].double(), out[0].double()
        hits = out[..., : data.classes].argmax(-1) == data.test_y
        r2, identity = nan, nan
        if predicts:
            error = (out[..., data.classes :] - after).square().sum((-2, -1))
            spread = (after - after.mean(1, keepdim=True)).square().sum((-2, -1))
            r2 = torch.where(spread > 0, 1 - error / spread, nan)
            own = stack.params[2][s, :, data.classes :]
            identity = torch.tensor([identity_distance(w) for w in own])
        found["accuracy"].append(hits.double().mean(-1))
        found["train_loss"].append(train_loss[s])
        found["width"].append(sd[s])
        found["activation_rms"].append(after.square().mean((-2, -1)).sqrt())
        found["dead"].append((after.amax(1) <= 0).double().mean(-1))
        found["r2"].append(r2)
        found["identity"].append(identity)
    return Measures(**{name: torch.stack(values) for name, values in found.items()})


def llc(
    stack: Stack,
    data: Data,
    how: Training,
    settings: SGLD,
    variant: str,
    lost: Sequence[str] | None = None,
) -> list[LLC]:
    """The LLC of every network, seeds first; see `feint.selfmodel.llc.module_llc`.

    Chains of all networks are sampled together. Each seed has the batches of its training
    ("released"), or batches at random ("corrected").
    """
    released = variant == "released"
    x, y = data.x.flatten(1), data.y
    nets = stack.params[0].shape[1]
    params = stack.classifier()
    shapes = [p.shape for p in params]

    def losses(weights: Weights, batch_x: Tensor, batch_y: Tensor) -> Tensor:
        # (seeds * networks, chains, ...) as (seeds, networks * chains, ...)
        own = [
            w.reshape(shape[0], -1, *shape[2:]) for w, shape in zip(weights, shapes, strict=True)
        ]
        found = cross_entropy(hidden_and_outputs(own, batch_x)[2], batch_y)
        return found.view(len(stack.seeds) * nets, -1)

    if released:
        fixed = [index for index in batch_indices(len(x), stack.seeds, how, 0)]
        order: Iterator[Tensor] = cycle(fixed)
        first = [losses([p.flatten(0, 1).unsqueeze(1) for p in params], _rows(x, i), y[i])
                 for i in fixed[: settings.chains]]  # fmt: skip
        start_loss = torch.stack(first).mean(0).flatten()
    else:
        order = _at_random(len(x), len(stack.seeds), how.batch_size)
        start_loss = _loss_on(params, data).flatten()
    batches = ((_rows(x, i), y[i]) for i in islice(order, settings.burn_in + settings.draws))
    trace = sample([p.flatten(0, 1) for p in params], losses, batches, settings)
    return estimates(trace, start_loss, settings.nbeta, half=released, lost=lost)


def _at_random(rows: int, seeds: int, batch: int) -> Iterator[Tensor]:
    luck = torch.Generator().manual_seed(0)
    while True:
        yield torch.randint(rows, (batch,), generator=luck).expand(seeds, -1)


def _loss_on(params: Weights, data: Data, rows: int = 2000) -> Tensor:
    """Cross-entropy on the whole training set, (seeds, networks) float64."""
    x, total = data.x.flatten(1), torch.zeros(params[0].shape[:2], dtype=torch.float64)
    with torch.no_grad():
        for k in range(0, len(x), rows):
            part, labels = x[k : k + rows], data.y[k : k + rows]
            part = part.expand(len(total), -1, -1)
            out = hidden_and_outputs(params, part)[2]
            total += cross_entropy(out, labels.expand(len(total), -1)).double() * len(labels)
    return total / len(x)


def _dose(error: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
    """Norm of the gradient of `weight * mean(error^2)` on what the last layer reads."""
    with torch.no_grad():
        slope = torch.matmul(error, rows) * (2.0 / (error.shape[-2] * error.shape[-1]))
        return weight * torch.linalg.vector_norm(slope, dim=(-2, -1))
