import copy
import pickle
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from feint.overlap import OverlapConfig, OverlapLoss, Pairs

from .nets import Transformer, grads, hooks, mlp, normal, perturbed, transformer

ME, OTHER = normal(7, 5, seed=1), normal(7, 5, seed=2)
PAIRS = Pairs(ME, OTHER)
TOKENS, CUBE = torch.ones(3, 4, dtype=torch.long), torch.ones(3, 4, 2)
CONFIG = OverlapConfig(layers=("1", "3"), coef=2.0, anchor_coef=0.5)


def hidden(net, x):
    """The activations of layers "1" and "3", by hand."""
    h = torch.tanh(F.linear(x, net[0].weight, net[0].bias))
    return torch.cat([h, torch.tanh(F.linear(h, net[2].weight, net[2].bias))], dim=-1)


def kl(reference, current):
    log_p, log_q = reference.log_softmax(-1), current.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def built(config=CONFIG, **settings):
    """A loss whose module has moved away from the reference."""
    net = mlp()
    overlap = OverlapLoss(net, config, **settings)
    perturbed(net)
    return net, overlap


def assert_same_gradients(net, a, b):
    for x, y in zip(grads(net, a), grads(net, b), strict=True):
        assert torch.allclose(x, y, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("detach", ["self", "other", "none"])
def test_loss_and_gradient_equal_the_formula(detach):
    net, overlap = built(replace(CONFIG, detach=detach))
    terms = overlap(PAIRS)
    a, b = hidden(net, ME), hidden(net, OTHER)
    a = a.detach() if detach == "self" else a
    b = b.detach() if detach == "other" else b
    mse, anchor = ((a - b) ** 2).mean(), kl(mlp()(ME), net(ME))
    assert anchor > 1e-4
    assert torch.allclose(terms.overlap, mse) and torch.allclose(terms.anchor, anchor)
    assert torch.allclose(terms.loss, 2 * mse + 0.5 * anchor) and terms.n_valid == 7
    assert_same_gradients(net, terms.loss, 2 * mse + 0.5 * anchor)


def test_the_directed_overlap_has_no_gradient_through_the_self_side():
    _, overlap = built()
    me, other = ME.clone().requires_grad_(), OTHER.clone().requires_grad_()
    terms = overlap(Pairs(me, other))
    to_me, to_other = torch.autograd.grad(terms.overlap, [me, other], retain_graph=True)
    assert not to_me.any() and to_other.any()
    to_me, to_other = torch.autograd.grad(terms.anchor, [me, other])
    assert to_me.any() and not to_other.any()


def test_self_and_other_share_one_forward():
    net, sizes = mlp(), []
    overlap = OverlapLoss(net, replace(CONFIG, anchor="none"))
    net[0].register_forward_hook(lambda _m, args, _o: sizes.append(len(args[0])))
    overlap(PAIRS)
    assert sizes == [14]


def padded(seed):
    tokens = torch.randint(1, 11, (4, 7), generator=torch.Generator().manual_seed(seed))
    lengths = torch.tensor([3, 5, 4, 2]) + seed
    return tokens * (torch.arange(7) < lengths.unsqueeze(1))


@pytest.mark.parametrize("pooling", ["all", "masked", "mean", "last_n"])
@pytest.mark.parametrize("detach", ["self", "other", "none"])
@pytest.mark.parametrize("anchor", ["none", "relative_mse", "kl"])
def test_sides_apart_give_the_gradients_of_one_batch(pooling, detach, anchor):
    a, b = padded(0), padded(1)
    pairs = Pairs(a, b, mask_self=a > 0, mask_other=b > 0)
    net = transformer()
    config = OverlapConfig(("blocks.1",), pooling=pooling, last_n=2, detach=detach, anchor=anchor)
    together, apart = OverlapLoss(net, config), OverlapLoss(net, config, apart=True)
    perturbed(net)
    one, other = together(pairs), apart(pairs)
    assert torch.allclose(one.loss, other.loss, rtol=1e-10)
    assert_same_gradients(net, one.loss, other.loss)


@pytest.mark.parametrize(
    ("detach", "graphs"), [("self", [0, 1]), ("other", [1, 0]), ("none", [1, 1])]
)
def test_a_detached_side_apart_runs_without_gradient(detach, graphs):
    net, found = transformer(), []
    config = OverlapConfig(("blocks.1",), detach=detach, anchor="none")
    net.blocks[0].register_forward_hook(lambda _m, _a, out: found.append(int(out.requires_grad)))
    OverlapLoss(net, config, apart=True)(Pairs(padded(0), padded(1)))
    assert found == graphs


def test_sides_apart_are_cut_to_their_real_positions():
    a, b = padded(0), padded(1)
    net, widths = transformer(), []
    config = OverlapConfig(("blocks.1",), anchor="none")
    net.blocks[0].register_forward_hook(lambda _m, _a, out: widths.append(out.shape[1]))
    OverlapLoss(net, config, apart=True)(Pairs(a, b, mask_self=a > 0, mask_other=b > 0))
    assert widths == [5, 6]


def test_a_forward_that_ends_itself_is_not_ended():
    net, calls = mlp(), []
    overlap = OverlapLoss(net, replace(CONFIG, anchor="none"), stop=False)
    net[4].register_forward_hook(lambda *_: calls.append(1))
    overlap(PAIRS)
    assert calls


@pytest.mark.parametrize(
    ("anchor", "reached"), [("none", 0), ("relative_mse", 0), ("kl", 1), ("mse", 1)]
)
def test_the_forward_ends_early_where_nothing_above_is_needed(anchor, reached):
    net, calls = mlp(), []
    overlap = OverlapLoss(net, replace(CONFIG, anchor=anchor))
    net[4].register_forward_hook(lambda *_: calls.append(1))
    overlap(PAIRS).loss.backward()
    assert len(calls) == reached


def test_the_value_anchor_is_relative_to_the_reference_variance():
    net, overlap = built(outputs="values")
    before, now = mlp()(ME), net(ME)
    wanted = ((now - before) ** 2).mean() / before.var(0, unbiased=False).mean()
    terms = overlap(PAIRS)
    assert torch.allclose(terms.anchor, wanted) and wanted > 0
    assert_same_gradients(net, terms.anchor, wanted)


def test_the_mse_anchor_is_the_plain_change_of_the_outputs():
    net, overlap = built(replace(CONFIG, anchor="mse"))
    wanted = ((net(ME) - mlp()(ME)) ** 2).mean()
    terms = overlap(PAIRS)
    assert torch.allclose(terms.anchor, wanted) and wanted > 0
    assert_same_gradients(net, terms.anchor, wanted)


def test_the_relative_anchor_is_on_the_hooked_activations():
    net, overlap = built(replace(CONFIG, anchor="relative_mse"))
    before, now = hidden(mlp(), ME), hidden(net, ME)
    wanted = ((now - before) ** 2).mean() / (before**2).mean()
    terms = overlap(PAIRS)
    assert torch.allclose(terms.anchor, wanted) and wanted > 0
    assert_same_gradients(net, terms.anchor, wanted)


@pytest.mark.parametrize("kind", ["kl_logits", "action"])
def test_output_distances_compare_outputs(kind):
    net, overlap = built(OverlapConfig(layers=(), distance=kind, detach="none"))
    a, b = net(ME), net(OTHER)
    wanted = kl(b, a) if kind == "kl_logits" else ((a - b) ** 2).mean()
    terms = overlap(PAIRS)
    assert torch.allclose(terms.overlap, wanted)
    assert_same_gradients(net, terms.overlap, wanted)


def test_undefined_rows_never_contribute():
    net, overlap = built()
    valid = torch.tensor([True, False, True, True, False, True, True])
    other = OTHER.clone()
    other[~valid] = float("nan")
    part, whole = overlap(Pairs(ME, other, valid=valid)), overlap(Pairs(ME[valid], OTHER[valid]))
    assert part.n_valid == 5 and torch.equal(part.loss, whole.loss)
    assert_same_gradients(net, part.loss, whole.loss)


def test_without_a_defined_pair_the_loss_is_a_zero_with_a_graph():
    net, overlap = built()
    with torch.no_grad():
        net.get_parameter("0.weight")[0, 0] = float("nan")  # not even a broken weight may enter
    terms = overlap(Pairs(ME, OTHER, valid=torch.zeros(7, dtype=torch.bool)), dose=1.0)
    terms.loss.backward()
    assert terms.loss == 0 and terms.overlap == 0 and terms.anchor == 0 and terms.n_valid == 0
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("pooling", ["masked", "mean", "last_n"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("anchor", ["kl", "relative_mse"])
def test_padding_a_sequence_changes_nothing(pooling, side, anchor):
    layers = ("blocks.0.mlp", "blocks.1")
    config = OverlapConfig(layers=layers, pooling=pooling, last_n=2, anchor=anchor)
    net = transformer()
    overlap = OverlapLoss(net, config)
    perturbed(net)
    tokens = torch.randint(1, 11, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    short = overlap(Pairs(tokens[0], tokens[1]))
    pad = torch.zeros(2, 3, 2, dtype=torch.long)
    long = torch.cat([pad, tokens] if side == "left" else [tokens, pad], dim=-1)
    padded = overlap(
        Pairs(long[0], long[1], mask_self=long[0] != 0, mask_other=long[1] != 0),
    )
    assert torch.allclose(short.loss, padded.loss, rtol=1e-10) and short.anchor > 0
    assert_same_gradients(net, short.loss, padded.loss)
    unmasked = overlap(Pairs(long[0], long[1]))
    # With padding on the left the last positions are the same with and without a mask.
    same = (pooling, side, anchor) == ("last_n", "left", "relative_mse")
    assert torch.allclose(short.loss, unmasked.loss, rtol=1e-3) == same


def test_masked_compares_positions_that_are_real_on_both_sides():
    net = nn.Sequential(nn.Linear(2, 3)).double()
    me, other = normal(1, 4, 2), normal(1, 4, 2, seed=1)
    mask_a, mask_b = torch.tensor([[False, True, True, True]]), torch.tensor([[True] * 3 + [False]])
    config = OverlapConfig(layers=("0",), anchor="none")
    terms = OverlapLoss(net, config)(Pairs(me, other, mask_self=mask_a, mask_other=mask_b))
    assert torch.allclose(terms.overlap, ((net(me) - net(other))[0, 1:3] ** 2).mean())


def test_a_forward_of_ones_own_runs_module_and_reference():
    seen = []

    def forward(module, x):
        seen.append(module)
        return module(2 * x)

    net, overlap = built(forward=forward)
    terms = overlap(PAIRS)
    assert seen == [net, overlap.reference]
    assert torch.allclose(terms.anchor, kl(mlp()(2 * ME), net(2 * ME)))


def test_the_reference_is_frozen_and_only_there_for_an_anchor():
    net, overlap = built()
    assert overlap.reference is not None
    before = copy.deepcopy(overlap.reference.state_dict())
    overlap(PAIRS).loss.backward()
    assert all(torch.equal(v, overlap.reference.state_dict()[k]) for k, v in before.items())
    assert not any(p.requires_grad for p in overlap.reference.parameters())
    assert not overlap.reference.training and net.training
    assert OverlapLoss(net, replace(CONFIG, anchor="none")).reference is None


def test_building_and_calling_leave_no_hooks_and_no_random_state_behind():
    before = torch.get_rng_state()
    for sham in ("none", "shuffled", "unrelated"):
        net, overlap = built(replace(CONFIG, sham=sham))
        overlap(PAIRS, dose=1.0).loss.backward()
        assert overlap.reference is not None
        assert hooks(net) == hooks(overlap.reference) == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_survives_pickling_with_its_draws():
    _, overlap = built(replace(CONFIG, sham="shuffled"))
    overlap(PAIRS)
    other = pickle.loads(pickle.dumps(overlap))
    assert torch.equal(other(PAIRS).loss, overlap(PAIRS).loss)


class TimeFirst(Transformer):
    def forward(self, tokens):
        return super().forward(tokens).transpose(0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: built(replace(CONFIG, layers=("7",))), r"unknown layer '7';.* this module has: 0"),
        (lambda: built(outputs="actions"), r"unknown kind of outputs 'actions'; .*logits, values"),
        (lambda: built(replace(CONFIG, distance="kl_logits"), outputs="values"),
         r"compares logits, but outputs='values'; use distance='action'"),
        (lambda: OverlapLoss(TimeFirst().double(), OverlapConfig(layers=("head",)))(
            Pairs(TOKENS, TOKENS)),
         r"forward gave shape \(4, 6, 11\) for a batch of 6; .*batch_first=True"),
        (lambda: built(replace(CONFIG, anchor="none"))[1].run([(ME, None)], reference=True),
         r"no reference without an anchor"),
        (lambda: built()[1].run([(ME, None), (ME.float(), None)]), r"one dtype and one shape per"),
        (lambda: OverlapLoss(
            nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.Linear(12, 2)),
            OverlapConfig(layers=("0", "2")))(Pairs(CUBE, CUBE)),
         r"cannot be put side by side, their shapes are \{'0': \(6, 4, 3\), '2': \(6, 2\)\}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bystanders_are_anchored_and_nothing_else():
    config = OverlapConfig(layers=("1",), anchor_coef=1.0, anchor_bystanders=True)
    net = mlp()
    overlap = OverlapLoss(net, config)
    perturbed(net)
    valid = torch.tensor([True] * 5 + [False] * 2)
    both = overlap(Pairs(ME, OTHER, valid=valid))
    pairs_only = overlap(Pairs(ME[:5], OTHER[:5]))
    everybody = OverlapLoss.anchor(overlap, overlap.run([(ME, None)])[0])
    assert torch.allclose(both.overlap, pairs_only.overlap)
    assert torch.allclose(both.anchor, everybody)
    assert not torch.allclose(both.anchor, pairs_only.anchor)
    alone = overlap(Pairs(ME, OTHER, valid=torch.zeros(7, dtype=torch.bool)))
    assert alone.n_valid == 0 and alone.overlap == 0 and torch.allclose(alone.anchor, everybody)
    alone.loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_pairs_that_share_no_position_are_left_out():
    class Positions(nn.Module):
        def forward(self, x):
            return torch.tanh(self.layer(x))

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

    loss = OverlapLoss(Positions(), OverlapConfig(layers=("layer",), anchor="none"))
    first = torch.tensor([[True, False], [False, False]])
    second = torch.tensor([[False, True], [False, False]])
    terms = loss(Pairs(torch.ones(2, 2, 3), torch.zeros(2, 2, 3), None, first, second))
    assert terms.overlap == 0
    assert loss(Pairs(torch.ones(2, 2, 3), torch.zeros(2, 2, 3), None, first, first)).overlap > 0
