# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOptionalIterable=false, reportOperatorIssue=false
"""Gymnasium's own vector environments, and a small one of every mode and space, under SB3."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from mpe2 import simple_adversary_v3
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from feint.agents import GymVecEnv, ParallelVecEnv, make_vec_env

NEXT, SAME, OFF = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


class Counter(gym.Env):
    """Counts up from its seed; it ends after `length` steps, or is cut there."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    action_space = spaces.Discrete(2)

    def __init__(self, length=3, cut=False, kind="dict"):
        self.length, self.cut, self.kind, self.render_mode = length, cut, kind, "rgb_array"
        self.start, self.bonus = 0, 0.0
        self.observation_space = spaces.Discrete(1000)
        if kind == "dict":
            box = spaces.Box(-1e6, 1e6, (2,), np.float32)
            self.observation_space = spaces.Dict({"a": box, "b": spaces.Discrete(1000)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.start = seed
        self.start += (options or {}).get("shift", 0)
        self.t = 0
        return self.see(), {"began": self.start}

    def step(self, action):
        self.t += 1
        over = self.t == self.length
        return self.see(), 1.0 + self.bonus, over and not self.cut, over and self.cut, {"t": self.t}

    def see(self):
        n = self.start + self.t
        return {"a": np.full(2, n, np.float32), "b": n} if self.kind == "dict" else n

    def render(self):
        return np.full((4, 4, 3), self.t, np.uint8)


def counters(mode, kind="dict", **kwargs):
    makes = [lambda n=n, **k: Counter(n, kind=kind, **kwargs) for n in (2, 3)]
    return GymVecEnv(SyncVectorEnv(makes, autoreset_mode=mode))


@pytest.mark.parametrize("mode", [SAME, OFF])
@pytest.mark.parametrize("cut", [False, True])
def test_a_game_that_ends_begins_anew_in_the_same_step(mode, cut):
    env = counters(mode, cut=cut)
    env.seed(10)
    obs = env.reset()
    np.testing.assert_array_equal(obs["a"], [[10, 10], [11, 11]])
    assert [info["began"] for info in env.reset_infos] == [10, 11]
    history = [env.step(np.zeros(2, int)) for _ in range(6)]
    dones = [step[2].tolist() for step in history]
    assert dones == [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0], [1, 1]]
    obs, rewards, _, infos = history[1]
    np.testing.assert_array_equal(obs["b"], [10, 13])
    assert rewards.dtype == np.float32 and rewards.tolist() == [1, 1]
    assert infos[0]["t"] == 2 and "began" not in infos[0]  # of the step, not of the reset
    assert infos[0]["terminal_observation"]["b"] == 12
    assert infos[0]["TimeLimit.truncated"] is cut
    assert (infos[0]["episode"]["r"], infos[0]["episode"]["l"]) == (2.0, 2)
    assert infos[1] == {"t": 2}


def test_a_reset_that_takes_a_step_is_an_episode_of_its_own():
    env = counters(NEXT)
    env.seed(10)
    env.reset()
    history = [env.step(np.zeros(2, int)) for _ in range(6)]
    assert [step[2].tolist() for step in history] == [
        [0, 0], [1, 0], [1, 1], [0, 1], [1, 0], [1, 0],
    ]  # fmt: skip
    obs, rewards, _, infos = history[1]
    assert obs["b"].tolist() == [12, 13] and infos[0]["episode"]["l"] == 2
    assert infos[0]["TimeLimit.truncated"] is False
    obs, rewards, _, infos = history[2]
    assert obs["b"].tolist() == [10, 14] and rewards.tolist() == [0, 1]
    assert infos[0]["away"] and infos[0]["TimeLimit.truncated"] and "episode" not in infos[0]
    assert infos[0]["terminal_observation"]["b"] == 12  # where it still stood
    assert env.reset_infos[0]["began"] == 10
    assert [s[3][0]["episode"]["l"] for s in history if "episode" in s[3][0]] == [2, 2]


@pytest.mark.parametrize("mode", [SAME, OFF, NEXT])
@pytest.mark.parametrize("kind", ["dict", "discrete"])
def test_dicts_and_numbers_are_learnt_from_in_every_mode(mode, kind):
    env = counters(mode, kind)
    policy = "MultiInputPolicy" if kind == "dict" else "MlpPolicy"
    model = PPO(policy, env, n_steps=8, batch_size=8, n_epochs=1, device="cpu").learn(32)
    assert model.num_timesteps == 32 and len(model.ep_info_buffer) > 0
    if mode != NEXT:
        assert {episode["l"] for episode in model.ep_info_buffer} == {2, 3}


def test_attributes_methods_options_and_pictures_are_each_games_own():
    env = counters(SAME)
    env.seed(0)
    env.set_options({"shift": 5})
    assert env.reset()["b"].tolist() == [5, 6]
    assert env.get_attr("length") == [2, 3] and env.get_attr("length", 1) == [3]
    env.set_attr("bonus", 1.0, indices=[1])
    assert env.step(np.zeros(2, int))[1].tolist() == [1, 2]
    assert [int(seen["b"]) for seen in env.env_method("see")] == [6, 7]
    assert [int(seen["b"]) for seen in env.env_method("see", indices=[1])] == [7]
    assert [frame.max() for frame in env.get_images()] == [1, 1]
    assert env.render().shape[-1] == 3
    assert env.env_is_wrapped(Monitor) == [False, False]
    env.set_options([{"shift": 1}, {"shift": 2}])
    with pytest.raises(ValueError, match="one set of options for all games"):
        env.reset()


def test_processes_work_as_one_does():
    def build(cls):
        return GymVecEnv(cls([Counter, lambda: Monitor(Counter(2))], autoreset_mode=SAME))

    one, many = build(SyncVectorEnv), build(AsyncVectorEnv)
    for env in (one, many):
        env.seed(4)
    seen = [(a["b"].tolist(), b["b"].tolist()) for a, b in [(one.reset(), many.reset())]]
    for _ in range(7):
        a, b = one.step(np.zeros(2, int)), many.step(np.zeros(2, int))
        seen.append((a[0]["b"].tolist(), b[0]["b"].tolist()))
        assert a[1].tolist() == b[1].tolist() and a[2].tolist() == b[2].tolist()
        for x, y in zip(a[3], b[3], strict=True):
            assert x.keys() == y.keys() and x.get("t") == y.get("t")
            assert str(x.get("terminal_observation")) == str(y.get("terminal_observation"))
    assert all(a == b for a, b in seen)
    assert one.env_is_wrapped(Monitor) == [False, True]
    assert many.get_attr("length") == one.get_attr("length")
    assert [int(s["b"]) for s in many.env_method("see")] == [
        int(s["b"]) for s in one.env_method("see")
    ]
    with pytest.raises(ValueError, match="AsyncVectorEnv calls a method of all games or of none"):
        many.env_method("see", indices=[0])
    many.close()


def test_what_cannot_be_adapted_is_refused():
    unsaid = gym.make_vec("CartPole-v1", num_envs=1)
    unsaid.unwrapped.metadata = {}
    with pytest.raises(ValueError, match="must be a gymnasium"):
        GymVecEnv(unsaid)
    with pytest.raises(ValueError, match="make it with copy=True"):
        GymVecEnv(SyncVectorEnv([Counter], copy=False))


@pytest.mark.parametrize("entry", ["vector_entry_point", "sync"])
def test_ppo_balances_the_pole_of_gymnasiums_own_vector_environments(entry):
    """The native batch resets in the next step, and cannot do otherwise; the other may choose."""
    native = entry == "vector_entry_point"
    kwargs = {} if native else {"vector_kwargs": {"autoreset_mode": SAME}}
    venv = gym.make_vec("CartPole-v1", num_envs=8, vectorization_mode=entry, **kwargs)
    env = GymVecEnv(venv)
    assert env.mode == (NEXT if native else SAME)
    model = PPO(
        "MlpPolicy", env, n_steps=32, batch_size=256, n_epochs=20, gamma=0.98, gae_lambda=0.8,
        learning_rate=1e-3, seed=0, device="cpu",
    ).learn(20_000)  # fmt: skip
    mean, _ = evaluate_policy(model, Monitor(gym.make("CartPole-v1")), n_eval_episodes=10)
    assert mean > 150  # a random policy balances it for about 22 steps


class One(gym.Env):
    """The only environment of a `VecEnv`, for SB3's own `check_env`."""

    def __init__(self, env):
        self.env = env
        assert env.num_envs == 1
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.env.seed(seed)
        return self.env.reset()[0], {}

    def step(self, action):
        obs, rewards, dones, infos = self.env.step(np.array([action]))
        cut = infos[0].get("TimeLimit.truncated", False)
        last = infos[0]["terminal_observation"] if dones[0] else obs[0]
        return last, float(rewards[0]), bool(dones[0]) and not cut, cut, infos[0]


@pytest.mark.parametrize(
    "env",
    [
        lambda: make_vec_env("feint/PhysicalDeception-v0", 1),
        lambda: make_vec_env("feint/KuhnPoker-v0", 1),
        lambda: GymVecEnv(gym.make_vec("CartPole-v1", num_envs=1)),
        lambda: GymVecEnv(
            SyncVectorEnv([lambda: gym.make("MountainCarContinuous-v0")], autoreset_mode=OFF)
        ),
        lambda: ParallelVecEnv(simple_adversary_v3.parallel_env, 1, train="adversary"),
    ],
)
def test_sb3s_check_env_finds_nothing(env, recwarn):
    check_env(One(env()), skip_render_check=True)
    assert not [w for w in recwarn if "env_checker" in str(w.filename)]
