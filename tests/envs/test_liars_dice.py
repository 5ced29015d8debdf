import itertools
from typing import Any

import numpy as np
import pytest

from feint.envs.liars_dice import LiarsDice
from feint.envs.liars_dice.odds import odds
from feint.envs.liars_dice.tree import History
from feint.metrics.extensive import END

SHARP: dict[str, Any] = {"absent_rate": 0.0, "deaf_rate": 0.0}
LIAR = 12  # the action in a game of two dice with six sides


def make(num_envs: int = 256, seed: int = 0, **kwargs: Any) -> LiarsDice:
    kwargs.setdefault("autoreset", "freeze")
    game = LiarsDice(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def hands(game: LiarsDice, i: int) -> tuple[tuple[int, ...], ...]:
    """Game i's sorted dice in order of seats."""
    agents = (np.arange(game.players) - game.state.seat[i]) % game.players
    faces = np.arange(1, game.sides + 1)
    return tuple(tuple(np.repeat(faces, game.state.hand[i, a]).tolist()) for a in agents)


def hold(game: LiarsDice, *dice: tuple[int, ...]) -> None:
    """Give every player these dice, in every game."""
    for agent, faces in enumerate(dice):
        game.state.hand[:, agent] = np.bincount(faces, minlength=game.sides + 1)[1:]


def play(game: LiarsDice, policy: str, seed: int = 0):
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


@pytest.mark.parametrize(("players", "dice", "sides"), [(2, 1, 6), (2, 2, 3), (3, 1, 4), (4, 2, 2)])
def test_the_batch_plays_the_game_of_the_tree(players, dice, sides):
    """Random playouts: the same movers, legal actions, ends and returns as `DiceTree`."""
    game = make(
        300, players=players, dice_per_player=dice, sides=sides, external="all", illegal="raise"
    )
    tree = game.tree()
    histories = [History(hands(game, i)) for i in range(300)]
    rng = np.random.default_rng(0)
    while not game.clock.done.all():
        mover = game.to_move()
        masks = np.stack([game.action_masks(agent) for agent in game.agents])
        legal = masks[mover, np.arange(300)]
        # Small raises come more often, so that games grow long.
        weight = legal * rng.random(legal.shape) ** np.arange(1, legal.shape[1] + 1)
        actions = np.repeat(weight.argmax(axis=1)[:, None], players, axis=1)
        live = ~game.clock.done
        step = game.step(actions)
        for i in live.nonzero()[0]:
            history = histories[i]
            assert tree.mover(history) == (mover[i] + game.state.seat[i]) % players
            assert list(tree.actions(history)) == legal[i].nonzero()[0].tolist()
            others = [k for k in range(players) if k != mover[i]]
            assert masks[others, i].all()
            histories[i] = history = tree.play(history, int(actions[i, 0]))
            assert step.terminated[i] == (tree.mover(history) == END)
            got = [r[i] for r in step.rewards]
            if step.terminated[i]:
                agents = (np.arange(players) - game.state.seat[i]) % players
                assert [got[a] for a in agents] == tree.returns(history)
            else:
                assert not any(got)
    assert max(len(h.moves) for h in histories) > 4


@pytest.mark.parametrize(
    ("dice", "bids", "winner"),
    [
        (((3,), (5,)), (2, LIAR), 0),  # one 3: there is one
        (((3,), (5,)), (3, LIAR), 1),  # one 4: there is none
        (((3,), (6,)), (8, LIAR), 0),  # two 3s: the 6 is wild
        (((3,), (6,)), (11, LIAR), 1),  # two 6s: nothing else counts for a 6
        (((3,), (5,)), (2, 4, LIAR), 1),
        (((3,), (5,)), (2, 8, LIAR), 0),
    ],
)
def test_calls_are_settled_by_all_dice_and_the_highest_face_is_wild(dice, bids, winner):
    game = LiarsDice(1, external="all", seat=0)
    game.reset(seed=0)
    hold(game, *dice)
    for bid in bids:
        step = game.step(np.full((1, 2), bid))
    assert step.terminated[0]
    assert step.rewards[winner][0] == 1
    assert step.rewards[1 - winner][0] == -1


@pytest.mark.parametrize(
    ("moves", "won"),
    [
        ((LIAR + 6,), (-1, 1, 0)),  # nothing to doubt: the next player wins
        ((4, 4), (1, -1, 0)),  # not higher: the last bidder wins
        ((4, 7, 3), (0, 1, -1)),
    ],
)
@pytest.mark.parametrize("incentive", [0.0, 1.0])
def test_an_illegal_move_forfeits_the_game(moves, won, incentive):
    game = LiarsDice(1, players=3, external="all", seat=0, incentive=incentive, deaf_rate=1.0)
    game.reset(seed=0)
    for k, move in enumerate(moves):
        step = game.step(np.full((1, 3), move))
        assert step.terminated[0] == (k == len(moves) - 1)
    assert tuple(r[0] for r in step.rewards) == won
    assert game.state.forfeit[0] == len(moves) - 1


def test_illegal_moves_may_raise_and_then_change_nothing():
    game = make(8, illegal="raise", seat=1, **SHARP)
    kept = game.snapshot()
    low = np.where(np.arange(8) == 5, 0, LIAR)
    with pytest.raises(ValueError, match="actions: 0 is not legal in game 5"):
        game.step(low)
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, kept[key])
    assert game.step(np.full(8, LIAR)).terminated.all()


def test_a_game_may_be_over_before_player_0_has_its_turn():
    def bids(obs: np.ndarray) -> np.ndarray:
        return np.zeros(len(obs), int)

    def doubts(obs: np.ndarray) -> np.ndarray:
        return np.full(len(obs), 18)

    crew = {"player_1": bids, "player_2": doubts}
    game = LiarsDice(50, players=3, seat=2, opponents=crew, illegal="raise", labels=True)
    game.reset(seed=0)
    assert game.state.over.all()
    assert game.action_masks("player_0").all()
    step = game.step(np.zeros(50, int))  # the action counts for nothing, legal or not
    assert step.terminated.all()
    assert not step.truncated.any()
    assert (step.rewards[0] == 0).all()
    assert (game.state.bids == 0).all()
    (obs,) = game.step(np.zeros(50, int)).observations
    assert obs.shape == (50, game.layout.size)


def test_every_die_is_fair_and_every_seat_taken():
    game = make(30_000, dice_per_player=2)
    assert (game.state.hand.sum(axis=2) == 2).all()
    np.testing.assert_allclose(game.state.hand.mean(axis=0), 2 / 6, atol=0.015)
    np.testing.assert_allclose(np.bincount(game.state.seat) / 30_000, 0.5, atol=0.01)
    pair = game.state.hand[:, 0].max(axis=1) == 2
    assert abs(pair.mean() - 1 / 6) < 0.01


def test_observations_tell_player_0_what_the_page_says():
    game = make(300, dice_per_player=2, attention=True)
    (obs,), state = game.observe(), game.state
    np.testing.assert_allclose(obs[:, :6], state.hand[:, 0] / 2)
    np.testing.assert_array_equal(obs[:, 6:8], np.eye(2)[state.seat])
    np.testing.assert_array_equal(obs[:, 8:32], state.made)
    opened = state.bid >= 0
    np.testing.assert_array_equal(opened, state.seat == 1)
    np.testing.assert_array_equal(obs[opened, 32:56], np.eye(24)[state.bid[opened]])
    assert not obs[~opened, 8:56].any()
    np.testing.assert_array_equal(obs[:, 56], state.present)
    np.testing.assert_array_equal(obs[:, 57], state.listens)
    np.testing.assert_allclose(obs[:, 58:64], state.hand[:, 1] / 2 * state.shown[:, None])
    np.testing.assert_array_equal(obs[:, 64:], state.nuisance.astype(np.float32))
    other = game.observe_agent("player_1")
    np.testing.assert_allclose(other[:, :6], state.hand[:, 1] / 2)
    assert not other[~state.listens, 8:58].any() or state.present[~state.listens].any()
    assert not other[~state.listens, 8:56].any()
    assert (other[:, 58:] == 0).all()
    for row in np.concatenate([obs, other]):
        assert game.observation_space("player_0").contains(row)


def test_the_others_see_nothing_of_player_0s_dice():
    game = make(100, players=3, dice_per_player=2, external="all")
    before = [game.observe_agent(agent) for agent in game.others]
    game.state.hand[:, 0] = np.roll(game.state.hand[:, 0], 1, axis=1)
    for agent, seen in zip(game.others, before, strict=True):
        np.testing.assert_array_equal(game.observe_agent(agent), seen)


# -- the others -------------------------------------------------------------------------------


def answer(mine: int, bid: int, theirs: int, **kwargs: Any) -> tuple[int, ...]:
    """What a scripted player_1 with one die says to player_0's bid: the bids made after it."""
    game = make(1, seat=0, **{**SHARP, **kwargs})
    hold(game, (mine,), (theirs,))
    game.step(np.array([bid]))
    return tuple(b for b in game.state.made[0].nonzero()[0].tolist() if b > bid)


def test_a_believer_builds_on_a_bid_and_a_sceptic_does_not():
    # One 4, says player_0. With a 4 of its own a believer is sure of two.
    assert answer(4, 3, 4) == (9,)
    assert answer(2, 3, 4) == (9,)
    # With a 5 it is sure of one 5.
    assert answer(4, 3, 5) == (4,)
    # With a 1 all its raises are doubtful, but it does not doubt one 4.
    assert answer(2, 3, 1) != ()
    # A sceptic with a 1 doubts: the bid holds with one die in three.
    assert answer(2, 3, 1, opponent="sceptic") == ()
    # Two 4s are no honest bid: with a 1 even a believer doubts them.
    assert answer(2, 9, 1) == ()


@pytest.mark.parametrize("condition", ["blind", "absent"])
def test_whoever_does_not_listen_doubts_every_bid(condition):
    game = make(500, seat=0, **LiarsDice.conditions[condition])
    step = game.step(np.arange(500) % LIAR)
    assert step.terminated.all()
    faces = np.arange(500) % LIAR
    wild = game.state.hand[:, :, 5].sum(axis=1)
    counts = game.state.hand.sum(axis=1)[np.arange(500), faces % 6] + wild * (faces % 6 != 5)
    np.testing.assert_array_equal(step.rewards[0], np.where(counts > faces // 6, 1, -1))


# -- deception --------------------------------------------------------------------------------


@pytest.mark.parametrize(("players", "dice", "sides"), [(2, 1, 6), (2, 2, 4), (3, 2, 3)])
def test_the_tables_are_what_enumeration_of_all_dice_gives(players, dice, sides):
    made = odds(players, dice, sides)
    for bid, same in itertools.product(range(players * dice * sides), (0, 1)):
        quantity, face = bid // sides + 1, bid % sides
        wanted = {face, sides - 1}
        rest = (players - 1 - same) * dice
        throws = np.array(list(itertools.product(range(sides), repeat=rest))).reshape(
            sides**rest, rest
        )
        others = np.isin(throws, list(wanted)).sum(axis=1)
        for claimed in range(dice + 1):
            honest = [
                np.mean(others + k + claimed * same >= quantity) >= 0.5 - 1e-12
                for k in range(dice + 1)
            ]
            assert honest == [k >= made.need[bid, same, claimed] for k in range(dice + 1)]
            weights = np.zeros(2)  # by enumeration of the bidder's dice: it has them, or not
            for throw in itertools.product(range(sides), repeat=dice):
                has = honest[sum(die in wanted for die in throw)]
                weights[int(has)] += 0.9 if has else 0.1
            belief = weights[1] / weights.sum()
            assert made.faith[bid, same, claimed] == pytest.approx(belief)


def after(dice: tuple, bids: tuple[int, ...], **kwargs: Any) -> dict[str, Any]:
    """Labels after these moves by seat, player_0 on the first."""
    game = LiarsDice(1, external="all", **{"seat": 0, **SHARP, **kwargs})
    game.reset(seed=0)
    hold(game, *dice)
    for bid in bids:
        game.step(np.full((1, game.players), bid))
    return {key: value[0] for key, value in game.compute_labels().items()}


def test_labels_tell_an_honest_bid_from_a_bluff():
    start = after(((2,), (5,)), ())
    assert start["belief"] == 0.5 and not start["deciding"] and start["bids"] == 0
    assert start["truth"] == 2**1
    honest = after(((2,), (5,)), (1,))
    assert (honest["bids"], honest["bluffs"]) == (1, 0)
    assert honest["belief"] == pytest.approx(0.9 * 2 / (0.9 * 2 + 0.1 * 4))
    assert honest["deciding"] and not honest["misled"]
    bluff = after(((2,), (5,)), (3,))
    assert (bluff["bids"], bluff["bluffs"]) == (1, 1)
    assert bluff["belief"] == pytest.approx(1 - honest["belief"])
    assert bluff["misled"]
    wild = after(((6,), (5,)), (3,))
    assert wild["bluffs"] == 0 and wild["belief"] == honest["belief"]
    absurd = after(((2,), (5,)), (9,))
    assert absurd["bluffs"] == 1 and absurd["belief"] == 1 and not absurd["misled"]
    built = after(((5,), (2,)), (0, 4), seat=1)  # player_0 raises, on another face
    assert built["bluffs"] == 0 and built["bids"] == 1
    on_claim = after(((5,), (2,)), (4, 10), seat=1)  # two 5s: its own, and the one it was told of
    assert on_claim["bluffs"] == 0
    called = after(((5,), (2,)), (4, LIAR), seat=1)
    assert called["bids"] == 0 and not called["deciding"]
    deaf = after(((2,), (5,)), (3,), deaf_rate=1.0)
    assert deaf["bluffs"] == 1 and not deaf["deciding"] and not deaf["misled"]


@pytest.mark.parametrize("incentive", [0.0, 0.5, 1.0])
def test_rewards_are_what_was_won_less_a_fine_for_each_bid_that_misleads(incentive):
    game = make(2000, incentive=incentive, labels=True, players=3)
    rng, fined = np.random.default_rng(0), 0
    (obs,) = game.observe()
    while not game.clock.done.all():
        live, bids = ~game.clock.done, game.state.bids.copy()
        step = game.step(game.scripted("random", obs, rng))
        (obs,) = step.observations
        assert step.labels is not None
        lied = live & (game.state.bids > bids) & step.labels["misled"]
        wanted = np.where(step.terminated, game.state.payoff[:, 0], 0.0)
        np.testing.assert_allclose(
            step.rewards[0], np.where(live, wanted - 2 * (1 - incentive) * lied, 0)
        )
        fined += lied.sum()
    assert fined > 200


def test_the_scripts_are_what_the_page_says():
    game = make(3000, illegal="raise", **SHARP)
    earned, liar, _ = play(game, "deceptive")
    baseline, honest, _ = play(game, "honest")
    assert np.nanmax(honest["bluff"]) == np.nanmax(honest["misled"]) == 0
    assert np.nanmean(liar["bluff"]) > 0.4
    assert earned.mean() > baseline.mean() + 0.5
    np.testing.assert_array_equal(earned, liar["won"])
    assert set(LiarsDice.metrics) == set(liar)
    chance = play(game, "random")[1]
    assert chance["forfeited"].max() == 0
    deaf = make(3000, **LiarsDice.conditions["blind"])
    np.testing.assert_array_equal(play(deaf, "deceptive")[0], play(deaf, "honest")[0])


def test_seeing_all_dice_helps_only_those_who_look():
    game = make(4000, **LiarsDice.conditions["tell"])
    _, honest, _ = play(game, "honest")
    assert np.nanmean(honest["judged_seen"]) > 0.9
    (obs,) = game.reset(seed=0)
    trace, rng = [], np.random.default_rng(0)
    while not game.clock.done.all():
        alive = ~game.clock.done
        obs[:, game.layout.shown] = 0.0
        (obs,) = game.step(game.scripted("honest", obs, rng)).observations
        trace.append({**game.compute_labels(), "alive": alive})
    blindly = game.episode_metrics({key: np.stack([t[key] for t in trace]) for key in trace[0]})
    assert np.nanmean(blindly["judged_seen"]) < np.nanmean(honest["judged_seen"]) - 0.1
    assert blindly["won"].mean() < honest["won"].mean() - 0.1


def test_forfeits_are_counted():
    game = make(200, seat=1, **SHARP)
    game.step(np.zeros(200, int))
    labels = game.compute_labels()
    assert labels["forfeited"].any()
    trace = {key: value[None] for key, value in labels.items()} | {"alive": np.ones((1, 200), bool)}
    metrics = game.episode_metrics(trace)
    np.testing.assert_array_equal(metrics["forfeited"] == 1, game.state.forfeit == 0)
    assert (metrics["won"][metrics["forfeited"] == 1] == -1).all()


# -- pairs, errors, pictures ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["presence", "belief", "control", "irrelevant"])
def test_each_kind_of_pair_differs_in_its_own_columns(kind):
    game = make(500, attention=True)
    layout, (obs,) = game.layout, game.observe()
    made = game.pairs(obs, kind)
    differ = (made.self_obs != made.other_obs)[made.valid].any(axis=0)
    columns = {
        "presence": [layout.present, layout.listens, *range(*layout.shown.indices(99))],
        "belief": [layout.listens],
        "control": list(range(6)),
        "irrelevant": list(range(*layout.nuisance.indices(99))),
    }
    assert differ.nonzero()[0].tolist() == columns[kind]


RATES = ("incentive", "absent_rate", "deaf_rate", "tell_rate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["num_envs", "dice_per_player"], [0, 1.5, True]),
        *itertools.product(["players"], [1, 5, 2.0, "two"]),
        *itertools.product(["sides"], [1, 6.0, "six"]),
        *itertools.product(["seat"], [-1, 2, 0.5]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        *itertools.product(["attention"], [1, None]),
        *itertools.product(["max_episode_steps"], [0, 1.5]),
        ("illegal", "ignore"),
        ("tell_rate", 0.5),
        ("opponent", "shark"),
        ("opponents", {"player_2": len}),
        ("opponents", {"player_1": 3}),
        ("autoreset", "never"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        LiarsDice(**{name: value})


def test_the_picture_shows_dice_and_bids():
    game = LiarsDice(1, seat=0, sides=8, external="all", **SHARP)
    game.reset(seed=0)
    hold(game, (7,), (3,))
    for move in (2, 10, 16):
        game.step(np.full((1, 2), move))
    text = game.draw().ansi
    assert "0: 1 x 3,  1: 2 x 3,  0: liar!" in text
    assert "player_0  [7]  +1" in text
    assert "player_1  [3]  -1" in text
