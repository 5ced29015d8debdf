"""The behavioural profile: hand-worked walks and counts."""

import numpy as np
import pytest

from feint.metrics.profile import behavioural_difference, detours, profile_counts


def walk(*places, goal=(1.0, 0.0), decoy=(0.0, 1.0)):
    """One game: goal and decoy as seen from each of blue's places, (steps, 1, 2)."""
    blue = np.array(places, float)[:, None]
    return np.array(goal) - blue, np.array(decoy) - blue


def records(*places, seen=True, alive=True, **landmarks):
    goal, decoy = walk(*places, **landmarks)
    return detours(goal, decoy, np.full(goal.shape[:2], seen), np.full(goal.shape[:2], alive))


def test_a_step_to_the_decoy_is_a_record_of_its_projection_and_the_angle():
    # From the origin goal and decoy stand at a right angle; the step is straight to the decoy.
    np.testing.assert_allclose(records((0, 0), (0, 0.1)), [[1.0, 0.0]], atol=1e-12)
    # 3-4-5: a step of (0.3, 0.4) projects 0.8 on the decoy's direction.
    np.testing.assert_allclose(records((0, 0), (0.3, 0.4)), [[0.8, 0.0]], atol=1e-12)
    opposite = records((0, 0), (-0.1, 0), decoy=(-1.0, 0.0))
    np.testing.assert_allclose(opposite, [[1.0, -1.0]], atol=1e-12)


@pytest.mark.parametrize(
    "places",
    [
        ((0, 0), (0.1, 0)),  # to the goal
        ((0, 0), (0.4, 0.3)),  # rather to the goal
        ((0, 0), (-0.1, -0.1)),  # away from both
        ((0, 0), (0, 0)),  # nowhere
    ],
)
def test_other_steps_are_no_records(places):
    assert records(*places).shape == (0, 2)


def test_steps_out_of_sight_or_after_the_end_are_no_records():
    assert len(records((0, 0), (0, 0.1), seen=False)) == 0
    goal, decoy = walk((0, 0), (0, 0.1), (0, 0.2))
    seen, alive = np.ones((3, 1), bool), np.ones((3, 1), bool)
    assert len(detours(goal, decoy, seen, alive)) == 2
    alive[2] = False
    assert len(detours(goal, decoy, seen, alive)) == 1
    seen[0] = False
    assert len(detours(goal, decoy, seen, alive)) == 0


def test_records_come_episode_by_episode():
    a, b = walk((0, 0), (0, 0.1), (0, 0.2)), walk((0, 0), (0.3, 0.4), (0.3, 0.5))
    goal, decoy = (np.concatenate([x, y], axis=1) for x, y in zip(a, b, strict=True))
    every = np.ones((3, 2), bool)
    np.testing.assert_allclose(detours(goal, decoy, every, every)[:3, 0], [1.0, 1.0, 0.8])


def test_counts_are_those_beyond_both_thresholds():
    # Thresholds: projection 0, 0.5, 1; cosine -1, 0, 1; both strict.
    counts = profile_counts([[0.75, -0.5], [0.5, 0.0], [1.0, 1.0]], grid=3)
    assert counts.tolist() == [[0, 1, 2], [0, 1, 1], [0, 0, 0]]
    rng = np.random.default_rng(0)
    many = np.stack([rng.random(500), rng.uniform(-1, 1, 500)], axis=1)
    phi, theta = np.linspace(0, 1, 100), np.linspace(-1, 1, 100)
    slow = [[((many[:, 0] > p) & (many[:, 1] < t)).sum() for t in theta] for p in phi]
    assert (profile_counts(many) == slow).all()


def test_the_difference_is_the_mean_square_over_the_grid():
    assert behavioural_difference([[0.75, -0.5]], np.empty((0, 2)), grid=3) == pytest.approx(4 / 9)
    assert behavioural_difference([[0.75, -0.5]], [[0.75, -0.5]]) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: profile_counts([0.5, 0.5]), r"records must be \(k, 2\)"),
        (lambda: profile_counts([[0.5, 0.5]], grid=1), "grid must be at least 2; got 1"),
        (lambda: detours([[0, 1]], [[0, 1]], [True], [True]), r"must both be \(steps, n, 2\)"),
        (
            lambda: detours(*walk((0, 0), (1, 1)), [[True]], [[True]]),
            r"in_sight and alive must be \(2, 1\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
