# Submodules by index and name, which torch types as any module.
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false
"""A wrapped module's self-prediction, its targets and its loss."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from feint.selfmodel import (
    SelfModel,
    SelfModelConfig,
    Target,
    WidenedLinear,
    fresh_copy,
    identity_distance,
    self_report,
)

X, Y = torch.zeros(2, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def batch(n=7):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.out = nn.Linear(8, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(self.block(self.embed(tokens)))


def test_the_wrapped_module_gives_what_it_gave_before():
    plain = net()
    model = SelfModel(copy.deepcopy(plain), SelfModelConfig(("3",)), X)
    x = batch()
    assert torch.equal(model(x), plain(x))
    torch.testing.assert_close(model.step(x).output, plain(x))
    assert torch.equal(model.classifier()(x), plain(x))
    assert [tuple(p.shape) for p in model.classifier().parameters()] == [
        tuple(p.shape) for p in plain.parameters()
    ]


def test_the_last_layer_is_widened_by_the_targets_in_their_order():
    model = SelfModel(net(), SelfModelConfig(("3", "1")), X)
    assert isinstance(model.last, WidenedLinear) and model.last.weight.shape == (3 + 4 + 6, 4)
    x = batch()
    seen = model.step(x)
    hidden = model.module[:2](x)
    assert torch.equal(seen.target, torch.cat([model.module[:4](x), hidden], 1))
    weight, bias = model.self_rows()
    assert bias is not None
    torch.testing.assert_close(seen.prediction, model.module[:4](x) @ weight.T + bias)


def test_the_loss_is_the_mean_over_rows_and_units():
    seen = SelfModel(net(), SelfModelConfig(("1",)), X).step(batch())
    wanted = ((seen.prediction - seen.target) ** 2).sum() / (7 * 6)
    torch.testing.assert_close(seen.loss, wanted)


@pytest.mark.parametrize("detach", [True, False])
def test_a_head_has_the_function_and_gradients_of_a_widened_layer(detach):
    config = SelfModelConfig(("1", "3"), weight=3.0, detach_target=detach)
    wide = SelfModel(net().double(), config, X.double())
    beside = SelfModel(net().double(), config, X.double(), form="head")
    assert (wide.form, beside.form) == ("widened", "head") and beside.head is not None
    with torch.no_grad():
        weight, bias = wide.self_rows()
        assert bias is not None
        beside.head.weight.copy_(weight)
        beside.head.bias.copy_(bias)
    for model in (wide, beside):
        seen = model.step(batch().double())
        (F.cross_entropy(seen.output, Y) + config.weight * seen.loss).backward()
    joined = torch.cat([beside.last.weight.grad, beside.head.weight.grad])  # pyright: ignore
    torch.testing.assert_close(wide.last.weight.grad, joined)
    for name in ("0", "2"):
        a = wide.module.get_submodule(name).weight.grad  # pyright: ignore
        torch.testing.assert_close(a, beside.module.get_submodule(name).weight.grad)  # pyright: ignore


@pytest.mark.parametrize(("detach", "grows"), [(True, True), (False, False)])
def test_the_pressure_on_activations_changes_its_sign_with_the_detached_target(detach, grows):
    """Where the prediction is a*h with 0 < a < 1: see the derivatives of (a h - h)^2."""
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Identity(), nn.Linear(1, 1))
    model = SelfModel(module, SelfModelConfig(("1",), detach_target=detach), torch.ones(2, 1))
    with torch.no_grad():
        model.module[0].weight.fill_(2.0)  # pyright: ignore
        model.last.weight.fill_(0.5)
        model.last.bias.zero_()
    model.step(torch.ones(3, 1)).loss.backward()
    slope = float(model.module[0].weight.grad)  # pyright: ignore
    assert slope == pytest.approx(-1.0 if grows else 1.0)


def test_convolutions_are_flattened():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    model = SelfModel(module, SelfModelConfig(("1",)), torch.zeros(2, 1, 4, 4))
    seen = model.step(torch.randn(5, 1, 4, 4))
    assert seen.prediction.shape == seen.target.shape == (5, 8)


def test_a_transformer_predicts_itself_at_each_position():
    torch.manual_seed(0)
    model = SelfModel(
        Tied(), SelfModelConfig(("block.linear1",), target_norm="rms"), torch.zeros(2, 4).long()
    )
    assert model.form == "head", "a tied output layer cannot be widened"
    seen = model.step(torch.arange(12).reshape(3, 4) % 11)
    assert seen.prediction.shape == (3, 4, 16) and seen.output.shape == (3, 4, 11)
    seen.loss.backward()
    assert model.module.embed.weight.grad.abs().sum() > 0  # pyright: ignore
    with pytest.raises(ValueError, match="take form='head'"):
        SelfModel(Tied(), SelfModelConfig(("block",)), torch.zeros(2, 4).long(), form="widened")


def test_rms_takes_the_scale_out_of_the_target():
    config = SelfModelConfig(("1",), target_norm="rms")
    seen = SelfModel(net(), config, X).step(batch() * 100)
    torch.testing.assert_close(seen.target.square().mean(-1), torch.ones(7))


def test_a_shuffled_target_is_that_of_another_row():
    config = SelfModelConfig(("3",), target="shuffled")
    model = SelfModel(net(), config, X)
    x = batch()
    own, seen = model.module[:4](x), model.step(x).target
    partner = [int((own == row).all(1).nonzero()) for row in seen]
    assert sorted(partner) == list(range(7)) and all(i != p for i, p in enumerate(partner))


def test_a_random_target_stays_as_it_is_while_the_network_learns():
    config = SelfModelConfig(("3",), target="random", detach_target=False)
    model = SelfModel(net(), config, X, seed=4)
    x = batch()
    before = model.step(x).target
    assert not torch.allclose(before, model.module[:4](x)) and not before.requires_grad
    with torch.no_grad():
        for p in model.module.parameters():
            p.add_(1.0)
    assert torch.equal(model.step(x).target, before)
    assert torch.equal(SelfModel(net(), config, X, seed=4).step(x).target, before)


def test_drawing_a_control_leaves_the_global_generator_alone():
    module = net()
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    fresh_copy(module, 3)
    Target(module, SelfModelConfig(("1",), target="random"), lambda m, x: m(x))
    assert torch.equal(torch.rand(3), wanted)


def test_nothing_stays_behind_after_a_step():
    for form in ("widened", "head"):
        model = SelfModel(net(), SelfModelConfig(("1",)), X, form=form)
        model.step(batch())
        copy.deepcopy(model)
        for module in model.modules():
            assert not module._forward_hooks and not module._forward_pre_hooks
            assert getattr(module, "keep", None) is None


def test_the_report_of_a_perfect_and_of_a_useless_self_model():
    target = torch.randn(50, 4)
    perfect = self_report(target, target, torch.eye(4))
    assert perfect.r2 == 1.0 and perfect.identity_distance == 0.0
    assert perfect.activation_rms == pytest.approx(float(target.square().mean().sqrt()))
    useless = self_report(target.mean(0).expand(50, 4), target, torch.zeros(4, 4))
    assert useless.r2 == pytest.approx(0.0, abs=1e-6) and useless.identity_distance == 1.0
    assert identity_distance(torch.zeros(3, 4)) != identity_distance(torch.zeros(3, 4))  # NaN
    assert self_report(target, torch.ones(50, 4), torch.eye(4)).r2 != 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ("nope",)}, "unknown layer 'nope'"),
        ({"layers": ("4",)}, "is the one that predicts"),
        ({"layers": ("1",), "weight": -1.0}, "weight must be finite and >= 0, got -1.0"),
        ({"layers": ("1",), "target": "nope"}, "target must be one of own, shuffled, random"),
        ({"layers": ("1",), "target_norm": "nope"}, "target_norm must be 'none' or 'rms'"),
        ({"layers": ("1",), "last": "3"}, "must name an nn.Linear"),
        ({"layers": ("1",), "form": "nope"}, "form must be one of auto, widened, head"),
    ],
)
def test_wrong_arguments_fail_in_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        extra = {key: arguments.pop(key) for key in ("last", "form") if key in arguments}
        SelfModel(net(), SelfModelConfig(**arguments), X, **extra)
    assert "\n" not in str(caught.value)


def test_a_module_without_a_linear_layer_is_refused():
    with pytest.raises(ValueError, match=r"needs an nn\.Linear"):
        SelfModel(nn.Sequential(nn.ReLU(), nn.Tanh()), SelfModelConfig(("0",)), X)
