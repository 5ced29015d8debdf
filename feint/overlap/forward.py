"""Running the sides of the pairs through a module, in one forward."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from feint.overlap.capture import activations, first_tensor
from feint.overlap.pairs import Side

Forward = Callable[[nn.Module, Tensor], Tensor]
"""Runs a module on inputs `(batch, ...)` and returns its outputs."""


def call(module: nn.Module, inputs: Tensor) -> Tensor:
    """Run `module` by calling it: the default `Forward`."""
    return module(inputs)


def run_sides(
    module: nn.Module,
    forward: Forward,
    batches: Sequence[tuple[Tensor, Tensor | None]],
    layers: Sequence[str],
    stop: bool,
) -> list[Side]:
    """Run several batches of `(inputs, mask)` in one forward.

    Args:
        module: What to run.
        forward: Runs it.
        batches: Inputs `(rows, ...)`, alike but for the number of rows, and their masks.
        layers: Whose outputs to compare, side by side; if empty, the module's outputs.
        stop: End the forward at the last of the layers; the sides then have no outputs.

    Returns:
        One side for each batch, with activations not yet pooled.

    Raises:
        ValueError: If the inputs cannot share a batch, or an output is no batch of them.
    """
    if not batches:
        return []
    if len({(inputs.shape[1:], inputs.dtype) for inputs, _ in batches}) > 1:
        shapes = ", ".join(f"{tuple(x.shape)} {x.dtype}" for x, _ in batches)
        raise ValueError(
            f"all inputs of one call share a batch and need one dtype and one shape per row, got "
            f"{shapes}; pad them to one length"
        )
    inputs = torch.cat([inputs for inputs, _ in batches])

    def run() -> Tensor:
        return _batch_first("forward", first_tensor(forward(module, inputs), "forward"), inputs)

    if layers:
        found, outputs = activations(module, layers, run, stop=stop)
        acts = _side_by_side({name: found[name] for name in layers}, inputs)
    else:
        acts = outputs = run()
    sizes = [len(part) for part, _ in batches]
    split = acts.split(sizes)
    outs = [None] * len(sizes)
    if outputs is not None:
        outs = split if outputs is acts else outputs.split(sizes)
    return [
        Side(part, mask, act, out)
        for (part, mask), act, out in zip(batches, split, outs, strict=True)
    ]


def trim(inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Cut `(batch, positions, ...)` inputs and their mask behind the last real position."""
    if mask is None:
        return inputs, mask
    real = mask.any(dim=0).nonzero()
    n = int(real[-1]) + 1 if len(real) else mask.shape[1]
    return inputs[:, :n], mask[:, :n]


def _side_by_side(acts: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Concatenate the layers' outputs on the last dimension."""
    for name, act in acts.items():
        _batch_first(f"layer {name!r}", act, inputs)
    if len({act.shape[:-1] for act in acts.values()}) > 1:
        shapes = {name: tuple(act.shape) for name, act in acts.items()}
        raise ValueError(
            f"the layers' outputs cannot be put side by side, their shapes are {shapes}; "
            f"name layers whose outputs differ in the last dimension only"
        )
    return torch.cat(list(acts.values()), dim=-1)


def _batch_first(what: str, x: Tensor, inputs: Tensor) -> Tensor:
    if x.ndim < 2 or len(x) != len(inputs):
        raise ValueError(
            f"{what} gave shape {tuple(x.shape)} for a batch of {len(inputs)}; it must be "
            f"(batch, ...): set batch_first=True, or name another layer"
        )
    return x
