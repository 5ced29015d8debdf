import importlib.util
import sys
import types

import numpy as np
import pytest
from scipy import stats

from feint.metrics import (
    iqm,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)

RNG = np.random.default_rng(3)
OURS = RNG.normal([0.2, 0.5, 0.9], [0.05, 0.3, 0.1], (10, 3))
THEIRS = RNG.normal([0.15, 0.5, 0.6], [0.05, 0.2, 0.3], (8, 3))


@pytest.fixture
def rliable(monkeypatch):
    """`rliable.library`; of arch it needs `arch.bootstrap` alone, and arch itself may not load."""
    pytest.importorskip("rliable.metrics")
    pytest.importorskip("pandas")
    if (spec := importlib.util.find_spec("arch")) is None:
        pytest.skip("arch is not installed")
    shell = types.ModuleType("arch")
    shell.__path__ = list(spec.submodule_search_locations or ())
    for name in [n for n in sys.modules if n.split(".")[0] == "arch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "arch", shell)
    return pytest.importorskip("rliable.library")


def test_iqm_is_the_mean_of_the_middle_half():
    assert iqm([0, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm([[0, 1], [2, 3]]) == pytest.approx(1.5)


def test_point_estimates_equal_rliables():
    metrics = pytest.importorskip("rliable.metrics")
    assert iqm(OURS) == pytest.approx(metrics.aggregate_iqm(OURS), abs=1e-14)
    assert optimality_gap(OURS, 0.7) == pytest.approx(metrics.aggregate_optimality_gap(OURS, 0.7))
    poi = probability_of_improvement(OURS, THEIRS, resamples=10)
    assert poi.estimate == pytest.approx(metrics.probability_of_improvement(OURS, THEIRS))


def test_intervals_agree_with_rliables(rliable):
    metrics = pytest.importorskip("rliable.metrics")
    np.random.seed(0)  # noqa: NPY002 - rliable draws from the global generator
    _, ends = rliable.get_interval_estimates(
        {"iqm": OURS}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=4000
    )
    mine = stratified_bootstrap(OURS, resamples=4000)
    width = mine.high - mine.low
    assert (mine.low, mine.high) == pytest.approx(ends["iqm"][:, 0], abs=0.06 * width)
    _, ends = rliable.get_interval_estimates(
        {"poi": [OURS, THEIRS]},
        lambda x, y: np.array([metrics.probability_of_improvement(x, y)]),
        reps=1500,
    )
    mine = probability_of_improvement(OURS, THEIRS, resamples=4000)
    width = mine.high - mine.low
    assert (mine.low, mine.high) == pytest.approx(ends["poi"][:, 0], abs=0.1 * width)


def test_performance_profile_counts_what_lies_above():
    np.testing.assert_allclose(
        performance_profile([[0.1, 0.5], [0.5, 0.9]], [0, 0.5, 1]), [1, 0.25, 0]
    )


def test_improvement_is_the_mann_whitney_statistic_over_its_range():
    x, y = [1.0, 2.0, 2.0, 5.0], [2.0, 0.0, 3.0]
    found = probability_of_improvement([x], [y], resamples=50)
    u = stats.mannwhitneyu(x, y).statistic
    assert found.estimate == pytest.approx(u / 12)
    assert found.n == 7
    assert probability_of_improvement([y], [x], resamples=50).estimate == pytest.approx(1 - u / 12)


def test_runs_stay_within_their_task():
    # Without strata the mean would vary by the tasks' distance; within them there is no spread.
    apart = np.array([[0.0, 100.0]] * 5)
    interval = stratified_bootstrap(apart, np.mean)
    assert (interval.low, interval.estimate, interval.high) == (50.0, 50.0, 50.0)
    jittered = apart + np.linspace(-1, 1, 5)[:, None]
    interval = stratified_bootstrap(jittered, np.mean)
    assert 49 < interval.low < 50 < interval.high < 51


def test_the_interval_of_a_mean_has_the_normal_width():
    scores = np.random.default_rng(0).normal(size=(200, 4))
    interval = stratified_bootstrap(scores, np.mean, resamples=4000)
    error = np.sqrt((scores.var(axis=0) / 200).sum()) / 4
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_tasks_may_have_different_numbers_of_runs():
    interval = stratified_bootstrap([[1.0, 2.0, 3.0], [4.0, 5.0]], np.mean)
    assert (interval.estimate, interval.n) == (3.0, 5)
    assert stratified_bootstrap([[1.0, 2.0], [4.0, 5.0]]) == stratified_bootstrap(
        [[1.0, 2.0], [4.0, 5.0]]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iqm([]), "scores is empty"),
        (lambda: iqm([1.0, np.nan]), "NaN or an infinite"),
        (lambda: stratified_bootstrap(np.ones(4)), r"\(runs, tasks\)"),
        (lambda: stratified_bootstrap([]), "no task"),
        (lambda: stratified_bootstrap([[1.0, 2.0], [1.0]]), "task 1, must hold two runs"),
        (lambda: stratified_bootstrap(OURS, level=95), "level must lie"),
        (lambda: stratified_bootstrap(OURS, resamples=0), "resamples must be"),
        (lambda: probability_of_improvement(OURS, THEIRS[:, :2]), "same tasks; got 3 and 2"),
        (lambda: performance_profile(OURS, 0.5), "one-dimensional"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
