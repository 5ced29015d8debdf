# SB3 types its attributes as optional until they are set up, which in a test they are.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from feint.agents import SOOPPO, GymVecEnv, make_vec_env
from feint.agents.actor import Batch

IDS = ["feint/PhysicalDeception-v0", "feint/RoomSignal-v0"]


@pytest.mark.parametrize("env_id", IDS)
def test_it_equals_gymnasiums_own_view(env_id):
    ours = make_vec_env(env_id, 5, seed=7)
    theirs = gym.make_vec(env_id, num_envs=5, autoreset_mode=AutoresetMode.SAME_STEP)
    obs = ours.reset()
    np.testing.assert_array_equal(obs, theirs.reset(seed=7)[0])
    rng = np.random.default_rng(0)
    for _ in range(70):
        actions = rng.integers(0, ours.action_space.n, 5)
        obs, rewards, dones, infos = ours.step(actions)
        expected = theirs.step(actions)
        np.testing.assert_array_equal(obs, expected[0])
        np.testing.assert_allclose(rewards, expected[1], rtol=1e-6)
        np.testing.assert_array_equal(dones, expected[2] | expected[3])
        for i in np.flatnonzero(dones):
            np.testing.assert_array_equal(
                infos[i]["terminal_observation"], expected[4]["final_obs"][i]
            )


@pytest.mark.parametrize("env_id", IDS)
def test_games_that_the_adapter_resets_are_those_that_reset_themselves(env_id):
    ours = make_vec_env(env_id, 5, seed=7)
    other = GymVecEnv(gym.make_vec(env_id, num_envs=5, autoreset_mode=AutoresetMode.DISABLED))
    other.seed(7)
    np.testing.assert_array_equal(ours.reset(), other.reset())
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(0, ours.action_space.n, 5)
        a, b = ours.step(actions), other.step(actions)
        for x, y in zip(a[:3], b[:3], strict=True):
            np.testing.assert_array_equal(x, y)
        for x, y in zip(a[3], b[3], strict=True):
            assert x.keys() == y.keys()
            seen = x.get("terminal_observation"), y.get("terminal_observation")
            np.testing.assert_array_equal(*seen)


def test_a_time_limit_is_a_truncation_and_a_terminal_state_is_not():
    walking, speaking = make_vec_env(IDS[0], 2, seed=0), make_vec_env(IDS[1], 2, seed=0)
    walking.reset()
    speaking.reset()
    for _ in range(25):
        _, _, dones, infos = walking.step(np.zeros(2, int))
    assert dones.all() and all(info["TimeLimit.truncated"] for info in infos)
    _, _, dones, infos = speaking.step(np.zeros(2, int))
    assert dones.all() and not any(info["TimeLimit.truncated"] for info in infos)


def test_episode_statistics_are_the_sums_of_rewards():
    env = make_vec_env(IDS[0], 3, seed=0)
    env.reset()
    total = np.zeros(3)
    for _ in range(25):
        _, rewards, _, infos = env.step(np.full(3, 2))
        total += rewards
    assert [info["episode"]["l"] for info in infos] == [25] * 3
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], total, rtol=1e-5)


def test_seeds_reach_the_games():
    first = make_vec_env(IDS[0], 4, seed=3).reset()
    np.testing.assert_array_equal(first, make_vec_env(IDS[0], 4, seed=3).reset())
    assert not np.array_equal(first, make_vec_env(IDS[0], 4, seed=4).reset())
    env = PPO("MlpPolicy", make_vec_env(IDS[0], 4), n_steps=4, batch_size=8, seed=3).get_env()
    np.testing.assert_array_equal(env.reset(), first)


def test_pairs_are_made_before_normalisation():
    env = VecNormalize(make_vec_env(IDS[0], 4, seed=0, attention=True))
    model = SOOPPO("MlpPolicy", env, n_steps=30, batch_size=60, seed=0, soo_pairs="belief")
    model.learn(240)
    raw = env.unnormalize_obs(env.reset())
    pairs = model.bound[0].pairs(Batch(torch.as_tensor(env.normalize_obs(raw))))
    flags = env.unnormalize_obs(pairs.self_inputs.numpy())[pairs.valid.numpy(), -1]
    np.testing.assert_allclose(flags, 0.0, atol=1e-5)
