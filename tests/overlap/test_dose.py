from dataclasses import replace

import pytest
import torch

from feint.overlap import OverlapConfig, OverlapLoss, Pairs

from .nets import grads, mlp, normal, perturbed

PAIRS = Pairs(normal(7, 5, seed=1), normal(7, 5, seed=2))
CONFIG = OverlapConfig(layers=("1", "3"), coef=2.0, anchor_coef=0.5)


def built(config=CONFIG):
    net = mlp()
    overlap = OverlapLoss(net, config)
    return perturbed(net), overlap


@pytest.mark.parametrize("sham", ["none", "shuffled", "reverse"])
@pytest.mark.parametrize("dose", [0.0, 0.3, 40.0])
def test_a_dose_sets_the_norm_of_the_overlap_gradient(sham, dose):
    net, overlap = built(replace(CONFIG, anchor="none", sham=sham))
    terms = overlap(PAIRS, dose=dose)
    norm = torch.cat([g.flatten() for g in grads(net, terms.loss)]).norm()
    assert abs(float(norm) - dose) <= 1e-6 * dose
    natural = overlap.overlap_grad_norm(terms, net.parameters())
    assert abs(terms.dose_scale * natural - dose) <= 1e-6 * dose
    terms.loss.backward()


def test_the_dose_leaves_the_anchor_alone():
    net, overlap = built()
    terms = overlap(PAIRS, dose=0.7)
    whole, anchor = grads(net, terms.loss), grads(net, terms.anchor)
    rest = [a - 0.5 * b for a, b in zip(whole, anchor, strict=True)]
    assert abs(float(torch.cat([g.flatten() for g in rest]).norm()) - 0.7) < 1e-6


def test_overlap_grad_norm_is_that_of_the_weighted_term():
    net, overlap = built()
    terms = overlap(PAIRS)
    wanted = torch.cat([2 * g.flatten() for g in grads(net, terms.overlap)]).norm()
    assert abs(overlap.overlap_grad_norm(terms, net.parameters()) - float(wanted)) < 1e-12
    last = list(net.get_submodule("4").parameters())  # above the hooked layers: no gradient there
    assert overlap.overlap_grad_norm(terms, last) == 0


def test_a_term_without_gradient_is_left_out_of_the_dose():
    net, overlap = built(replace(CONFIG, sham="self_self"))
    terms = overlap(PAIRS, dose=1.0)
    assert terms.dose_scale == 0
    for x, y in zip(grads(net, terms.loss), grads(net, 0.5 * terms.anchor), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("dose", [-1.0, float("nan"), float("inf")])
def test_a_dose_that_is_no_norm_is_refused(dose):
    with pytest.raises(ValueError, match=rf"dose must be a finite gradient norm .* got {dose}"):
        built()[1](PAIRS, dose=dose)


def test_a_dose_without_gradients_is_refused():
    with torch.no_grad(), pytest.raises(ValueError, match=r"dose needs gradients"):
        built()[1](PAIRS, dose=1.0)
