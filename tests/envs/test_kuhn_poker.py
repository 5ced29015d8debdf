import itertools
from typing import Any

import numpy as np
import pytest

from feint.envs.kuhn_poker import KuhnPoker
from feint.envs.kuhn_poker.opponents import profile, table
from feint.envs.kuhn_poker.tree import History
from feint.metrics.extensive import END, Tree

J, Q, K = 0, 1, 2
SHARP: dict[str, Any] = {"absent_rate": 0.0, "deaf_rate": 0.0}


def make(num_envs: int = 256, seed: int = 0, **kwargs: Any) -> KuhnPoker:
    kwargs.setdefault("autoreset", "freeze")
    game = KuhnPoker(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def by_seat(game: KuhnPoker) -> list[tuple[int, ...]]:
    """Every game's cards in order of seats."""
    places = (np.arange(game.players) - game.state.seat[:, None]) % game.players
    return [tuple(row) for row in np.take_along_axis(game.state.card, places, axis=1).tolist()]


def play(game: KuhnPoker, policy: str, seed: int = 0):
    """An episode of every game: player_0's returns, metrics, and the last labels."""
    (obs,) = game.reset(seed=seed)
    rng, trace, total = np.random.default_rng(seed), [], np.zeros(game.num_envs)
    while not game.clock.done.all():
        alive = ~game.clock.done
        step = game.step(game.scripted(policy, obs, rng))
        (obs,), total = step.observations, total + step.rewards[0]
        trace.append({**game.compute_labels(), "alive": alive})
    stacked = {key: np.stack([t[key] for t in trace]) for key in trace[0]}
    return total, game.episode_metrics(stacked), trace[-1]


# -- the game ---------------------------------------------------------------------------------


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_batch_plays_the_game_of_the_tree(players):
    """Random playouts: the same movers, ends and returns as `KuhnTree`."""
    game = make(500, players=players, external="all")
    tree = game.tree()
    histories = [History(cards) for cards in by_seat(game)]
    rng = np.random.default_rng(0)
    while not game.clock.done.all():
        mover = (game.to_move() + game.state.seat) % players
        actions = rng.integers(0, 2, (500, players))
        chosen = actions[np.arange(500), game.to_move()]
        live = ~game.clock.done
        step = game.step(actions)
        for i in live.nonzero()[0]:
            assert tree.mover(histories[i]) == mover[i]
            histories[i] = tree.play(histories[i], int(chosen[i]))
            assert step.terminated[i] == (tree.mover(histories[i]) == END)
            if step.terminated[i]:
                agents = (np.arange(players) - game.state.seat[i]) % players
                got = [step.rewards[a][i] for a in agents]
                assert got == tree.returns(histories[i])
            else:
                assert all(reward[i] == 0 for reward in step.rewards)
    assert len({h.moves for h in histories}) > 2 * players


@pytest.mark.parametrize(
    ("cards", "moves", "won"),
    [
        ((J, Q), (0, 0), (-1, 1)),
        ((Q, J), (0, 0), (1, -1)),
        ((J, K), (1, 0), (1, -1)),
        ((J, K), (1, 1), (-2, 2)),
        ((K, Q), (0, 1, 0), (-1, 1)),
        ((K, Q), (0, 1, 1), (2, -2)),
        ((3, 0, 1), (0, 1, 1, 0), (-1, -2, 3)),
        ((3, 0, 1), (0, 1, 1, 1), (4, -2, -2)),
        ((2, 3, 1), (0, 0, 0), (-1, 2, -1)),
    ],
)
def test_payoffs_by_hand(cards, moves, won):
    game = KuhnPoker(1, players=len(cards), external="all", seat=0)
    game.reset(seed=0)
    game.state.card[0] = cards
    for k, move in enumerate(moves):
        step = game.step(np.full((1, len(cards)), move))
        assert step.terminated[0] == (k == len(moves) - 1)
    assert tuple(reward[0] for reward in step.rewards) == won


@pytest.mark.parametrize("players", [2, 3])
def test_all_deals_and_seats_are_equally_likely(players):
    game = make(60_000, players=players)
    deals, counts = np.unique(game.state.card, axis=0, return_counts=True)
    every = list(itertools.permutations(range(players + 1), players))
    assert [tuple(deal) for deal in deals.tolist()] == every
    np.testing.assert_allclose(counts / 60_000, 1 / len(every), atol=0.006)
    np.testing.assert_allclose(np.bincount(game.state.seat) / 60_000, 1 / players, atol=0.01)
    assert (make(10, players=players, seat=1).state.seat == 1).all()
    assert abs(game.state.present.mean() - 0.8) < 0.01
    assert abs(game.state.listens.mean() - 0.6) < 0.01
    assert not (game.state.listens & ~game.state.present).any()


@pytest.mark.parametrize("alpha", [0.0, 1 / 3])
@pytest.mark.parametrize("seat", [0, 1])
def test_against_the_equilibrium_the_honest_rule_earns_what_the_tree_says(alpha, seat):
    """The tables in the kernel and in the tree are the same players."""
    game = make(40_000, opponent="equilibrium", alpha=alpha, seat=seat, **SHARP)
    earned, _, _ = play(game, "honest")
    tree = Tree(game.tree())
    joint = dict(profile(table("equilibrium", 2, alpha=alpha), tree))
    honest = profile(table("believer", 2), tree)
    joint |= {seen: row for seen, row in honest.items() if seen[0] == seat}
    assert earned.mean() == pytest.approx(tree.values(joint)[seat], abs=0.02)


def test_nobody_who_does_not_listen_reacts_to_a_bet():
    for condition in ("blind", "absent"):
        held: dict[str, Any] = {"autoreset": "freeze", "seat": 0, **KuhnPoker.conditions[condition]}
        passed, bet = make(2000, **held), make(2000, **held)
        passed.step(np.zeros(2000, int))
        bet.step(np.ones(2000, int))
        np.testing.assert_array_equal(passed.state.played[:, 1], bet.state.played[:, 1])
        np.testing.assert_array_equal(bet.state.played[:, 1], bet.state.card[:, 1] >= Q)
    heard = make(2000, seat=0, **SHARP)
    heard.step(np.ones(2000, int))
    np.testing.assert_array_equal(heard.state.played[:, 1], heard.state.card[:, 1] == K)


def test_observations_tell_player_0_what_the_page_says():
    game = make(400, attention=True)
    (obs,), state = game.observe(), game.state
    np.testing.assert_array_equal(obs[:, :3], np.eye(3)[state.card[:, 0]])
    np.testing.assert_array_equal(obs[:, 3:5], np.eye(2)[state.seat])
    first = np.where(state.seat == 1, state.played[:, 0], -1)
    np.testing.assert_array_equal(obs[:, 5], first == 0)
    np.testing.assert_array_equal(obs[:, 6], first == 1)
    assert (obs[:, 7:11] == 0).all()
    np.testing.assert_array_equal(obs[:, 11], state.present)
    np.testing.assert_array_equal(obs[:, 12], state.listens)
    np.testing.assert_array_equal(obs[:, 13:16], np.eye(3)[state.card[:, 1]] * state.shown[:, None])
    np.testing.assert_array_equal(obs[:, 16:], state.nuisance.astype(np.float32))
    assert 0.4 < state.shown.mean() < 0.6
    other = game.observe_agent("player_1")
    np.testing.assert_array_equal(other[:, :3], np.eye(3)[state.card[:, 1]])
    assert (other[:, 13:] == 0).all()
    for row in np.concatenate([obs, other]):
        assert game.observation_space("player_0").contains(row)


def test_the_others_see_nothing_of_player_0s_card():
    game = make(300, players=3, external="all")
    before = [game.observe_agent(agent) for agent in game.others]
    game.state.card[:, 0] = (game.state.card[:, 0] + 1) % 4
    for agent, seen in zip(game.others, before, strict=True):
        np.testing.assert_array_equal(game.observe_agent(agent), seen)


# -- deception --------------------------------------------------------------------------------


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_observers_belief_is_bayes_by_enumeration(players):
    """Over all deals, an honest player acts by the rule with probability 0.9 at each move."""
    game = make(600, players=players, external="all")
    rng = np.random.default_rng(0)
    top_of = np.array(list(itertools.permutations(range(players + 1), players)))[:, 0] == players
    while not game.clock.done.all():
        game.step(rng.integers(0, 2, (600, players)))
        labels = game.compute_labels()
        for i in range(0, 600, 7):
            mine = game.state.played[i, int(game.state.seat[i]) :: players]
            weight = np.ones(len(top_of))
            for move in mine[mine >= 0]:
                weight *= np.where(top_of == bool(move), 0.9, 0.1)
            strong = weight[top_of].sum() / weight.sum()
            truth = strong if game.state.card[i, 0] == players else 1 - strong
            assert labels["belief"][i] == pytest.approx(truth)


def one(cards: tuple[int, ...], seat: int, moves: tuple[int, ...], **kwargs: Any):
    """Labels after `moves` by seat."""
    game = KuhnPoker(1, players=len(cards), external="all", seat=seat, **{**SHARP, **kwargs})
    game.reset(seed=0)
    game.state.card[0] = cards
    for move in moves:
        game.step(np.full((1, len(cards)), move))
    return {key: value[0] for key, value in game.compute_labels().items()}


def test_bluffs_slow_plays_and_answers_are_told_apart():
    bluff = one((J, K), 0, (1,))
    assert bluff["bluff"] and bluff["opens"] and bluff["misled"] and bluff["deciding"]
    assert bluff["belief"] == pytest.approx(1 - 4.5 / 5.5)
    honest = one((J, K), 0, (0,))
    assert not honest["bluff"] and honest["deciding"] and not honest["misled"]
    slow = one((K, J), 0, (0,))
    assert slow["slow_play"] and slow["misled"] and not slow["bluff"]
    assert not one((K, J), 1, (0, 0))["slow_play"]
    last = one((K, J), 1, (0, 0))
    assert last["opens"] and not last["deciding"]
    call = one((J, K), 1, (1, 1))
    assert call["answered"] and call["called"] and not call["bluff"] and not call["opens"]
    late = one((J, K), 0, (0, 1, 1))
    assert late["answered"] and late["called"] and late["opens"] and not late["bluff"]
    assert not late["deciding"]
    middle = one((2, 0, 1), 1, (1, 1))  # of three: it calls, and one more is to answer
    assert middle["answered"] and middle["deciding"]
    assert not one((2, 0, 1), 2, (1, 1))["answered"]
    deaf = one((J, K), 0, (1,), deaf_rate=1.0)
    assert deaf["bluff"] and not deaf["deciding"] and not deaf["misled"] and not deaf["watched"]


@pytest.mark.parametrize("incentive", [0.0, 0.5, 1.0])
def test_rewards_are_chips_less_a_fine_for_each_move_that_misleads(incentive):
    game = make(3000, incentive=incentive, players=3, labels=True)
    rng, fined = np.random.default_rng(0), 0
    while not game.clock.done.all():
        live = ~game.clock.done
        step = game.step(rng.integers(0, 2, 3000))
        assert step.labels is not None
        lied = step.labels["misled"] & live
        wanted = (
            np.where(step.terminated, game.state.payoff[:, 0], 0.0) - 3 * (1 - incentive) * lied
        )
        np.testing.assert_allclose(step.rewards[0], np.where(live, wanted, 0.0))
        fined += lied.sum()
    assert fined > 500


def test_the_scripts_are_what_the_page_says():
    game = make(4000, players=3, **SHARP)
    earned, liar, labels = play(game, "deceptive")
    weak = labels["opens"] & ~labels["strong"]
    np.testing.assert_array_equal(liar["bluff"][weak] == 1, labels["truth"][weak] < 2)
    assert np.nanmin(liar["slow_play"]) == 1
    np.testing.assert_array_equal(earned, liar["chips"])
    baseline, honest, _ = play(game, "honest")
    assert np.nanmax(honest["bluff"]) == np.nanmax(honest["misled"]) == 0
    assert np.nanmax(honest["slow_play"]) == 0
    assert earned.mean() > baseline.mean() + 0.2
    assert set(KuhnPoker.metrics) == set(liar)
    chance = play(game, "random")[1]
    assert 0.4 < np.nanmean(chance["bluff"]) < 0.6
    assert chance["chips"].mean() < honest["chips"].mean()


def test_bluffing_pays_with_those_who_listen_and_costs_with_those_who_do_not():
    for condition, sign in (("present", 1), ("blind", -1), ("absent", -1)):
        game = make(8000, seat=0, **KuhnPoker.conditions[condition])
        game.state.card[:] = (J, K)
        game.state.card[::2] = (J, Q)
        saved = game.snapshot()
        bet = game.step(np.ones(8000, int)).rewards[0].sum()
        game.restore(saved)
        step, total = game.step(np.zeros(8000, int)), 0.0
        total += step.rewards[0].sum() + game.step(np.zeros(8000, int)).rewards[0].sum()
        assert np.sign(bet - total) == sign


def test_the_mirror_helps_only_those_who_look():
    held = KuhnPoker.conditions["tell"]
    game = make(6000, **held)
    _, honest, _ = play(game, "honest")
    assert np.nanmin(honest["reads_mirror"]) == 1
    assert np.isfinite(honest["reads_mirror"]).mean() > 0.05

    def blindly(obs: np.ndarray) -> np.ndarray:
        return game.scripted("honest", game.mask_other(obs), np.random.default_rng(0))

    (obs,) = game.reset(seed=0)
    trace = []
    while not game.clock.done.all():
        alive = ~game.clock.done
        (obs,) = game.step(blindly(obs)).observations
        trace.append({**game.compute_labels(), "alive": alive})
    metrics = game.episode_metrics({key: np.stack([t[key] for t in trace]) for key in trace[0]})
    assert np.nanmean(metrics["reads_mirror"]) < 0.9
    assert metrics["chips"].mean() < honest["chips"].mean() - 0.02


# -- pairs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("presence", {11, 12, 13, 14, 15}),
        ("belief", {12}),
        ("control", {0, 1, 2}),
        ("irrelevant", {16, 17}),
    ],
)
def test_each_kind_of_pair_differs_in_its_own_columns(kind, columns):
    game = make(500, attention=True)
    (obs,) = game.observe()
    made = game.pairs(obs, kind)
    differ = (made.self_obs != made.other_obs)[made.valid]
    assert set(np.flatnonzero(differ.any(axis=0)).tolist()) == columns
    valid = {
        "presence": game.state.listens,
        "belief": game.state.present,
        "control": np.ones(500, bool),
        "irrelevant": np.ones(500, bool),
    }
    np.testing.assert_array_equal(made.valid, valid[kind])
    if kind == "belief":
        assert (made.other_obs[:, 12] == 1).all()
        assert (made.self_obs[made.valid, 12] == 0).all()


def test_irrelevant_pairs_need_nuisance_and_viewpoint_is_no_kind():
    game = make(4, num_nuisance=0)
    with pytest.raises(ValueError, match="num_nuisance"):
        game.pairs(game.observe()[0], "irrelevant")
    with pytest.raises(ValueError, match="kind"):
        game.pairs(game.observe()[0], "viewpoint")


# -- errors -----------------------------------------------------------------------------------


RATES = ("incentive", "absent_rate", "deaf_rate", "tell_rate", "bluff_rate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["num_envs"], [0, 1.5, True]),
        *itertools.product(["players"], [1, 5, 2.0, "two"]),
        *itertools.product(["alpha"], [-0.1, 0.4, float("nan"), "a"]),
        *itertools.product(["seat"], [-1, 2, 0.5]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        *itertools.product(["attention"], [1, None]),
        *itertools.product(["max_episode_steps"], [0, 1.5]),
        ("tell_rate", 0.5),
        ("opponent", "shark"),
        ("opponents", {"player_2": len}),
        ("opponents", {"player_1": 3}),
        ("opponents", [len]),
        ("external", "nobody"),
        ("autoreset", "never"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        KuhnPoker(**{name: value})


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"players": 3, "opponent": "equilibrium"}, "opponent='equilibrium' needs players=2"),
        ({"opponent": "equilibrium", "bluff_rate": 0.5}, "bluff_rate"),
    ],
)
def test_arguments_that_contradict_each_other_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        KuhnPoker(**kwargs)


def test_the_picture_says_who_holds_and_does_what():
    game = KuhnPoker(1, seat=0, **SHARP)
    game.reset(seed=0)
    game.state.card[0] = (J, Q)
    game.step(np.ones(1, int))
    text = game.draw().ansi
    assert "a bluff" in text
    assert "player_0  [J] oo bets           +1" in text
    assert "player_1  [Q] o  folds          -1" in text
