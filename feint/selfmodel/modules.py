"""Training and measuring the paper's networks that are not stacked: ResNet18 and embedding bag."""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feint.selfmodel.data import Data, Texts
from feint.selfmodel.llc import VARIANTS, chance, module_llc
from feint.selfmodel.model import SelfModel
from feint.selfmodel.nets import EmbeddingBagNet, ResNet18
from feint.selfmodel.report import self_report
from feint.selfmodel.stack import batch_indices, width
from feint.selfmodel.target import SelfModelConfig
from feint.selfmodel.tasks import Task

#: The arms that exist here.
ARMS = ("self_model", "no_detach", "shuffled", "random")


def build(task: Task, data: Data, hidden: int) -> nn.Module:
    """A fresh network of the task, drawn from the global generator."""
    if task.net == "resnet18":
        return ResNet18(hidden, data.classes)
    return EmbeddingBagNet(data.words, hidden=hidden, outputs=data.classes)


def run(
    task: Task, data: Data, hidden: int, arm: str, weight: float, seed: int, llc: bool = True
) -> dict[str, Any]:
    """Train one network and measure it; the names are those of `feint.selfmodel.study.Run`."""
    config = SelfModelConfig(
        layers=task.layers,
        weight=weight,
        detach_target=arm != "no_detach",
        target=arm if arm in ("shuffled", "random") else "own",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build(task, data, hidden)  # as the released code: see `feint.selfmodel.stack.initial`
        net = build(task, data, hidden)
        model = SelfModel(net, config, _example(data), seed=seed)
        history = list(train(model, task, data, seed))
        batches = _batches(task, data, seed) if llc else {}
    model.eval()
    net = model.classifier()
    found = {**_measured(model, data), "llc": {}, "width_by_epoch": tuple(history)}
    found["train_loss"] = _mean(net, data.x, data.y, _loss)
    found["width"] = history[-1]
    lost = chance(found["accuracy"], data.classes)
    for variant, order in batches.items():
        settings = task.settings(variant, len(data.x))
        estimate = module_llc(net, order, settings, variant)
        found["llc"][variant] = estimate._replace(invalid=lost or estimate.invalid)
    return found


def train(model: SelfModel, task: Task, data: Data, seed: int) -> Iterator[float]:
    """Train in place; gives the SD of the class rows after each epoch."""
    how = task.training
    if task.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), how.lr)
    else:
        optimizer = torch.optim.SGD(model.parameters(), how.lr, how.momentum, nesterov=how.nesterov)
    weight, model = model.config.weight, model.train()
    for epoch in range(how.epochs):
        for (index,) in batch_indices(len(data.x), [seed], how, epoch):
            x, y = data.x[index], data.y[index]
            if task.net == "resnet18":
                x = augment(x)
            if weight == 0:
                loss = F.cross_entropy(model(x), y)
            else:
                seen = model.step(x)
                loss = F.cross_entropy(seen.output, y) + weight * seen.loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield float(width(model.last.weight[: data.classes]))


def _batches(task: Task, data: Data, seed: int) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """What the LLC is sampled on: as in training, augmented once; or corrected, as it is."""
    indices = [index for (index,) in batch_indices(len(data.x), [seed], task.training, 0)]
    plain = [(data.x[index], data.y[index]) for index in indices]
    if task.net != "resnet18":
        return dict.fromkeys(VARIANTS, plain)
    return {"released": [(augment(x), y) for x, y in plain], "corrected": plain}


def augment(x: Tensor) -> Tensor:
    """CIFAR's: turned by up to 15 degrees, moved by up to a tenth, mirrored half the time.

    Args:
        x: (n, 3, s, s) float in [-1, 1]; what comes in from outside is black.

    Returns:
        The same shape, drawn from the global generator.
    """
    n, size = len(x), x.shape[-1]
    angle = (torch.rand(n) * 2 - 1) * math.pi / 12
    shift = ((torch.rand(n, 2) * 2 - 1) * size / 10).round() * 2 / size  # whole pixels
    cos, sin = angle.cos(), angle.sin()
    flip = 1.0 - 2.0 * (torch.rand(n) < 0.5)
    theta = torch.stack([flip * cos, -sin, shift[:, 0], flip * sin, cos, shift[:, 1]], 1)
    grid = F.affine_grid(theta.view(n, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, mode="nearest", align_corners=False) - 1


def _example(data: Data) -> Tensor:
    return data.x[torch.arange(2)]


def _measured(model: SelfModel, data: Data) -> dict[str, float]:
    """Accuracy and activations on the test set; self-prediction on its first thousand."""
    with torch.no_grad():
        seen = model.step(data.test_x[:1000])
        report = self_report(seen.prediction, seen.target, model.self_rows()[0])
    # Of what the last layer reads: for a self-model of that layer alone it is the target itself.
    reads: list[Tensor] = []
    handle = model.last.register_forward_pre_hook(lambda _, args: reads.append(args[0]))
    try:
        accuracy = _mean(model, data.test_x, data.test_y, _hits)
    finally:
        handle.remove()
    hidden = torch.cat(reads)
    own = model.config.target == "own" and model.config.weight > 0
    alone = own and torch.equal(seen.target, hidden[: len(seen.target)])
    return {
        "accuracy": accuracy,
        "activation_rms": float(hidden.double().square().mean().sqrt()),
        "dead": float((hidden.amax(0) <= 0).double().mean()),
        "r2": report.r2 if own else math.nan,
        "identity": report.identity_distance if alone else math.nan,
    }


def _mean(net: nn.Module, x: Tensor | Texts, y: Tensor, score: Any, rows: int = 250) -> float:
    net.eval()
    total = 0.0
    with torch.no_grad():
        for k in range(0, len(y), rows):
            total += float(score(net(x[k : k + rows]), y[k : k + rows]))
    return total / len(y)


def _hits(out: Tensor, y: Tensor) -> Tensor:
    return (out.argmax(-1) == y).sum()


def _loss(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out, y, reduction="sum")
