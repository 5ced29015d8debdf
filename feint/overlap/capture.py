"""Reading a module's hidden activations, by hooks that never stay behind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from feint.overlap._messages import unknown

# These hold modules but are never called themselves, so a hook on them would never fire.
_NEVER_CALLED = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class _Stop(Exception):
    """Ends a forward once everything wanted was captured; caught by the capture that raised it."""

    def __init__(self, acts: dict[str, Tensor]):
        super().__init__("the forward was ended early by feint.overlap.capture")
        self.acts = acts


def _hookable(module: nn.Module) -> dict[str, nn.Module]:
    named = module.named_modules(remove_duplicate=False)
    return {name: m for name, m in named if name and not isinstance(m, _NEVER_CALLED)}


def layer_names(module: nn.Module) -> list[str]:
    """Return the dotted names of the layers of `module` that can be hooked.

    Leaf modules and called containers are listed; `module` itself and lists of modules, which are
    never called, are not.
    """
    return list(_hookable(module))


def check_layers(module: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Return the named layers of `module`, in the given order.

    Raises:
        ValueError: If no layer is named, one is named twice, or a name does not exist.
    """
    if isinstance(layers, str):
        raise ValueError(f"layers must be a sequence of names, got the string {layers!r}; "
                         f"write ({layers!r},)")  # fmt: skip
    if not layers:
        raise ValueError("no layer was named; give at least one name of layer_names(module)")
    found: dict[str, nn.Module] = {}
    for name in layers:
        layer = _layer(module, name)
        if layer is None:
            raise unknown("layer", name, _hookable(module), where="this module has")
        if name in found:
            raise ValueError(f"layer {name!r} is named twice in {tuple(layers)}; name it once")
        found[name] = layer
    return found


def _layer(module: nn.Module, name: str) -> nn.Module | None:
    """The layer of that name, if it can be hooked; without a walk over all modules."""
    layer: nn.Module | None = module
    for part in name.split("."):
        layer = layer._modules.get(part)  # `get_submodule` looks for much more, at each call
        if layer is None:
            return None
    return None if isinstance(layer, _NEVER_CALLED) else layer


def first_tensor(output: Any, name: str) -> Tensor:
    """Return `output` itself, or its first tensor if it is a tuple, list or mapping.

    Raises:
        ValueError: If there is no tensor in it; `name` says whose output it was.
    """
    if isinstance(output, Tensor):
        return output
    items = output.values() if isinstance(output, Mapping) else output
    if isinstance(output, Mapping | tuple | list):
        for item in items:
            if isinstance(item, Tensor):
                return item
    raise ValueError(
        f"{name} gave no tensor but {type(output).__name__}; it must be a tensor, or a tuple, "
        f"list or mapping that holds one"
    )


@contextmanager
def capture(
    module: nn.Module, layers: Sequence[str], stop: bool = False
) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of `layers` while the body of the `with` runs.

    Each name maps to its layer's output in the last forward (the first tensor of a tuple), still
    attached to the graph. The hooks are removed on leaving, also after an exception.

    With `stop=True` the body ends, without an error, as soon as every layer was captured, so
    nothing above the last one is computed. The gradients of the captured tensors are the same:
    they never depend on what comes above. (Stop *inside* a wrapper like `DistributedDataParallel`:
    an exception that leaves it skips its bookkeeping for the backward pass.)

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> with capture(net, ["1"], stop=True) as acts:
        ...     _ = net(torch.ones(5, 4))
        >>> acts["1"].shape
        torch.Size([5, 3])

    Args:
        module: The module that will be run in the body.
        layers: Dotted names from `layer_names(module)`.
        stop: End the body once all layers were captured.

    Raises:
        ValueError: For an unknown layer, a layer without a tensor output, or a captured tensor that
            a later layer overwrote in place.
    """
    targets = check_layers(module, layers)
    acts: dict[str, Tensor] = {}
    versions: dict[str, int] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            acts[name] = tensor = first_tensor(output, f"layer {name!r}")
            versions[name] = 0 if tensor.is_inference() else tensor._version
            if stop and len(acts) == len(targets):
                raise _Stop(acts)

        return hook

    hooks = [layer.register_forward_hook(hook_for(name)) for name, layer in targets.items()]
    try:
        yield acts
    except _Stop as stopped:
        if stopped.acts is not acts:  # raised by a capture around this one
            raise
    finally:
        for hook in hooks:
            hook.remove()
    for name, tensor in acts.items():
        if not tensor.is_inference() and tensor._version != versions.get(name, tensor._version):
            raise ValueError(
                f"the output of layer {name!r} was overwritten in place after it was captured; "
                f"set inplace=False on the layer that follows it, or name that layer instead"
            )


def activations(
    module: nn.Module, layers: Sequence[str], forward: Callable[[], Any], stop: bool = False
) -> tuple[dict[str, Tensor], Any]:
    """Run `forward()` and return the activations of `layers` with what it returned.

    Args:
        module: The module that `forward` runs.
        layers: Dotted names from `layer_names(module)`.
        forward: Runs the module.
        stop: End the forward once all layers were captured; see `capture`.

    Returns:
        The activations by name, and the output of `forward`, or `None` if it was stopped.

    Raises:
        ValueError: As `capture`, and if a layer was never reached.
    """
    output = None
    with capture(module, layers, stop=stop) as acts:
        output = forward()
    missed = [name for name in layers if name not in acts]
    if missed:
        raise ValueError(
            f"layers {missed} were never called by the forward; name layers that it runs (a layer "
            f"whose weights are used directly, like MultiheadAttention's out_proj, is not called)"
        )
    return acts, output
