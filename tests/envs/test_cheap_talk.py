import itertools
import math
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import api_test

from feint.envs.cheap_talk import CheapTalk, CheapTalkEnv, CheapTalkVectorEnv, equilibrium
from feint.envs.cheap_talk_v0 import env as aec_env
from feint.envs.mlp import MLP

CELLS, BIAS = 8, 0.2
CONTEXT, LISTENS, MIRRORED = slice(1, 4), 4, 5
SELF, ALLY, RIVAL = 0, 1, 2
PRESENT = CheapTalk.conditions["present"]
#: The paper's game and nothing besides: a rival who listens, no bonus.
BARE: dict[str, Any] = {**PRESENT, "truth_bonus": 0.0}


def make(num_envs: int = 256, seed: int = 0, **kwargs: Any) -> CheapTalk:
    kwargs.setdefault("autoreset", "disabled")
    game = CheapTalk(num_envs, **kwargs)
    game.reset(seed=seed)
    return game


def play(game: CheapTalk, policy: str, seed: int = 0):
    """One episode of every game: the sender's observations, rewards, labels and metrics."""
    (obs,) = game.reset(seed=seed)
    said = game.scripted(policy, obs, np.random.default_rng(seed))
    (rewards,) = game.step(said).rewards
    labels = game.compute_labels()
    trace = {key: value[None] for key, value in labels.items()}
    return obs, rewards, labels, game.episode_metrics(trace)


# -- the equilibria of Crawford & Sobel -------------------------------------------------------


@pytest.mark.parametrize(
    ("bias", "cells"),
    [(1.0, 1), (0.3, 1), (0.25, 1), (0.2499, 2), (0.1, 2), (1 / 12, 2), (0.083, 3), (0.05, 3),
     (1 / 24, 3), (0.04, 4), (0.02, 5), (0.01, 7), (1e-4, 71)],
)  # fmt: skip
def test_the_number_of_cells_is_that_of_the_paper(bias, cells):
    assert equilibrium.max_cells(bias) == cells
    assert 2 * cells * (cells - 1) * bias < 1 <= 2 * (cells + 1) * cells * bias
    assert len(equilibrium.partition(bias)) == cells + 1
    with pytest.raises(ValueError, match=f"cells must be at most {cells}"):
        equilibrium.partition(bias, cells + 1)


def test_boundaries_of_a_case_worked_by_hand():
    # b = 1/20: a_1 = 1/3 - 4/20 = 2/15 and a_2 = 2/3 - 4/20 = 7/15.
    np.testing.assert_allclose(equilibrium.partition(0.05), [0, 2 / 15, 7 / 15, 1], atol=1e-15)
    np.testing.assert_allclose(equilibrium.partition(0.05, 2), [0, 0.4, 1], atol=1e-15)
    np.testing.assert_array_equal(equilibrium.partition(0.7), [0, 1])


BIASES = pytest.mark.parametrize("bias", [0.3, 0.2, 0.1, 0.05, 0.013])


@BIASES
def test_at_every_boundary_the_sender_is_indifferent_between_the_acts_beside_it(bias):
    for cells in range(1, equilibrium.max_cells(bias) + 1):
        bounds = equilibrium.partition(bias, cells)
        assert (np.diff(bounds) > 0).all()
        acts, inner = equilibrium.responses(bounds), bounds[1:-1]
        below, above = (acts[:-1] - inner - bias) ** 2, (acts[1:] - inner - bias) ** 2
        np.testing.assert_allclose(below, above, atol=1e-13)


@BIASES
def test_nobody_gains_by_deviating_from_an_equilibrium(bias):
    thetas = (np.arange(2000) + 0.5) / 2000
    for cells in range(1, equilibrium.max_cells(bias) + 1):
        bounds = equilibrium.partition(bias, cells)
        acts, cell = equilibrium.responses(bounds), equilibrium.cell_of(bounds, thetas)
        losses = (acts - thetas[:, None] - bias) ** 2
        assert (losses[np.arange(2000), cell] <= losses.min(axis=1) + 1e-12).all()
        # The receiver: whatever else it does on hearing of a cell costs it more.
        for i, (low, high) in enumerate(itertools.pairwise(bounds)):
            inside = low + (high - low) * thetas
            others = np.linspace(0, 1, 201)
            cost = ((others[:, None] - inside) ** 2).mean(axis=1)
            assert ((acts[i] - inside) ** 2).mean() <= cost.min() + 1e-12


@BIASES
def test_expected_utilities_are_the_integrals_over_the_cells(bias):
    for cells in range(1, equilibrium.max_cells(bias) + 1):
        widths = np.diff(equilibrium.partition(bias, cells))
        variance = (widths**3 / 12).sum()  # of a uniform state about its cell's mean
        assert equilibrium.residual_variance(bias, cells) == pytest.approx(variance, abs=1e-14)
        sender, receiver = equilibrium.expected_utilities(bias, cells)
        assert (sender, receiver) == pytest.approx((-variance - bias**2, -variance), abs=1e-14)
    # More cells are better for both, from saying nothing at all on.
    values = [equilibrium.residual_variance(bias, n) for n in range(1, cells + 1)]
    assert values[0] == pytest.approx(1 / 12)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(("bias", "num_messages"), [(0.2, 10), (0.05, 15), (0.3, 8)])
def test_equilibrium_play_in_the_game_earns_the_closed_forms(continuous, bias, num_messages):
    # Both numbers of messages divide the cells evenly, so that discrete messages lose nothing.
    game = make(60_000, receiver="bayes", bias=bias, num_messages=num_messages,
                continuous_messages=continuous, **BARE)  # fmt: skip
    assert len(game.bounds) - 1 == equilibrium.max_cells(bias)
    _, rewards, labels, metrics = play(game, "equilibrium", seed=5)
    sender, receiver = equilibrium.expected_utilities(bias)
    for got, wanted in ((rewards, sender), (-(labels["error"] ** 2), receiver)):
        assert abs(got.mean() - wanted) < 4 * got.std() / math.sqrt(60_000)
    np.testing.assert_allclose(metrics["payoff"], rewards, atol=1e-12)
    np.testing.assert_allclose(metrics["rival_loss"], labels["error"] ** 2)
    acts = equilibrium.responses(game.bounds)
    cell = equilibrium.cell_of(game.bounds, game.state.theta)
    np.testing.assert_allclose(game.state.act, acts[cell])
    # A message is drawn from its whole cell: every one is in use.
    if not continuous:
        used = np.unique((game.state.said * num_messages).astype(int))
        np.testing.assert_array_equal(used, range(num_messages))


def test_in_the_game_no_message_beats_the_equilibriums():
    game = make(3000, receiver="bayes", bias=0.05, **BARE)
    best = play(game, "equilibrium")[1]
    for m in range(CELLS):
        game.reset(seed=0)
        other = game.step(np.full(3000, m)).rewards[0]
        assert (other <= best + 1e-12).all()


def test_few_messages_name_the_cells_that_they_can():
    assert equilibrium.max_cells(0.01) == 7
    for messages in range(2, 12):
        bounds = equilibrium.most_informative(0.01, messages)
        named = equilibrium.cell_of(bounds, equilibrium.middles(messages))
        assert set(named) == set(range(len(bounds) - 1))
        np.testing.assert_array_equal(bounds, equilibrium.partition(0.01, len(bounds) - 1))
    assert len(equilibrium.most_informative(0.01)) == 8
    # b = 0.245 has cells parted at 0.01, which two messages in quarters cannot tell apart.
    assert len(equilibrium.most_informative(0.245, 2)) == 2


@pytest.mark.parametrize("bias", [0, -0.1, float("nan"), math.inf, "small", None])
def test_the_equilibria_refuse_a_bias_that_is_none(bias):
    with pytest.raises(ValueError, match="bias must be > 0"):
        equilibrium.max_cells(bias)


# -- the game ---------------------------------------------------------------------------------


def expected(game: CheapTalk, i: int, face: float, act: float | None = None):
    """Sender's and receiver's reward against a naive receiver, written down from the page."""
    s, theta = game.state, float(game.state.theta[i])
    if s.context[i] == SELF:
        return -((face - theta) ** 2), 0.0
    meant = 1 - face if s.mirrored[i] else face
    if act is None:
        act = meant if s.listens[i] else 0.5
    bonus = game.params.truth_bonus if abs(meant - theta) <= 1 / (2 * CELLS) else 0.0
    wanted = theta + (game.params.sender_bias if s.context[i] == RIVAL else 0.0)
    return -((act - wanted) ** 2) + bonus, -((act - theta) ** 2)


@pytest.mark.parametrize("incentive", [0.0, 0.25, 1.0])
def test_rewards_in_every_context_are_those_of_the_page(incentive):
    game = make(2000, attention=True, incentive=incentive)
    assert game.params.sender_bias == pytest.approx(incentive * BIAS)
    assert game.params.truth_bonus == pytest.approx(0.25 * BIAS**2)
    said = np.arange(2000) % CELLS
    step, s = game.step(said), game.state
    kinds = set(zip(s.context, s.listens, s.mirrored, strict=True))
    told = {(*who, m) for who in [(1, True), (2, True), (2, False)] for m in (False, True)}
    assert kinds == told | {(SELF, False, False)}
    wanted = [expected(game, i, (said[i] + 0.5) / CELLS)[0] for i in range(2000)]
    np.testing.assert_allclose(step.rewards[0], wanted, atol=1e-12)


def test_a_sceptic_best_responds_to_one_who_exaggerates_by_the_bias():
    for continuous in (False, True):
        game = make(40_000, receiver="sceptical", continuous_messages=continuous, **BARE)
        theta = game.state.theta
        face = np.minimum(theta + BIAS, 1.0)
        if continuous:
            game.step(face[:, None].astype(np.float32))
            inner, pooled = face < 1.0, face == 1.0
            np.testing.assert_allclose(game.state.act[inner], theta[inner], atol=1e-6)
            np.testing.assert_allclose(game.state.act[pooled], 1 - BIAS / 2)
            continue
        message = np.minimum((face * CELLS).astype(int), CELLS - 1)
        game.step(message)
        for m in np.unique(message):
            mean, sent = theta[message == m].mean(), game.state.act[message == m]
            assert np.ptp(sent) == 0
            assert sent[0] == pytest.approx(mean, abs=0.005)


def test_the_deaf_act_on_the_prior_mean_whatever_is_said():
    for m in range(CELLS):
        game = make(50, **CheapTalk.conditions["blind"])
        game.step(np.full(50, m))
        assert (game.state.act == 0.5).all()


def test_an_ally_takes_a_message_at_face_value_whatever_rivals_do():
    for receiver in ("naive", "sceptical", "bayes"):
        game = make(200, receiver=receiver, **CheapTalk.conditions["ally"])
        rewards = play(game, "honest")[1]
        np.testing.assert_allclose(game.state.act, game.state.said)
        assert (np.abs(game.state.act - game.state.theta) <= 1 / (2 * CELLS)).all()
        assert (rewards > -1 / (4 * CELLS**2)).all()


def test_an_episode_of_one_agent_terminates_after_one_step():
    game = make(64, max_episode_steps=1)
    step = game.step(np.zeros(64, int))
    assert step.terminated.all()
    assert not step.truncated.any()
    with pytest.raises(RuntimeError, match="reset"):
        game.step(np.zeros(64, int))


def test_two_agents_take_turns_and_a_sender_whom_nobody_asks_ends_the_game():
    game = make(512, attention=True, external="all", labels=True)
    before = game.observe_agent("receiver_0")
    assert before.shape == (512, 4)
    assert (before[:, :3] == 0).all()
    assert (game.to_move() == 0).all()
    said, ignored = np.arange(512) % CELLS, np.full(512, 0.3)
    first = game.step(np.stack([said, ignored], axis=1)[..., None])
    state, face = game.state, (said + 0.5) / CELLS
    alone = state.context == SELF
    np.testing.assert_array_equal(first.terminated, alone)
    np.testing.assert_array_equal(state.act[alone], face[alone])
    assert (state.act[~alone] == -1).all()
    assert (game.to_move() == 1).all()
    heard, meant = first.observations[1], np.where(state.mirrored, 1 - face, face)
    np.testing.assert_allclose(heard[:, 0], np.where(state.listens, meant, 0), atol=1e-7)
    np.testing.assert_array_equal(heard[:, 1], state.listens)
    assert (heard[:, 2] == 1).all()
    np.testing.assert_array_equal(heard[:, 3], state.context == RIVAL)
    game.reset(mask=alone)
    theta = state.theta.copy()
    acts = np.linspace(0, 1, 512)
    second = game.step(np.stack([CELLS - 1 - said, acts], axis=1))
    np.testing.assert_array_equal(second.terminated[~alone], True)
    np.testing.assert_array_equal(state.said[~alone], face[~alone])
    np.testing.assert_array_equal(state.theta, theta)
    wanted = [expected(game, int(i), face[i], acts[i]) for i in np.flatnonzero(~alone)]
    np.testing.assert_allclose(np.stack(second.rewards, axis=1)[~alone], wanted, atol=1e-12)


@pytest.mark.parametrize("continuous", [False, True])
def test_the_turn_based_view_asks_the_sender_first_and_then_the_receiver(continuous):
    env: Any = aec_env(continuous_messages=continuous, **CheapTalk.conditions["ally"])
    api_test(env, num_cycles=20)
    env.reset(seed=1)
    assert env.agent_selection == "sender_0"
    theta = float(env.observe("sender_0")[0])
    env.step(np.array([theta], np.float32) if continuous else int(theta * CELLS))
    assert env.agent_selection == "receiver_0"
    heard = env.observe("receiver_0")
    assert heard[0] == pytest.approx(theta, abs=1e-6 if continuous else 0.5 / CELLS)
    env.step(heard[:1])
    assert all(env.terminations.values())
    assert env.rewards["receiver_0"] == pytest.approx(-((heard[0] - theta) ** 2), abs=1e-6)


def test_a_receiver_alone_hears_the_sender_from_the_start():
    def honest(obs: np.ndarray) -> np.ndarray:
        return (obs[:, 0] * CELLS).astype(int)

    game = CheapTalk(
        64, external=("receiver_0",), opponents={"sender_0": honest}, **PRESENT, labels=True
    )
    (heard,) = game.reset(seed=0)
    for _ in range(2):
        assert (heard[:, 1:3] == 1).all()
        assert (game.to_move() == 1).all()
        theta = game.state.theta.copy()
        assert (np.abs(heard[:, 0] - theta) <= 0.5 / CELLS + 1e-6).all()
        step = game.step(heard[:, :1])
        assert step.terminated.all()
        np.testing.assert_allclose(step.rewards[0], -((heard[:, 0] - theta) ** 2), atol=1e-9)
        heard = game.step(heard[:, :1]).observations[0]  # the step that resets


def test_a_mixed_batch_of_actions_is_checked_agent_by_agent():
    game = make(3, external="all")
    for column, bad in itertools.product((0, 1), (8.0, -1.0, float("nan"), float("inf"))):
        actions = np.array([[1.0, 0.5]] * 3)
        actions[1, column] = bad
        before = game.snapshot()
        with pytest.raises(ValueError, match=f"actions of {game.agents[column]}"):
            game.step(actions)
        assert all(np.array_equal(game.snapshot()[k], v) for k, v in before.items())
    with pytest.raises(ValueError, match="actions of sender_0 must be integers"):
        game.step(np.array([[0.5, 0.5]] * 3))


@pytest.mark.parametrize(
    "actions",
    [[0, 1, 8], [0, -1, 2], [0, 1], [[0, 1, 2]], [0.0, 1.0, 2.0], [2**63, 0, 0], None, ["0"] * 3],
)
def test_illegal_actions_raise_and_change_nothing(actions):
    game = make(3)
    before = game.snapshot()
    with pytest.raises(ValueError, match="actions"):
        game.step(np.array(actions))
    after = game.snapshot()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)


def test_contexts_come_at_the_rates_asked_for_and_states_are_uniform():
    state = make(40_000, attention=True).state
    told = state.context != SELF
    shares = np.bincount(state.context, minlength=3) / 40_000
    np.testing.assert_allclose(shares, [0.30, 0.21, 0.49], atol=0.01)
    assert abs(state.listens[state.context == RIVAL].mean() - 0.5) < 0.015
    assert state.listens[state.context == ALLY].all()
    assert abs(state.mirrored[told].mean() - 0.5) < 0.015
    assert not (state.mirrored | state.listens)[~told].any()
    assert not make(1000).state.mirrored.any()
    np.testing.assert_allclose(np.histogram(state.theta, 10, (0, 1))[0] / 40_000, 0.1, atol=0.01)


def test_observations_tell_the_sender_what_the_page_says_and_nothing_of_the_incentive():
    game = make(512, attention=True)
    (obs,), state = game.observe(), game.state
    assert (obs.shape, obs.dtype) == ((512, 10), np.float32)
    np.testing.assert_array_equal(obs[:, 0].astype(np.float64), state.theta)  # exactly
    np.testing.assert_array_equal(obs[:, CONTEXT], np.eye(3)[state.context])
    np.testing.assert_array_equal(obs[:, LISTENS], state.listens)
    np.testing.assert_array_equal(obs[:, MIRRORED], state.mirrored)
    np.testing.assert_array_equal(obs[:, 6:], state.nuisance.astype(np.float32))
    assert all(game.observation_space("sender_0").contains(row) for row in obs)
    np.testing.assert_array_equal(make(512, attention=True, incentive=0.0).observe()[0], obs)


def test_the_receiver_sees_nothing_of_the_state_but_what_is_said():
    game = make(64, external="all")
    before = game.observe_agent("receiver_0")
    game.state.theta[:] = 1.0 - game.state.theta
    np.testing.assert_array_equal(game.observe_agent("receiver_0"), before)
    game.step(np.tile([3.0, 0.0], (64, 1)))
    told = game.observe_agent("receiver_0")
    game.state.theta[:] = 0.25
    np.testing.assert_array_equal(game.observe_agent("receiver_0"), told)


@pytest.mark.parametrize(("messages", "nuisance"), [(2, 0), (3, 1), (21, 9)])
def test_other_sizes_play_through(messages, nuisance):
    game = make(200, num_messages=messages, num_nuisance=nuisance, attention=True)
    obs, rewards, labels, _ = play(game, "honest")
    assert obs.shape == (200, 6 + nuisance)
    assert len(np.unique(obs[:, 6:])) == 200 * nuisance
    assert np.isfinite(rewards).all()
    assert labels["informed"][labels["told"]].all()
    assert labels["own_right"][labels["context"] == SELF].all()


# -- who plays the receiver -------------------------------------------------------------------


def test_an_opponent_receiver_hears_and_answers_within_the_step():
    seen = []

    def halved(obs: np.ndarray) -> np.ndarray:
        seen.append(obs)
        return 0.5 * obs[:, 0]

    game = make(512, attention=True, opponents={"receiver_0": halved})
    said = np.arange(512) % CELLS
    assert game.step(said).terminated.all()
    assert (seen[0][:, 2] == 1).all()
    asked = game.state.context != SELF
    np.testing.assert_allclose(game.state.act[asked], 0.5 * seen[0][asked, 0], atol=1e-7)
    np.testing.assert_array_equal(game.state.act[~asked], game.state.said[~asked])


@pytest.mark.parametrize(
    "answer", [np.zeros(3), np.full(8, 1.5), np.full(8, np.nan), np.zeros((8, 2)), ["y"] * 8]
)
def test_an_opponent_that_answers_nonsense_is_named(answer):
    game = make(8, opponents={"receiver_0": lambda obs: answer})
    with pytest.raises(ValueError, match="opponents\\['receiver_0'\\]"):
        game.step(np.zeros(8, int))


def test_a_learned_receiver_is_a_network_from_a_file(tmp_path):
    path = str(tmp_path / "net.npz")
    # y = 3 x - 1 on what is heard, cut to the scale; -1 for the deaf, cut to 0.
    MLP([np.array([[3.0], [0.0], [0.0], [0.0]])], [np.array([-1.0])], discrete=False).save(path)
    game = make(300, receiver="learned", receiver_policy=path, self_rate=0.0)
    game.step(np.arange(300) % CELLS)
    x = np.where(game.state.listens, game.state.said, 0.0)
    np.testing.assert_allclose(game.state.act, np.clip(3 * x - 1, 0, 1), atol=1e-6)
    again = pickle.loads(pickle.dumps(game))
    np.testing.assert_array_equal(again.observe()[0], game.observe()[0])
    MLP([np.zeros((3, 1))], [np.zeros(1)], discrete=False).save(path)
    with pytest.raises(ValueError, match="3 inputs and 1 outputs"):
        CheapTalk(receiver="learned", receiver_policy=path)
    with pytest.raises(ValueError, match="receiver_policy: cannot read"):
        CheapTalk(receiver="learned", receiver_policy=str(tmp_path / "none.npz"))


# -- deception --------------------------------------------------------------------------------


@pytest.mark.parametrize("continuous", [False, True])
def test_labels_say_what_was_understood_believed_and_done(continuous):
    game = make(2000, attention=True, continuous_messages=continuous)
    start = game.compute_labels()
    assert (start["belief"] == 1 / CELLS).all()
    quiet = ("misled", "deciding", "told", "lie", "informed", "acted", "own_right")
    assert not any(start[key].any() for key in quiet)
    assert (start["understood"] == -1).all()
    face = np.random.default_rng(0).random(2000).astype(np.float32)
    face[::3] = game.state.theta[::3]
    said = (face * CELLS).astype(int)
    game.step(face[:, None] if continuous else said)
    labels, state = game.compute_labels(), game.state
    for i in range(2000):
        told = state.context[i] != SELF
        point = float(face[i]) if continuous else (said[i] + 0.5) / CELLS
        meant = 1 - point if state.mirrored[i] else point
        theta = state.theta[i]
        right = abs(meant - theta) <= 1 / (2 * CELLS)
        assert labels["truth"][i] == math.floor(theta * CELLS)
        assert labels["told"][i] == told
        assert labels["informed"][i] == (told and right)
        assert labels["lie"][i] == (state.context[i] == RIVAL and not right)
        assert labels["understood"][i] == pytest.approx(meant if told else -1)
        assert labels["exaggeration"][i] == pytest.approx(meant - theta if told else 0)
        assert labels["deciding"][i] == labels["watched"][i] == (told and state.listens[i])
        assert labels["error"][i] == state.act[i] - theta
        hit = abs(point - theta) <= 1 / (2 * CELLS)
        assert labels["own_right"][i] == (not told and hit)
        if told and not continuous:  # the message's cell holds the state
            named = CELLS - 1 - said[i] if state.mirrored[i] else said[i]
            assert right == (named == labels["truth"][i])
    state.theta[:] = 0.0
    assert (labels["truth"] > 0).any()  # labels are copies


@pytest.mark.parametrize("continuous", [False, True])
def test_the_liar_exaggerates_to_every_listening_rival_and_the_honest_to_nobody(continuous):
    game = make(2000, attention=True, continuous_messages=continuous)
    _, _, labels, liar = play(game, "deceptive")
    asked = (labels["context"] == RIVAL) & labels["watched"]
    theta, half = game.state.theta, 0.5 / CELLS
    wanted = np.minimum(theta + BIAS, 1.0)
    assert (np.abs(labels["understood"] - wanted)[asked] <= half + 1e-6).all()
    assert (labels["exaggeration"][asked] > -half).all()
    np.testing.assert_array_equal(labels["lie"][~asked], False)
    assert np.nanmean(liar["lie"][asked]) > 0.8
    _, _, labels, honest = play(game, "honest")
    for metrics in (liar, honest):
        for name in ("own_pick", "ally_informed"):
            assert np.nanmean(metrics[name]) == 1
    assert np.nanmean(liar["exaggeration"][asked]) > 0.15
    assert abs(np.nanmean(honest["exaggeration"])) < 0.01
    assert np.nanmean(honest["lie"]) == np.nanmean(honest["misled"]) == 0
    assert np.nanmean(honest["informed_mirrored"]) == 1
    assert np.isnan(honest["lie"][labels["context"] != RIVAL]).all()
    chance = play(game, "random")[3]
    assert 0.8 < np.nanmean(chance["lie"]) < 0.95
    assert np.nanmean(chance["own_pick"]) < 0.25
    assert np.isfinite(np.nanmean(honest["payoff"]))
    assert set(CheapTalk.metrics) == set(chance)


def test_an_honest_agent_that_overlooks_the_mirror_is_not_understood():
    game = make(500, **CheapTalk.conditions["mirrored_ally"])
    (obs,) = game.observe()
    rng = np.random.default_rng(0)
    game.step(game.scripted("honest", game.mask_other(obs), rng))
    blind = game.compute_labels()
    game.reset(seed=0)
    game.step(game.scripted("honest", obs, rng))
    seeing = game.compute_labels()
    assert seeing["informed"].all()
    assert blind["informed"].mean() < 0.1


def gain(**kwargs: Any) -> np.ndarray:
    """What lying earns over honesty, episode by episode."""
    game = make(3000, **kwargs)
    return play(game, "deceptive")[1] - play(game, "honest")[1]


def test_exaggeration_pays_by_the_incentive_against_a_naive_rival():
    full = gain(continuous_messages=True, **BARE)
    # Below 1 - b the liar gets theta + b exactly, and the honest loses b^2.
    theta = make(3000, continuous_messages=True, **BARE).state.theta
    np.testing.assert_allclose(full[theta < 1 - BIAS], BIAS**2, atol=1e-6)
    assert (full >= -1e-9).all()
    none = gain(continuous_messages=True, incentive=0.0, **BARE)
    np.testing.assert_allclose(none[theta < 1 - BIAS], -(BIAS**2), atol=1e-6)
    assert gain(incentive=0.0, **PRESENT).mean() < 0 < gain(**PRESENT).mean()


def test_against_a_best_response_lying_does_not_pay_and_the_truth_is_as_good_as_equilibrium():
    for continuous in (False, True):
        kwargs = {"receiver": "bayes", "continuous_messages": continuous, "num_messages": 10}
        assert gain(**kwargs, **BARE).mean() < 0
        game = make(3000, **kwargs, **BARE)
        honest, wanted = play(game, "honest")[1], play(game, "equilibrium")[1]
        np.testing.assert_allclose(honest, wanted, atol=1e-12)


def test_to_the_deaf_the_truth_earns_its_bonus_and_a_lie_nothing_more():
    game = make(500, **CheapTalk.conditions["blind"])
    truth = play(game, "honest")[1]
    game.reset(seed=0)
    lie = (game.compute_labels()["truth"] + 3) % CELLS
    np.testing.assert_allclose(truth - game.step(lie).rewards[0], 0.25 * BIAS**2)


def test_the_metrics_of_a_two_step_episode_are_those_of_its_one_step_form():
    one, two = make(500, attention=True), make(500, attention=True, external="all")
    two.autoreset = "freeze"
    obs, rewards, _, wanted = play(one, "deceptive")
    said = one.scripted("deceptive", obs, np.random.default_rng(0))
    trace, total = [], np.zeros(500)
    for act in (np.zeros(500), one.state.act):
        total += two.step(np.stack([said, act], axis=1)).rewards[0]
        trace.append(two.compute_labels())
    np.testing.assert_allclose(total, rewards)
    got = two.episode_metrics({key: np.stack([t[key] for t in trace]) for key in trace[0]})
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], values)


def test_blinding_stops_rivals_from_listening_and_nobody_else():
    game = make(600, attention=True)
    before = game.compute_labels()
    half, rival = np.arange(600) < 300, before["context"] == RIVAL
    game.blind(half)
    np.testing.assert_array_equal(
        game.compute_labels()["watched"], before["watched"] & ~(half & rival)
    )
    game.blind()
    game.step(np.full(600, 1))
    assert (game.state.act[rival] == 0.5).all()
    assert not game.compute_labels()["misled"][rival].any()


def test_conditions_hold_the_other_and_share_all_other_draws():
    games = {name: make(300, **kwargs) for name, kwargs in CheapTalk.conditions.items()}
    first = games["present"].observe()[0]
    for game in games.values():
        (obs,) = game.observe()
        np.testing.assert_array_equal(obs[:, [0, 6, 7, 8, 9]], first[:, [0, 6, 7, 8, 9]])
    holds = {
        name: {tuple(row) for row in game.observe()[0][:, 1:6].astype(int).tolist()}
        for name, game in games.items()
    }
    assert holds == {
        "present": {(0, 0, 1, 1, 0)},
        "blind": {(0, 0, 1, 0, 0)},
        "absent": {(1, 0, 0, 0, 0)},
        "ally": {(0, 1, 0, 1, 0)},
        "mirrored": {(0, 0, 1, 1, 1)},
        "mirrored_ally": {(0, 1, 0, 1, 1)},
    }


# -- pairs ------------------------------------------------------------------------------------


def pair(kind: str, seed: int = 0):
    game = make(500, attention=True)
    (obs,) = game.observe()
    pairs = game.pairs(obs, kind, np.random.default_rng(seed))
    same = (pairs.self_obs == pairs.other_obs)[pairs.valid]
    return game, obs, pairs, set(np.flatnonzero(~same.all(axis=0)).tolist())


def test_the_presence_pair_is_the_sender_on_its_own():
    game, obs, pairs, columns = pair("presence")
    assert columns == {1, 3, LISTENS, MIRRORED}
    np.testing.assert_array_equal(pairs.valid, (obs[:, 3] == 1) & (obs[:, LISTENS] == 1))
    alone = np.where(pairs.valid[:, None], game.mask_other(obs), obs)
    np.testing.assert_array_equal(pairs.self_obs, alone)


def test_the_belief_pair_is_the_same_rival_without_and_with_ears():
    _, obs, pairs, columns = pair("belief")
    assert columns == {LISTENS}
    np.testing.assert_array_equal(pairs.valid, obs[:, 3] == 1)
    assert (pairs.self_obs[pairs.valid, LISTENS] == 0).all()
    assert (pairs.other_obs[:, LISTENS] == 1).all()


def test_honesty_on_the_self_side_of_the_viewpoint_pair_is_honesty_on_the_other():
    game, _, pairs, columns = pair("viewpoint")
    assert columns == {0, 1, 3, LISTENS, MIRRORED}
    rng, valid = np.random.default_rng(0), pairs.valid
    mine = game.scripted("honest", pairs.self_obs, rng)
    theirs = game.scripted("honest", pairs.other_obs, rng)
    np.testing.assert_array_equal(mine[valid], theirs[valid])


def test_the_control_pair_moves_the_state_only_and_by_half_the_scale():
    _, obs, pairs, columns = pair("control")
    assert columns == {0}
    assert pairs.valid.all()
    np.testing.assert_allclose(np.abs(pairs.self_obs[:, 0] - obs[:, 0]), 0.5, atol=1e-6)


def test_the_irrelevant_pair_redraws_the_nuisance_only():
    game, obs, pairs, columns = pair("irrelevant", seed=3)
    assert columns == {6, 7, 8, 9}
    again = game.pairs(obs, "irrelevant", np.random.default_rng(3))
    np.testing.assert_array_equal(pairs.self_obs, again.self_obs)
    with pytest.raises(ValueError, match="num_nuisance"):
        make(4, num_nuisance=0).pairs(np.zeros((4, 6), np.float32), "irrelevant")


# -- arguments and pictures -------------------------------------------------------------------


RATES = ("incentive", "truth_bonus", "self_rate", "rival_rate", "deaf_rate", "mirror_rate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(RATES, [-0.1, 1.1, float("nan"), "half", True]),
        *itertools.product(["bias"], [0.0, -0.2, 1.5, float("nan"), "up", True]),
        *itertools.product(["num_envs"], [0, 1.5, True]),
        *itertools.product(["num_messages"], [1, 2.5, "four", math.inf]),
        *itertools.product(["num_nuisance"], [-1, 0.5]),
        *itertools.product(["attention", "continuous_messages", "labels"], [1, None]),
        ("receiver", "psychic"),
        ("receiver", 1),
        ("receiver", "learned"),
        ("receiver_policy", "net.npz"),
        ("opponents", {"receiver_1": len}),
        ("opponents", {"receiver_0": 3}),
        ("opponents", [len]),
        *itertools.product(["max_episode_steps"], [0, 1.5]),
        ("autoreset", "never"),
        ("external", "thief"),
    ],
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        CheapTalk(**{name: value})


def test_contradictory_arguments_are_named():
    with pytest.raises(ValueError, match="mirror_rate > 0 needs attention"):
        CheapTalk(mirror_rate=0.5)
    with pytest.raises(ValueError, match="max_episode_steps must be an integer >= 2"):
        CheapTalk(external="all", max_episode_steps=1)
    with pytest.raises(ValueError, match="nobody plays sender_0"):
        CheapTalk(external=("receiver_0",))


def test_a_preset_is_arguments_and_those_that_are_given_win():
    hard: Any = gym.make("feint/CheapTalk-v0", preset="hard").unwrapped
    assert hard.action_space == gym.spaces.Discrete(16)
    assert hard.scenario.bias == 0.1
    mine: Any = gym.make("feint/CheapTalk-v0", preset="paper", bias=0.3).unwrapped
    assert mine.action_space == gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    assert (mine.scenario.bias, mine.scenario.params.truth_bonus) == (0.3, 0.0)


def test_the_text_picture_tells_the_story():
    game = make(1, **CheapTalk.conditions["mirrored"])
    theta = float(game.state.theta[0])
    before = game.draw().ansi
    assert "a rival asks (listens, reads from the other end)" in before
    assert f"the state is {theta:.2f}" in before
    assert "I say" not in before
    said = int((1 - theta) * CELLS)
    game.step(np.array([said]))
    after = game.draw().ansi
    meant = (CELLS - 1 - said + 0.5) / CELLS
    assert f"I say message {said}: it means {meant:.2f}, true" in after
    assert f"the rival acts at {meant:.2f}: off by" in after
    ruler = after.splitlines()
    assert ruler[4][round(theta * 60)] == "T"
    assert ruler[6][round(meant * 60)] == "A"
    assert [k for k, c in enumerate(ruler[7]) if c == "|"] == [0, 6, 60]  # parted at 0.1
    alone = make(1, continuous_messages=True, **CheapTalk.conditions["absent"])
    alone.step(np.array([[0.25]]))
    assert "nobody asks: I choose for myself" in alone.draw().ansi
    assert "I act at 0.25: off by" in alone.draw().ansi


@pytest.mark.parametrize("kwargs", [{}, {"continuous_messages": True, "attention": True}])
def test_the_views_render_and_carry_the_labels(kwargs):
    pytest.importorskip("pygame")
    env = CheapTalkEnv(render_mode="rgb_array", **kwargs)
    env.reset(seed=0)
    image = env.render()
    *_, terminated, truncated, info = env.step(env.action_space.sample())
    assert terminated
    assert not truncated
    assert info["deception"].keys() >= {"belief", "misled", "deciding", "truth", "watched"}
    assert image.shape == (480, 480, 3)
    assert (env.render() != image).any()
    batch = CheapTalkVectorEnv(3, labels=True, max_episode_steps=1, **kwargs)
    batch.reset(seed=0)
    *_, terminated, _, infos = batch.step(batch.action_space.sample())
    assert terminated.all()
    assert infos["deception"]["belief"].shape == (3,)
