import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from feint.metrics import Outcome, Verdict, judge
from feint.overlap import (
    OverlapConfig,
    OverlapLoss,
    Pairs,
    collapse_index,
    control_gap,
    gradient_ratio,
    measure,
    normalised_gap,
)

from .nets import hooks, mlp, normal, perturbed

CONFIG = OverlapConfig(layers=("3",), anchor_coef=0.1)


def scene(n=64, seed=0):
    """Pairs that differ in input 0 only, and controls that differ in input 1 only."""
    me, other = normal(n, 5, seed=seed), normal(n, 5, seed=seed)
    me[:, 0], other[:, 0] = 0.0, 1.5
    a, b = normal(n, 5, seed=seed + 1), normal(n, 5, seed=seed + 1)
    b[:, 1] = -a[:, 1]
    return Pairs(me, other), (a, b)


def trained(config, steps=150):
    """Train the overlap loss; the reports before and after."""
    pairs, control = scene()
    net = mlp()
    loss = OverlapLoss(net, config)
    before = measure(loss, pairs, control)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(pairs).loss.backward()
        optimizer.step()
    return before, measure(loss, pairs, control), net, loss


def verdict(before, after):
    """Whether the verdict of `feint.metrics` is collapse, for an agent that still behaves well."""
    liar, tuned = (
        Outcome(deception, {"present": 1.0}, *report.plain_gaps)
        for deception, report in ((1.0, before), (0.0, after))
    )
    return judge(tuned, Outcome(0.0, {"present": 1.0}), liar).verdict == Verdict.COLLAPSED


def test_the_gap_is_the_squared_difference_over_the_variance():
    a, b = normal(50, 3), 4 + normal(50, 3, seed=1)
    wanted = ((a - b) ** 2).mean() / torch.cat([a, b]).var(0, unbiased=False).mean()
    assert math.isclose(normalised_gap(a, b), float(wanted), rel_tol=1e-12)
    assert control_gap(10 * a - 3, 10 * b - 3) == pytest.approx(float(wanted))
    assert normalised_gap(a.view(5, 10, 3), b.view(5, 10, 3)) == pytest.approx(float(wanted))


def test_unrelated_rows_have_a_gap_of_two_and_equal_ones_of_zero():
    a, b = normal(4000, 3), normal(4000, 3, seed=1)
    assert normalised_gap(a, b) == pytest.approx(2, rel=0.05)
    assert normalised_gap(a, a) == 0 and normalised_gap(torch.ones(3, 2), torch.ones(3, 2)) == 0


def test_the_collapse_index_compares_with_the_reference():
    acts = normal(20, 3)
    index = collapse_index(acts / 2, acts)
    assert index.variance_ratio == pytest.approx(0.25) and index.norm_ratio == pytest.approx(0.5)
    assert collapse_index(torch.ones_like(acts), acts).variance_ratio == 0


def test_gradient_ratio():
    three, four = torch.tensor([3.0]), torch.tensor([[4.0]])
    assert gradient_ratio([three, None, four], [torch.tensor([10.0])]) == pytest.approx(0.5)
    assert gradient_ratio([three], [None]) == math.inf
    assert gradient_ratio([], [torch.zeros(2)]) == 0


def test_genuine_overlap_is_not_called_collapse():
    before, after, _, _ = trained(CONFIG)
    assert after.pair_gap < 0.1 * before.pair_gap
    assert after.control_gap > 0.5 * before.control_gap and after.variance_ratio > 0.5
    assert not verdict(before, after)


@pytest.mark.parametrize("shrink", [0.0, 1e-3])
def test_a_network_that_was_made_constant_is_called_collapse(shrink):
    pairs, control = scene()
    net = mlp()
    loss = OverlapLoss(net, CONFIG)
    before = measure(loss, pairs, control)
    with torch.no_grad():
        net[2].weight *= shrink
    after = measure(loss, pairs, control)
    assert after.overlap < 1e-5 and after.variance_ratio < 1e-5
    assert verdict(before, after)
    gaps = (after.pair_gap / before.pair_gap, after.control_gap / before.control_gap)
    assert (max(gaps) < 0.5) == (shrink == 0.0)  # normalised gaps alone miss a uniform shrinkage


def test_pulling_unrelated_inputs_together_is_called_collapse():
    config = replace(CONFIG, sham="shuffled", anchor="relative_mse", anchor_coef=0.0, detach="none")
    before, after, _, _ = trained(config)
    assert after.overlap < 0.01 * before.overlap and after.variance_ratio < 0.01
    assert verdict(before, after)


def test_an_untrained_network_is_neither():
    before, after, _, _ = trained(CONFIG, steps=0)
    assert before == after and not verdict(before, after)


def test_measure_agrees_with_its_parts():
    pairs, control = scene()
    net = mlp()
    loss = OverlapLoss(net, CONFIG)
    perturbed(net)
    report, reference = measure(loss, pairs, control), mlp()
    me, other = net[:4](pairs.self_inputs), net[:4](pairs.other_inputs)
    a, b = (net[:4](x) for x in control)
    index = collapse_index(a, reference[:4](control[0]))
    assert report.overlap == pytest.approx(((me - other) ** 2).mean().item())
    assert report.pair_gap == pytest.approx(normalised_gap(me, other))
    assert report.control_gap == pytest.approx(control_gap(a, b))
    assert report.variance_ratio == pytest.approx(index.variance_ratio)
    assert report.norm_ratio == pytest.approx(index.norm_ratio) and index.norm_ratio != 1
    assert report.anchor == pytest.approx(loss(pairs).anchor.item()) and report.anchor > 0


def test_measure_measures_overlap_also_under_a_sham():
    pairs, control = scene()
    reports = [
        measure(OverlapLoss(mlp(), replace(CONFIG, sham=sham)), pairs, control)
        for sham in ("none", "activation_l2", "reverse")
    ]
    assert reports[0] == reports[1] == reports[2]


def test_measure_without_a_reference_has_ratios_of_one():
    pairs, control = scene()
    report = measure(OverlapLoss(mlp(), replace(CONFIG, anchor="none")), pairs, control)
    assert (report.variance_ratio, report.norm_ratio, report.anchor) == (1.0, 1.0, 0.0)


def test_measure_changes_nothing():
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Tanh()).double()
    net[2].eval()
    pairs, control = scene()
    loss = OverlapLoss(net, replace(CONFIG, layers=("3",)))
    modes = [m.training for m in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    before = torch.get_rng_state()
    assert measure(loss, pairs, control) == measure(loss, pairs, control)
    assert torch.equal(torch.get_rng_state(), before)
    assert [m.training for m in net.modules()] == modes and hooks(net) == 0
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_measure_pools_controls_by_their_masks():
    net = nn.Sequential(nn.Linear(2, 3)).double()
    loss = OverlapLoss(net, OverlapConfig(layers=("0",)))
    a, b, mask = normal(3, 4, 2), normal(3, 4, 2, seed=1), torch.ones(3, 4, dtype=torch.bool)
    mask[:, 0] = False
    report = measure(loss, Pairs(a, b), (a, b), control_masks=(mask, mask))
    assert report.control_gap == pytest.approx(control_gap(net(a)[:, 1:], net(b)[:, 1:]))
    assert report.pair_gap == pytest.approx(normalised_gap(net(a), net(b)))


def measured_nothing():
    pairs, control = scene()
    loss = OverlapLoss(mlp(), CONFIG)
    measure(loss, replace(pairs, valid=torch.zeros(64, dtype=torch.bool)), control)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: normalised_gap(torch.ones(2, 3), torch.ones(3, 3)), r"one shape .* got \(2, 3\)"),
        (lambda: normalised_gap(torch.ones(0, 3), torch.ones(0, 3)), r"at least one row"),
        (lambda: collapse_index(normal(1, 3), normal(1, 3)), r"do not vary over 1 rows; give at"),
        (measured_nothing, r"no pair is defined \(valid is False everywhere\)"),
    ],
)
def test_what_cannot_be_measured_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
