"""Scores of paths: by hand, against other formulas, and the RMP theorem against enumeration."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import dijkstra

from feint.metrics import (
    cost_difference_belief,
    cost_differences,
    deceptive_density,
    deceptive_extent,
    deceptive_magnitude,
    goal_posterior,
    last_deceptive_point,
    radius_of_maximum_probability,
    score_path,
    truthful_nodes,
)

# A corridor with goal 0 at its left end, goal 1 at its right, 8 cells apart; from the middle two
# cells to the right, back, and on to goal 0. Costs to goal 0, by node:
WALK = np.array([4, 5, 6, 5, 4, 3, 2, 1, 0])
COSTS = np.stack([WALK, 8 - WALK], axis=1).astype(float)


def grid(rng: np.random.Generator, diagonal: bool) -> np.ndarray:
    """All-pairs costs of the free cells of a random 7 by 7 map that can reach each other."""
    side = 7
    free = rng.random((side, side)) > 0.25
    edges = {}
    for r, c in np.argwhere(free):
        for dr, dc in [(0, 1), (1, 0), *([(1, 1), (1, -1)] if diagonal else [])]:
            y, x = r + dr, c + dc
            inside = 0 <= y < side and 0 <= x < side
            if inside and free[y, x] and free[y, c] and free[r, x]:
                edges[r * side + c, y * side + x] = np.hypot(dr, dc)
    graph = scipy.sparse.coo_array(
        (list(edges.values()), tuple(zip(*edges, strict=True))), shape=(side**2, side**2)
    )
    costs = dijkstra(graph.tocsr(), directed=False)
    largest = np.isfinite(costs).sum(axis=0).argmax()
    kept = np.flatnonzero(np.isfinite(costs[largest]))
    return costs[np.ix_(kept, kept)]


# -- the posterior ----------------------------------------------------------------------------


def test_the_exponential_posterior_is_the_softmax_written_down():
    # From (6, 6, 6) to (5, 7, 6): weights exp(b), exp(-b), 1 with b = 0.5.
    weights = np.exp([0.5, -0.5, 0.0])
    belief = goal_posterior([6, 6, 6], [5, 7, 6], beta=0.5)
    np.testing.assert_allclose(belief, weights / weights.sum())
    weights *= [0.2, 0.3, 0.5]
    belief = goal_posterior([6, 6, 6], [5, 7, 6], beta=0.5, prior=[0.2, 0.3, 0.5])
    np.testing.assert_allclose(belief, weights / weights.sum())


def test_the_logistic_posterior_is_the_papers_formula():
    # One step taken, so the cost differences are 1 + 5 - 6 = 0 and 1 + 7 - 6 = 2.
    np.testing.assert_allclose(cost_differences([6, 6], [5, 7], spent=1.0), [0.0, 2.0])
    likelihood = np.exp([0.0, -2.0]) / (1 + np.exp([0.0, -2.0]))
    belief = goal_posterior([6, 6], [5, 7], spent=1.0, recogniser="logistic")
    np.testing.assert_allclose(belief, likelihood / likelihood.sum())
    node = np.exp([1.0, -1.0]) / (1 + np.exp([1.0, -1.0]))
    belief = goal_posterior([6, 6], [5, 7], recogniser="logistic")
    np.testing.assert_allclose(belief, node / node.sum())


def test_only_the_logistic_posterior_depends_on_what_was_spent():
    start, here = np.array([6.0, 5.0]), np.array([4.0, 5.0])
    plain = goal_posterior(start, here)
    np.testing.assert_allclose(goal_posterior(start, here, spent=9.0), plain)
    first, later = (goal_posterior(start, here, spent=s, recogniser="logistic") for s in (2, 9))
    assert abs(first - later).max() > 0.05
    np.testing.assert_allclose(later, plain, atol=1e-2)  # far from 0 the logistic is exponential


def test_straight_lines_give_the_belief_by_cost_difference():
    rng = np.random.default_rng(0)
    start, place, goals = rng.normal(size=2), rng.normal(size=(9, 2)), rng.normal(size=(3, 2))
    costs = np.linalg.norm(place[:, None] - goals, axis=-1)
    belief = goal_posterior(np.linalg.norm(start - goals, axis=-1), costs, beta=5.0)
    for g in range(3):
        wanted = cost_difference_belief(start, place, goals, g, rate=5.0)
        np.testing.assert_allclose(belief[:, g], wanted)


def test_recognisers_and_betas_rank_goals_alike():
    rng = np.random.default_rng(1)
    start, here = rng.uniform(1, 9, 4), rng.uniform(1, 9, (200, 4))
    ranks = [
        goal_posterior(start, here, beta, recogniser=kind).argsort(axis=-1)
        for beta in (0.1, 1.0)
        for kind in ("exponential", "logistic")
    ]
    assert all((rank == ranks[0]).all() for rank in ranks)


def test_a_goal_out_of_reach_is_ruled_out_and_large_costs_do_not_overflow():
    np.testing.assert_allclose(goal_posterior([3, 3], [2, np.inf]), [1.0, 0.0])
    assert not truthful_nodes([3, 3], [np.inf, 2], 0)
    for kind in ("exponential", "logistic"):
        belief = goal_posterior([1e5, 1.0], [1.0, 1e5], recogniser=kind, spent=1e5)
        np.testing.assert_allclose(belief, [1.0, 0.0], atol=1e-12)


# -- measures ---------------------------------------------------------------------------------


def test_a_walk_in_a_corridor_has_the_scores_counted_by_hand():
    # Nodes 0 to 4 are at or right of the middle; from node 5 on goal 0 is the likelier.
    truthful = truthful_nodes(COSTS[0], COSTS, 0)
    np.testing.assert_array_equal(truthful, [False] * 5 + [True] * 4)
    score = score_path(COSTS, 0, beta=0.5)
    assert score.last_deceptive_point == 4
    assert score.extent == score.share == 0.0  # back where it began
    assert score.truthful_steps == 4
    assert score.density == 0.5
    # The odds against goal 0 are exp(2 b (cost - 4)); the lean is tanh of half of that.
    lean = np.tanh(0.5 * (WALK[1:] - 4))
    assert score.magnitude == pytest.approx(lean.mean())


def test_the_other_goal_sees_the_same_walk_the_other_way_round():
    score = score_path(COSTS, 1)
    assert score.last_deceptive_point == 8  # at the wrong end
    assert score.extent == -4.0  # further off than the start
    assert score.share == -1.0
    assert score.truthful_steps == 3
    assert score.density == 5 / 8


def test_extent_is_measured_by_what_is_left_and_not_by_what_was_walked():
    # Of 10 to go, 3 are left at the last deceptive node; a loop before it changes nothing.
    left, truthful = np.array([10, 9, 6, 3, 2, 0]), np.array([0, 0, 1, 0, 1, 1], bool)
    assert last_deceptive_point(truthful) == 3
    assert deceptive_extent(left, truthful) == 7
    loop = np.array([0, 1, 2, 1, 2, 3, 4, 5])
    assert deceptive_extent(left[loop], truthful[loop]) == 7
    assert deceptive_density(truthful) == pytest.approx(2 / 5)


def test_a_path_without_deceptive_nodes_has_no_last_one():
    assert last_deceptive_point(np.ones(4, bool)) == -1
    assert deceptive_extent(np.arange(4.0), np.ones(4, bool)) == 0.0
    assert np.isnan(deceptive_density(np.zeros(1, bool)))


def test_a_batch_of_paths_of_any_length_scores_each_as_alone():
    rng = np.random.default_rng(2)
    costs, truth = rng.integers(1, 9, (12, 20, 3)).astype(float), rng.integers(3, size=20)
    length = rng.integers(2, 13, 20)
    alive = np.arange(12)[:, None] < length
    batch = score_path(costs, truth, alive=alive)
    for j in range(20):
        alone = score_path(costs[: length[j], j], truth[j])
        for name, value in vars(alone).items():
            np.testing.assert_allclose(getattr(batch, name)[j], value, err_msg=name)


# -- the theorem ------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal", [False, True])
def test_within_the_radius_and_only_there_nobody_can_hide(diagonal):
    rng = np.random.default_rng(3)
    for _ in range(60):
        costs = grid(rng, diagonal)
        start, *goals = rng.choice(len(costs), 4, replace=False)
        to_goals = costs[:, goals]
        for truth in range(3):
            radius, decoy = radius_of_maximum_probability(
                to_goals[start], costs[np.ix_(goals, goals)], truth
            )
            assert decoy != truth
            posterior = goal_posterior(to_goals[start], to_goals, beta=0.3)
            rivals = np.delete(posterior, truth, axis=1).max(axis=1)
            likeliest = posterior[:, truth] > rivals * (1 + 1e-9)
            left = to_goals[:, truth]
            assert likeliest[left < radius - 1e-9].all()
            best = costs[goals[decoy]] + left  # least on the best ways from the decoy
            on_way = best <= best.min() + 1e-9
            assert not likeliest[on_way & (left >= radius - 1e-9)].any()
            np.testing.assert_array_equal(
                truthful_nodes(to_goals[start], to_goals, truth), likeliest
            )


def test_the_radius_of_a_corridor_is_half_way_between_the_goals():
    assert radius_of_maximum_probability([4, 4], [[0, 8], [8, 0]], 0) == (4.0, 1)
    # A start two nearer to the goal leaves less to hide: (2 + 8 - 6) / 2.
    assert radius_of_maximum_probability([2, 6], [[0, 8], [8, 0]], 0) == (2.0, 1)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: goal_posterior([1, 2], [1, 2], beta=0), "beta"),
        (lambda: goal_posterior([1, 2], [1, 2], beta=float("nan")), "beta"),
        (lambda: goal_posterior([1, 2], [1, 2], recogniser="psychic"), "recogniser"),  # pyright: ignore
        (lambda: goal_posterior([1, 2], [1, 2], prior=[1.0]), "prior"),
        (lambda: goal_posterior([1, 2], [1, 2], prior=[1.0, 0.0]), "prior"),
        (lambda: goal_posterior([1, np.inf], [1, 2]), "start_costs"),
        (lambda: goal_posterior([1, 2], [1, -2]), "costs"),
        (lambda: goal_posterior([1, 2], [1, 2, 3]), "same goals"),
        (lambda: truthful_nodes([1, 2], [1, 2], 2), "truth"),
        (lambda: truthful_nodes([1, 2], [1, 2], 0.0), "truth"),
        (lambda: last_deceptive_point([0, 1]), "truthful"),
        (lambda: last_deceptive_point([False], alive=[1]), "alive"),
        (lambda: deceptive_extent([1.0, 2.0], [False]), "costs_to_truth"),
        (lambda: deceptive_magnitude([[0.5, 0.5]], -1), "truth"),
        (lambda: radius_of_maximum_probability([1, 2], [[0, 1], [2, 0]], 0), "symmetric"),
        (lambda: radius_of_maximum_probability([1, 2], [[0, 1, 2]], 0), "goal_costs"),
        (lambda: radius_of_maximum_probability([1, 2], [[0, 1], [1, 0]], 2), "truth"),
        (lambda: score_path([1.0, 2.0], 0), "costs"),
    ],
)
def test_a_bad_argument_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
