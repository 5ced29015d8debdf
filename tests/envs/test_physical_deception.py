"""PhysicalDeception's arguments, actions, opponents and pairs, whatever the rules."""

import itertools
from typing import Any, get_args

import numpy as np
import pytest

from feint.envs.core import Autoreset, Step
from feint.envs.mlp import MLP
from feint.envs.physical_deception import PhysicalDeception, PhysicalDeceptionEnv

NAN, INF = float("nan"), float("inf")
NUMBERS = [NAN, INF, -INF, "half", None, True, [0.5]]
DEFAULTS: list[dict[str, Any]] = [
    {},
    {"attention": True},
    {"rules": "mpe"},
    {"rules": "soo"},
]
ALL_RULES: list[dict[str, Any]] = [
    {},
    {"attention": True},
    {"attention": True, "watching": "facing"},
    {"rules": "mpe", "num_good": 3},
    {"rules": "soo"},
]


def made(num_envs: int = 64, seed: int = 0, **kwargs: Any) -> PhysicalDeception:
    game = PhysicalDeception(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


# -- one call for a step ------------------------------------------------------------------------


class Listens:
    """A mixin over one part of the step."""

    def _advance(self, actions, active):
        self.heard = True
        return super()._advance(actions, active)  # pyright: ignore[reportAttributeAccessIssue]


class InParts(Listens, PhysicalDeception):
    pass


def arrays(step: Step) -> list[np.ndarray]:
    final = () if step.final is None else (step.final.games, *step.final.observations)
    return [*step.observations, *step.rewards, step.terminated, step.truncated, *final]


@pytest.mark.parametrize("autoreset", get_args(Autoreset))
@pytest.mark.parametrize("kwargs", [{}, {"rules": "mpe"}])
def test_a_step_in_one_call_is_the_step_in_the_parts_that_a_subclass_may_change(kwargs, autoreset):
    kwargs = {"external": "all", "max_episode_steps": 5, "autoreset": autoreset, **kwargs}
    whole, parts, rng = made(**kwargs), InParts(64, **kwargs), np.random.default_rng(0)
    parts.reset(seed=0)
    for step in range(14):
        if step == 2 or autoreset == "disabled":
            mask = whole.clock.done | ((np.arange(64) % 3 == 0) & (step == 2))
            for game in (whole, parts):
                game.reset(mask=mask)
        size = (64, len(whole.agents))
        actions = rng.uniform(-1, 1, (*size, 2)) if whole.continuous else rng.integers(5, size=size)
        for one, other in zip(
            arrays(whole.step(actions)), arrays(parts.step(actions)), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert parts.heard
    ended = parts.snapshot()
    assert all(np.array_equal(value, ended[key]) for key, value in whole.snapshot().items())


# -- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(["num_envs"], [0, -1, 1.5, *NUMBERS]),
        *itertools.product(["rules"], ["chess", "", None, 3, NAN, ["mpe"]]),
        *itertools.product(["num_good"], [0, -1, 1.5, NAN, "two", True]),
        *itertools.product(["continuous_actions"], [0, 1, "yes", NAN, 1.0]),
        *itertools.product(["incentive"], [-0.1, 1.1, *NUMBERS]),
        *itertools.product(["red"], ["kasparov", 1, NAN, ["bayes"]]),
        *itertools.product(["red_absent_rate", "red_blind_rate"], [-0.1, 1.1, NAN, "half", True]),
        *itertools.product(["attention"], [0, 1, None, "yes"]),
        *itertools.product(["watching"], ["eyes", None, 1, ["flag"]]),
        *itertools.product(["sight_radius"], [0, 0.0, -1.0, NAN, INF, "far", True]),
        *itertools.product(["agent"], ["agent_1", "red", None, 0]),
        *itertools.product(
            ["opponents"],
            [{"agent_7": len}, {"adversary_0": 3}, [len], len, {3: len}],
        ),
        *itertools.product(["max_episode_steps"], [0, -5, 2.5, NAN, "long", True]),
        *itertools.product(["external"], [(), ("adversary_0",) * 2, 3, (3,), "nobody", {"a": 1}]),
        *itertools.product(["labels"], [1, None, "yes"]),
        *itertools.product(["autoreset"], ["never", None, 1, ["freeze"]]),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        PhysicalDeception(**{name: value})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"attention": True, "rules": "mpe"}, "attention=True needs rules='lure'"),
        ({"attention": True, "rules": "soo"}, "attention=True needs rules='lure'"),
        ({"watching": "facing"}, "watching='facing' needs attention=True"),
        ({"num_good": 2}, "num_good > 1 needs rules='mpe'"),
        ({"num_good": 2, "rules": "soo"}, "num_good > 1 needs rules='mpe'"),
        ({"red": "learned"}, "red='learned' and red_policy='....npz' go together"),
        ({"red_policy": "red.npz"}, "red='learned' and red_policy='....npz' go together"),
        ({"red": "learned", "red_policy": "nowhere.npz"}, "red_policy: .*nowhere.npz"),
        ({"red": "learned", "red_policy": 3}, "red_policy: "),
    ],
)
def test_contradictory_arguments_are_named(kwargs: Any, message):
    with pytest.raises(ValueError, match=message):
        PhysicalDeception(**kwargs)


def test_defaults_follow_the_rules():
    lure, attentive, mpe, soo = (PhysicalDeception(**kwargs) for kwargs in DEFAULTS)
    assert [g.max_steps for g in (lure, attentive, mpe, soo)] == [25, 30, 25, 50]
    assert [g.continuous for g in (lure, attentive, mpe, soo)] == [False, False, False, True]
    assert [len(g.agents) for g in (lure, attentive, mpe, soo)] == [2, 2, 3, 2]
    names = [g.default_pairs for g in (lure, attentive, mpe, soo)]
    assert names == ["presence", "belief", "presence", "presence"]


# -- actions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "actions",
    [[0, 1, 5], [0, -1, 2], [0, 1], [[0, 1, 2]], [0.0, 1.0, 2.0], [2**63, 0, 0], "abc", None],
)
@pytest.mark.parametrize("rules", ["lure", "mpe"])
def test_illegal_moves_raise_and_change_nothing(rules, actions):
    game = made(3, rules=rules)
    assert_refused(game, np.array(actions))


@pytest.mark.parametrize("move", [-1, 5, 8, -3, 2**62, 2**63 - 1, -(2**63)])
def test_an_illegal_move_among_everybodys_raises_and_changes_nothing(move):
    game = made(3, rules="mpe", external="all")
    assert_refused(game, np.array([[0, 1, 2], [3, 4, move], [0, 0, 0]]))


@pytest.mark.parametrize("rules", ["lure", "mpe", "soo"])
def test_the_order_in_which_agents_are_moved_changes_nothing(rules):
    one = made(64, rules=rules, continuous_actions=False, external="all")
    other = made(64, rules=rules, continuous_actions=False, external=one.agents[::-1])
    rng = np.random.default_rng(0)
    for _ in range(12):
        actions = rng.integers(5, size=(64, len(one.agents)))
        one.step(actions)
        other.step(actions[:, ::-1])
    moved = other.snapshot()
    assert all(np.array_equal(value, moved[key]) for key, value in one.snapshot().items())


@pytest.mark.parametrize(
    "action",
    [[1.1, 0.0], [0.0, -1.1], [NAN, 0.0], [INF, 0.0], [0.0], [0.0, 0.0, 0.0], ["a", "b"], 0.0],
)
@pytest.mark.parametrize("rules", ["lure", "soo"])
def test_illegal_forces_raise_and_change_nothing(rules, action):
    game = made(3, rules=rules, continuous_actions=True)
    assert_refused(game, np.array([[0.0, 0.0], [0.0, 0.0], action], dtype=object).astype(object))
    if np.shape(action) == (2,) and not isinstance(action[0], str):
        assert_refused(game, np.array([[0.0, 0.0], [0.0, 0.0], action]))


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN])
def test_mpes_five_numbers_lie_in_zero_to_one(value):
    game = made(2, rules="mpe", continuous_actions=True)
    actions = np.full((2, 5), 0.5)
    game.step(actions)
    actions[1, 4] = value
    assert_refused(game, actions)


def assert_refused(game: PhysicalDeception, actions: Any) -> None:
    before = game.snapshot()
    with pytest.raises(ValueError, match="actions"):
        game.step(actions)
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, before[key])


def test_forces_on_the_bounds_are_legal_in_single_precision():
    game = made(2, rules="soo")
    game.step(np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32))
    assert np.isfinite(game.state.pos).all()


# -- who plays --------------------------------------------------------------------------------


def test_an_opponent_sees_reds_view_and_moves_red():
    seen = []

    def flee(obs: np.ndarray) -> np.ndarray:
        seen.append(obs)
        return np.full(len(obs), 1)

    game = made(16, opponents={"adversary_0": flee}, red_absent_rate=0.0)
    (before,) = (game.observe_agent("adversary_0"),)
    game.step(np.zeros(16, int))
    np.testing.assert_array_equal(seen[0], before)
    np.testing.assert_allclose(game.state.vel[:, 0], np.tile([-0.5, 0.0], (16, 1)))


@pytest.mark.parametrize(
    "answer", [np.zeros(3, int), np.zeros(16), np.full(16, 5), np.full(16, -1), None]
)
def test_an_opponent_that_answers_nonsense_is_named(answer):
    game = made(16, opponents={"adversary_0": lambda obs: answer})
    with pytest.raises(ValueError, match=r"opponents\['adversary_0'\]"):
        game.step(np.zeros(16, int))


@pytest.mark.parametrize("answer", [np.full((4, 2), NAN), np.full((4, 2), 1.5), np.zeros((4, 3))])
def test_an_opponent_that_answers_impossible_forces_is_named(answer):
    game = made(4, opponents={"adversary_0": lambda obs: answer}, rules="soo")
    with pytest.raises(ValueError, match=r"opponents\['adversary_0'\]"):
        game.step(np.zeros((4, 2)))


def test_the_caller_may_play_red_and_blue_then_plays_itself():
    game = made(200, agent="adversary_0", red_absent_rate=0.0)
    (obs,) = game.observe()
    assert obs.shape == (200, 9)
    for _ in range(25):
        (obs,) = game.step(np.zeros(200, int)).observations
    goal = np.take_along_axis(game.state.landmarks, game.state.goal[:, None, None], axis=1)[:, 0]
    assert (game.state.arrived[:, 0]).mean() > 0.9  # the scripted blue walks to the goal
    assert goal.shape == (200, 2)
    for call in (
        lambda: game.pairs(obs, "presence"),
        lambda: game.mask_other(obs),
        lambda: game.scripted("random", obs, np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match="observations must be blue's"):
            call()


def network(inputs: int, outputs: int, discrete: bool) -> MLP:
    rng = np.random.default_rng(0)
    shapes = [(inputs, 8), (8, outputs)]
    return MLP(
        [rng.normal(size=shape) for shape in shapes],
        [rng.normal(size=shape[1]) for shape in shapes],
        discrete=discrete,
    )


@pytest.mark.parametrize(
    ("kwargs", "inputs"),
    [
        ({}, 9),
        ({"continuous_actions": True}, 9),
        ({"rules": "soo"}, 6),
        ({"rules": "mpe", "num_good": 2}, 8),
        ({"rules": "mpe", "num_good": 2, "continuous_actions": True}, 8),
    ],
)
def test_a_learned_red_plays_what_its_network_says(tmp_path, kwargs, inputs):
    path = str(tmp_path / "red.npz")
    game = PhysicalDeception(1, **kwargs)
    net = network(inputs, 2 if game.continuous else 5, not game.continuous)
    net.save(path)
    game = made(8, red="learned", red_policy=path, red_absent_rate=0.0, **kwargs)
    chosen = net.act(game.observe_agent("adversary_0"))
    space = game.action_space(game.focal)
    space.seed(0)
    game.step(np.stack([space.sample() for _ in range(8)]))
    moves = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
    force = chosen if game.continuous else moves[chosen]
    np.testing.assert_allclose(game.state.vel[:, 0], 0.5 * force, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (network(8, 5, True), "8 inputs and 5 outputs"),
        (network(9, 2, True), "9 inputs and 2 outputs"),
        (network(9, 5, False), "continuous actions"),
    ],
)
def test_a_network_for_another_game_is_refused(tmp_path, net, message):
    path = str(tmp_path / "red.npz")
    net.save(path)
    with pytest.raises(ValueError, match=message):
        PhysicalDeception(red="learned", red_policy=path)


# -- pairs ------------------------------------------------------------------------------------


def observed(**kwargs: Any) -> tuple[PhysicalDeception, np.ndarray]:
    game = made(256, **kwargs)
    space = game.action_space(game.focal)
    space.seed(0)
    rows = [game.observe()[0]]
    for _ in range(4):
        actions = np.stack([np.asarray(space.sample()) for _ in range(256)])
        rows.append(game.step(actions).observations[0])
    return game, np.concatenate(rows)


def columns_that_differ(pairs: Any) -> set[int]:
    differ = (pairs.self_obs != pairs.other_obs)[pairs.valid].any(axis=0)
    return set(np.flatnonzero(differ).tolist())


@pytest.mark.parametrize("kwargs", ALL_RULES[:4])
def test_the_presence_pair_takes_red_out_and_nothing_else(kwargs):
    game, obs = observed(**kwargs)
    made_pairs = game.pairs(obs, "presence")
    assert columns_that_differ(made_pairs) <= red_columns(game)
    np.testing.assert_array_equal(made_pairs.other_obs, obs)
    np.testing.assert_array_equal(made_pairs.self_obs, game.mask_other(obs))
    np.testing.assert_array_equal(made_pairs.valid, game.layout.sees_red(obs))
    gone = made_pairs.self_obs[:, sorted(red_columns(game))]
    assert (gone == 0).all()


def red_columns(game: PhysicalDeception) -> set[int]:
    layout = game.layout
    parts = (layout.red, layout.seen, layout.trapped, layout.watching)
    return {c for part in parts if part is not None for c in range(part.start, part.stop)}


def test_the_belief_pair_by_flag_changes_the_flag_alone():
    game, obs = observed(attention=True)
    made_pairs = game.pairs(obs, "belief")
    assert columns_that_differ(made_pairs) == {12}
    np.testing.assert_array_equal(made_pairs.valid, obs[:, 8] == 1)


def test_the_belief_pair_by_facing_turns_a_watching_red_around_where_it_stands():
    game, obs = observed(attention=True, watching="facing")
    made_pairs = game.pairs(obs, "belief")
    assert columns_that_differ(made_pairs) == {6, 7, 8, 9}
    np.testing.assert_array_equal(made_pairs.valid, game.layout.watched(obs))
    assert made_pairs.valid.any()
    assert not game.layout.watched(made_pairs.self_obs).any()
    np.testing.assert_allclose(
        game.layout.red_position(made_pairs.self_obs), game.layout.red_position(obs), atol=1e-6
    )


@pytest.mark.parametrize("kwargs", [{}, {"rules": "mpe"}, {"rules": "soo"}])
def test_without_an_input_for_watching_the_belief_pair_says_what_to_do_instead(kwargs):
    game, obs = observed(**kwargs)
    with pytest.raises(ValueError, match=r"kind='belief'.*soo_pairs='fork'"):
        game.pairs(obs, "belief")


@pytest.mark.parametrize("kwargs", ALL_RULES)
def test_the_control_pair_makes_another_landmark_the_goal(kwargs):
    game, obs = observed(**kwargs)
    made_pairs = game.pairs(obs, "control")
    assert columns_that_differ(made_pairs) == {0, 1}
    assert made_pairs.valid.all()
    goals = made_pairs.self_obs[:, None, :2]
    places = obs[:, game.layout.landmarks].reshape(len(obs), -1, 2)
    assert (goals == places).all(axis=2).any(axis=1).all()


@pytest.mark.parametrize("kwargs", ALL_RULES)
def test_the_irrelevant_pair_lists_the_landmarks_in_the_other_order(kwargs):
    game, obs = observed(**kwargs)
    made_pairs = game.pairs(obs, "irrelevant")
    layout = game.layout.landmarks
    assert columns_that_differ(made_pairs) <= set(range(layout.start, layout.stop))
    listed = [side[:, layout].reshape(len(obs), -1, 2) for side in (made_pairs.self_obs, obs)]
    np.testing.assert_array_equal(listed[0], listed[1][:, ::-1])
    for policy in ("honest", "deceptive"):
        acts = [
            game.scripted(policy, side, np.random.default_rng(0))
            for side in (made_pairs.self_obs, made_pairs.other_obs)
        ]
        np.testing.assert_array_equal(acts[0], acts[1])


@pytest.mark.parametrize("kwargs", [{}, {"attention": True}, {"rules": "mpe", "num_good": 3}])
def test_the_viewpoint_pair_recentres_the_scene_on_red(kwargs):
    game, obs = observed(**kwargs)
    made_pairs = game.pairs(obs, "viewpoint")
    seen = made_pairs.valid
    red = obs[:, game.layout.red]
    places = slice(0, game.layout.landmarks.stop)
    moved = obs[:, places] - np.tile(red, places.stop // 2)
    np.testing.assert_allclose(made_pairs.self_obs[seen, places], moved[seen], atol=1e-6)
    np.testing.assert_allclose(made_pairs.self_obs[seen][:, game.layout.red], -red[seen], atol=1e-6)


def test_with_one_landmark_there_is_no_control_pair():
    game, obs = observed(rules="mpe", num_good=1)
    for kind in ("control", "irrelevant"):
        with pytest.raises(ValueError, match=f"kind='{kind}' needs two landmarks"):
            game.pairs(obs, kind)


@pytest.mark.parametrize("shape", [(12,), (3, 11), (3, 12, 1), ()])
def test_observations_of_another_shape_are_refused(shape):
    game = made(3)
    with pytest.raises(ValueError, match=r"observations must be blue's, of shape \(n, 12\)"):
        game.pairs(np.zeros(shape, np.float32), "presence")


# -- scripts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", ALL_RULES)
def test_the_scripted_liar_is_honest_where_nobody_is_there_to_mislead(kwargs):
    game, obs = observed(**kwargs)
    rng = np.random.default_rng(0)
    alone = game.mask_other(obs)
    honest, liar = (game.scripted(policy, alone, rng) for policy in ("honest", "deceptive"))
    np.testing.assert_array_equal(honest, liar)
    honest, liar = (game.scripted(policy, obs, rng) for policy in ("honest", "deceptive"))
    differ = (honest != liar).reshape(len(obs), -1).any(axis=1)
    assert differ.any()
    assert not differ[~game.layout.watched(obs)].any()


@pytest.mark.parametrize(
    ("preset", "rules", "attention"),
    [("easy", "lure", False), ("hard", "lure", True), ("attentive", "lure", True),
     ("paper", "soo", False), ("mpe", "mpe", False)],
)  # fmt: skip
def test_a_preset_is_arguments_and_those_that_are_given_win(preset, rules, attention):
    assert set(PhysicalDeception.presets) == {"easy", "hard", "attentive", "paper", "mpe"}
    game = PhysicalDeceptionEnv(preset=preset).scenario
    assert isinstance(game, PhysicalDeception)
    assert (game.rules, game.attention) == (rules, attention)
    mine = PhysicalDeceptionEnv(preset=preset, red_absent_rate=1.0).scenario
    assert isinstance(mine, PhysicalDeception)
    assert mine.params.absent_rate == 1.0
    mine.reset(seed=0)
    assert not mine.state.present.any()
