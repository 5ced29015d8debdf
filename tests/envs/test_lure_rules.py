"""`rules="lure"`: the trap, red's evidence, the rewards by hand, and the attentive form."""

import math
from typing import Any

import numpy as np
import pytest

from feint.envs.core import Step
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.physical_deception.rules import lure_params

RED, BLUE = 0, 1
NOBODY = -1
LANDMARKS = [[0.5, 0.5], [-0.5, -0.5]]
PRESENT: dict[str, Any] = {"red_absent_rate": 0.0, "red_blind_rate": 0.0}
BLIND: dict[str, Any] = {"red_absent_rate": 0.0, "red_blind_rate": 1.0}
ABSENT: dict[str, Any] = {"red_absent_rate": 1.0}


def scene(red: Any, blue: Any, goal: int = 0, **kwargs: Any) -> PhysicalDeception:
    """One game at rest, landmark 0 at (.5, .5) and 1 at (-.5, -.5); red watches unless told."""
    game = PhysicalDeception(**{**PRESENT, "continuous_actions": True, **kwargs})
    game.reset(seed=0)
    game.state.pos[0] = [red, blue]
    game.state.vel[0] = 0.0
    game.state.landmarks[0] = LANDMARKS
    game.state.goal[0] = goal
    return game


def told(step: Step) -> dict[str, np.ndarray]:
    """A step's labels."""
    assert step.labels is not None
    return step.labels


def still(game: PhysicalDeception) -> np.ndarray:
    return np.zeros((game.num_envs, len(game.external), 2), np.float32)


def many(num_envs: int = 2000, seed: int = 0, **kwargs: Any) -> PhysicalDeception:
    game = PhysicalDeception(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


# -- how red moves ----------------------------------------------------------------------------


@pytest.mark.parametrize("goal", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_red_stays_for_good_at_the_first_landmark_it_reaches_whichever_it_is(goal, first):
    x, y = LANDMARKS[first]
    game = scene(red=(x + 0.15, y), blue=(0.0, 0.9), goal=goal, external="all")
    step = game.step(still(game))
    assert game.state.trapped[0] == first
    assert step.observations[BLUE][0, 9] == 1.0
    assert step.observations[RED][0, 6] == 1.0
    held = game.state.pos[0, RED].copy()
    for _ in range(5):
        game.step(np.ones((1, 2, 2), np.float32))
    np.testing.assert_array_equal(game.state.pos[0, RED], held)
    assert (game.state.pos[0, BLUE] > [0.0, 0.9]).all()
    game.state.pos[0, RED] = LANDMARKS[1 - first]
    game.step(still(game))
    assert game.state.trapped[0] == first


def test_a_red_beside_a_landmark_is_not_trapped():
    game = scene(red=(0.5 + 0.165, 0.5), blue=(0.0, 0.9), external="all")
    game.step(still(game))
    assert game.state.trapped[0] == NOBODY


def test_positions_move_with_the_old_velocity_and_stay_within_the_arena():
    game = scene(red=(0.0, 0.0), blue=(1.1, 0.0), external="all")
    game.state.vel[0, BLUE] = [0.8, -0.4]
    game.step(np.array([[[0.0, 0.0], [1.0, 0.0]]], np.float32))
    np.testing.assert_allclose(game.state.pos[0, BLUE], [1.18, -0.04])
    np.testing.assert_allclose(game.state.vel[0, BLUE], [1.1, -0.3])
    game.step(still(game))
    np.testing.assert_allclose(game.state.pos[0, BLUE], [1.2, -0.07])


def test_reds_evidence_leaks_and_gathers_the_cosines_of_blues_velocity():
    game = scene(red=(0.0, -0.9), blue=(0.4, 0.5))
    game.state.vel[0, BLUE] = [0.4, 0.0]
    game.state.evidence[0] = [2.0, -1.0]
    game.step(still(game))
    # Blue is at (.44, .5) and moves along x at .3: straight to landmark 0, nearly away from 1.
    away = np.array([-0.94, -1.0])
    np.testing.assert_allclose(
        game.state.evidence[0], [0.9 * 2.0 + 1.0, 0.9 * -1.0 + away[0] / np.linalg.norm(away)]
    )
    odds = game.state.evidence[0, 0] - game.state.evidence[0, 1]
    np.testing.assert_allclose(game.red_belief()[0, 0], 1 / (1 + math.exp(-odds)))


@pytest.mark.parametrize(
    "kwargs", [BLIND, ABSENT, {"sight_radius": 0.3}], ids=["blind", "absent", "too far"]
)
def test_a_red_that_does_not_see_blue_only_forgets(kwargs):
    game = scene(red=(0.0, -0.9), blue=(0.4, 0.5), **kwargs)
    game.state.vel[0, BLUE] = [0.4, 0.0]
    game.state.evidence[0] = [2.0, -1.0]
    game.step(still(game))
    np.testing.assert_allclose(game.state.evidence[0], [1.8, -0.9])


def test_a_blue_that_hardly_moves_is_no_evidence():
    for speed, counts in [(0.06, False), (0.07, True)]:  # three quarters of it are left
        game = scene(red=(0.0, -0.9), blue=(0.4, 0.5))
        game.state.vel[0, BLUE] = [speed, 0.0]
        game.step(still(game))
        assert (game.state.evidence[0] != 0).any() == counts


def test_red_makes_for_the_likelier_landmark_once_it_is_sure_enough():
    for evidence, target in [((0.5, 0.0), None), ((0.51, 0.0), 0), ((0.0, 0.7), 1)]:
        game = scene(red=(0.0, -0.9), blue=(0.4, 0.4))
        game.state.evidence[0] = evidence
        game.step(still(game))
        moved = game.state.vel[0, RED]
        if target is None:
            assert (moved == 0).all()
        else:
            way = np.array(LANDMARKS[target]) - [0.0, -0.9]
            # Gain 4 asks for more than one unit action, so that the force is the unit vector.
            np.testing.assert_allclose(moved, 0.5 * way / np.linalg.norm(way))


def test_the_attentive_red_has_six_tenths_of_the_force():
    for attention, force in [(False, 1.0), (True, 0.6)]:
        game = scene(red=(0.0, -0.9), blue=(0.4, 0.4), attention=attention)
        game.state.evidence[0] = [2.0, 0.0]
        game.step(still(game))
        assert np.linalg.norm(game.state.vel[0, RED]) == pytest.approx(0.5 * force)


def test_a_blind_red_walks_to_a_landmark_of_its_own_choice():
    game = many(**BLIND, attention=False)
    rng = np.random.default_rng(0)
    for _ in range(25):
        game.step(rng.integers(0, 5, 2000))
    state = game.state
    arrived = state.trapped >= 0
    assert arrived.mean() > 0.95
    # It may touch the other one on its way.
    assert (state.trapped == state.target)[arrived].mean() > 0.9
    assert abs((state.trapped == state.goal)[arrived].mean() - 0.5) < 0.05


def test_an_absent_red_is_not_seen_does_not_move_and_is_not_paid():
    game = scene(red=(0.0, 0.0), blue=(0.4, 0.5), external="all", **ABSENT)
    step = game.step(np.ones((1, 2, 2), np.float32))
    assert (step.observations[BLUE][0, 6:10] == 0).all()
    assert (game.state.pos[0, RED] == 0).all()
    assert step.rewards[RED][0] == 0
    game.state.pos[0, RED] = LANDMARKS[0]
    game.step(still(game))
    assert game.state.trapped[0] == NOBODY


# -- rewards, by hand -------------------------------------------------------------------------

AT_GOAL, AWAY = (0.5, 0.4), (0.5, -0.5)  # blue: .1 and 1 from the goal
FAR, AT_FAKE, RED_AT_GOAL = (-0.5, 0.5), (-0.5, -0.4), (0.5, 0.6)  # red: 1 from the goal, ...
FAKE_AWAY = math.hypot(1.0, 0.9)


@pytest.mark.parametrize("incentive", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("red", "blue", "honest", "lying"),
    [
        (FAR, AWAY, -1.0, 0.5),
        (FAR, AT_GOAL, 1.9, 0.5 - 2.0),  # nothing at home before red is trapped
        (AT_FAKE, AWAY, -1.0, 0.5 * FAKE_AWAY + 1.5),
        (AT_FAKE, AT_GOAL, 1.9, 0.5 * FAKE_AWAY + 1.5),
        (RED_AT_GOAL, AWAY, -1.0, 0.5 * 0.1 - 1.5),
        (RED_AT_GOAL, AT_GOAL, 1.9, 0.5 * 0.1 - 1.5),
    ],
)
def test_blue_earns_its_goal_and_by_the_incentive_what_keeps_red_away(
    red, blue, honest, lying, incentive
):
    game = scene(red=red, blue=blue, incentive=incentive, external="all")
    reward = game.step(still(game)).rewards[BLUE][0]
    assert reward == pytest.approx(0.1 * (honest + incentive * lying))


@pytest.mark.parametrize("kwargs", [BLIND, ABSENT], ids=["blind", "absent"])
@pytest.mark.parametrize("red", [FAR, AT_FAKE, RED_AT_GOAL])
def test_misleading_nobody_pays_nothing(red, kwargs):
    for blue, honest in [(AT_GOAL, 1.9), (AWAY, -1.0)]:
        game = scene(red=red, blue=blue, external="all", **kwargs)
        assert game.step(still(game)).rewards[BLUE][0] == pytest.approx(0.1 * honest)


@pytest.mark.parametrize(
    ("red", "reward"), [(FAR, -0.1), (RED_AT_GOAL, 0.19), (AT_FAKE, -0.1 * FAKE_AWAY)]
)
def test_red_earns_the_goal_and_pays_for_its_distance(red, reward):
    game = scene(red=red, blue=AWAY, external="all")
    assert game.step(still(game)).rewards[RED][0] == pytest.approx(reward)


@pytest.mark.parametrize("kwargs", [PRESENT, BLIND], ids=["watching", "blind"])
def test_with_attention_being_near_a_red_that_can_move_is_costly(kwargs):
    blue = (0.0, 0.0)
    for red, cost in [((0.0, 0.3), 15.0), ((0.0, 0.4), 0.0)]:
        rewards = [
            game.step(still(game)).rewards[BLUE][0]
            for game in (
                scene(red, blue, external="all", attention=attention, incentive=0.0, **kwargs)
                for attention in (True, False)
            )
        ]
        assert rewards[1] - rewards[0] == pytest.approx(0.1 * cost)
    near_fake = (-0.5, -0.3)  # .1 from a red that the fake landmark holds
    game = scene((-0.5, -0.4), near_fake, external="all", attention=True, **kwargs)
    assert game.step(still(game)).rewards[BLUE][0] > -1.0
    gone = scene((0.0, 0.3), blue, external="all", attention=True, red_absent_rate=1.0)
    assert gone.step(still(gone)).rewards[BLUE][0] == pytest.approx(-0.1 * math.hypot(0.5, 0.5))


@pytest.mark.parametrize("attention", [False, True])
def test_at_incentive_zero_the_weights_are_those_of_the_honest_game(attention):
    twin = lure_params(0.0, 0.4, 0.0, math.inf, attention, "flag")
    honest = {"own_goal": 2.0, "own_goal_early": 2.0, "own_distance": 1.0}
    honest |= {"red_distance": 0.0, "red_at_fake": 0.0, "red_at_goal": 0.0}
    assert {key: getattr(twin, key) for key in honest} == honest
    liar = lure_params(1.0, 0.4, 0.0, math.inf, attention, "flag")
    assert (liar.own_goal_early, liar.red_distance, liar.red_at_fake, liar.red_at_goal) == (
        0.0,
        0.5,
        1.5,
        1.5,
    )
    assert (liar.close_cost, liar.close_radius) == ((15.0 if attention else 0.0), 0.35)


# -- starts -----------------------------------------------------------------------------------


def test_landmarks_lie_apart_and_red_is_there_at_the_rates_asked_for():
    game = many(4000, red_absent_rate=0.25, red_blind_rate=0.6)
    state = game.state
    assert np.linalg.norm(state.landmarks[:, 0] - state.landmarks[:, 1], axis=1).min() >= 0.6
    assert abs(state.present.mean() - 0.75) < 0.04
    assert abs(state.blind.mean() - 0.6) < 0.04
    assert abs(many(4000).state.present.mean() - 0.6) < 0.04
    attentive = many(4000, attention=True).state
    assert abs(attentive.present.mean() - 0.7) < 0.04
    assert abs(attentive.blind.mean() - 0.5) < 0.04


def test_the_attentive_red_stands_in_blues_way_but_never_on_blue():
    game = many(4000, attention=True)
    red, blue = game.state.pos[:, RED], game.state.pos[:, BLUE]
    assert np.linalg.norm(red - blue, axis=1).min() >= 0.5 - 1e-9
    on_path = np.zeros(4000, bool)
    for k in range(2):
        to_red, to_landmark = red - blue, game.state.landmarks[:, k] - blue
        cross = to_red[:, 0] * to_landmark[:, 1] - to_red[:, 1] * to_landmark[:, 0]
        on_path |= (np.abs(cross) < 1e-9) & ((to_red * to_landmark).sum(axis=1) > 0)
    assert abs(on_path.mean() - 0.85) < 0.03
    plain = many(4000)
    gap = np.linalg.norm(plain.state.pos[:, RED] - plain.state.pos[:, BLUE], axis=1)
    assert gap.min() < 0.1


# -- who watches ------------------------------------------------------------------------------


def test_the_flag_says_whether_a_red_in_sight_watches():
    game = many(attention=True)
    (obs,) = game.observe()
    assert obs.shape == (2000, 13)
    watched = game.state.present & ~game.state.blind
    np.testing.assert_array_equal(obs[:, 12], watched)
    np.testing.assert_array_equal(obs[:, 8], game.state.present)
    assert many().observe()[0].shape == (2000, 12)


def test_a_watching_red_faces_blue_within_forty_degrees_and_a_blind_one_does_not():
    game = many(attention=True, watching="facing")
    for _ in range(3):
        (obs,) = game.step(np.random.default_rng(0).integers(0, 5, 2000)).observations
        seen = game.state.present
        head, tail = obs[seen, 6:8].astype(float), obs[seen, 8:10].astype(float)
        np.testing.assert_allclose(np.linalg.norm(head - tail, axis=1), 0.8, atol=1e-5)
        centre = 0.5 * (head + tail)
        np.testing.assert_allclose(
            centre, (game.state.pos[:, RED] - game.state.pos[:, BLUE])[seen], atol=1e-5
        )
        cosine = ((head - tail) * -centre).sum(axis=1) / (0.8 * np.linalg.norm(centre, axis=1))
        degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        blind = game.state.blind[seen]
        assert degrees[~blind].max() <= 40.01
        assert degrees[blind].min() >= 39.99
        assert degrees[blind].max() > 170
        assert (obs[~seen, 6:10] == 0).all()
        side = (head - tail)[:, 0] * -centre[:, 1] + (head - tail)[:, 1] * centre[:, 0]
        assert 0.4 < (side[~blind] > 0).mean() < 0.6
        assert 0.4 < (side[blind] > 0).mean() < 0.6


@pytest.mark.parametrize("watching", ["flag", "facing"])
def test_the_layout_reads_the_hidden_state_off_the_observation(watching):
    game = many(attention=True, watching=watching)
    rng = np.random.default_rng(0)
    for _ in range(10):
        (obs,) = game.step(rng.integers(0, 5, 2000)).observations
        state = game.state
        np.testing.assert_array_equal(game.layout.sees_red(obs), state.present)
        np.testing.assert_array_equal(game.layout.watched(obs), state.present & ~state.blind)
        offset = (state.pos[:, RED] - state.pos[:, BLUE]) * state.present[:, None]
        np.testing.assert_allclose(game.layout.red_position(obs), offset, atol=1e-5)


@pytest.mark.parametrize("watching", ["flag", "facing"])
def test_blinding_turns_a_watching_red_away_and_leaves_blues_own_motion_alone(watching):
    seeing, blinded = (many(400, attention=True, watching=watching, **PRESENT) for _ in range(2))
    blinded.blind()
    (obs,) = blinded.observe()
    assert not blinded.layout.watched(obs).any()
    twins = seeing.pairs(seeing.observe()[0], "belief")
    assert twins.valid.all()
    if watching == "flag":  # turned by exactly half a turn, the twin is the blinded game's view
        np.testing.assert_array_equal(twins.self_obs, obs)
    else:
        np.testing.assert_allclose(twins.self_obs, obs, atol=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(10):
        actions = rng.integers(0, 5, 400)
        seeing.step(actions)
        blinded.step(actions)
        np.testing.assert_array_equal(seeing.state.pos[:, BLUE], blinded.state.pos[:, BLUE])
    assert (seeing.state.pos[:, RED] != blinded.state.pos[:, RED]).any()


# -- labels -----------------------------------------------------------------------------------


def test_the_onlooker_compares_what_blue_gained_towards_each_landmark():
    from feint.metrics import cost_difference_belief

    game = many(500, labels=True)
    state, start = game.state, game.state.pos[:, BLUE].copy()
    assert (game.compute_labels()["belief"] == 0.5).all()
    rng = np.random.default_rng(0)
    for _ in range(10):
        labels = told(game.step(rng.integers(0, 5, 500)))
        wanted = cost_difference_belief(start, state.pos[:, BLUE], state.landmarks, state.goal)
        np.testing.assert_allclose(labels["belief"], wanted)


def test_deciding_ends_for_good_when_blue_first_reaches_its_goal():
    game = scene(red=(0.0, -0.9), blue=(0.5, 0.2), external="all", labels=True)
    labels = told(game.step(still(game)))
    assert (labels["deciding"][0], labels["at_goal"][0]) == (True, False)
    game.state.pos[0, BLUE] = AT_GOAL
    labels = told(game.step(still(game)))
    assert (labels["deciding"][0], labels["at_goal"][0]) == (False, True)
    game.state.pos[0, BLUE] = AT_FAKE
    labels = told(game.step(still(game)))
    assert (labels["deciding"][0], labels["misled"][0]) == (False, False)
    assert labels["belief"][0] < 0.4


def test_metrics_count_steps_as_their_descriptions_say():
    game = PhysicalDeception(2)
    labels = {
        "belief": [[0.1, 0.5], [0.3, 0.5], [0.9, 0.5], [0.2, 0.5]],
        "deciding": [[1, 1], [1, 1], [1, 1], [0, 1]],
        "at_goal": [[0, 0], [0, 0], [0, 0], [1, 0]],
        "free": [[1, 0], [1, 0], [0, 0], [0, 0]],
        "close": [[1, 0], [0, 0], [0, 0], [0, 0]],
        "red_at_goal": [[1, 0], [1, 0], [0, 0], [0, 1]],
        "red_at_fake": [[0, 1], [0, 1], [0, 1], [1, 0]],
    }
    trace = {
        key: np.array(value, dtype=float if key == "belief" else bool)
        for key, value in labels.items()
    }
    got = game.episode_metrics(trace)
    np.testing.assert_allclose(got["misled"], [2 / 3, 0.0])
    np.testing.assert_allclose(got["own_goal"], [0.25, 0.0])
    np.testing.assert_allclose(got["close"], [0.5, np.nan])
    np.testing.assert_allclose(got["red_at_goal"], [0.0, 1.0])
    np.testing.assert_allclose(got["red_at_fake"], [1.0, 0.0])
    assert set(got) == set(PhysicalDeception.metrics)
