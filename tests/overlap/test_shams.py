from dataclasses import replace

import pytest
import torch
from torch import nn

from feint.overlap import (
    SHAMS,
    OverlapConfig,
    OverlapLoss,
    Pairs,
    Sham,
    derangement,
    distance,
    register_sham,
)

from .nets import grads, mlp, normal, perturbed

ME, OTHER = normal(7, 5, seed=1), normal(7, 5, seed=2)
IRRELEVANT = (normal(4, 5, seed=3), normal(4, 5, seed=4))
PAIRS = Pairs(ME, OTHER, irrelevant=IRRELEVANT)
CONFIG = OverlapConfig(layers=("3",))


def run(sham, pairs=PAIRS, seed=0, **settings):
    net = mlp()
    overlap = OverlapLoss(net, replace(CONFIG, sham=sham, **settings), seed=seed)
    perturbed(net)
    return net, overlap(pairs)


def mse(net, a, b):
    """The distance of layer "3", with `a` as the fixed target."""
    return ((net[:4](a).detach() - net[:4](b)) ** 2).mean()


def assert_is(net, overlap, wanted):
    assert torch.allclose(overlap, wanted, rtol=1e-12)
    for x, y in zip(grads(net, overlap), grads(net, wanted), strict=True):
        assert torch.allclose(x, y, rtol=1e-10, atol=1e-14)


def order(seed=0, n=7):
    return derangement(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_derangement_is_a_permutation_that_leaves_nothing_in_place(n):
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(50):
        partner = derangement(n, generator)
        assert sorted(partner.tolist()) == list(range(n))
        assert not (partner == torch.arange(n)).any()
        seen.add(tuple(partner.tolist()))
    assert len(seen) >= min(50, {2: 1, 3: 2}.get(n, 40))


def test_one_row_cannot_be_deranged():
    with pytest.raises(ValueError, match=r"needs at least 2 rows, got 1"):
        derangement(1, torch.Generator())


def test_shuffled_pairs_each_self_side_with_another_rows_other_side():
    net, terms = run("shuffled")
    assert_is(net, terms.overlap, mse(net, ME, OTHER[order()]))


def test_unrelated_pairs_other_sides_among_themselves():
    net, terms = run("unrelated")
    assert_is(net, terms.overlap, mse(net, OTHER, OTHER[order()]))


def test_self_self_is_zero_for_a_deterministic_network_and_noise_otherwise():
    assert run("self_self")[1].overlap < 1e-28  # matrix products of other shapes differ in a bit
    net = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Tanh()).double()
    config = OverlapConfig(layers=("2",), anchor="none", sham="self_self")
    with torch.random.fork_rng():
        assert OverlapLoss(net, config)(PAIRS).overlap > 0


def test_anchor_only_has_the_anchor_and_no_overlap():
    net, terms = run("anchor_only")
    assert terms.overlap == 0 and terms.anchor > 0
    assert_is(net, terms.loss, terms.anchor)


def test_activation_l2_is_the_mean_square_of_the_other_side():
    net, terms = run("activation_l2")
    assert_is(net, terms.overlap, (net[:4](OTHER) ** 2).mean())


@pytest.mark.parametrize("detach", ["self", "other", "none"])
def test_activation_l2_acts_whichever_side_is_detached(detach):
    net, terms = run("activation_l2", detach=detach)
    assert any(g.any() for g in grads(net, terms.overlap))


def test_irrelevant_compares_the_irrelevant_inputs():
    net, terms = run("irrelevant")
    assert_is(net, terms.overlap, mse(net, *IRRELEVANT))


def test_irrelevant_masks_its_own_positions():
    net = nn.Sequential(nn.Linear(2, 3)).double()
    x, y, pair = (
        normal(2, 4, 2),
        normal(2, 4, 2, seed=1),
        (normal(3, 4, 2), normal(3, 4, 2, seed=1)),
    )
    mask = torch.tensor([[True, True, False, True]]).expand(3, 4)
    pairs = Pairs(x, y, irrelevant=pair, mask_irrelevant=(mask, mask))
    terms = OverlapLoss(net, OverlapConfig(layers=("0",), sham="irrelevant"))(pairs)
    wanted = ((net(pair[0]) - net(pair[1]))[:, [0, 1, 3]] ** 2).mean()
    assert torch.allclose(terms.overlap, wanted)


def test_irrelevant_says_what_is_missing():
    with pytest.raises(ValueError, match=r"give Pairs\(..., irrelevant=\(inputs_a, inputs_b\)\)"):
        run("irrelevant", Pairs(ME, OTHER))


def test_reverse_pulls_the_self_side_towards_a_fixed_other_side():
    net, terms = run("reverse")
    assert_is(net, terms.overlap, mse(net, OTHER, ME))
    pulled, treated = grads(net, terms.overlap), grads(net, mse(net, ME, OTHER))
    assert not torch.allclose(pulled[0], treated[0], rtol=0.1)


@pytest.mark.parametrize("anchor", ["kl", "relative_mse"])
@pytest.mark.parametrize("sham", sorted(SHAMS))
def test_every_sham_keeps_the_treatments_anchor(sham, anchor):
    net, terms = run(sham, anchor=anchor)
    treated, wanted = run("none", anchor=anchor)
    assert wanted.anchor > 0 and torch.allclose(terms.anchor, wanted.anchor, rtol=1e-12)
    for x, y in zip(grads(net, terms.anchor), grads(treated, wanted.anchor), strict=True):
        assert torch.allclose(x, y, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("sham", sorted(SHAMS))
def test_every_sham_runs_without_an_anchor_or_is_refused(sham):
    if sham == "anchor_only":
        with pytest.raises(ValueError, match="set an anchor"):
            run(sham, anchor="none")
        return
    terms = run(sham, anchor="none")[1]
    terms.loss.backward()
    assert terms.loss == terms.overlap


@pytest.mark.parametrize("sham", ["shuffled", "unrelated"])
def test_a_lone_row_is_never_paired_with_itself(sham):
    net, terms = run(sham, Pairs(ME[:1], OTHER[:1]))
    assert terms.overlap == 0
    assert_is(net, terms.loss, terms.anchor)


def test_shams_draw_from_the_seed():
    first, again, other = (run("shuffled", seed=s)[1].overlap for s in (3, 3, 4))
    assert first == again and first != other


def test_the_registry_is_open_and_describes_itself():
    with pytest.raises(ValueError, match="'shuffled' is taken; choose another"):
        register_sham(Sham("shuffled", "again"))
    with pytest.raises(ValueError, match="'none' is taken"):
        register_sham(Sham("none", "again"))
    confident = Sham(
        "confident",
        "mean largest logit of the other side",
        term=lambda _a, b: -b.outputs.amax(-1).mean(),  # pyright: ignore[reportOptionalMemberAccess]
        needs_outputs=True,
    )
    try:
        assert register_sham(confident) is confident
        net, terms = run("confident", anchor="none")
        assert_is(net, terms.overlap, -net(OTHER).amax(-1).mean())
    finally:
        SHAMS.pop("confident", None)
    assert all(sham.name == name and sham.description for name, sham in SHAMS.items())


def test_the_treatment_is_none_of_them():
    net, terms = run("none")
    assert_is(net, terms.overlap, mse(net, ME, OTHER))
    assert torch.allclose(terms.overlap, distance(net[:4](ME), net[:4](OTHER), "mse"))
