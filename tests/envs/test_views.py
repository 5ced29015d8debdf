"""The Gymnasium and PettingZoo views: what they add to the core, and every way to misuse them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import feint
from feint.envs import scenario_class
from feint.envs.multi import ScenarioParallelEnv
from feint.envs.physical_deception import PhysicalDeception, PhysicalDeceptionVectorEnv
from feint.envs.room_signal import RoomSignal

assert feint.__version__

PHYSICAL, ROOMS = "feint/PhysicalDeception-v0", "feint/RoomSignal-v0"
IDS = (PHYSICAL, ROOMS)


# -- one game ---------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
def test_labels_are_in_the_info_unless_they_are_not_wanted(env_id):
    env = gym.make(env_id)
    _, info = env.reset(seed=0)
    assert {"belief", "misled", "deciding", "truth", "watched"} <= info["deception"].keys()
    *_, info = env.step(1)
    assert isinstance(info["deception"]["belief"], float)
    assert isinstance(info["deception"]["misled"], bool)
    assert isinstance(info["deception"]["truth"], int)
    quiet = gym.make(env_id, labels=False)
    assert quiet.reset(seed=0)[1] == {}
    assert quiet.step(1)[-1] == {}


def test_with_several_blues_labels_have_one_column_each():
    env = gym.make(PHYSICAL, rules="mpe", num_good=3)
    _, info = env.reset(seed=0)
    assert info["deception"]["belief"].shape == (3,)
    assert info["deception"]["deciding"].dtype == np.bool_


def test_a_finished_episode_must_be_reset():
    env = gym.make(ROOMS).unwrapped
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(RuntimeError, match="ended"):
        env.step(0)
    env.reset()
    env.step(0)


def test_pairs_are_at_hand_on_both_gymnasium_views():
    env, batch = gym.make(PHYSICAL).unwrapped, gym.make_vec(PHYSICAL, num_envs=5)
    obs, _ = batch.reset(seed=0)
    for view in (env, batch.unwrapped):
        made: Any = view.pairs(obs, "presence")  # pyright: ignore[reportAttributeAccessIssue]
        np.testing.assert_array_equal(made.other_obs, obs)


# -- a batch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [*AutoresetMode, *(mode.value for mode in AutoresetMode)])
def test_the_autoreset_mode_may_be_named(mode):
    env: Any = gym.make_vec(PHYSICAL, num_envs=2, autoreset_mode=mode)
    assert env.metadata["autoreset_mode"] == AutoresetMode(mode)
    assert isinstance(env.metadata["autoreset_mode"], AutoresetMode)


@pytest.mark.parametrize("mode", ["never", None, 3])
def test_an_unknown_autoreset_mode_is_named(mode):
    with pytest.raises(ValueError, match=r"autoreset_mode must be .*'NextStep'"):
        PhysicalDeceptionVectorEnv(2, autoreset_mode=mode)


def test_spaces_of_a_batch_are_those_of_its_games():
    for env_id in IDS:
        env = gym.make_vec(env_id, num_envs=3)
        single = gym.make(env_id)
        assert env.single_observation_space == single.observation_space
        assert env.single_action_space == single.action_space
        obs, _ = env.reset(seed=0)
        assert obs in env.observation_space
        env.action_space.seed(0)
        obs, rewards, terminated, truncated, _ = env.step(env.action_space.sample())
        assert obs in env.observation_space
        assert (rewards.shape, rewards.dtype) == ((3,), np.float64)
        assert terminated.dtype == truncated.dtype == np.bool_


def test_a_list_seeds_each_game_of_a_batch():
    env: Any = gym.make_vec(PHYSICAL, num_envs=3)
    obs, _ = env.reset(seed=[4, 9, 4])
    np.testing.assert_array_equal(obs[0], obs[2])
    np.testing.assert_array_equal(obs[1], gym.make(PHYSICAL).reset(seed=9)[0])
    with pytest.raises(ValueError, match="seed must list 3 integers, got 2"):
        env.reset(seed=[1, 2])


def test_infos_of_a_batch_follow_gymnasiums_layout():
    env = gym.make_vec(
        PHYSICAL,
        num_envs=3,
        labels=True,
        max_episode_steps=2,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    _, infos = env.reset(seed=0)
    assert infos["deception"]["belief"].shape == infos["deception"]["_belief"].shape == (3,)
    assert infos["_deception"].all()
    env.step(np.zeros(3, int))
    obs, *_, infos = env.step(np.zeros(3, int))
    assert infos["_final_obs"].all()
    assert infos["_final_info"].all()
    assert [row.shape for row in infos["final_obs"]] == [obs[0].shape] * 3
    assert all((row != new).any() for row, new in zip(infos["final_obs"], obs, strict=True))
    assert infos["final_info"]["deception"]["belief"].shape == (3,)
    quiet = gym.make_vec(PHYSICAL, num_envs=3)
    assert quiet.reset(seed=0)[1] == {}


def test_disabled_resets_the_games_in_the_mask_alone():
    env = gym.make_vec(
        PHYSICAL, num_envs=3, max_episode_steps=2, autoreset_mode=AutoresetMode.DISABLED
    )
    env.reset(seed=0)
    env.step(np.zeros(3, int))
    before, *_, truncated, _ = env.step(np.zeros(3, int))
    assert truncated.all()
    mask = np.array([True, False, True])
    after, _ = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[mask] != before[mask]).any(axis=1).all()
    with pytest.raises(RuntimeError, match="ended"):
        env.step(np.zeros(3, int))


# -- PettingZoo -------------------------------------------------------------------------------


def parallel(env_id: str, **kwargs: Any) -> ScenarioParallelEnv:
    return ScenarioParallelEnv(scenario_class(env_id), **kwargs)


def test_the_parallel_view_is_the_core_with_every_agent_external():
    env, game = parallel(PHYSICAL), PhysicalDeception(1, external="all")
    observations, _ = env.reset(seed=6)
    wanted = game.reset(seed=6)
    for t in range(25):
        for agent, obs in zip(game.agents, wanted, strict=True):
            np.testing.assert_array_equal(observations[agent], obs[0])
        np.testing.assert_array_equal(env.state(), np.concatenate([obs[0] for obs in wanted]))
        actions = {"agent_0": t % 5, "adversary_0": (t + 1) % 5}
        observations, rewards, terminated, truncated, infos = env.step(actions)
        step = game.step(np.array([[(t + 1) % 5, t % 5]]))
        wanted = step.observations
        assert [rewards[a] for a in game.agents] == [float(r[0]) for r in step.rewards]
        assert all(isinstance(reward, float) for reward in rewards.values())
        assert set(truncated.values()) == {t == 24}
        assert set(terminated.values()) == {False}
        assert infos["agent_0"]["deception"] == infos["adversary_0"]["deception"]
    assert env.agents == []
    with pytest.raises(ValueError, match="the episode has ended"):
        env.step({})


def test_the_state_is_in_the_state_space():
    for env_id in IDS:
        env = parallel(env_id)
        env.reset(seed=0)
        assert env.state() in env.state_space


def test_max_cycles_is_the_length_of_an_episode():
    env = parallel(PHYSICAL, max_cycles=3)
    env.reset(seed=0)
    for t in range(3):
        *_, truncated, _ = env.step(dict.fromkeys(env.agents, 0))
        assert set(truncated.values()) == {t == 2}
    for bad in (0, 1.5, "long"):
        with pytest.raises(ValueError, match="max_episode_steps"):
            parallel(PHYSICAL, max_cycles=bad)


def test_pettingzoo_names_are_those_of_the_modules():
    assert parallel(PHYSICAL).metadata["name"] == "physical_deception_v0"
    assert parallel(ROOMS).metadata["name"] == "room_signal_v0"


def test_aec_plays_the_same_game_agent_by_agent():
    aec: Any = pettingzoo.make("aec", "feint/room_signal-v0")
    env: Any = pettingzoo.make("parallel", "feint/room_signal-v0")
    for seed in range(10):
        aec.reset(seed=seed)
        env.reset(seed=seed)
        totals = dict.fromkeys(env.agents, 0.0)
        while env.agents:
            _, rewards, *_ = env.step({"sender_0": 1, "receiver_0": 2})
            for agent, reward in rewards.items():
                totals[agent] += reward
        mine = dict.fromkeys(totals, 0.0)
        for agent in aec.agent_iter():
            _, reward, terminated, truncated, _ = aec.last()
            mine[agent] += reward
            done = terminated or truncated
            aec.step(None if done else {"sender_0": 1, "receiver_0": 2}[agent])
        assert mine == totals


# -- misuse -----------------------------------------------------------------------------------


def test_an_unknown_render_mode_is_named():
    for make in (gym.make, lambda env_id, **kw: gym.make_vec(env_id, num_envs=1, **kw)):
        with pytest.raises(ValueError, match="render_mode must be"):
            make(PHYSICAL, render_mode="hologram")
    with pytest.raises(ValueError, match="render_mode must be"):
        parallel(PHYSICAL, render_mode="hologram")


BAD_MOVES = st.one_of(
    st.integers(max_value=-1),
    st.integers(min_value=5),
    st.floats(allow_nan=True),
    st.lists(st.integers(0, 4), min_size=2, max_size=3),
    st.text(max_size=2),
    st.none(),
)
BAD_FORCES = st.one_of(
    st.tuples(
        st.floats(-1, 1),
        st.floats(allow_nan=True).filter(lambda x: not -1.0001 <= x <= 1.0001),
    ),
    st.lists(st.floats(-1, 1), max_size=1),
    st.lists(st.floats(-1, 1), min_size=3, max_size=4),
    st.just(("a", "b")),
    st.none(),
)


def refused(call: Any, game: Any) -> None:
    before = game.snapshot()
    with pytest.raises(ValueError, match=r"action|shape|inhomogeneous"):
        call()
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, before[key])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), continuous=st.booleans())
def test_illegal_actions_raise_in_every_view_and_change_nothing(data, continuous):
    bad = data.draw(BAD_FORCES if continuous else BAD_MOVES)
    good = np.zeros(2, np.float32) if continuous else 0
    kwargs = {"continuous_actions": continuous}
    single: Any = gym.make(PHYSICAL, **kwargs).unwrapped
    batch: Any = gym.make_vec(PHYSICAL, num_envs=2, **kwargs)
    both = parallel(PHYSICAL, **kwargs)
    aec: Any = pettingzoo.make("aec", "feint/physical_deception-v0", **kwargs)
    for env in (single, batch, both, aec):
        env.reset(seed=0)
    refused(lambda: single.step(bad), single.scenario)
    refused(lambda: batch.step([good, bad]), batch.scenario)
    refused(lambda: both.step({"adversary_0": good, "agent_0": bad}), both.scenario)
    refused(lambda: both.step({"adversary_0": bad, "agent_0": good}), both.scenario)
    aec.step(good)
    refused(lambda: aec.step(bad), aec.unwrapped.scenario)


def kwargs_of_physical_deception() -> st.SearchStrategy[dict[str, Any]]:
    rate = st.floats(0, 1)
    common = {"incentive": rate, "red_absent_rate": rate, "red_blind_rate": rate}
    lure = st.fixed_dictionaries(
        {**common, "continuous_actions": st.booleans(), "attention": st.booleans()},
        optional={"sight_radius": st.floats(1e-3, 10), "red": st.sampled_from(["bayes", "follow"])},
    )
    mpe = st.fixed_dictionaries(
        {
            **common,
            "rules": st.just("mpe"),
            "num_good": st.integers(1, 4),
            "continuous_actions": st.booleans(),
        }
    )
    soo = st.fixed_dictionaries({**common, "rules": st.just("soo")})
    return st.one_of(lure, mpe, soo)


@settings(max_examples=40, deadline=None)
@given(kwargs=kwargs_of_physical_deception(), seed=st.integers(0, 2**32), data=st.data())
def test_legal_actions_keep_every_state_finite(kwargs, seed, data):
    game = PhysicalDeception(4, external="all", labels=True, autoreset="same_step", **kwargs)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    extreme = data.draw(st.booleans())
    game.reset(seed=seed)
    low, high = (0.0, 1.0) if game.rules == "mpe" else (-1.0, 1.0)
    width = 5 if game.rules == "mpe" else 2
    for _ in range(2 * game.max_steps + 2):
        shape = (4, len(game.agents))
        if not game.continuous:
            actions = rng.integers(0, 5, shape)
        elif extreme:
            actions = rng.choice([low, high], (*shape, width))
        else:
            actions = rng.uniform(low, high, (*shape, width))
        step: Any = game.step(actions)
        for value in (*game.state, *step.observations, *step.rewards, *step.labels.values()):
            assert np.isfinite(value).all()
        assert ((step.labels["belief"] >= 0) & (step.labels["belief"] <= 1)).all()
        if game.rules != "mpe":
            assert np.abs(game.state.pos).max() <= 1.5


@settings(max_examples=40, deadline=None)
@given(
    rooms=st.integers(2, 12),
    nuisance=st.integers(0, 9),
    attention=st.booleans(),
    seed=st.integers(0, 2**32),
    rates=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_legal_messages_keep_every_room_a_room(rooms, nuisance, attention, seed, rates):
    own, rival, sceptic, incentive = rates
    game = RoomSignal(
        8,
        num_rooms=rooms,
        num_nuisance=nuisance,
        attention=attention,
        self_rate=own,
        rival_rate=rival,
        sceptic_rate=sceptic,
        incentive=incentive,
        external="all",
        labels=True,
        autoreset="same_step",
    )
    game.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        step: Any = game.step(rng.integers(0, rooms, (8, 2)))
        for obs, agent in zip(step.observations, game.agents, strict=True):
            assert all(row in game.observation_space(agent) for row in obs)
        assert all(((0 <= r) & (r <= 2)).all() for r in step.rewards)
        assert ((game.state.treasure >= 0) & (game.state.treasure < rooms)).all()
        for seen in (step, step.final):
            if seen is not None:
                went = seen.labels["went"]
                assert ((went >= -1) & (went < rooms)).all()


def test_closing_after_a_failed_construction_is_quiet():
    wrong: list[dict[str, Any]] = [{"autoreset_mode": "never"}, {"num_envs": 0}]
    for bad in wrong:
        env = PhysicalDeceptionVectorEnv.__new__(PhysicalDeceptionVectorEnv)
        with pytest.raises(ValueError):
            env.__init__(**bad)
        env.close_extras()
