import dataclasses

import pytest
import torch

from feint.overlap import OverlapConfig, Pairs


def test_the_default_is_directed_and_anchored():
    config = OverlapConfig(layers=("1",))
    assert (config.detach, config.anchor, config.sham) == ("self", "kl", "none")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.coef = 2.0  # pyright: ignore[reportAttributeAccessIssue]


def test_layers_become_a_tuple():
    assert OverlapConfig(layers=["1", "3"]).layers == ("1", "3")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["kl_logits", "action"])
def test_distances_of_outputs_need_no_layers(kind):
    assert OverlapConfig(layers=(), distance=kind).layers == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, r"layers is empty, but distance 'mse' compares hidden activations"),
        ({"layers": "head"}, r"got the string 'head'; write \('head',\)"),
        ({"layers": ("1", "1")}, r"layers must not repeat, got \('1', '1'\)"),
        ({"coef": float("nan")}, r"coef must be finite and not negative, got nan"),
        ({"coef": -1.0}, r"coef must be finite and not negative, got -1.0"),
        ({"anchor_coef": float("inf")}, r"anchor_coef must be finite and not negative, got inf"),
        ({"distance": "mes"}, r"unknown distance 'mes'; did you mean 'mse'\? choose from: mse, "),
        ({"pooling": "max"}, r"unknown pooling 'max';.* choose from: all, masked, mean, last_n"),
        ({"detach": "slef"}, r"unknown detach 'slef'; did you mean 'self'\?"),
        ({"anchor": "l2"}, r"unknown anchor 'l2';.* choose from: kl, mse, relative_mse, none"),
        ({"sham": "shuffle"}, r"unknown sham 'shuffle'; did you mean 'shuffled'\?.* none, "),
        ({"last_n": 0}, r"last_n must be at least 1, got 0"),
        ({"sham": "reverse", "detach": "other"}, r"is the treatment itself; use detach='self'"),
        ({"sham": "anchor_only", "anchor": "none"}, r"trains nothing; set an anchor"),
    ],
)
def test_wrong_settings_are_said(change, message):
    with pytest.raises(ValueError, match=message):
        OverlapConfig(**({"layers": ("1",)} | change))


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"other_inputs": torch.zeros(4, 2)}, r"self_inputs and other_inputs .* \(4, 2\)"),
        ({"other_inputs": X.double()}, r"one shape and dtype, got .*float32 and .*float64"),
        ({"self_inputs": torch.tensor(1.0), "other_inputs": torch.tensor(1.0)}, r"got a scalar"),
        ({"valid": torch.ones(3)}, r"valid must be bool of shape \(3,\), got torch.float32"),
        ({"valid": torch.ones(2).bool()}, r"valid must be bool of shape \(3,\), .*\(2,\)"),
        ({"mask_self": torch.ones(3, 2).bool()}, r"come together; give both or neither"),
        ({"mask_self": torch.ones(3).bool(), "mask_other": torch.ones(3).bool()},
         r"mask_self must be bool of shape \(3, positions\)"),
        ({"irrelevant": (X, X[:2])}, r"the two sides of irrelevant must have one shape"),
        ({"mask_irrelevant": (X, X[:2])}, r"the two masks of mask_irrelevant"),
    ],
)  # fmt: skip
def test_pairs_that_do_not_fit_are_said(change, message):
    with pytest.raises(ValueError, match=message):
        Pairs(**({"self_inputs": X, "other_inputs": X} | change))
