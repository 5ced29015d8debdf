# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
import functools

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces
from mpe2 import simple_adversary_v3, simple_tag_v3
from pettingzoo.classic import rps_v2
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import feint  # noqa: F401 - registers the ids
from feint.agents import ParallelVecEnv, Pool, policy_of

ADVERSARY = simple_adversary_v3.parallel_env


def actions_for(env, seed=0):
    rng = np.random.default_rng(seed)
    return lambda: rng.integers(0, env.action_space.n, env.num_envs)


def test_agents_of_one_role_share_a_policy_and_see_what_the_copies_show():
    env = ParallelVecEnv(ADVERSARY, 3, train="agent", seed=5)
    assert env.num_envs == 6
    obs = env.reset()
    for i in range(3):
        alone = ADVERSARY()
        wanted, _ = alone.reset(seed=5 + i)
        np.testing.assert_array_equal(obs[2 * i], wanted["agent_0"])
        np.testing.assert_array_equal(obs[2 * i + 1], wanted["agent_1"])


def test_a_step_is_the_copies_own_with_the_opponents_action():
    env = ParallelVecEnv(
        ADVERSARY,
        2,
        train="agent",
        seed=1,
        opponents={"adversary": lambda obs: np.full(len(obs), 3)},
    )
    env.reset()
    copies = [ADVERSARY() for _ in range(2)]
    for i, copy in enumerate(copies):
        copy.reset(seed=1 + i)
    act = actions_for(env)
    for t in range(25):
        actions = act()
        obs, rewards, dones, infos = env.step(actions)
        for i, copy in enumerate(copies):
            joint = {"agent_0": actions[2 * i], "agent_1": actions[2 * i + 1], "adversary_0": 3}
            wanted, earned, *_ = copy.step(joint)
            for k, agent in enumerate(("agent_0", "agent_1")):
                slot = 2 * i + k
                assert rewards[slot] == pytest.approx(earned[agent])
                assert dones[slot] == (t == 24)
                seen = infos[slot]["terminal_observation"] if t == 24 else obs[slot]
                np.testing.assert_array_equal(seen, wanted[agent])


def test_time_limits_are_told_from_ends_and_episodes_are_reported_by_role():
    env = ParallelVecEnv(functools.partial(simple_tag_v3.parallel_env, max_cycles=7), 2, seed=0,
                         train="adversary")  # fmt: skip
    env.reset()
    act, total = actions_for(env), np.zeros(env.num_envs)
    for _ in range(7):
        _, rewards, dones, infos = env.step(act())
        total += rewards
    assert dones.all()
    for info, earned in zip(infos, total, strict=True):
        assert info["TimeLimit.truncated"]
        assert info["episode"]["r"] == pytest.approx(earned, rel=1e-5)
        assert info["episode"]["l"] == 7
        assert info["episode"]["role"] == "adversary"


class Fading(pettingzoo.ParallelEnv):
    """Three walkers; walker k dies after k + 2 steps; the game is over when all are dead."""

    metadata = {"name": "fading_v0"}  # noqa: RUF012
    possible_agents = ["walker_0", "walker_1", "walker_2"]  # noqa: RUF012
    seen, moves = spaces.Box(0, 9, (1,), np.float32), spaces.Discrete(2)

    def observation_space(self, agent):
        return self.seen

    def action_space(self, agent):
        return self.moves

    def reset(self, seed=None, options=None):
        self.agents, self.t = list(self.possible_agents), 0
        return self._told(self.agents), {a: {"action_mask": np.array([1, 0])} for a in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.t += 1
        was = list(self.agents)
        dead = {a: self.t >= int(a[-1]) + 2 for a in was}
        self.agents = [a for a in was if not dead[a]]
        infos = {a: {"action_mask": np.array([1, 0])} for a in was}
        return self._told(was), dict.fromkeys(was, 1.0), dead, dict.fromkeys(was, False), infos

    def _told(self, agents):
        return {a: np.array([1.0 + self.t], np.float32) for a in agents}


def test_the_dead_are_away_until_their_copy_is_reset():
    env = ParallelVecEnv(Fading, 1, seed=0)
    env.reset()
    history = [env.step(np.zeros(3, int)) for _ in range(4)]
    dones = np.array([step[2] for step in history])
    np.testing.assert_array_equal(dones, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    away = np.array([[info.get("away", False) for info in step[3]] for step in history])
    np.testing.assert_array_equal(away, [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]])
    rewards = np.array([step[1] for step in history])
    np.testing.assert_array_equal(rewards, ~away)
    assert [info["episode"]["l"] for step in history for info in step[3] if "episode" in info] == [
        2, 3, 4,
    ]  # fmt: skip
    np.testing.assert_array_equal(history[1][0].ravel(), [0.0, 3.0, 3.0])  # zeros while away
    np.testing.assert_array_equal(history[3][0].ravel(), [1.0, 1.0, 1.0])  # the next episode
    assert not any(
        info["TimeLimit.truncated"] for step in history for info in step[3] if info.get("away")
    )


def test_the_copy_is_reset_when_nobody_who_is_trained_is_left():
    env = ParallelVecEnv(Fading, 1, train=["walker_0"], seed=0)
    env.reset()
    for _ in range(2):
        obs, _, done, _ = env.step(np.zeros(1, int))
    assert done[0] and obs[0, 0] == 1.0


def test_masks_reach_maskable_ppo():
    env = ParallelVecEnv(Fading, 2, seed=0)
    env.reset()
    assert np.stack(env.env_method("action_masks")).tolist() == [[True, False]] * 6
    model = MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=16, seed=0).learn(96)
    obs = env.reset()
    assert (model.predict(obs, action_masks=np.stack(env.env_method("action_masks")))[0] == 0).all()


def test_opponents_that_heed_masks_get_them_alone_and_in_a_pool():
    moves = []

    class Watched(Fading):
        def step(self, actions):
            moves.extend(action for agent, action in actions.items() if agent != "walker_0")
            return super().step(actions)

    masked = MaskablePPO("MlpPolicy", ParallelVecEnv(Fading, 1), n_steps=8, device="cpu")
    player = policy_of(masked)
    env = ParallelVecEnv(
        Watched, 8, train=["walker_0"], seed=0,
        opponents={"walker_1": player, "walker_2": Pool([player])},
    )  # fmt: skip
    env.reset()
    for _ in range(6):
        env.step(np.zeros(8, int))
    assert len(moves) == 96 and not np.any(moves)  # only 0 is legal


def test_the_same_seed_gives_the_same_training():
    def trained():
        env = ParallelVecEnv(ADVERSARY, 2, train="agent")
        return PPO("MlpPolicy", env, n_steps=25, batch_size=50, seed=3, device="cpu").learn(100)

    a, b = (trained().policy.state_dict() for _ in range(2))
    assert all((a[key] == b[key]).all() for key in a)


def test_training_against_a_frozen_agent_and_a_league_of_past_selves():
    red = ParallelVecEnv(ADVERSARY, 2, train="adversary", seed=0)
    first = PPO("MlpPolicy", red, n_steps=25, batch_size=50, seed=0, device="cpu").learn(100)
    league = Pool([policy_of(first)], newest=0.5)
    blue = VecMonitor(ParallelVecEnv(ADVERSARY, 2, train="agent", opponents={"adversary": league}))
    model = PPO("MlpPolicy", blue, n_steps=25, batch_size=50, seed=0, device="cpu").learn(200)
    league.add(policy_of(first, seed=1))
    model.learn(200)
    assert len(model.ep_info_buffer) > 0


def test_a_pool_meets_each_member_as_often_as_it_says():
    pool = Pool([len, len, len], newest=0.5)
    rng = np.random.default_rng(0)
    for copy in range(4000):
        pool.draw(copy, rng)
    met = np.bincount([pool._met[copy] for copy in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(met, [0.25, 0.25, 0.5], atol=0.03)


def test_games_of_pettingzoo_classic_and_of_feint_train_too():
    env = ParallelVecEnv(rps_v2.parallel_env, 2, train=["player_0"], seed=0)
    PPO("MlpPolicy", env, n_steps=16, batch_size=32, seed=0, device="cpu").learn(64)
    for game in ("feint/room_signal-v0", "feint/physical_deception-v0", "feint/hidden_role-v0"):
        make = functools.partial(pettingzoo.make, "parallel", game)
        first = make().possible_agents[0]
        ours = ParallelVecEnv(make, 2, train=[first], seed=0)
        PPO("MlpPolicy", ours, n_steps=16, batch_size=32, seed=0, device="cpu").learn(64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"copies": 0}, "copies must be >= 1, got 0"),
        ({"train": "ghost"}, r"train: no such agent or role \['ghost'\]; there are"),
        ({}, "need equal spaces"),
        ({"train": "agent", "opponents": {"agent": len}}, "agent_0 is trained"),
        ({"train": "agent", "opponents": {"adversary": 7}}, "must be callable, got 7"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ParallelVecEnv(ADVERSARY, **arguments)


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match="at least one member"):
        Pool([])
    with pytest.raises(ValueError, match=r"newest must be in \[0, 1\], got 2"):
        Pool([len], newest=2)


def test_the_observation_may_hold_its_mask():
    class Held(Fading):
        both = spaces.Dict({"observation": Fading.seen, "action_mask": spaces.MultiBinary(2)})

        def observation_space(self, agent):
            return self.both

        def _told(self, agents):
            plain = super()._told(agents)
            return {a: {"observation": o, "action_mask": [0, 1]} for a, o in plain.items()}

    env = ParallelVecEnv(Held, 1, seed=0)
    assert isinstance(env.observation_space, gym.spaces.Box)
    assert env.reset().shape == (3, 1)
    assert np.stack(env.env_method("action_masks")).tolist() == [[False, True]] * 3
