import numpy as np
import pytest

from feint.metrics import (
    bluff_rate,
    counterfactual_difference,
    informative,
    lie_rate,
    omission_rate,
    paired_difference,
    share,
)


def test_share_is_per_episode_and_nan_where_nothing_counts():
    values = np.array([[1, 0, 1], [0, 0, 1]], dtype=bool)
    counted = np.array([[1, 1, 0], [1, 0, 0]], dtype=bool)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(share(values, counted), [0.5, 0.0, np.nan])


def test_share_of_numbers_is_their_mean():
    assert share([0.25, 0.75, 99.0], [True, True, False]) == 0.5


@pytest.mark.parametrize(
    ("values", "counted", "message"),
    [
        ([1.0, 0.0], [1, 0], "counted must be a bool array; got int64"),
        ([1.0, 0.0], [True], r"\(2,\) and \(1,\)"),
        (1.0, True, "steps first"),
        ([np.nan, 0.0], [True, True], "counted value is NaN"),
    ],
)
def test_share_names_what_does_not_fit(values, counted, message):
    with pytest.raises(ValueError, match=message):
        share(values, counted)


def test_lie_rate_counts_false_messages_to_the_rival_only():
    heard = np.array([[0, 1, 2, 2], [0, 0, 2, 1]])
    truth = np.array([0, 1, 2, 3])
    rival = np.array([[1, 1, 1, 0], [1, 1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(lie_rate(heard, truth, rival), [0.0, 0.5, 0.0, np.nan])


def test_lie_rate_of_one_step_games_is_per_game():
    rates = lie_rate([[0, 1, 1]], [1, 1, 1], [[True, True, False]])
    np.testing.assert_array_equal(rates, [1.0, 0.0, np.nan])
    assert lie_rate([0, 1, 1], [1, 1, 1], [True, True, False]) == 0.5


def test_lie_rate_refuses_shapes_that_would_spread():
    with pytest.raises(ValueError, match=r"got truth \(3,\) for heard \(3, 1\)"):
        lie_rate(np.zeros((3, 1), int), np.zeros(3, int), np.ones((3, 1), bool))
    with pytest.raises(ValueError, match=r"heard must be integers.*float64"):
        lie_rate([0.0], [0], [True])


def test_paired_difference_is_by_episode():
    difference = paired_difference([0.5, 0.2, np.nan], [0.1, 0.3, 0.0])
    np.testing.assert_allclose(difference, [0.4, -0.1, np.nan])


def test_paired_difference_refuses_other_episodes():
    with pytest.raises(ValueError, match=r"same episodes; got \(3,\) and \(1,\)"):
        paired_difference([1.0, 2.0, 3.0], [1.0])


def test_informative_is_what_moves_a_belief_either_way():
    before = np.full((3, 2), 0.5)
    after = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]])
    assert informative(before, after).tolist() == [True, False, True]
    assert informative(before, after, least=0.4).tolist() == [False, False, False]
    with pytest.raises(ValueError, match="one shape"):
        informative(before, after[:2])
    with pytest.raises(ValueError, match="least must lie"):
        informative(before, after, least=2.0)


def test_omission_rate_counts_silence_and_no_lie():
    told = np.array([[True, False], [False, False], [True, False]])
    chance = np.array([[True, True], [True, False], [True, False]])
    np.testing.assert_allclose(omission_rate(told, chance), [1 / 3, 1.0])
    assert np.isnan(omission_rate(told[:, 0], np.zeros(3, bool)))
    with pytest.raises(ValueError, match="told must be a bool array"):
        omission_rate(told.astype(float), chance)


def test_bluff_rate_counts_claims_above_the_hand():
    claimed = np.array([[3, 1], [2, 1], [1, 1]])
    held = np.array([1, 1])
    weak = np.ones((3, 2), bool)
    np.testing.assert_allclose(bluff_rate(claimed, held, weak), [2 / 3, 0.0])
    with pytest.raises(ValueError, match="held must fit claimed"):
        bluff_rate(claimed, np.ones(3), weak)
    with pytest.raises(ValueError, match="counted value is NaN"):
        bluff_rate([np.nan], [1.0], [True])


def test_counterfactual_difference_is_paired():
    rng = np.random.default_rng(0)
    start = rng.normal(0, 10, 200)
    interval = counterfactual_difference(start + rng.normal(1.0, 0.1, 200), start)
    assert interval.low < 1.0 < interval.high and interval.high - interval.low < 0.1
    assert counterfactual_difference([1.0, np.nan], [0.0, 0.0]).n == 1
