import numpy as np
import pytest
from scipy.special import softmax

from feint.metrics import fit_observer, misled_rate


def conduct(n: int, lies: float = 0.0, seed: int = 0):
    """Agents walking towards one of three places (noisily); liars towards the next one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    shown = np.where(rng.random(n) < lies, (truth + 1) % 3, truth)
    places = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    return places[shown] + rng.normal(size=(n, 2)), truth


def test_it_recovers_the_law_that_made_the_data():
    rng = np.random.default_rng(1)
    features = rng.normal([1.0, -3.0], [1.0, 10.0], (20_000, 2))
    weights, bias = np.array([[1.0, -0.5, -0.5], [0.02, 0.1, -0.12]]), np.array([0.3, 0.0, -0.3])
    law = softmax(features @ weights + bias, axis=1)
    truth = (law.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    found = fit_observer(features, truth, l2=0.0).predict_proba(features)
    assert np.abs(found - law).max() < 0.05
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_two_classes_agree_with_newtons_method():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 1))
    y = (rng.random(300) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    found = fit_observer(x, y, l2=0.0).predict_proba(x)[:, 1]
    design, beta = np.c_[x, np.ones(300)], np.zeros(2)
    for _ in range(20):
        p = 1 / (1 + np.exp(-design @ beta))
        beta += np.linalg.solve((design.T * (p * (1 - p))) @ design, design.T @ (y - p))
    assert found == pytest.approx(1 / (1 + np.exp(-design @ beta)), abs=1e-4)


def test_an_observer_of_honest_agents_is_misled_by_liars_and_one_of_liars_is_not():
    honest = fit_observer(*conduct(2000))
    features, truth = conduct(2000, seed=1)
    assert (honest.predict_proba(features).argmax(axis=1) == truth).mean() > 0.85
    lying, hidden = conduct(2000, lies=1.0, seed=2)
    everywhere = np.ones((1, 2000), bool)
    assert np.mean(misled_rate(honest.belief(lying[None], hidden), everywhere)) > 0.85
    fooled = fit_observer(*conduct(2000, lies=1.0, seed=3))
    assert np.mean(misled_rate(fooled.belief(lying[None], hidden), everywhere)) < 0.2


def test_the_penalty_makes_it_cautious():
    features, truth = conduct(60)
    sure = fit_observer(features, truth, l2=0.01).predict_proba(features).max(axis=1).mean()
    wary = fit_observer(features, truth, l2=1000.0).predict_proba(features).max(axis=1).mean()
    assert wary < 0.5 < sure


def test_a_constant_feature_and_a_truth_never_seen_do_no_harm():
    features, truth = conduct(100)
    observer = fit_observer(np.c_[features, np.ones(100)], truth, num_classes=4)
    believed = observer.predict_proba(np.zeros((5, 7, 3)))
    assert believed.shape == (5, 7, 4) and np.isfinite(believed).all()
    assert believed[..., 3].max() < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [0, 1, 0]), r"must be \(n, d\)"),
        (([[0.0], [np.nan]], [0, 1]), "NaN or an infinite"),
        (([[0.0], [1.0]], [0, 1, 1]), r"truth must be \(2,\)"),
        (([[0.0], [1.0]], [0.0, 1.0]), "must be integers"),
        (([[0.0], [1.0]], [1, 1]), "always the same"),
        (([[0.0], [1.0]], [0, 2], 2), r"lie in 0\.\.1; got 0\.\.2"),
        (([[0.0], [1.0]], [0, -1]), r"lie in 0\.\.K-1"),
        (([[0.0], [1.0]], [0, 1], None, -1.0), "l2 must be"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_observer(*arguments)


def test_it_asks_for_the_features_it_was_fitted_with():
    observer = fit_observer(*conduct(50))
    with pytest.raises(ValueError, match=r"must be \(\.\.\., 2\)"):
        observer.predict_proba(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"lie in 0\.\.2"):
        observer.belief(np.zeros((4, 2)), np.full(4, 3))
