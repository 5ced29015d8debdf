"""Any torch module, wrapped so that its last layer also predicts its own hidden activations."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feint.overlap import activations, evaluating, layer_names
from feint.overlap.capture import check_layers
from feint.selfmodel.target import SelfModelConfig, Target

FORMS = ("auto", "widened", "head")


class SelfPrediction(NamedTuple):
    """One forward of a `SelfModel`."""

    output: Any  #: the wrapped module's own output
    prediction: Tensor  #: (..., n), of its activations
    target: Tensor  #: (..., n), those activations

    @property
    def loss(self) -> Tensor:
        """Mean squared error, over rows and over all n units, as the released code."""
        return F.mse_loss(self.prediction, self.target)


class WidenedLinear(nn.Linear):
    """A linear layer with more rows: the first `own` give its output, the others are kept aside.

    Args:
        old: the layer that it replaces; its rows keep their values.
        extra: rows to add, drawn as torch draws a linear layer's.
    """

    def __init__(self, old: nn.Linear, extra: int):
        like: Any = {"device": old.weight.device, "dtype": old.weight.dtype}
        bias = old.bias is not None
        super().__init__(old.in_features, old.out_features + extra, bias, **like)
        self.own = old.out_features
        self.keep: list[Tensor] | None = None
        with torch.no_grad():
            self.weight[: self.own] = old.weight
            if bias:
                self.bias[: self.own] = old.bias

    def forward(self, input: Tensor) -> Tensor:
        """The old layer's output; the predictions go to `keep` where somebody wants them."""
        if self.keep is None:
            bias = None if self.bias is None else self.bias[: self.own]
            return F.linear(input, self.weight[: self.own], bias)
        whole = super().forward(input)
        self.keep.append(whole[..., self.own :])
        return whole[..., : self.own]

    def narrowed(self) -> nn.Linear:
        """A plain layer with the first rows alone."""
        bias, dtype = self.bias is not None, self.weight.dtype
        plain = nn.Linear(self.in_features, self.own, bias, device="meta", dtype=dtype)
        plain = plain.to_empty(device=self.weight.device)
        with torch.no_grad():
            plain.weight.copy_(self.weight[: self.own])
            if self.bias is not None:
                plain.bias.copy_(self.bias[: self.own])
        return plain


class SelfModel(nn.Module):
    """A module that predicts its own activations with a wider last layer (arXiv 2407.10188).

    Called, it is the module that it wraps. `step` gives the self-prediction as well, from one
    forward.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> model = SelfModel(net, SelfModelConfig(layers=("1",), weight=10.0), torch.zeros(2, 4))
        >>> x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
        >>> seen = model.step(x)
        >>> loss = F.cross_entropy(seen.output, y) + model.config.weight * seen.loss
        >>> model(x).shape, seen.prediction.shape
        (torch.Size([5, 3]), torch.Size([5, 8]))

    Attributes:
        module: the wrapped module; in the widened form its last layer was replaced in place.
        head: the rows that predict, as a layer, in the form "head".
        form: "widened" or "head".

    Args:
        module: to wrap. Its last layer reads (batch, h), or (batch, positions, h).
        config: what to predict.
        example: inputs of the right shape, from which the number of targets is found.
        last: dotted name of the layer that predicts; by default the last `nn.Linear` called.
        form: "widened" (the released code's), "head" (a layer beside the last one that reads the
            same input: the same function and gradients), or "auto": widened unless the last layer
            is not a plain `nn.Linear` or shares its weights.
        seed: of the controls "shuffled" and "random".

    Raises:
        ValueError: for an unknown layer or form, a module without a linear layer, or a target layer
            whose output does not divide into the last layer's rows.
    """

    def __init__(
        self,
        module: nn.Module,
        config: SelfModelConfig,
        example: Tensor,
        *,
        last: str | None = None,
        form: str = "auto",
        seed: int = 0,
    ):
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}; got {form!r}")
        check_layers(module, config.layers)
        self.module, self.config = module, config
        rows, sizes, called = self._look(example)
        self.last_name = last or called[-1]
        if last is not None:
            check_layers(module, (last,))
        if self.last_name in config.layers:
            raise ValueError(f"layer {self.last_name!r} is the one that predicts; name another")
        layer = module.get_submodule(self.last_name)
        if not isinstance(layer, nn.Linear):
            raise ValueError(f"last must name an nn.Linear, and {self.last_name!r} is none")
        rows = rows[self.last_name]
        if any(size % rows.numel() for size in sizes.values()):
            raise ValueError(
                f"the outputs of {config.layers} do not divide into the {rows.numel()} rows that "
                f"{self.last_name!r} reads; name layers with the same batch and positions"
            )
        self.targets = sum(size // rows.numel() for size in sizes.values())
        plain = type(layer) is nn.Linear and not _shared(module, layer)
        if form == "widened" and not plain:
            raise ValueError(
                f"{self.last_name!r} cannot be widened: it is no plain nn.Linear, or shares its "
                "weights; take form='head', which is the same function"
            )
        self.form = "widened" if plain and form != "head" else "head"
        # A fresh copy must be drawn before the last layer is another.
        self.target = Target(module, config, lambda net, inputs: net(inputs), seed)
        self.head: nn.Linear | None = None
        if self.form == "widened":
            module.set_submodule(self.last_name, WidenedLinear(layer, self.targets))
        else:
            like: Any = {"device": layer.weight.device, "dtype": layer.weight.dtype}
            self.head = nn.Linear(layer.in_features, self.targets, **like)

    @property
    def last(self) -> nn.Linear:
        """The layer whose rows, or whose neighbour's rows, predict."""
        layer = self.module.get_submodule(self.last_name)
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The wrapped module's own output."""
        return self.module(*args, **kwargs)

    def step(self, inputs: Tensor) -> SelfPrediction:
        """Output, self-prediction and target of one batch, from one forward.

        Raises:
            ValueError: if a target layer is never called.
        """
        kept: list[Tensor] = []
        with _watching(self.last, kept, self.head):
            acts, output = activations(self.module, self.config.layers, lambda: self.module(inputs))
        prediction = kept[-1]
        return SelfPrediction(
            output, prediction, self.target(acts, inputs, prediction.shape[:-1]).to(prediction)
        )

    def self_rows(self) -> tuple[Tensor, Tensor | None]:
        """Weight (n, h) and bias (n,) of the self-prediction."""
        if self.head is not None:
            return self.head.weight, self.head.bias
        layer = self.last
        assert isinstance(layer, WidenedLinear)
        return layer.weight[layer.own :], None if layer.bias is None else layer.bias[layer.own :]

    def classifier(self) -> nn.Module:
        """A copy of the wrapped module as it would be without a self-model: what is measured."""
        net = copy.deepcopy(self.module)
        layer = net.get_submodule(self.last_name)
        if isinstance(layer, WidenedLinear):
            net.set_submodule(self.last_name, layer.narrowed())
        return net

    def _look(self, example: Tensor) -> tuple[dict[str, torch.Size], dict[str, int], list[str]]:
        """Rows that each linear layer reads, sizes of the targets, linear layers as called."""
        rows: dict[str, torch.Size] = {}
        handles = []
        for name in layer_names(self.module):
            layer = self.module.get_submodule(name)
            if isinstance(layer, nn.Linear):
                handles.append(layer.register_forward_pre_hook(_noting(rows, name)))
        try:
            with torch.no_grad(), evaluating(self.module):
                acts, _ = activations(self.module, self.config.layers, lambda: self.module(example))
        finally:
            for handle in handles:
                handle.remove()
        if not rows:
            raise ValueError("a self-model needs an nn.Linear as its last layer, and there is none")
        return rows, {name: act.numel() for name, act in acts.items()}, list(rows)


@contextmanager
def _watching(layer: nn.Linear, kept: list[Tensor], head: nn.Linear | None) -> Iterator[None]:
    """For a while, `layer` hands out its predictions, or its head's."""
    if head is not None:
        handle = layer.register_forward_pre_hook(lambda _, args: kept.append(head(args[0])))
        try:
            yield
        finally:
            handle.remove()
        return
    assert isinstance(layer, WidenedLinear)
    layer.keep = kept
    try:
        yield
    finally:
        layer.keep = None


def _noting(rows: dict[str, torch.Size], name: str) -> Callable[..., None]:
    def note(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        rows.pop(name, None)  # the order is that of the last calls
        rows[name] = args[0].shape[:-1]

    return note


def _shared(module: nn.Module, layer: nn.Linear) -> bool:
    """Whether another layer holds the same weights, as a tied embedding does."""
    holders = [m for m in module.modules() if layer.weight in _own_parameters(m)]
    return len(holders) > 1


def _own_parameters(module: nn.Module) -> set[nn.Parameter]:
    return set(module.parameters(recurse=False))
