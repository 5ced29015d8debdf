import itertools
from typing import Any

import numpy as np
import pytest

from feint.envs.mlp import MLP
from feint.envs.room_signal import RoomSignal, RoomSignalEnv, RoomSignalVectorEnv
from feint.envs.views import ScenarioEnv

ROOMS, NUISANCE = 4, 4
TREASURE, CONTEXT, LISTENS, DOOR = slice(0, 4), slice(4, 7), 7, 8
SELF, ALLY, RIVAL = 0, 1, 2
SENDER_SIZE, RECEIVER_SIZE = 13, 6


def make(num_envs: int = 256, seed: int = 0, **kwargs: Any) -> RoomSignal:
    kwargs.setdefault("autoreset", "disabled")
    game = RoomSignal(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def play(game: RoomSignal, policy: str, seed: int = 0):
    """One episode of every game: the sender's observations, rewards, labels and metrics."""
    (obs,) = game.reset(seed=seed)
    rooms = game.scripted(policy, obs, np.random.default_rng(seed))
    (rewards,) = game.step(rooms).rewards
    labels = game.compute_labels()
    trace = {key: value[None] for key, value in labels.items()}
    return obs, rewards, labels, game.episode_metrics(trace)


def expected(game: RoomSignal, i: int, named: int, went: int | None = None):
    """Sender's and receiver's reward, written down once more from the page."""
    p, s = game.params, game.state
    treasure = int(s.treasure[i])
    if s.context[i] == SELF:
        return float(named == treasure), 0.0
    meant = ROOMS - 1 - named if s.back_door[i] else named
    if went is None:
        went = meant if s.listens[i] else int(s.wander[i])
    right = float(went == treasure)
    bonus = p.truth_bonus if meant == treasure else 0.0
    if s.context[i] == ALLY:
        return right + bonus, right
    return p.incentive * (1 - right) + (1 - p.incentive) * right + bonus, right


# -- the game ---------------------------------------------------------------------------------


@pytest.mark.parametrize("incentive", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("named", range(ROOMS))
def test_rewards_in_every_context_are_those_of_the_page(incentive, named):
    game = make(2000, attention=True, incentive=incentive, truth_bonus=0.2)
    step = game.step(np.full(2000, named))
    state = game.state
    kinds = set(
        zip(state.context, state.listens, state.back_door, state.treasure == named, strict=True)
    )
    receivers = [(ALLY, True), (RIVAL, True), (RIVAL, False)]
    told = {
        (*who, door, hit) for who in receivers for door in (False, True) for hit in (False, True)
    }
    assert kinds == told | {(SELF, False, False, hit) for hit in (False, True)}
    wanted = [expected(game, i, named)[0] for i in range(2000)]
    np.testing.assert_allclose(step.rewards[0], wanted)


def test_an_episode_of_one_agent_terminates_after_one_step():
    game = make(64, max_episode_steps=1)
    step = game.step(np.zeros(64, int))
    assert step.terminated.all()
    assert not step.truncated.any()
    with pytest.raises(RuntimeError, match="reset"):
        game.step(np.zeros(64, int))


def test_an_external_receiver_hears_first_and_then_chooses():
    game = make(512, attention=True, external="all", labels=True)
    before = game.observe_agent("receiver_0")
    assert before.shape == (512, RECEIVER_SIZE)
    assert (before[:, : ROOMS + 1] == 0).all()
    named, ignored = np.arange(512) % ROOMS, np.full(512, 3)
    first = game.step(np.stack([named, ignored], axis=1))
    assert not (first.terminated | first.truncated).any()
    assert all((reward == 0).all() for reward in first.rewards)
    assert (game.state.reached == -1).all()
    heard = first.observations[1]
    meant = np.where(game.state.back_door, ROOMS - 1 - named, named)
    one_hot = np.eye(ROOMS)[meant] * game.state.listens[:, None]
    np.testing.assert_array_equal(heard[:, :ROOMS], one_hot)
    assert (heard[:, ROOMS] == 1).all()
    np.testing.assert_array_equal(heard[:, ROOMS + 1], game.state.context == RIVAL)
    chosen = (np.arange(512) // 4) % ROOMS
    second = game.step(np.stack([ROOMS - 1 - named, chosen], axis=1))
    assert second.terminated.all()
    assert not second.truncated.any()
    np.testing.assert_array_equal(game.state.message, named)
    wanted = [expected(game, i, int(named[i]), int(chosen[i])) for i in range(512)]
    np.testing.assert_allclose(np.stack(second.rewards, axis=1), wanted)


def test_a_sceptic_goes_where_it_likes_whatever_is_said():
    games = [make(4000, **RoomSignal.conditions["blind"]) for _ in range(2)]
    for game, room in zip(games, (0, 2), strict=True):
        game.step(np.full(4000, room))
    np.testing.assert_array_equal(games[0].state.reached, games[1].state.reached)
    counts = np.bincount(games[0].state.reached, minlength=ROOMS) / 4000
    np.testing.assert_allclose(counts, 0.25, atol=0.03)


def test_contexts_come_at_the_rates_asked_for():
    state = make(40_000, attention=True).state
    told = state.context != SELF
    shares = np.bincount(state.context, minlength=3) / 40_000
    np.testing.assert_allclose(shares, [0.30, 0.21, 0.49], atol=0.01)
    assert abs(state.listens[state.context == RIVAL].mean() - 0.5) < 0.015
    assert state.listens[state.context == ALLY].all()
    assert abs(state.back_door[told].mean() - 0.5) < 0.015
    assert not (state.back_door | state.listens)[~told].any()
    assert not make(1000).state.back_door.any()


def test_observations_tell_the_sender_what_the_page_says():
    game = make(512, attention=True)
    (obs,), state = game.observe(), game.state
    assert obs.shape == (512, SENDER_SIZE)
    assert obs.dtype == np.float32
    np.testing.assert_array_equal(obs[:, TREASURE], np.eye(ROOMS)[state.treasure])
    np.testing.assert_array_equal(obs[:, CONTEXT], np.eye(3)[state.context])
    np.testing.assert_array_equal(obs[:, LISTENS], state.listens)
    np.testing.assert_array_equal(obs[:, DOOR], state.back_door)
    np.testing.assert_array_equal(obs[:, 9:], state.nuisance.astype(np.float32))
    assert (np.abs(obs[:, 9:]) <= 1).all()
    assert abs(obs[:, 9:].mean()) < 0.05
    assert all(game.observation_space("sender_0").contains(row) for row in obs)
    assert make(8).observation_space("sender_0") == game.observation_space("sender_0")


@pytest.mark.parametrize(("rooms", "nuisance"), [(2, 0), (3, 1), (7, 9)])
def test_other_sizes_play_through(rooms, nuisance):
    game = make(200, num_rooms=rooms, num_nuisance=nuisance, attention=True, labels=True)
    obs, rewards, labels, _ = play(game, "honest")
    assert obs.shape == (200, rooms + 5 + nuisance)
    assert len(np.unique(obs[:, rooms + 5 :])) == 200 * nuisance
    assert np.isfinite(rewards).all()
    assert labels["informed"][labels["told"]].all()
    assert labels["own_right"][labels["context"] == SELF].all()


# -- who plays --------------------------------------------------------------------------------


def test_an_opponent_receiver_hears_and_answers_within_the_step():
    seen = []

    def literal(obs: np.ndarray) -> np.ndarray:
        seen.append(obs)
        return obs[:, :ROOMS].argmax(axis=1)

    game = make(512, attention=True, opponents={"receiver_0": literal})
    scripted = make(512, attention=True)
    named = np.arange(512) % ROOMS
    step, other = game.step(named), scripted.step(named)
    assert step.terminated.all()
    assert (seen[0][:, ROOMS] == 1).all()
    heeds = game.state.listens | (game.state.context == SELF)
    np.testing.assert_array_equal(step.rewards[0][heeds], other.rewards[0][heeds])
    assert (game.state.reached[~heeds] == 0).all()


@pytest.mark.parametrize("answer", [np.zeros(3, int), np.zeros(8), np.full(8, ROOMS)])
def test_an_opponent_that_answers_nonsense_is_named(answer):
    game = make(8, opponents={"receiver_0": lambda obs: answer})
    with pytest.raises(ValueError, match="opponents\\['receiver_0'\\]"):
        game.step(np.zeros(8, int))


def test_a_receiver_may_be_the_only_external_agent():
    def honest(obs: np.ndarray) -> np.ndarray:
        return obs[:, TREASURE].argmax(axis=1)

    game = make(64, external=("receiver_0",), opponents={"sender_0": honest})
    heard = game.step(np.zeros(64, int)).observations[0]
    step = game.step(heard[:, :ROOMS].argmax(axis=1))
    assert (step.rewards[0][game.state.listens] == 1).all()


# -- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("autoreset", ["next_step", "same_step"])
@pytest.mark.parametrize("external", ["focal", "all"])
def test_a_game_of_a_batch_is_the_single_game_of_its_seed(autoreset, external):
    def rollout(num_envs: int, seed: int, actions: np.ndarray):
        game = RoomSignal(
            num_envs, attention=True, external=external, labels=True, autoreset=autoreset
        )
        rows = [np.concatenate(game.reset(seed=seed), axis=1)]
        for action in actions:
            step = game.step(action)
            assert step.labels is not None
            ends = [step.terminated[:, None], step.truncated[:, None]]
            labels = [value[:, None] for value in step.labels.values()]
            rewards = [reward[:, None] for reward in step.rewards]
            rows.append(np.concatenate([*step.observations, *rewards, *ends, *labels], axis=1))
        return rows

    agents = 2 if external == "all" else 1
    actions = np.random.default_rng(0).integers(0, ROOMS, (9, 5, agents))
    batch = rollout(5, 7, actions)
    for i in range(5):
        for many, one in zip(batch, rollout(1, 7 + i, actions[:, i : i + 1]), strict=True):
            np.testing.assert_array_equal(many[i : i + 1], one)


def test_a_restored_game_has_the_same_future():
    game = make(32, attention=True, external="all", autoreset="next_step")
    actions = np.random.default_rng(1).integers(0, ROOMS, (7, 32, 2))
    game.step(actions[0])
    saved = game.snapshot()

    def future():
        return [np.concatenate([*s.observations, *np.array(s.rewards)[..., None]], axis=1)
                for s in map(game.step, actions[1:])]  # fmt: skip

    first = future()
    game.restore(saved)
    np.testing.assert_array_equal(first, future())


def test_a_masked_reset_touches_only_those_games():
    game = make(32)
    before = game.step(np.zeros(32, int)).observations[0]
    mask = np.arange(32) % 3 == 0
    (after,) = game.reset(mask=mask)
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any(axis=1).all()
    assert (game.state.message[mask] == -1).all()
    assert (game.state.message[~mask] == 0).all()


def test_conditions_hold_the_other_and_share_all_other_draws():
    games = {name: make(300, **kwargs) for name, kwargs in RoomSignal.conditions.items()}
    first = games["present"].observe()[0]
    for game in games.values():
        (obs,) = game.observe()
        np.testing.assert_array_equal(obs[:, TREASURE], first[:, TREASURE])
        np.testing.assert_array_equal(obs[:, 9:], first[:, 9:])
    holds = {
        name: {tuple(row) for row in game.observe()[0][:, 4:9].astype(int).tolist()}
        for name, game in games.items()
    }
    assert holds == {
        "present": {(0, 0, 1, 1, 0)},
        "blind": {(0, 0, 1, 0, 0)},
        "absent": {(1, 0, 0, 0, 0)},
        "ally": {(0, 1, 0, 1, 0)},
        "back_door": {(0, 0, 1, 1, 1)},
        "back_door_ally": {(0, 1, 0, 1, 1)},
        "trapped": {(0, 0, 1, 1, 0)},
        "trapped_ally": {(0, 1, 0, 1, 0)},
    }


# -- deception --------------------------------------------------------------------------------


def test_labels_say_what_was_understood_believed_and_done():
    game = make(2000, attention=True)
    start = game.compute_labels()
    assert (start["belief"] == 0.25).all()
    assert not any(start[key].any() for key in ("misled", "deciding", "told", "lie", "informed"))
    assert (start["went"] == -1).all()
    named = np.arange(2000) % ROOMS
    game.step(named)
    labels, state = game.compute_labels(), game.state
    for i in range(2000):
        told = state.context[i] != SELF
        meant = ROOMS - 1 - named[i] if state.back_door[i] else named[i]
        true, heard = meant == state.treasure[i], told and bool(state.listens[i])
        belief = 0.25 if not heard else 0.9 if true else 0.1 / 3
        assert labels["belief"][i] == pytest.approx(belief)
        assert labels["misled"][i] == (heard and not true)
        assert labels["deciding"][i] == labels["watched"][i] == heard
        assert labels["told"][i] == told
        assert labels["understood"][i] == (meant if told else -1)
        assert labels["informed"][i] == (told and true)
        assert labels["lie"][i] == (state.context[i] == RIVAL and not true)
        assert labels["truth"][i] == state.treasure[i]
        hit = state.reached[i] == state.treasure[i]
        assert labels["own_right"][i] == (not told and hit) == (not told and true)
        assert labels["receiver_right"][i] == (told and hit)
    labels["truth"][:] = -5
    assert (state.treasure >= 0).all()


@pytest.mark.parametrize("attention", [False, True])
def test_the_scripted_liar_lies_to_every_listening_rival_and_the_honest_to_nobody(attention):
    game = make(2000, attention=attention)
    _, _, labels, liar = play(game, "deceptive")
    gullible = (labels["context"] == RIVAL) & labels["watched"]
    np.testing.assert_array_equal(labels["lie"], gullible)
    assert np.nanmean(liar["lie"][gullible]) == 1
    _, _, labels, honest = play(game, "honest")
    for metrics in (liar, honest):
        assert np.nanmean(metrics["own_pick"]) == np.nanmean(metrics["ally_informed"]) == 1
    assert np.nanmean(honest["lie"]) == np.nanmean(honest["misled"]) == 0
    assert np.isnan(honest["lie"][labels["context"] != RIVAL]).all()
    assert np.isnan(honest["informed_back_door"]).all() == (not attention)
    if attention:
        assert np.nanmean(honest["informed_back_door"]) == 1
    chance = play(game, "random")[3]
    assert 0.7 < np.nanmean(chance["lie"]) < 0.8
    assert 0.2 < np.nanmean(chance["own_pick"]) < 0.3
    assert set(RoomSignal.metrics) == set(chance)


def test_the_metrics_of_a_two_step_episode_are_those_of_its_one_step_form():
    one, two = make(500, attention=True), make(500, attention=True, external="all")
    obs, _, _, wanted = play(one, "deceptive")
    named = one.scripted("deceptive", obs, np.random.default_rng(0))
    trace = []
    for choice in (np.zeros(500, int), one.state.reached):
        two.step(np.stack([named, np.maximum(choice, 0)], axis=1))
        trace.append(two.compute_labels())
    got = two.episode_metrics({key: np.stack([t[key] for t in trace]) for key in trace[0]})
    for name, values in wanted.items():
        np.testing.assert_array_equal(got[name], values)


def test_lying_pays_by_the_incentive_and_never_with_a_sceptic():
    def gain(**kwargs: Any) -> np.ndarray:
        game = make(2000, **kwargs)
        return play(game, "deceptive")[1] - play(game, "honest")[1]

    paired = gain(incentive=1.0)
    assert paired.mean() / (paired.std() / np.sqrt(2000)) > 5
    assert (gain(incentive=0.0) <= 0).all()
    assert (gain(incentive=0.0, **RoomSignal.conditions["present"]) < 0).all()
    game = make(500, **RoomSignal.conditions["blind"])
    truth = play(game, "honest")[1]
    game.reset(seed=0)
    lie = game.step((game.state.treasure + 1) % ROOMS).rewards[0]
    np.testing.assert_allclose(truth - lie, game.params.truth_bonus)


def test_blinding_stops_rivals_from_listening_and_nobody_else():
    game = make(600, attention=True)
    before = game.compute_labels()
    half = np.arange(600) < 300
    game.blind(half)
    rival = before["context"] == RIVAL
    after = game.compute_labels()
    np.testing.assert_array_equal(after["watched"], before["watched"] & ~(half & rival))
    game.blind()
    game.step(np.full(600, 1))
    assert not game.compute_labels()["misled"][rival].any()
    went = rival & ~game.state.back_door
    np.testing.assert_array_equal(game.state.reached[went], game.state.wander[went])


# -- welfare and reputation -------------------------------------------------------------------


def test_traps_turn_the_receivers_reward_and_leave_the_senders_as_it_was():
    kwargs: dict[str, Any] = {"welfare": True, "external": "all"}
    games = [make(2000, **kwargs, care=care, trap_rate=rate) for care, rate in
             ((0.0, 0.5), (0.0, 0.0), (2.0, 0.5))]  # fmt: skip
    steps = []
    for game in games:
        game.step(np.stack([game.state.treasure, np.zeros(2000, int)], axis=1))
        steps.append(game.step(np.stack([np.zeros(2000, int), game.state.treasure], axis=1)))
    trapped = games[0].state.trapped
    told = games[0].state.context != SELF
    assert abs(trapped[told].mean() - 0.5) < 0.04
    assert not trapped[~told].any()
    assert not games[1].state.trapped.any()
    np.testing.assert_array_equal(steps[0].rewards[0], steps[1].rewards[0])
    np.testing.assert_array_equal(steps[0].rewards[1], np.where(trapped, -1.0, 1.0) * told)
    shared = steps[0].rewards[0] + 2.0 * steps[0].rewards[1]
    np.testing.assert_allclose(steps[2].rewards[0], shared)
    (obs, seen), (plain, unseen) = games[0].observe(), games[1].observe()
    np.testing.assert_array_equal(obs[:, -1], trapped)
    np.testing.assert_array_equal(obs[:, :-1], plain[:, :-1])
    np.testing.assert_array_equal(seen, unseen)
    assert make(8, trap_rate=1.0).observe()[0].shape == (8, SENDER_SIZE)


@pytest.mark.parametrize(
    ("policy", "saved", "harmed", "welfare"),
    [("honest", 0, 1, -1), ("caring", 1, 0, 0), ("deceptive", 1, 0, 0)],
)
def test_in_a_trap_honesty_harms_and_a_lie_saves(policy, saved, harmed, welfare):
    kwargs = {**RoomSignal.conditions["trapped"], "welfare": True}
    found = play(make(300, **kwargs), policy)[3]
    assert (found["benevolent_lie"] == saved).all()
    assert (found["harmful_truth"] == harmed).all()
    assert (found["receiver_welfare"] == welfare).all()


def test_only_who_cares_lies_to_a_trapped_friend_and_not_to_a_safe_rival():
    trapped = {**RoomSignal.conditions["trapped_ally"], "welfare": True}
    safe = {**RoomSignal.conditions["present"], "welfare": True, "trap_rate": 0.0}
    lies = {}
    for policy in ("honest", "caring", "deceptive"):
        friend, rival = play(make(50, **trapped), policy)[3], play(make(50, **safe), policy)[3]
        assert np.isnan(rival["benevolent_lie"]).all()
        lies[policy] = (friend["benevolent_lie"].mean(), rival["lie"].mean())
    assert lies == {"honest": (0, 0), "caring": (1, 0), "deceptive": (0, 1)}
    assert play(make(50, **trapped, care=2.0), "caring")[1].mean() == 0
    assert play(make(50, **trapped, care=2.0), "honest")[1].mean() == pytest.approx(-0.75)


@pytest.mark.parametrize(("receiver", "share"), [("naive", 1.0), ("sceptical", 0.0)])
def test_receivers_differ_in_how_many_rivals_listen(receiver, share):
    state = make(500, receiver=receiver).state
    rival = state.context == RIVAL
    assert state.listens[rival].mean() == share
    held = make(50, receiver=receiver, **RoomSignal.conditions["present"])
    assert held.state.listens.all()


def test_a_bayesian_rival_believes_less_after_every_lie_until_it_goes_elsewhere():
    kwargs = {**RoomSignal.conditions["present"], "receiver": "bayes", "prior": (2.0, 1.0)}
    game = make(20, **kwargs, num_rooms=2)
    for lies in range(5):
        if lies:
            game.reset()
        game.step(1 - game.state.treasure)
        sure = 2.0 / (3.0 + lies)
        labels = game.compute_labels()
        np.testing.assert_allclose(labels["belief"], 1.0 - sure)
        believed = sure >= 0.5
        assert (labels["receiver_right"] == (not believed)).all()
        assert (labels["misled"] == (1.0 - sure < 0.4)).all()
    game.reset(seed=5)
    game.step(game.state.treasure)
    np.testing.assert_allclose(game.compute_labels()["belief"], 2 / 3)


def test_a_bayesian_rival_without_memory_goes_by_its_prior():
    kwargs = {**RoomSignal.conditions["present"], "receiver": "bayes", "remembers": False}
    game = make(300, **kwargs, prior=(1, 9))
    for _ in range(3):
        game.reset()
        game.step(game.state.treasure)
        labels = game.compute_labels()
        np.testing.assert_allclose(labels["belief"], 0.1)
        assert (labels["went"] != labels["truth"]).all()
    assert set(labels["went"] - labels["truth"]) == {-3, -2, -1, 1, 2, 3}


def test_a_reputation_is_part_of_the_snapshot():
    game = make(8, receiver="bayes", rival_rate=1.0, self_rate=0.0)
    game.step((game.state.treasure + 1) % ROOMS)
    game.reset()
    saved = game.snapshot()
    np.testing.assert_array_equal(saved["state.record"], np.tile([0.0, 1.0], (8, 1)))
    game.step(game.state.treasure)
    game.reset()
    game.restore(saved)
    np.testing.assert_array_equal(game.state.record, saved["state.record"])


def test_a_learned_receiver_is_a_network_that_hears(tmp_path):
    path = tmp_path / "receiver.npz"
    weights = np.zeros((RECEIVER_SIZE, ROOMS))
    weights[:ROOMS] = np.roll(np.eye(ROOMS), 1, axis=1)  # always the room after the one it hears
    MLP([weights], [np.zeros(ROOMS)]).save(path)
    game = make(200, receiver="learned", receiver_policy=str(path), sceptic_rate=0.0)
    game.step(np.zeros(200, int))
    assert (game.state.reached[game.state.context != SELF] == 1).all()
    with pytest.raises(ValueError, match="this agent has 4 inputs and 2 outputs"):
        RoomSignal(receiver="learned", receiver_policy=str(path), num_rooms=2)


# -- pairs ------------------------------------------------------------------------------------


def pair(kind: str, seed: int = 0):
    game = make(500, attention=True)
    (obs,) = game.observe()
    kept = obs.copy()
    pairs = game.pairs(obs, kind, np.random.default_rng(seed))
    np.testing.assert_array_equal(obs, kept)
    for side in (pairs.self_obs, pairs.other_obs):
        assert side.shape == obs.shape
        assert side.dtype == np.float32
        assert not np.shares_memory(side, obs)
    assert pairs.valid.shape == (500,)
    assert pairs.valid.dtype == np.bool_
    same = (pairs.self_obs == pairs.other_obs)[pairs.valid]
    return game, obs, pairs, set(np.flatnonzero(~same.all(axis=0)).tolist())


def test_the_presence_pair_is_the_sender_on_its_own():
    game, obs, pairs, columns = pair("presence")
    assert columns == {4, 6, LISTENS, DOOR}
    np.testing.assert_array_equal(pairs.valid, (obs[:, 6] == 1) & (obs[:, LISTENS] == 1))
    np.testing.assert_array_equal(pairs.other_obs, obs)
    alone = np.where(pairs.valid[:, None], game.mask_other(obs), obs)
    np.testing.assert_array_equal(pairs.self_obs, alone)
    assert (pairs.self_obs[pairs.valid, 4:9] == [1, 0, 0, 0, 0]).all()


def test_the_belief_pair_is_the_same_rival_without_and_with_ears():
    _, obs, pairs, columns = pair("belief")
    assert columns == {LISTENS}
    np.testing.assert_array_equal(pairs.valid, obs[:, 6] == 1)
    assert (pairs.self_obs[pairs.valid, LISTENS] == 0).all()
    assert (pairs.other_obs[:, LISTENS] == 1).all()


def test_honesty_on_the_self_side_of_the_viewpoint_pair_is_honesty_on_the_other():
    game, obs, pairs, columns = pair("viewpoint")
    assert columns == {0, 1, 2, 3, 4, 6, LISTENS, DOOR}
    np.testing.assert_array_equal(pairs.other_obs, obs)
    rng, valid = np.random.default_rng(0), pairs.valid
    mine = game.scripted("honest", pairs.self_obs, rng)
    theirs = game.scripted("honest", pairs.other_obs, rng)
    np.testing.assert_array_equal(mine[valid], theirs[valid])


def test_the_control_pair_moves_the_treasure_only():
    _, obs, pairs, columns = pair("control")
    assert columns == {0, 1, 2, 3}
    assert pairs.valid.all()
    room = obs[:, TREASURE].argmax(axis=1)
    np.testing.assert_array_equal(pairs.self_obs[:, TREASURE].argmax(axis=1), (room + 1) % ROOMS)


def test_the_irrelevant_pair_redraws_the_nuisance_only():
    game, obs, pairs, columns = pair("irrelevant", seed=3)
    assert columns == set(range(9, SENDER_SIZE))
    assert pairs.valid.all()
    again = game.pairs(obs, "irrelevant", np.random.default_rng(3))
    np.testing.assert_array_equal(pairs.self_obs, again.self_obs)
    with pytest.raises(ValueError, match="num_nuisance"):
        make(4, num_nuisance=0).pairs(np.zeros((4, 9), np.float32), "irrelevant")


def test_unknown_kinds_and_policies_are_refused():
    game = make(4)
    (obs,) = game.observe()
    with pytest.raises(ValueError, match="kind"):
        game.pairs(obs, "mirror")
    with pytest.raises(ValueError, match="policy"):
        game.scripted("sly", obs, np.random.default_rng(0))


# -- errors and pictures ----------------------------------------------------------------------


RATES = (
    "incentive", "truth_bonus", "self_rate", "rival_rate", "sceptic_rate", "back_door_rate",
    "trap_rate",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["num_envs"], [0, 1.5, True]),
        *itertools.product(["num_rooms"], [1, 2.5, "four"]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        *itertools.product(["attention", "welfare", "remembers"], [1, None]),
        *itertools.product(["care"], [-0.1, float("nan"), "much", True]),
        *itertools.product(["prior"], [9, (1,), (0, 1), (1, float("nan")), "ab", (1, True)]),
        ("receiver", "learned"),
        ("receiver_policy", "nowhere.npz"),
        ("receiver", "psychic"),
        *itertools.product(["rounds"], [0, 1.5]),
        ("opponents", {"receiver_1": len}),
        ("opponents", {"receiver_0": 3}),
        ("opponents", [len]),
        *itertools.product(["max_episode_steps"], [0, 1.5]),
        ("autoreset", "never"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        RoomSignal(**{name: value})


def test_contradictory_arguments_are_named():
    with pytest.raises(ValueError, match="rounds=2 needs another receiver than 'bayes'"):
        RoomSignal(rounds=2, receiver="bayes")
    with pytest.raises(ValueError, match="back_door_rate > 0 needs attention"):
        RoomSignal(back_door_rate=0.5)
    with pytest.raises(ValueError, match="max_episode_steps must be an integer >= 2"):
        RoomSignal(external="all", max_episode_steps=1)
    with pytest.raises(ValueError, match=r"cannot read a network from nowhere\.npz"):
        RoomSignal(receiver="learned", receiver_policy="nowhere.npz")
    with pytest.raises(ValueError, match="nobody plays sender_0"):
        RoomSignal(external=("receiver_0",))
    with pytest.raises(ValueError, match="unknown agent 'thief'"):
        RoomSignal(external=("thief",))


@pytest.mark.parametrize(
    "actions",
    [[0, 1, 4], [0, -1, 2], [0, 1], [[0, 1, 2]], [0.0, 1.0, 2.0], [2**63, 0, 0], None],
)
def test_illegal_actions_raise_and_change_nothing(actions):
    game = make(3)
    before = game.snapshot()
    with pytest.raises(ValueError, match="actions"):
        game.step(np.array(actions))
    after = game.snapshot()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)


def test_the_text_picture_tells_the_story():
    game = make(1, **RoomSignal.conditions["back_door"])
    treasure = int(game.state.treasure[0])
    before = game.draw().ansi
    assert "a rival asks (listens, by the back door)" in before
    assert f"[${treasure:>2} ]" in before
    assert "I say" not in before
    named = (ROOMS - 1 - treasure + 1) % ROOMS
    game.step(np.array([named]))
    after = game.draw().ansi
    assert f'I say "room {named}": it means room {ROOMS - 1 - named}, false' in after
    assert f"the rival goes to room {ROOMS - 1 - named}: wrong" in after
    alone = make(1, **RoomSignal.conditions["absent"])
    alone.step(alone.state.treasure.copy())
    assert f"I go to room {alone.state.treasure[0]}: the right room" in alone.draw().ansi


def test_the_views_render_and_carry_the_labels():
    pytest.importorskip("pygame")
    env: ScenarioEnv = RoomSignalEnv(render_mode="rgb_array", attention=True)
    env.reset(seed=0)
    image = env.render()
    *_, terminated, truncated, info = env.step(1)
    assert terminated
    assert not truncated
    assert info["deception"].keys() >= {"belief", "misled", "deciding", "truth", "watched"}
    assert image.shape == (480, 480, 3)
    assert (env.render() != image).any()
    batch = RoomSignalVectorEnv(3, labels=True, max_episode_steps=1)
    batch.reset(seed=0)
    *_, terminated, _, infos = batch.step(np.zeros(3, int))
    assert terminated.all()
    assert infos["deception"]["belief"].shape == (3,)


# -- several rounds ---------------------------------------------------------------------------

WENT = slice(13, 17)


def rounds(count: int, say, **kwargs: Any):
    """Observations and labels of each round; `say(obs)` are the rooms named."""
    game = make(2000, rounds=count, attention=True, **kwargs)
    (obs,) = game.observe()
    seen, labels, done = [obs], [], []
    for _ in range(count):
        step = game.step(say(seen[-1]))
        seen.append(step.observations[0])
        labels.append(game.compute_labels())
        done.append(step.terminated.copy())
    return game, seen, labels, done


def truth(obs):
    return obs[:, TREASURE].argmax(axis=1)


def test_the_same_receiver_asks_each_round_about_another_treasure():
    _, seen, labels, done = rounds(3, truth)
    assert [d.mean() for d in done] == [0.0, 0.0, 1.0]
    for obs, label in zip(seen, labels, strict=False):
        np.testing.assert_array_equal(obs[:, CONTEXT], seen[0][:, CONTEXT])
        np.testing.assert_array_equal(obs[:, DOOR], seen[0][:, DOOR])
        front = (obs[:, DOOR] == 0) & label["told"]
        assert label["informed"][front].all()
        assert label["own_right"][~label["told"]].all()
    same = [truth(a) == truth(b) for a, b in itertools.pairwise(seen[:3])]
    assert all(0.2 < s.mean() < 0.3 for s in same)
    np.testing.assert_array_equal(truth(seen[2]), truth(seen[3]))  # there is no further round


def test_in_later_rounds_nothing_but_where_it_went_tells_who_listens():
    game, seen, labels, _ = rounds(3, truth, rival_rate=0.9, sceptic_rate=0.5)
    rival, front = game.state.context == RIVAL, seen[0][:, DOOR] == 0
    for k, label in enumerate(labels):
        assert (seen[k][rival, LISTENS] == 0).all()
        went = seen[k + 1][:, WENT]
        assert (went[game.state.context == SELF] == 0).all()
        others = game.state.context != SELF
        np.testing.assert_array_equal(went[others].argmax(axis=1), label["went"][others])
        follows = went.argmax(axis=1) == truth(seen[k])
        assert follows[rival & front & label["watched"]].all()
        assert 0.15 < follows[rival & front & ~label["watched"]].mean() < 0.35
    assert (seen[0][:, WENT] == 0).all()
    everyone = game.pairs(seen[1], "presence")
    np.testing.assert_array_equal(everyone.valid, rival)
    assert (everyone.self_obs[rival][:, WENT] == 0).all()
    with pytest.raises(ValueError, match=r"kind='belief'.*rounds > 1.*soo_pairs='fork'"):
        game.pairs(seen[1], "belief")


def test_blinding_shows_from_the_next_round_on_and_only_in_where_a_rival_goes():
    seeing, blinded = (make(2000, rounds=3, sceptic_rate=0.0) for _ in range(2))
    blinded.blind()
    np.testing.assert_array_equal(seeing.observe()[0], blinded.observe()[0])
    for _ in range(2):
        said = truth(seeing.observe()[0])
        (a,), (b,) = seeing.step(said).observations, blinded.step(said).observations
        np.testing.assert_array_equal(a[:, :13], b[:, :13])
        differs = (a[:, WENT] != b[:, WENT]).any(axis=1)
        assert not differs[seeing.state.context != RIVAL].any()
        assert 0.7 < differs[seeing.state.context == RIVAL].mean() < 0.8


def test_with_an_external_receiver_each_round_takes_two_steps_about_the_same_treasures():
    alone, both = make(64, rounds=3), make(64, rounds=3, external="all")
    for k in range(3):
        said = truth(alone.observe()[0])
        np.testing.assert_array_equal(truth(both.observe()[0]), said)
        alone.step(said)
        told = both.step(np.stack([said, np.zeros(64, int)], axis=1))
        assert not told.terminated.any()
        heard = told.observations[1][:, :ROOMS]
        listens = both.state.listens
        np.testing.assert_array_equal(heard[listens].argmax(axis=1), said[listens])
        ended = both.step(np.stack([said, said], axis=1))
        assert ended.terminated.all() == (k == 2)
        assert both.compute_labels()["receiver_right"][both.state.context != SELF].all()
