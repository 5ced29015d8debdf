import json
import math
import warnings
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from feint.metrics import (
    Interval,
    bootstrap,
    bootstrap_by_group,
    bootstrap_seeds,
    clustered,
    clustered_error,
    summary,
    wilson,
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_interval_prints_as_in_tables():
    assert str(Interval(0.449, 0.44, 0.4581, 100)) == "0.449 [0.440, 0.458]"


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # By hand from Wilson's formula with z = 1.959964.
    [(0, 100, 0.0, 0.036994), (100, 100, 0.963006, 1.0), (5, 10, 0.236593, 0.763407)],
)
def test_wilson_gives_known_values(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert (interval.estimate, interval.n) == (successes / trials, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_wilson_inverts_the_score_test_at_any_level(level):
    interval = wilson(7, 40, level)
    z = stats.norm.ppf((1 + level) / 2)
    for end in (interval.low, interval.high):
        assert abs(7 / 40 - end) / math.sqrt(end * (1 - end) / 40) == pytest.approx(z)


def test_wilson_takes_numpy_counts():
    interval = wilson(np.int64(3), np.int32(9))  # pyright: ignore[reportArgumentType]
    assert interval == wilson(3, 9)
    json.dumps(vars(interval))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 4), "got 5 of 4"),
        ((-1, 4), "got -1 of 4"),
        ((0, 0), "at least one trial"),
        ((0.5, 4), "successes must be an integer"),
        ((1, float("nan")), "trials must be an integer"),
        ((1, 4, 95), "level must lie in"),
    ],
)
def test_wilson_refuses_what_is_no_count(arguments, message):
    with pytest.raises(ValueError, match=message):
        wilson(*arguments)


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 2.0, size=(200, 60))
    intervals = [bootstrap(s, level=0.8, resamples=300, seed=i) for i, s in enumerate(samples)]
    covered = np.mean([i.low <= 3.0 <= i.high for i in intervals])
    assert 0.72 < covered < 0.88


def test_bootstrap_width_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(size=400)
    interval = bootstrap(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert interval.low < interval.estimate == values.mean() < interval.high


def test_bootstrap_repeats_with_its_seed_only():
    values = np.random.default_rng(2).normal(size=50)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_bootstrap_takes_any_statistic():
    values = np.random.default_rng(3).exponential(size=200)
    median = bootstrap(values, np.median)
    assert median.estimate == np.median(values)
    assert bootstrap(values, lambda x: np.median(x)) == median  # without an axis argument


def test_bootstrap_drops_nan_and_says_how_many_remained():
    values = np.random.default_rng(4).normal(size=30)
    gappy = np.insert(values, [0, 7, 30], np.nan)
    assert bootstrap(gappy) == bootstrap(values)
    assert bootstrap(gappy).n == 30


@pytest.mark.parametrize("values", [[0.1] * 7, [0.0, np.nan, 0.0], [2.5], [True, True]])
def test_equal_values_give_zero_width(values):
    interval = bootstrap(values)
    assert interval.low == interval.estimate == interval.high
    assert bootstrap_by_group([values, values]).low == bootstrap_by_group([values, values]).high


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "holds no number, only 0 NaN"),
        ([np.nan] * 3, {}, "only 3 NaN"),
        ([[1.0, 2.0]], {}, r"one-dimensional.*\(1, 2\)"),
        ([1.0, np.inf], {}, "infinite"),
        ([1.0, 2.0], {"statistic": "median"}, "'mean' or a function; got 'median'"),
        ([1.0, 2.0], {"level": 1.0}, "level"),
        ([1.0, 2.0], {"resamples": 0}, "resamples"),
    ],
)
def test_bootstrap_refuses_what_it_cannot_resample(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(values, **options)


def test_groups_that_differ_widen_the_interval():
    rng = np.random.default_rng(5)
    groups = [rng.normal(mean, 0.1, size=300) for mean in (0.0, 0.5, 1.0)]
    pooled = bootstrap(np.concatenate(groups))
    grouped = bootstrap_by_group(groups)
    assert grouped.high - grouped.low > 3 * (pooled.high - pooled.low)
    assert grouped.n == pooled.n == 900


def test_episodes_are_resampled_within_groups_too():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=40)
    groups = [noise - noise.mean() for _ in range(4)]  # no spread between groups at all
    interval = bootstrap_by_group(groups, level=0.95)
    # Four independent resamples of forty: the standard error of 160 values.
    expected = 2 * 1.96 * noise.std() / np.sqrt(160)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.15)


def test_every_group_weighs_the_same():
    assert bootstrap_by_group([[0.0] * 99, [1.0, np.nan]]).estimate == 0.5


def test_group_bootstrap_repeats_with_its_seed_only():
    groups = np.random.default_rng(7).normal(size=(3, 20))
    assert bootstrap_by_group(list(groups), seed=1) == bootstrap_by_group(list(groups), seed=1)
    assert bootstrap_by_group(list(groups), seed=1) != bootstrap_by_group(list(groups), seed=2)


def test_groups_larger_than_a_chunk_and_a_short_index_are_resampled_whole():
    large = np.arange(70_000) / 70_000
    interval = bootstrap_by_group([large], resamples=40)
    assert interval.low == pytest.approx(0.5, abs=0.01)
    assert interval.low < interval.high


def test_group_errors_name_the_group():
    with pytest.raises(ValueError, match="group 1 holds no number, only 2 NaN"):
        bootstrap_by_group([[1.0], [np.nan, np.nan]])
    with pytest.raises(ValueError, match="one array per training seed"):
        bootstrap_by_group([])
    with pytest.raises(ValueError, match=r"group 0 must be one-dimensional.*\(\)"):
        bootstrap_by_group([1.0, 2.0])


def test_summary_is_plain_json():
    values = np.random.default_rng(8).normal(size=20)
    interval = bootstrap(values)
    assert json.loads(json.dumps(summary(values))) == {
        "mean": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": 20,
    }


def test_summary_of_nothing_counted_has_no_nan():
    nothing = summary([np.nan, np.nan])
    assert nothing == {"mean": None, "low": None, "high": None, "n": 0}
    with pytest.raises(ValueError, match="no number"):
        summary([])


def test_clustered_errors_equal_the_regression_of_a_constant():
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 12, 200)
    values = rng.normal(size=12)[clusters] + rng.normal(size=200)
    corrections: list[tuple[Literal["CR0", "CR1"], bool]] = [("CR0", False), ("CR1", True)]
    for correction, corrected in corrections:
        fit = api.OLS(values, np.ones(200)).fit(
            cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": corrected}
        )
        assert clustered_error(values, clusters, correction) == pytest.approx(float(fit.bse[0]))


def test_clustered_errors_by_hand():
    # Sums of deviations from 0.5: +1 and -1; n = 4.
    values, clusters = [1, 1, 0, 0], ["a", "a", "b", "b"]
    assert clustered_error(values, clusters, "CR0") == pytest.approx(math.sqrt(2) / 4)
    assert clustered_error(values, clusters) == pytest.approx(0.5)
    interval = clustered(values, clusters)
    assert interval.estimate == 0.5 and interval.n == 4
    assert interval.high - 0.5 == pytest.approx(0.5 * stats.t.ppf(0.975, 1))


def test_values_on_their_own_have_the_usual_standard_error():
    values = np.random.default_rng(1).normal(size=50)
    assert clustered_error(values, np.arange(50)) == pytest.approx(stats.sem(values))
    with_gap = np.append(values, np.nan)
    assert clustered(with_gap, np.arange(51)) == clustered(values, np.arange(50))


def test_repeating_every_answer_adds_no_certainty():
    values = np.random.default_rng(2).normal(size=30)
    twice, names = np.repeat(values, 2), np.repeat(np.arange(30), 2)
    assert clustered_error(twice, names) == pytest.approx(clustered_error(values, np.arange(30)))
    assert stats.sem(twice) < 0.75 * clustered_error(twice, names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [0]), "clusters must name one per value"),
        (([1.0, 2.0], [0, 0]), "two or more"),
        (([1.0, 2.0], [0, 1], "CR2"), "'CR0' or 'CR1'"),
        (([np.nan, np.nan], [0, 1]), "holds no number"),
    ],
)
def test_clusters_that_tell_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        clustered_error(*arguments)


def test_bootstrap_seeds_agrees_with_the_bootstrap_over_their_episodes():
    rng = np.random.default_rng(0)
    episodes = [rng.normal(centre, 1.0, 400) for centre in (0.2, 0.5, 0.4, 0.9, 0.3, 0.6)]
    means = [x.mean() for x in episodes]
    found = bootstrap_seeds(means, [x.std(ddof=1) / 20 for x in episodes])
    whole = bootstrap_by_group(episodes)
    assert found.estimate == pytest.approx(whole.estimate) and found.n == 6
    assert found.low == pytest.approx(whole.low, abs=0.02)
    assert found.high == pytest.approx(whole.high, abs=0.02)
    assert bootstrap_seeds(means, np.zeros(6)) == bootstrap_seeds(means, np.zeros(6))
    assert bootstrap_seeds([0.5], [0.0]).low == 0.5


def test_bootstrap_seeds_keeps_the_quantities_of_a_seed_together():
    base = np.array([0.1, 0.5, 0.9])
    ratio = bootstrap_seeds([base, 2 * base], np.zeros((2, 3)), lambda a, b: a / b)
    assert ratio.low == ratio.high == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("means", "errors", "message"),
    [
        ([1.0, 2.0], [0.1], "with at least one seed; got"),
        ([], [], "with at least one seed; got"),
        ([1.0, float("nan")], [0.1, 0.1], "must be finite"),
        ([1.0], [-0.1], "errors at least 0"),
        ([[1.0], [2.0]], [[0.0], [0.0]], "several quantities need a statistic"),
    ],
)
def test_bootstrap_seeds_names_bad_input(means, errors, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_seeds(means, errors)
