"""Turns at a table: the AEC view, opponents, forfeits, and policies as strategies."""

from typing import Any

import numpy as np
import pettingzoo
import pytest

from feint.envs.kuhn_poker import KuhnPoker
from feint.envs.kuhn_poker.opponents import profile, table
from feint.envs.liars_dice import LiarsDice
from feint.envs.multi import TurnsEnv
from feint.envs.turns import exploitability_of, strategy_of
from feint.metrics.extensive import Tree

BOTH = pytest.mark.parametrize("cls", [KuhnPoker, LiarsDice])
SHARP: dict[str, Any] = {"absent_rate": 0.0, "deaf_rate": 0.0}


def aec(name: str, **kwargs: Any) -> Any:
    return pettingzoo.make("aec", f"feint/{name}-v0", **kwargs)


# -- the AEC view -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kuhn_poker", "liars_dice"])
@pytest.mark.parametrize("players", [2, 3])
def test_agents_are_asked_in_the_order_of_seats_and_rewards_sum_to_nothing(name, players):
    env = aec(name, players=players)
    assert isinstance(env.unwrapped, TurnsEnv)
    rng, seats = np.random.default_rng(0), set()
    for seed in range(40):
        env.reset(seed=seed)
        seat = int(env.scenario.state.seat[0])
        seats.add(seat)
        total = dict.fromkeys(env.agents, 0.0)
        asked = []
        for agent in env.agent_iter():
            _, reward, terminated, truncated, info = env.last()
            total[agent] += reward
            if terminated or truncated:
                env.step(None)
                continue
            asked.append(agent)
            mask = info.get("action_mask", np.ones(env.action_space(agent).n, np.int8))
            env.step(int(rng.choice(mask.nonzero()[0])))
        order = [f"player_{(k - seat) % players}" for k in range(len(asked))]
        assert asked == order
        payoff = env.scenario.state.payoff[0]
        assert [total[f"player_{k}"] for k in range(players)] == payoff.tolist()
        assert payoff.sum() == 0 < np.abs(payoff).sum()
    assert seats == set(range(players))


def test_masks_are_the_movers_and_say_nothing_to_the_others():
    env = aec("liars_dice", seat=0)
    env.reset(seed=0)
    assert env.infos["player_0"]["action_mask"].tolist() == [1] * 12 + [0]
    assert env.infos["player_1"]["action_mask"].all()
    env.step(4)
    assert env.agent_selection == "player_1"
    assert env.infos["player_1"]["action_mask"].tolist() == [0] * 5 + [1] * 8
    assert env.infos["player_0"]["action_mask"].all()
    assert "action_mask" not in aec_infos("kuhn_poker")["player_0"]


def aec_infos(name: str) -> dict:
    env = aec(name)
    env.reset(seed=0)
    return env.infos


def test_an_illegal_move_forfeits_for_its_mover_only():
    env = aec("liars_dice", seat=0)
    env.reset(seed=0)
    env.step(4)
    env.step(2)
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}
    assert env.terminations == {"player_0": True, "player_1": True}
    for _ in range(2):
        env.step(None)
    assert env.agents == []


def test_an_illegal_move_may_raise_and_then_changes_nothing():
    env = aec("liars_dice", seat=0, illegal="raise")
    env.reset(seed=0)
    before = env.scenario.snapshot()
    for bad in (12, 13, -1):
        with pytest.raises(ValueError, match="actions"):
            env.step(bad)
    for key, value in env.scenario.snapshot().items():
        np.testing.assert_array_equal(value, before[key])
    env.step(4)
    assert env.agent_selection == "player_1"


def test_a_dead_agent_may_only_step_none_and_limits_truncate_everybody():
    env = aec("kuhn_poker", max_cycles=1)
    env.reset(seed=0)
    env.step(0)
    assert all(env.truncations.values())
    with pytest.raises(ValueError, match="None"):
        env.step(0)


def test_observing_out_of_turn_shows_what_that_agent_sees():
    env = aec("kuhn_poker", seat=0, deaf_rate=0.0, absent_rate=0.0)
    env.reset(seed=0)
    before = env.observe("player_1")
    env.step(1)
    after = env.observe("player_1")
    np.testing.assert_array_equal((before != after).nonzero()[0], [5 + 1])
    np.testing.assert_array_equal(env.state(), np.concatenate([env.observe(a) for a in env.agents]))


# -- batches ----------------------------------------------------------------------------------


@BOTH
def test_only_the_movers_action_counts(cls):
    games = [cls(64, external="all", autoreset="freeze") for _ in range(2)]
    rng = np.random.default_rng(0)
    for game in games:
        game.reset(seed=3)
    for _ in range(3):
        mover = games[0].to_move()
        actions = rng.integers(0, 2, (64, 2))
        other = actions.copy()
        other[np.arange(64), 1 - mover] = rng.integers(0, 2, 64)
        first, second = games[0].step(actions), games[1].step(other)
        np.testing.assert_array_equal(np.stack(first.rewards), np.stack(second.rewards))
        np.testing.assert_array_equal(np.hstack(first.observations), np.hstack(second.observations))


@BOTH
@pytest.mark.parametrize("players", [2, 3, 4])
def test_a_callable_opponent_plays_its_turns_and_no_others(cls, players):
    """A table of callables that play as `external="all"` would is the same game."""
    calls = []

    def lowest(obs: np.ndarray) -> np.ndarray:
        calls.append(len(obs))
        if cls is KuhnPoker:
            return (obs[:, players] > 0.5).astype(int)
        standing = obs[:, 6 + players + 6 * players :][:, : 6 * players]
        return np.where(standing.any(axis=1), 6 * players, 0)

    others = {f"player_{k}": lowest for k in range(1, players)}
    game = cls(200, players=players, opponents=others, autoreset="freeze", **SHARP)
    joint = cls(200, players=players, external="all", autoreset="freeze", **SHARP)
    game.reset(seed=5)
    joint.reset(seed=5)
    total = np.zeros(200)
    while not game.clock.done.all():
        total += game.step(lowest(game.observe()[0])).rewards[0]
    wanted = np.zeros(200)
    while not joint.clock.done.all():
        moves = np.stack([lowest(obs) for obs in joint.observe()], axis=1)
        wanted += joint.step(moves).rewards[0]
    np.testing.assert_array_equal(total, wanted)
    np.testing.assert_array_equal(game.state.payoff, joint.state.payoff)
    assert max(calls) == 200


@pytest.mark.parametrize("answer", [np.zeros(3, int), np.zeros(8), np.full(8, 13), None])
def test_an_opponent_that_answers_nonsense_is_named(answer):
    game = LiarsDice(8, seat=1, opponents={"player_1": lambda obs: answer})
    with pytest.raises(ValueError, match="opponents\\['player_1'\\]"):
        game.reset(seed=0)


def test_an_opponents_illegal_move_forfeits_or_raises():
    def liar(obs: np.ndarray) -> np.ndarray:
        return np.full(len(obs), 12)

    game = LiarsDice(8, seat=1, opponents={"player_1": liar})
    game.reset(seed=0)
    step = game.step(np.zeros(8, int))
    assert step.terminated.all()
    assert (step.rewards[0] == 1).all()
    with pytest.raises(ValueError, match="opponents: 12 is not legal in game 0"):
        LiarsDice(8, seat=1, opponents={"player_1": liar}, illegal="raise").reset(seed=0)


def test_two_external_agents_of_three_share_a_batch_with_a_script():
    game = KuhnPoker(300, players=3, external=("player_2", "player_0"), autoreset="freeze")
    game.reset(seed=0)
    while not game.clock.done.all():
        live = ~game.clock.done
        assert (game.to_move()[live] != 1).all()
        game.step(np.zeros((300, 2), int))
    assert (game.state.payoff.sum(axis=1) == 0).all()


def test_player_0_must_be_played_by_somebody():
    with pytest.raises(ValueError, match="player_0"):
        KuhnPoker(external=("player_1",))
    game = KuhnPoker(
        16, external=("player_1",), opponents={"player_0": lambda obs: np.ones(len(obs), int)}
    )
    assert game.reset(seed=0)[0].shape == (16, 18)


# -- policies as strategies -------------------------------------------------------------------


def test_a_policy_that_plays_an_equilibrium_cannot_be_exploited():
    game = KuhnPoker(num_nuisance=3)
    chances = table("equilibrium", 2, alpha=0.2)

    def policy(obs: np.ndarray) -> np.ndarray:
        card = obs[:, game.layout.hand].argmax(axis=1)
        public = obs[:, game.layout.public].reshape(len(obs), 3, 2)
        moves = public.any(axis=2).sum(axis=1)
        faces = public[:, :, 1].any(axis=1)
        row = np.where(faces, np.where(moves == 2, 3, 2), np.minimum(moves, 1))
        bet = chances[row, card]
        return np.stack([1 - bet, bet], axis=1)

    assert exploitability_of(policy, game) == pytest.approx(0.0, abs=1e-7)
    tree, play = strategy_of(policy, game)
    wanted = profile(chances, tree)
    for seen, row in play.items():
        np.testing.assert_allclose(row, wanted[seen], atol=1e-7)


@pytest.mark.parametrize("players", [2, 3])
def test_the_scripted_players_can_be_exploited_as_their_strategy_in_the_tree_can(players):
    game = KuhnPoker(players=players)
    rng = np.random.default_rng(0)
    tree = Tree(game.tree())
    wanted = tree.exploitability(profile(table("believer", players), tree))
    got = exploitability_of(lambda obs: game.scripted("honest", obs, rng), game)
    assert got == pytest.approx(wanted)
    assert got > 0.1


def test_what_a_policy_gives_to_illegal_actions_is_left_out():
    game = LiarsDice(sides=3)
    uniform = np.full((len(Tree(game.tree()).actions), 7), 1 / 7)
    tree = Tree(game.tree())
    wanted = tree.exploitability(tree.uniform())
    assert exploitability_of(lambda obs: uniform, game) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="no legal action"):
        exploitability_of(lambda obs: np.zeros(len(obs), int), game)
    with pytest.raises(ValueError, match="policy must give"):
        exploitability_of(lambda obs: np.zeros((len(obs), 2)), game)
