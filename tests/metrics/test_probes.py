# pyright: reportArgumentType=false
import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from feint.metrics import auroc, fit_probe, probe_auroc


def blobs(n=400, distance=2.0, dims=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    acts = rng.normal(size=(n, dims))
    acts[:, 2] += distance * labels
    return acts, labels


@pytest.mark.parametrize("kind", ["mean_difference", "logistic"])
def test_a_probe_finds_the_direction_that_differs(kind):
    probe = fit_probe(*blobs(2000), kind)
    direction = probe.weights / np.linalg.norm(probe.weights)
    assert direction[2] > 0.95
    acts, labels = blobs(2000, seed=1)
    assert ((probe.scores(acts) > 0) == labels).mean() > 0.8


def test_the_logistic_probe_is_logistic_regression_in_the_units_of_the_activations():
    acts, labels = blobs()
    plain, scaled = (fit_probe(acts * k + 3.0, labels).scores(acts * k + 3.0) for k in (1.0, 50.0))
    np.testing.assert_allclose(plain, scaled, rtol=1e-3, atol=1e-3)


def test_auroc_is_the_mann_whitney_share_with_ties_at_half():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + labels, 1)  # many ties
    wanted = (
        mannwhitneyu(scores[labels], scores[~labels]).statistic / labels.sum() / (~labels).sum()
    )
    found = auroc(scores, labels)
    assert found.estimate == pytest.approx(wanted)
    assert found.low < wanted < found.high
    assert auroc(-scores, labels).estimate == pytest.approx(1 - wanted)


def test_the_interval_covers_as_often_as_it_says():
    rng, truth, hits = np.random.default_rng(1), 0.7602, 0  # of two normals one deviation apart
    for _ in range(400):
        labels = np.arange(80) < 30
        found = auroc(rng.normal(size=80) + labels, labels)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_perfect_separation_still_has_a_bound():
    found = auroc([0.0, 0.1, 0.2, 1.0, 1.1], np.array([False, False, False, True, True]))
    assert found.estimate == 1.0
    assert found.low < 0.6
    assert found.high == 1.0


def test_held_out_scores_do_not_reward_memory():
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(60, 50)), rng.random(60) < 0.5
    fitted = fit_probe(noise, labels, l2=1e-6)
    assert auroc(fitted.scores(noise), labels).estimate == 1.0  # it has learnt the noise by heart
    held = probe_auroc(noise, labels)
    assert held.low < 0.5 < held.high


def test_rows_of_one_group_are_not_split():
    rng = np.random.default_rng(0)
    episodes = np.repeat(np.arange(40), 10)
    labels = (np.arange(40) // 5 % 2 == 0)[episodes]
    acts = rng.normal(size=(40, 60))[episodes] + 0.01 * rng.normal(size=(400, 60))
    assert probe_auroc(acts, labels, kind="mean_difference").estimate > 0.95
    apart = probe_auroc(acts, labels, groups=episodes, kind="mean_difference").estimate
    assert abs(apart - 0.5) < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, y: fit_probe(a, y.astype(int)), "labels .* bool"),
        (lambda a, y: fit_probe(a[:3], y), "must be"),
        (lambda a, y: fit_probe(a, np.ones_like(y)), "both labels must occur"),
        (lambda a, y: fit_probe(a * np.nan, y), "NaN"),
        (lambda a, y: fit_probe(a, y, "magic"), "kind must be one of mean_difference, logistic"),
        (lambda a, y: fit_probe(a, y).scores(a[:, :2]), r"must be \(..., 6\)"),
        (lambda a, y: probe_auroc(a, y, folds=1), "folds must be in 2..400"),
        (lambda a, y: probe_auroc(a, y, groups=[1, 2]), "groups must be"),
        (lambda a, y: probe_auroc(a, y, groups=y.astype(int), folds=2), "only one label to fit"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*blobs())
