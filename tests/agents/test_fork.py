# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false
"""Pairs by forking the episode: what the branches are, and how overlap is trained on them."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from feint.agents import (
    SOODQN,
    SOOPPO,
    AgentOverlap,
    ForkedPairs,
    SelfOtherOverlap,
    SOORecurrentPPO,
    fork,
    make_vec_env,
    scripted,
)
from feint.agents.actor import Batch
from feint.agents.resume import load_state, save_state
from feint.envs import scenario_class
from feint.envs.core import Scenario
from feint.envs.room_signal import RoomSignal
from feint.overlap import SHAMS

WALK, SIGNAL = "feint/PhysicalDeception-v0", "feint/RoomSignal-v0"
FACING = {"attention": True, "watching": "facing"}
ARGUMENTS = {"n_steps": 20, "batch_size": 80, "n_epochs": 2, "seed": 3, "device": "cpu"}
SMALL = {"net_arch": [16, 16]}
FEW = ForkedPairs(episodes=24)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def games(env_id=WALK, n=64, seed=0, **kwargs):
    game = scenario_class(env_id)(n, autoreset="freeze", **kwargs)
    game.reset(seed=seed)
    return game


def forked(env_id=WALK, policy="deceptive", at=0, horizon=None, **kwargs):
    game = games(env_id, **kwargs)
    return fork(game, scripted(game, policy), at, horizon)


def model(cls=SOOPPO, game=WALK, pairs=FEW, env=None, kwargs=FACING, **more):
    recurrent = cls is SOORecurrentPPO
    net = {**SMALL, "lstm_hidden_size": 8} if recurrent else SMALL
    env = env or make_vec_env(game, 8, seed=0, **kwargs)
    policy = "MlpLstmPolicy" if recurrent else "MlpPolicy"
    more = {"soo_pairs": pairs, **more} if hasattr(cls, "soo_doses") else more
    return cls(policy, env, policy_kwargs=net, **{**ARGUMENTS, **more})


def difference(a, b):
    mine, theirs = a.policy.state_dict(), b.policy.state_dict()
    return max(float((mine[k] - theirs[k]).abs().max()) for k in mine)


# -- the branches ---------------------------------------------------------------------------------


def test_a_fork_at_the_first_step_is_the_scenarios_own_belief_pair():
    game = games(**FACING)
    found = fork(game, scripted(game, "deceptive"), at=0, horizon=1)
    made = game.pairs(found.watching[:, 0], "belief")
    watched = made.valid
    np.testing.assert_array_equal(watched, found.taught)
    np.testing.assert_array_equal(found.differs[:, 0], watched)
    # Turning away is exact in the game, and swaps head and tail in the pair: equal to rounding.
    np.testing.assert_allclose(found.blind[watched, 0], made.self_obs[watched], atol=1e-6)
    assert found.paired.sum(axis=1).tolist() == [1] * 64


def test_what_the_agent_does_and_what_chance_does_is_the_same_in_both_branches():
    found = forked()
    mine = [0, 1, 2, 3, 4, 5, 10, 11]  # goal and landmarks from where blue is, its velocity
    np.testing.assert_array_equal(found.blind[..., mine], found.watching[..., mine])
    rest = [c for c in range(12) if c not in mine]
    assert (found.blind[..., rest] != found.watching[..., rest]).any(axis=(0, 1, 2))


def test_what_the_other_does_in_the_blind_branch_does_not_depend_on_the_agent():
    def red(policy, branch):  # from the first landmark
        seen = getattr(forked(policy=policy), branch)
        return seen[:, :, 6:8] - seen[:, :, 2:4]

    there = forked().taught
    np.testing.assert_allclose(
        red("honest", "blind")[there], red("deceptive", "blind")[there], atol=1e-6
    )
    assert np.abs(red("honest", "watching") - red("deceptive", "watching"))[there].max() > 0.3


def test_games_in_which_nobody_learns_look_alike():
    for policy in ("honest", "deceptive"):
        found = forked(policy=policy, **FACING)
        assert found.taught.any() and not found.taught.all()
        assert not found.differs[~found.taught].any()
        assert found.differs[found.taught].all()


@pytest.mark.parametrize("at", [0, 3, "uniform"])
@pytest.mark.parametrize("horizon", [None, 4])
def test_pairs_lie_between_the_fork_and_the_horizon(at, horizon):
    found = forked(at=at, horizon=horizon, **FACING)
    first = found.differs.argmax(axis=1)
    for game in np.flatnonzero(found.taught):
        begin = first[game]  # facing shows at once
        assert at == "uniform" or begin == at
        end = 30 if horizon is None else min(30, begin + horizon)
        np.testing.assert_array_equal(
            np.flatnonzero(found.paired[game]), np.arange(begin, end), f"game {game}"
        )
        np.testing.assert_array_equal(found.blind[game, :begin], found.watching[game, :begin])
    if at == "uniform":
        assert len(set(first[found.taught])) > 5


def test_a_game_can_be_forked_several_times():
    game = games(**FACING)
    found = fork(game, scripted(game, "deceptive"), "uniform", 2, forks=3)
    assert len(found.blind) == 3 * 64
    np.testing.assert_array_equal(found.watching[:64], found.watching[128:])
    assert (found.paired[:64] != found.paired[64:128]).any()
    found = found.differs & found.paired
    assert found.sum() > 2 * found[:64].sum()


def test_a_pair_needs_both_branches_alive():
    found = forked("feint/KuhnPoker-v0", "honest", n=200)
    lengths = found.played.sum(axis=1)
    assert set(lengths) == {1, 2}
    assert not (found.paired & ~found.played).any()


# -- the bank -------------------------------------------------------------------------------------


def test_the_bank_follows_the_policy_and_not_the_global_generators():
    tuned = model()
    bound = tuned.bound[0]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    bound.prepare()
    first = bound.bank._arrays["watching"]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    bound.prepare()
    assert bound.bank.made == 2
    again = model()
    again.bound[0].prepare()
    np.testing.assert_array_equal(again.bound[0].bank._arrays["watching"], first)


def test_whom_the_fork_does_not_blind_is_a_bystander():
    """RoomSignal's ally learns in both branches: what it is told must stay as it is."""
    bound = model(game=SIGNAL, pairs=ForkedPairs(episodes=200), kwargs={}).bound[0]
    drawn = bound.bank.draw(200, np.random.default_rng(0))
    game = games(SIGNAL)
    valid = game.pairs(drawn.watching, "belief").valid
    assert len(drawn.valid) == 200
    # A rival that does not listen anyway has the scenario's pair, and none by forking.
    assert valid[drawn.valid].all() and not valid.all()
    assert 0 < drawn.valid.mean() < 1


def test_bystanders_are_games_in_which_nobody_learnt():
    bound = model(pairs=ForkedPairs(episodes=200), kwargs={}).bound[0]
    drawn = bound.bank.draw(10_000, np.random.default_rng(0))
    assert 0.1 < drawn.valid.mean() < 0.9
    np.testing.assert_array_equal(drawn.blind[~drawn.valid], drawn.watching[~drawn.valid])
    assert (drawn.watching[~drawn.valid][:, 8] == 0).all(), "red was there, and watched"
    assert (drawn.watching[drawn.valid][:, 8] == 1).all()
    only = bound.bank.draw(10_000, np.random.default_rng(0), bystanders=False)
    assert only.valid.all() and len(only.valid) == drawn.valid.sum()


def test_a_short_horizon_does_not_thin_the_pairs_out():
    def share(**settings):
        bound = model(pairs=ForkedPairs(episodes=200, **settings)).bound[0]
        return bound.bank.draw(60, np.random.default_rng(0)).valid.mean()

    assert share(at="uniform", horizon=1) == share() > 0.2


def test_steps_that_look_alike_are_reported_and_left_out_unless_wanted():
    settings = {"episodes": 100}
    bound = model(pairs=ForkedPairs(**settings), kwargs={}).bound[0]
    bound.prepare()
    shares = bound.bank.shares
    assert 0.1 < shares["fork_alike"] < 0.9
    both = model(pairs=ForkedPairs(**settings, alike=True), kwargs={}).bound[0]
    both.prepare()
    assert both.bank.shares["fork_pairs"] > shares["fork_pairs"]
    assert both.bank.shares["fork_alike"] == shares["fork_alike"]


def test_a_recurrent_policy_gets_whole_games_from_the_first_difference_on():
    bound = model(SOORecurrentPPO, pairs=ForkedPairs(episodes=60), kwargs={}).bound[0]
    drawn = bound.bank.draw(100_000, np.random.default_rng(0))
    assert drawn.blind.shape[1:] == (25, 12)
    differs = (drawn.blind != drawn.watching).any(axis=2)
    assert (drawn.counted[drawn.valid] == np.logical_or.accumulate(differs, 1)[drawn.valid]).all()
    assert not differs[~drawn.valid].any() and drawn.counted[~drawn.valid].all()
    # Afterwards an observation may look alike again: that it differed once is remembered.
    assert len(bound.bank.draw(100, np.random.default_rng(0)).valid) == 4


def test_recurrent_pairs_run_from_an_empty_memory():
    tuned = model(SOORecurrentPPO, kwargs={})
    bound = tuned.bound[0]
    drawn = bound.bank.draw(75, np.random.default_rng(3))  # the draw of a fresh `rng`
    terms = bound(Batch(torch.zeros(3, 25, 12), torch.ones(3, 25, dtype=bool), None))
    latent = []
    for side in (drawn.blind, drawn.watching):
        x = torch.as_tensor(side[drawn.valid]).swapaxes(0, 1)
        out, _ = tuned.policy.lstm_actor(x)
        net = tuned.policy.mlp_extractor.policy_net
        first = net[1](net[0](out))
        latent.append(torch.cat([first, net[3](net[2](first))], -1).swapaxes(0, 1))
    gap = (latent[0] - latent[1])[torch.as_tensor(drawn.counted[drawn.valid])]
    torch.testing.assert_close(terms.overlap, gap.square().mean())
    assert terms.overlap > 0


def test_pairs_are_made_raw_and_seen_normalised():
    env = VecNormalize(make_vec_env(WALK, 8, seed=0, **FACING))
    tuned = model(env=env).learn(160)
    bound = tuned.bound[0]
    _, pairs = bound._situations(Batch(torch.zeros(40, 14)))
    bound.rng = np.random.default_rng(0)
    _, pairs = bound._situations(Batch(torch.zeros(40, 14)))
    drawn = bound.bank.draw(40, np.random.default_rng(0))
    np.testing.assert_allclose(
        pairs.other_inputs.numpy(), env.normalize_obs(drawn.watching), rtol=1e-5
    )
    assert env.obs_rms.count < 8 * 25, "the bank's games taught the normaliser"


# -- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sham", ["none", *SHAMS])
@pytest.mark.parametrize("cls", [SOOPPO, SOORecurrentPPO])
def test_every_sham_and_guard_works_on_forked_pairs(cls, sham):
    more = {"batch_size": 160, "n_epochs": 1, "soo_batch_size": None}
    tuned = model(cls, soo_sham=sham, soo_task_coef=0.0, kwargs={}, **more).learn(160)
    logged = tuned.logger.name_to_value
    for name in ("pair_gap", "control_gap", "collapse", "fork_pairs", "fork_alike"):
        assert np.isfinite(logged[f"soo/{name}"])
    if sham not in ("anchor_only", "self_self"):
        assert logged["soo/grad_ratio"] > 0


@pytest.mark.parametrize(("cls", "parent"), [(SOOPPO, PPO)])
def test_a_vanishing_coefficient_is_bit_identical_to_the_parent(cls, parent):
    assert difference(model(cls, soo_coef=1e-30).learn(320), model(parent).learn(320)) == 0.0


def test_the_dose_of_forked_pairs_is_recorded_and_matched():
    treated = model(soo_record_dose=True).learn(320)
    assert len(treated.soo_doses) == 8 and min(treated.soo_doses) > 0
    model(soo_sham="shuffled", soo_dose=treated.soo_doses).learn(320)


def test_overlap_closes_the_gap_of_forked_pairs():
    late = ForkedPairs(episodes=200, at="uniform", horizon=1)
    tuned = model(pairs=late, soo_coef=10.0, soo_task_coef=0.0, learning_rate=3e-3)
    tuned.learn(160)
    first = dict(tuned.logger.name_to_value)
    tuned.learn(2400)
    last = tuned.logger.name_to_value
    assert last["soo/pair_gap"] < 0.6 * first["soo/pair_gap"]
    assert last["soo/fork_alike"] == 0.0


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("cls", [SOOPPO, SOORecurrentPPO])
def test_a_run_that_was_cut_goes_on_exactly(cls, every, tmp_path):
    def made():
        return model(cls, pairs=ForkedPairs(episodes=12, every=every))

    whole = made().learn(160)  # one call of `train`, so that with every=2 the bank must survive
    save_state(whole, tmp_path / "state", {})
    whole.learn(320, reset_num_timesteps=False)
    again = made()
    load_state(again, tmp_path / "state", {})
    torch.manual_seed(99)
    load_state(again, tmp_path / "state", {})
    again.learn(320, reset_num_timesteps=False)
    assert difference(whole, again) == 0.0


def test_a_model_with_forked_pairs_survives_a_file(tmp_path):
    tuned = model(pairs=ForkedPairs(episodes=12, at="uniform", horizon=3)).learn(160)
    tuned.save(tmp_path / "model")
    again = SOOPPO.load(tmp_path / "model", env=make_vec_env(WALK, 8, seed=0, **FACING))
    assert again.regularizers == tuned.regularizers
    again.learn(160)


def test_fork_is_short_for_the_defaults_in_any_algorithm_and_game():
    made = SelfOtherOverlap(pairs="fork").bind(model(PPO))
    assert isinstance(made, AgentOverlap) and made.bank.settings == ForkedPairs()
    signal = model(game=SIGNAL, pairs="fork", kwargs={"attention": True}).learn(160)
    assert signal.logger.name_to_value["soo/fork_alike"] == 0.0
    env = make_vec_env(WALK, 8, seed=0, **FACING)
    off = SOODQN(
        "MlpPolicy", env, soo_pairs=FEW, learning_starts=64, batch_size=32, buffer_size=500,
        policy_kwargs=SMALL, seed=0, device="cpu",
    ).learn(240)  # fmt: skip
    assert off.bound[0].bank.made == 1 < off.bound[0].bank.calls


# -- refusals -------------------------------------------------------------------------------------


class Keen(RoomSignal):
    """Whose rival cannot be blinded."""

    blind = Scenario.blind


def test_an_other_that_cannot_be_blinded_is_refused():
    env = make_vec_env(SIGNAL, 4, seed=0)
    env.venv.unwrapped.scenario = Keen(4)
    with pytest.raises(ValueError, match=r"an other that can be blinded .* use one of the pair"):
        SOOPPO("MlpPolicy", env, soo_pairs="fork")


def test_forks_that_never_show_are_refused():
    with pytest.raises(ValueError, match="the agent saw the same whether or not"):
        model(kwargs={}, pairs=ForkedPairs(episodes=12, horizon=1)).learn(160)


def test_environments_without_a_scenario_are_refused():
    with pytest.raises(ValueError, match="no self/other pairs"):
        SOOPPO("MlpPolicy", "CartPole-v1", soo_pairs="fork")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes must be"),
        ({"at": -1}, "at must be"),
        ({"at": "late"}, "at must be a step .* got 'late'"),
        ({"horizon": 0}, "horizon must be"),
        ({"every": 0}, "every must be"),
        ({"alike": 1}, "alike must be"),
        ({"forks": 0}, "forks must be"),
        ({"forks": 2}, "at one step are all the same"),
    ],
)
def test_wrong_settings_fail_in_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        ForkedPairs(**arguments)
    assert "\n" not in str(caught.value)


def test_a_batch_like_another_has_its_arguments():
    game = scenario_class(WALK)(4, red_blind_rate=1.0, **FACING)
    other = game.like(7, autoreset="freeze")
    assert (other.num_envs, other.autoreset, other.attention) == (7, "freeze", True)
    assert game.like(2, red_blind_rate=0.5)._numbers != other._numbers
