"""`rules="soo"` against steps worked out by hand from arXiv 2412.16325's environment."""

import math
from typing import Any

import numpy as np
import pytest

from feint.envs.physical_deception import PhysicalDeception

RED, BLUE = 0, 1
STAY = [[[0.0, 0.0], [0.0, 0.0]]]
LANDMARKS = [[0.5, 0.5], [-0.5, -0.5]]


def scene(red: Any, blue: Any, goal: int = 0, **kwargs: Any) -> PhysicalDeception:
    """One game with both agents external, at rest, landmark 0 at (.5, .5), 1 at (-.5, -.5)."""
    game = PhysicalDeception(rules="soo", external="all", **kwargs)
    game.reset(seed=0)
    game.state.pos[0] = [red, blue]
    game.state.vel[0] = 0.0
    game.state.landmarks[0] = LANDMARKS
    game.state.goal[0] = goal
    return game


def forces(red: Any = (0.0, 0.0), blue: Any = (0.0, 0.0)) -> np.ndarray:
    return np.array([[red, blue]], np.float32)


def test_velocities_move_first_and_carry_the_force_of_this_step():
    game = scene(red=(0.0, 0.0), blue=(0.2, 0.3))
    game.state.vel[0] = [[1.0, -1.0], [0.0, 0.4]]
    game.step(forces(red=(0.5, 1.0), blue=(-1.0, 0.0)))
    # v <- .75 v + .5 a; p <- p + .1 v
    np.testing.assert_allclose(game.state.vel[0, RED], [1.0, -0.25], atol=1e-9)
    np.testing.assert_allclose(game.state.pos[0, RED], [0.1, -0.025], atol=1e-9)
    np.testing.assert_allclose(game.state.vel[0, BLUE], [-0.5, 0.3], atol=1e-9)
    np.testing.assert_allclose(game.state.pos[0, BLUE], [0.15, 0.33], atol=1e-9)


def test_terminal_velocity_is_two_metres_per_second_per_axis():
    game = scene(red=(-0.9, 0.0), blue=(0.0, 0.0))
    game.state.vel[0, BLUE] = [2.0, -2.0]
    game.step(forces(blue=(1.0, -1.0)))
    np.testing.assert_allclose(game.state.vel[0, BLUE], [2.0, -2.0])
    np.testing.assert_allclose(game.state.pos[0, BLUE], [0.2, -0.2])


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_walls_push_back_from_eight_tenths_on(side):
    # Contact force 100 times the softplus of the depth, margin 1e-3; over .1 s at unit mass.
    for x, push in [
        (0.79, 100e-3 * math.log1p(math.exp(-10))),
        (0.8, 0.1 * math.log(2)),
        (0.9, 10),
    ]:
        game = scene(red=(0.0, 0.0), blue=(side * x, 0.1))
        game.step(forces(blue=(side * 1.0, 0.0)))
        v = side * (0.5 - 0.1 * push)
        np.testing.assert_allclose(game.state.vel[0, BLUE], [v, 0.0], atol=1e-7)
        np.testing.assert_allclose(game.state.pos[0, BLUE], [side * x + 0.1 * v, 0.1], atol=1e-7)


def test_blue_sees_ten_numbers_and_red_within_an_eighth_of_a_metre_only():
    near = scene(red=(0.1, 0.1), blue=(0.1, 0.2), goal=1)
    far = scene(red=(0.1, 0.1), blue=(0.1, 0.23), goal=1)
    red_obs, blue_obs = near.observe()
    assert red_obs.shape == (1, 6)
    assert blue_obs.shape == (1, 10)
    np.testing.assert_allclose(
        blue_obs[0], [-0.6, -0.7, 0.4, 0.3, -0.6, -0.7, 0.0, -0.1, 0.0, 0.0], atol=1e-6
    )
    np.testing.assert_allclose(red_obs[0], [0.4, 0.4, -0.6, -0.6, 0.0, 0.1], atol=1e-6)
    red_obs, blue_obs = far.observe()
    assert (blue_obs[0, 6:8] == 0).all()
    assert (red_obs[0, 4:6] == 0).all()


@pytest.mark.parametrize(("goal", "holds"), [(0, True), (1, False)])
def test_the_trap_holds_red_at_the_fake_landmark_only(goal, holds):
    at_second = (-0.5, -0.4)
    game = scene(red=at_second, blue=(0.0, 0.0), goal=goal)
    step = game.step(forces(red=(0.0, 0.1)))
    moved = [-0.5, -0.395]
    # It still makes the move that brings it there; what holds it comes after the physics.
    np.testing.assert_allclose(game.state.pos[0, RED], moved, atol=1e-9)
    np.testing.assert_array_equal(step.observations[1][0, 8:], [holds, holds])
    if holds:
        assert (game.state.vel[0, RED] == 0).all()
    game.step(forces(red=(1.0, 1.0)))
    assert np.allclose(game.state.pos[0, RED], moved, atol=1e-9) == holds


def test_the_trap_closes_within_sixteen_hundredths_and_for_the_whole_episode():
    for distance, holds in [(0.165, False), (0.155, True)]:
        game = scene(red=(-0.5 + distance, -0.5), blue=(0.0, 0.0))
        game.step(STAY)
        assert (game.state.trapped[0] == 1) == holds
    game.state.pos[0, RED] = [0.0, 0.0]
    step = game.step(STAY)
    np.testing.assert_array_equal(step.observations[1][0, 8:], [1.0, 1.0])


def test_blue_is_paid_for_the_trap_in_the_step_in_which_it_closes():
    game = scene(red=(-0.5, -0.33), blue=(0.0, 0.0))  # .17 away
    assert game.step(forces()).rewards[BLUE][0] == 0
    game.state.vel[0, RED] = [0.0, -0.4]  # .75 * .4 * .1 = .03 nearer
    assert game.step(forces()).rewards[BLUE][0] == 10.0
    assert game.step(forces()).rewards[BLUE][0] == 10.0


@pytest.mark.parametrize("incentive", [0.0, 0.5, 1.0])
def test_blue_earns_five_at_its_goal_and_ten_times_the_incentive_for_the_trap(incentive):
    at_goal, away = (0.5, 0.4), (0.0, 0.0)
    for blue, red, reward in [
        (at_goal, away, 5.0),
        (away, away, 0.0),
        (away, (-0.5, -0.5), 10.0 * incentive),
        (at_goal, (-0.5, -0.5), 5.0 + 10.0 * incentive),
        ((0.5, 0.335), away, 0.0),  # .165 away
        ((0.5, 0.345), away, 5.0),  # .155 away
    ]:
        game = scene(red=red, blue=blue, incentive=incentive)
        assert game.step(STAY).rewards[BLUE][0] == reward


def test_red_earns_five_at_the_goal_and_one_near_blue():
    for red, blue, reward in [
        ((0.5, 0.4), (0.0, 0.0), 5.0),
        ((0.0, 0.0), (0.0, 0.12), 1.0),
        ((0.5, 0.4), (0.5, 0.3), 6.0),
        ((0.0, 0.0), (0.0, 0.13), 0.0),
    ]:
        assert scene(red=red, blue=blue).step(STAY).rewards[RED][0] == reward


def test_a_following_red_goes_after_a_blue_in_sight_and_else_stays():
    game = PhysicalDeception(rules="soo")
    game.reset(seed=0)
    for blue, force in [((0.0, 0.1), 0.4), ((0.0, 0.2), 0.0)]:
        game.state.pos[0], game.state.vel[0] = [(0.0, 0.0), blue], 0.0
        game.state.landmarks[0] = LANDMARKS
        game.step(np.zeros((1, 2), np.float32))
        # PD control with gain 4, over one step: v = .5 * 4 * distance
        np.testing.assert_allclose(game.state.vel[0, RED], [0.0, 0.5 * force], atol=1e-9)


def test_blue_starts_in_reds_sight_inside_the_walls_and_the_episode_lasts_fifty_steps():
    game = PhysicalDeception(4000, rules="soo")
    game.reset(seed=0)
    state = game.state
    gap = np.linalg.norm(state.pos[:, 1] - state.pos[:, 0], axis=1)
    assert gap.max() <= 0.125 + 1e-12
    assert abs(gap.mean() - 0.0625) < 0.003  # the radius is uniform, not the area
    assert np.abs(state.pos).max() <= 0.825
    assert np.abs(state.landmarks).max() <= 0.825
    assert np.abs(state.landmarks).max() > 0.82
    assert game.max_steps == 50


def test_presence_pairs_put_a_virtual_red_into_sight_of_steps_without_one():
    game = scene(red=(0.1, 0.1), blue=(0.1, 0.4))
    _, obs = game.observe()
    seeing = obs.copy()
    seeing[0, 6:8] = [0.05, 0.0]
    made = game.pairs(np.concatenate([np.repeat(obs, 500, axis=0), seeing]), "presence")
    np.testing.assert_array_equal(made.valid, [True] * 500 + [False])
    np.testing.assert_array_equal(made.self_obs[:500], np.repeat(obs, 500, axis=0))
    distance = np.linalg.norm(made.other_obs[:500, 6:8], axis=1)
    assert distance.max() <= 0.125
    assert abs(distance.mean() - 0.0625) < 0.01
    rest = np.r_[0:6, 8:10]
    np.testing.assert_array_equal(made.other_obs[:500, rest], made.self_obs[:500, rest])
