import pytest
import torch
from torch import nn

from feint.overlap import activations, capture, layer_names

from .nets import grads, hooks, mlp, normal, transformer


def test_layer_names_lists_what_is_called_and_nothing_else():
    names = layer_names(transformer())
    assert {"embed", "blocks.0", "blocks.1.mlp", "blocks.1.mlp.0", "head"} <= set(names)
    assert "" not in names and "blocks" not in names


def test_capture_gives_the_output_of_the_last_forward():
    net, x = mlp(), normal(4, 5)
    with capture(net, ["1", "3"]) as acts:
        net(normal(2, 5, seed=1))
        net(x)
    assert torch.equal(acts["1"], net[:2](x)) and torch.equal(acts["3"], net[:4](x))
    assert hooks(net) == 0


def test_the_first_tensor_of_a_tuple_is_captured():
    lstm, x = nn.LSTM(5, 3, batch_first=True), torch.ones(2, 4, 5)
    holder = nn.Sequential(lstm)
    acts, (out, _) = activations(holder, ["0"], lambda: holder(x))
    assert torch.equal(acts["0"], out)


@pytest.mark.parametrize("layers", [["1"], ["3"], ["1", "3"], ["3", "1"]])
def test_stopping_leaves_out_what_is_above_and_keeps_the_gradients(layers):
    net, x = mlp(), normal(4, 5)
    above = []
    net[4].register_forward_hook(lambda *_: above.append(1))
    found, whole = [], None
    for stop in (False, True):
        acts, output = activations(net, layers, lambda: net(x), stop=stop)
        found.append(grads(net, torch.stack([acts[name].square().mean() for name in layers]).sum()))
        whole = output if not stop else whole
        assert (output is None) == stop
    assert len(above) == 1 and whole is not None
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_stopping_works_as_a_plain_context():
    net = mlp()
    with capture(net, ["1"], stop=True) as acts:
        net(normal(4, 5))
        raise AssertionError("the body must end in the forward")
    assert acts["1"].shape == (4, 8) and hooks(net) == 0


def test_an_inner_stop_does_not_end_an_outer_capture_nor_the_reverse():
    net, x = mlp(), normal(4, 5)
    with capture(net, ["4"]) as outer:
        inner, _ = activations(net, ["1"], lambda: net(x), stop=True)
        assert not outer and "1" in inner
        net(x)
    assert "4" in outer
    with capture(net, ["1"], stop=True) as outer:
        with capture(net, ["3"]) as inner:
            net(x)
        raise AssertionError("the inner capture must let the outer one's stop through")
    assert "1" in outer and not inner and hooks(net) == 0


def test_hooks_are_removed_after_an_exception():
    net = mlp()
    with pytest.raises(ZeroDivisionError), capture(net, ["1", "3"]):
        assert hooks(net) == 2
        _ = 1 / 0
    with pytest.raises(RuntimeError, match="shapes"):
        activations(net, ["1", "3"], lambda: net(normal(4, 7)))
    assert hooks(net) == 0


def test_a_capture_overwritten_in_place_is_refused():
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"layer '0' was overwritten in place.*inplace=False"):
        activations(net, ["0"], lambda: net(torch.ones(3, 5)))
    with torch.inference_mode():
        activations(net, ["1"], lambda: net(torch.ones(3, 5)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["hed"], r"unknown layer 'hed'; did you mean 'head'\? this module has: embed, "),
        (["blocks"], r"unknown layer 'blocks'; did you mean 'blocks.\d"),
        ([], r"no layer was named; give at least one"),
        (["head", "head"], r"layer 'head' is named twice in \('head', 'head'\); name it once"),
        ("head", r"got the string 'head'; write \('head',\)"),
    ],
)
def test_wrong_layers_are_named(layers, message):
    net = transformer()
    with pytest.raises(ValueError, match=message), capture(net, layers):
        pass
    assert hooks(net) == 0


def test_a_layer_that_is_never_called_is_named():
    net = transformer()
    layer = "blocks.0.attention.out_proj"  # its weights are used, it is not called
    with pytest.raises(ValueError, match=rf"layers \['{layer}'\] were never called"):
        activations(net, [layer], lambda: net(torch.ones(2, 4, dtype=torch.long)))


def test_a_layer_without_a_tensor_is_named():
    class Odd(nn.Module):
        def forward(self, x):
            return "text"

    net = nn.Sequential(Odd())
    with pytest.raises(ValueError, match=r"layer '0' gave no tensor but str; it must be"):
        activations(net, ["0"], lambda: net(torch.ones(1)))
