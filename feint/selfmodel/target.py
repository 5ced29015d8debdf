"""What a self-model has to predict: activations of named layers, or a control in their place."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from feint.overlap import activations, derangement
from feint.overlap.loss import Forward

TARGETS = ("own", "shuffled", "random")
NORMS = ("none", "rms")


@dataclass(frozen=True)
class SelfModelConfig:
    """What is predicted, and how the loss sees it (arXiv 2407.10188 and its released code).

    Attributes:
        layers: dotted names of the target layers; their outputs are joined in this order.
        weight: factor of the loss in a joint loss; the task's is 1.
        detach_target: let no gradient through the target, as the released code. Then the loss moves
            the hidden layer only through the prediction, which tends to make activations larger;
            with gradient through the target it makes them smaller.
        target_norm: "none", or "rms": each row of the target is divided by its root mean square, so
            that shrinking the activations does not lower the loss.
        target: "own"; or a control: "shuffled" (the activations of another row of the batch) or
            "random" (those of a frozen copy with fresh random weights).

    Raises:
        ValueError: for values out of range; unknown layers fail where a module is known.
    """

    layers: tuple[str, ...]
    weight: float = 1.0
    detach_target: bool = True
    target_norm: str = "none"
    target: str = "own"

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight must be finite and >= 0, got {self.weight}")
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}; got {self.target!r}")
        if self.target_norm not in NORMS:
            raise ValueError(f"target_norm must be 'none' or 'rms', got {self.target_norm!r}")


class Target:
    """Turns captured activations into what is to be predicted.

    Attributes:
        generator: source of the shuffles, on the CPU.
        other: the frozen random network, for that control.

    Args:
        module: whose activations they are; it is copied here for the control "random".
        config: see `SelfModelConfig`.
        forward: runs a module, given here, on inputs.
        seed: of the shuffles and the random network.
    """

    def __init__(self, module: nn.Module, config: SelfModelConfig, forward: Forward, seed: int = 0):
        self.config, self.forward = config, forward
        self.generator = torch.Generator().manual_seed(seed)
        self.other = fresh_copy(module, seed) if config.target == "random" else None

    def __call__(self, acts: Mapping[str, Tensor], inputs: Tensor, rows: torch.Size) -> Tensor:
        """The target of one batch.

        Args:
            acts: output of each layer, (batch, ...), still attached to the graph.
            inputs: what the module was given.
            rows: leading shape of the prediction: (batch,), or (batch, positions) where the last
                layer acts at each position.

        Returns:
            (*rows, n), float.
        """
        if self.other is not None:
            other = self.other
            with torch.no_grad():
                acts, _ = activations(
                    other, self.config.layers, lambda: self.forward(other, inputs)
                )
        target = torch.cat([acts[name].reshape(*rows, -1) for name in self.config.layers], dim=-1)
        if self.config.target == "shuffled" and rows.numel() > 1:
            flat = target.reshape(-1, target.shape[-1])
            partner = derangement(len(flat), self.generator).to(target.device)
            target = flat[partner].view_as(target)
        if self.config.target_norm == "rms":
            target = target * (target.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
        return target.detach() if self.config.detach_target else target


def fresh_copy(module: nn.Module, seed: int) -> nn.Module:
    """A frozen copy of `module` in eval mode, every layer drawn anew; global generators stay.

    Raises:
        ValueError: if no layer of it can be drawn anew.
    """
    twin = copy.deepcopy(module).eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn = 0
        for layer in twin.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()
                drawn += 1
    if not drawn:
        raise ValueError("target 'random' needs layers with reset_parameters(), and found none")
    return twin
