"""Agents of one batch of games as learners that share a policy."""

import numpy as np
import pytest
from stable_baselines3 import PPO

from feint.agents import SOOPPO, TimeLimitsTogether, make_shared_vec_env
from feint.envs.physical_deception import PhysicalDeception

MPE = {"rules": "mpe", "num_good": 2}


def test_each_agent_sees_and_earns_what_the_scenario_gives_it() -> None:
    env = make_shared_vec_env("feint/PhysicalDeception-v0", 3, seed=5, **MPE)
    game = PhysicalDeception(3, external="all", autoreset="same_step", rules="mpe", num_good=2)
    seen = np.asarray(env.reset())
    game.reseed(5 + 3 * np.arange(3))
    expected = game.reset()
    rng = np.random.default_rng(0)
    for t in range(25):
        for k, obs in enumerate(expected):
            np.testing.assert_array_equal(seen[k::3, : obs.shape[1]], obs)
            assert not seen[k::3, obs.shape[1] :].any()
        actions = rng.integers(5, size=(3, 3))
        stepped, rewards, done, infos = env.step(actions.reshape(-1))
        seen = np.asarray(stepped)
        step = game.step(actions)
        expected = step.observations
        for k in range(3):
            np.testing.assert_array_equal(rewards[k::3], step.rewards[k].astype(np.float32))
        assert done.all() == (t == 24)
    assert step.final is not None
    for i, info in enumerate(infos):
        last = step.final.observations[i % 3][i // 3]
        np.testing.assert_array_equal(info["terminal_observation"][: len(last)], last)
        assert info["TimeLimit.truncated"]
        assert info["episode"]["l"] == 25


def test_those_who_do_not_learn_are_played_by_the_scenario() -> None:
    env = make_shared_vec_env("feint/PhysicalDeception-v0", 2, agents=["agent_0", "agent_1"], **MPE)
    assert env.num_envs == 4
    assert np.asarray(env.reset()).shape == (4, 10)


def test_agents_that_take_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="KuhnPoker-v0: its agents take turns"):
        make_shared_vec_env("feint/KuhnPoker-v0", 2)


def _rollout(callback: TimeLimitsTogether | None) -> tuple[np.ndarray, list[float]]:
    """Rewards as the learner sees them, (30, 12), and the games' own sums of 25 of them, sorted."""
    env = make_shared_vec_env("feint/PhysicalDeception-v0", 4, seed=0, **MPE)
    model = PPO("MlpPolicy", env, n_steps=30, batch_size=360, n_epochs=1, seed=0, device="cpu")
    model.learn(1, callback=callback)
    assert model.ep_info_buffer is not None
    earned = sorted(float(episode["r"]) for episode in model.ep_info_buffer)
    return model.rollout_buffer.rewards.copy(), earned


def test_time_limits_together_add_what_sb3_adds_one_by_one() -> None:
    one_by_one, earned = _rollout(None)
    together, same = _rollout(TimeLimitsTogether())
    assert same == earned
    assert abs(np.sort(one_by_one[:25].sum(0)) - earned).max() > 1e-3  # something was added
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5, atol=1e-6)


def test_overlap_needs_a_function_for_its_pairs_here() -> None:
    env = make_shared_vec_env("feint/PhysicalDeception-v0", 2, **MPE)
    with pytest.raises(ValueError, match="no self/other pairs; pass soo_pairs=function"):
        SOOPPO("MlpPolicy", env, n_steps=5, batch_size=30)
