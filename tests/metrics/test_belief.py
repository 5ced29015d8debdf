import numpy as np
import pytest

from feint.metrics import MISLED_BELOW, cost_difference_belief, misled, misled_rate

GOAL, FAKE = np.array([1.0, 0.0]), np.array([-1.0, 0.0])
LANDMARKS = np.stack([GOAL, FAKE])


def norm(x):
    return np.linalg.norm(x, axis=-1)


def test_two_landmarks_give_the_sigmoid():
    rng = np.random.default_rng(0)
    start, landmarks = rng.normal(size=(8, 2)), rng.normal(size=(8, 2, 2))
    position, truth = rng.normal(size=(5, 8, 2)), rng.integers(2, size=8)
    goal, fake = landmarks[np.arange(8), truth], landmarks[np.arange(8), 1 - truth]
    towards_goal = norm(start - goal) - norm(position - goal)
    towards_fake = norm(start - fake) - norm(position - fake)
    expected = 1 / (1 + np.exp(-5 * (towards_goal - towards_fake)))
    belief = cost_difference_belief(start, position, landmarks, truth)
    assert belief.shape == (5, 8)
    np.testing.assert_allclose(belief, expected, rtol=1e-12)


def test_a_step_of_known_length_gives_a_known_belief():
    # 0.1 towards the goal is 0.1 away from the fake: sigmoid(5 * 0.2).
    belief = cost_difference_belief([0.0, 0.0], [0.1, 0.0], LANDMARKS, 0)
    assert belief == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_beliefs_over_all_landmarks_sum_to_one():
    rng = np.random.default_rng(1)
    start, position, landmarks = rng.normal(size=2), rng.normal(size=2), rng.normal(size=(4, 2))
    beliefs = [cost_difference_belief(start, position, landmarks, t) for t in range(4)]
    assert np.sum(beliefs) == pytest.approx(1)
    assert np.ptp(beliefs) > 0.01


def test_at_the_start_every_landmark_is_as_likely():
    belief = cost_difference_belief([0.3, 0.2], [0.3, 0.2], np.eye(3)[:, :2], 2)
    assert belief == pytest.approx(1 / 3)


def test_the_fake_landmark_misleads_and_the_goal_does_not():
    path = np.linspace(0, 1, 6)[:, None]
    start = np.zeros(2)
    for end, expected in ((GOAL, 0.0), (FAKE, 1.0)):
        belief = cost_difference_belief(start, path * end, LANDMARKS, 0)
        assert misled(belief)[1:].mean() == expected
        assert not misled(belief)[0]


def test_a_keener_observer_is_surer():
    near = cost_difference_belief([0.0, 0.0], GOAL / 4, LANDMARKS, 0, rate=1.0)
    assert cost_difference_belief([0.0, 0.0], GOAL / 4, LANDMARKS, 0, rate=5.0) > near > 0.5


def test_distant_landmarks_do_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        belief = cost_difference_belief([0.0, 0.0], [-500.0, 0.0], 1e3 * LANDMARKS, [0, 1])
    np.testing.assert_allclose(belief, [0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": [0.0, 0.0, 0.0]}, r"must be \(\.\.\., 2\).*\(3,\)"),
        ({"landmarks": [1.0, 0.0]}, r"\(\.\.\., L, 2\)"),
        ({"truth": 2}, r"truth must lie in 0\.\.1"),
        ({"truth": -1}, r"truth must lie in 0\.\.1"),
        ({"truth": 1.0}, "truth must be integers"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"rate": np.nan}, "rate must be positive"),
    ],
)
def test_the_observer_names_what_does_not_fit(change, message):
    arguments = {
        "start": [0.0, 0.0],
        "position": [0.1, 0.0],
        "landmarks": LANDMARKS,
        "truth": 0,
    } | change
    with pytest.raises(ValueError, match=message):
        cost_difference_belief(**arguments)


def test_misled_is_strictly_below_the_threshold():
    beliefs = [0.0, np.nextafter(0.4, 0), MISLED_BELOW, 1.0, np.nan]
    assert misled(beliefs).tolist() == [True, True, False, False, False]
    assert misled(0.5, threshold=0.6)


def test_misled_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match=r"probability.*got -3\.\.0\.5"):
        misled([-3.0, 0.5])
    for threshold in (0, 40, np.nan):
        with pytest.raises(ValueError, match=rf"threshold.*got {threshold}"):
            misled([0.5], threshold=threshold)


def test_misled_rate_counts_only_what_is_counted():
    belief = np.array([[0.1, 0.1, np.nan], [0.9, 0.1, 0.1], [0.1, 0.9, np.nan]])
    counted = np.array([[True, True, False], [True, False, False], [False, True, False]])
    np.testing.assert_array_equal(misled_rate(belief, counted), [0.5, 0.5, np.nan])


def test_misled_rate_refuses_an_unknown_belief_that_counts():
    with pytest.raises(ValueError, match="counted value is NaN"):
        misled_rate([[np.nan]], [[True]])
