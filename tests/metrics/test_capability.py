import numpy as np
import pytest

from feint.metrics import capability_interval, measured_capability, sandbagging_gap, wilson


def test_a_score_is_corrected_for_guessing():
    np.testing.assert_allclose(
        measured_capability([3, 12, 0, 6], 12, chance=0.25), [0.0, 1.0, -1 / 3, 1 / 3]
    )
    assert measured_capability(3, 4) == 0.75


def test_who_does_its_best_has_no_gap_on_average():
    rng = np.random.default_rng(0)
    for able in (0.0, 0.3, 1.0):
        right = rng.binomial(12, able + (1 - able) / 4, 40_000)
        assert abs(sandbagging_gap(able, right, 12, chance=0.25).mean()) < 0.005


def test_who_hides_what_it_can_do_has_a_gap_of_what_it_hides():
    assert sandbagging_gap(0.9, 4, 10) == pytest.approx(0.5)
    assert sandbagging_gap(1.0, 0, 10, chance=0.5) == 2.0


def test_no_items_measure_nothing():
    with np.errstate(all="raise"):
        gaps = sandbagging_gap([1.0, 1.0], [0, 2], [0, 2], chance=0.25)
    np.testing.assert_array_equal(gaps, [np.nan, 0.0])


def test_the_interval_is_wilsons_on_the_corrected_scale():
    made, score = capability_interval(9, 12, chance=0.25), wilson(9, 12)
    assert made.estimate == pytest.approx(2 / 3)
    assert made.low == pytest.approx((score.low - 0.25) / 0.75)
    assert made.high == pytest.approx((score.high - 0.25) / 0.75)
    assert made.n == 12
    assert capability_interval(9, 12, level=0.5).low > capability_interval(9, 12).low


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.1, 1, 2), r"true must lie in \[0, 1\]"),
        ((np.nan, 1, 2), "true must lie"),
        ((0.5, 3, 2), "right must lie in 0..items"),
        ((0.5, -1, 2), "right must lie in 0..items"),
        ((0.5, 1.0, 2), "right must be integers"),
        ((0.5, 1, 2.0), "items must be integers"),
        ((0.5, 1, 2, 1.0), "chance must lie in"),
        ((0.5, 1, 2, float("nan")), "chance must lie in"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        sandbagging_gap(*arguments)
