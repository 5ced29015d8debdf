# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false
"""Roles that learn against each other, in turns and at once."""

from functools import partial

import numpy as np
import pytest
import torch
from mpe2 import simple_adversary_v3
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

import feint.agents.self_play
from feint.agents import League, ParallelVecEnv, load_agent, policy_of, train_roles
from feint.agents.lockstep import Lockstep
from feint.agents.stage import Stage

ADVERSARY = partial(simple_adversary_v3.parallel_env, max_cycles=5)
NET = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu"}
PPO_SMALL = partial(PPO, "MlpPolicy", n_steps=5, batch_size=10, n_epochs=1, **NET)
DQN_SMALL = partial(
    DQN, "MlpPolicy", learning_starts=8, batch_size=8, buffer_size=200, train_freq=2, **NET
)
ROLES = {"agent": PPO_SMALL, "adversary": DQN_SMALL}


def train(folder, rounds=2, roles=ROLES, **kwargs):
    kwargs = {"steps_per_round": 20, "copies": 2, **kwargs}
    return train_roles(ADVERSARY, roles, folder, rounds=rounds, **kwargs)


def same(a, b):
    return all(torch.equal(v, b.policy.state_dict()[k]) for k, v in a.policy.state_dict().items())


class Cut(Exception):
    pass


def cut_after(lines):
    said = []

    def report(line):
        said.append(line)
        if len(said) == lines:
            raise Cut

    return report


@pytest.mark.parametrize("mode", ["alternating", "simultaneous"])
def test_an_interrupted_training_goes_on_and_ends_with_the_same_parameters(mode, tmp_path):
    whole = train(tmp_path / "whole", rounds=3, mode=mode)
    for lines in (1, 1):  # twice, each time after one more turn
        with pytest.raises(Cut):
            train(tmp_path / "cut", rounds=3, mode=mode, report=cut_after(lines))
    torch.manual_seed(99)
    again = train(tmp_path / "cut", rounds=3, mode=mode)
    for role in ROLES:
        assert same(whole[role], again[role]), role
        names = [path.name for path in League(tmp_path / "cut").members(role)]
        assert names == [f"000{k}.safetensors" for k in range(4)]
        for path in League(tmp_path / "cut").members(role):
            other = tmp_path / "whole" / role / path.name
            assert path.read_bytes() == other.read_bytes()


def test_in_turns_only_one_role_changes_and_the_others_are_their_league(tmp_path, monkeypatch):
    met = []
    original = feint.agents.self_play.League.pool

    def spied(self, role, env, newest, seed, last):
        pool = original(self, role, env, newest, seed, last)
        met.append((role, len(pool.members)))
        return pool

    monkeypatch.setattr(feint.agents.self_play.League, "pool", spied)
    train(tmp_path, rounds=2)
    # The adversary's turn comes second, so it meets what blue has just become, and blue's past.
    assert met == [("adversary", 1), ("agent", 2), ("adversary", 2), ("agent", 3)]


def test_at_once_every_role_learns_from_the_same_steps():
    """What each learner sees is what a twin of the stage shows for the actions of both."""
    stage = Stage(ADVERSARY, 2)
    agents = {"agent": ["agent_0", "agent_1"], "adversary": ["adversary_0"]}
    lockstep = Lockstep(stage, agents)
    stage.seed(3)
    stage.reset()
    seen, done = {role: [] for role in agents}, {role: [] for role in agents}

    def play(role, view, rng):
        seen[role].append(view.reset())
        for _ in range(7):
            actions = rng.integers(0, 5, view.num_envs)
            done[role].append(actions)
            obs, _, dones, infos = view.step(actions)
            seen[role].append(obs)
            if dones[0]:
                assert {info["episode"]["role"] for info in infos} == {role}

    lockstep.run(
        {
            role: partial(play, role, view, np.random.default_rng(k))
            for k, (role, view) in enumerate(lockstep.views.items())
        }
    )
    twin = Stage(ADVERSARY, 2, seed=3)
    twin.reset()
    for t in range(8):
        for i in range(2):
            now = twin.observations[i]
            np.testing.assert_array_equal(seen["agent"][t][2 * i], now["agent_0"])
            np.testing.assert_array_equal(seen["agent"][t][2 * i + 1], now["agent_1"])
            np.testing.assert_array_equal(seen["adversary"][t][i], now["adversary_0"])
        if t < 7:
            blue, red = done["agent"][t], done["adversary"][t]
            twin.step(
                [
                    {"agent_0": blue[2 * i], "agent_1": blue[2 * i + 1], "adversary_0": red[i]}
                    for i in range(2)
                ]
            )


def test_a_learner_that_fails_or_stops_early_does_not_leave_the_others_waiting(tmp_path):
    class Failing(BaseCallback):
        def _on_step(self):
            raise OSError("the disk is full")

    class Stopping(BaseCallback):
        def _on_step(self):
            return self.n_calls < 3

    class Watched(A2C):
        callback = Failing

        def learn(self, total_timesteps, **kwargs):
            return super().learn(total_timesteps, callback=self.callback(), **kwargs)

    class Stopped(Watched):
        callback = Stopping

    for kind, error, message in (
        (Watched, OSError, "the disk is full"),
        (Stopped, RuntimeError, "adversary stopped learning before agent"),
    ):
        stage = Stage(ADVERSARY, 2, seed=0)
        stage.reset()
        lockstep = Lockstep(stage, {"agent": ["agent_0"], "adversary": ["adversary_0"]})
        stage.cast(["agent_0", "adversary_0"], {})
        models = {
            "agent": A2C("MlpPolicy", lockstep.views["agent"], **NET),
            "adversary": kind("MlpPolicy", lockstep.views["adversary"], **NET),
        }
        with pytest.raises(error, match=message):
            lockstep.run({role: partial(m.learn, 20) for role, m in models.items()})


def test_members_play_elsewhere(tmp_path):
    models = train(tmp_path, rounds=1)
    league, view = League(tmp_path), ParallelVecEnv(ADVERSARY, 2, train="adversary")
    obs = view.reset()
    newest = league.player(league.members("adversary")[-1], view)
    np.testing.assert_array_equal(newest(obs), policy_of(models["adversary"])(obs))
    pool = league.pool("adversary", view, newest=0.0)
    blue = ParallelVecEnv(ADVERSARY, 2, train="agent", opponents={"adversary": pool}, seed=0)
    assert len(pool.members) == 2
    PPO_SMALL(blue).learn(20)
    with pytest.raises(ValueError, match="has no checkpoint of 'ghost' yet"):
        league.pool("ghost", view)


def test_steps_are_whole_rollouts_of_every_role(tmp_path):
    slow = partial(PPO, "MlpPolicy", n_steps=6, batch_size=12, n_epochs=1, **NET)
    roles = {"agent": PPO_SMALL, "adversary": slow}
    models = train(tmp_path, rounds=1, roles=roles, mode="simultaneous", steps_per_round=40)
    # 20 steps of two copies become 30, the next multiple of 5 and 6; two agents share a policy.
    assert models["agent"].num_timesteps == 30 * 2 * 2
    assert models["adversary"].num_timesteps == 30 * 2


def test_schedules_run_over_all_rounds(tmp_path):
    rates = []
    falling = partial(PPO_SMALL, learning_rate=lambda left: rates.append(left) or 1e-3)
    train(tmp_path, rounds=2, roles={"adversary": falling})
    assert sorted(set(rates)) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "both"}, "mode must be one of alternating, simultaneous; got 'both'"),
        ({"rounds": 0}, "rounds must be >= 1, got 0"),
        ({"roles": {}}, "roles must name whom to train"),
        ({"roles": {"ghost": PPO_SMALL}}, "roles: no such agent or role"),
        ({"roles": {"agent": PPO_SMALL, "agent_0": PPO_SMALL}}, "these overlap"),
        ({"roles": {"agent": lambda env: PPO_SMALL(VecNormalize(env))}}, "as it is, without"),
        ({"opponents": {"adversary": len}}, "adversary_0 is trained; an opponent cannot"),
        ({"env_kwargs": {"max_cycles": 3}}, "env_kwargs go with an id"),
    ],
)
def test_wrong_arguments_are_named(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, **change)


def test_agents_without_a_role_are_played_by_the_given_opponents(tmp_path):
    asked = []

    def still(obs):
        asked.append(obs.shape)
        return np.zeros(len(obs), int)

    train(tmp_path, rounds=1, roles={"agent": PPO_SMALL}, opponents={"adversary": still})
    assert set(asked) == {(2, 8)} and len(asked) == 10


def test_a_feint_game_by_its_id_leaves_agents_that_feint_can_load(tmp_path):
    game = {"rules": "soo", "continuous_actions": False, "labels": False}
    roles = {"agent": PPO_SMALL, "adversary": PPO_SMALL}
    train_roles(
        "feint/physical_deception-v0", roles, tmp_path, env_kwargs=game, rounds=1,
        steps_per_round=10, copies=2, mode="simultaneous",
    )  # fmt: skip
    game.pop("labels")
    for role, seat in (("agent", {}), ("adversary", {"agent": "adversary_0"})):
        model, card = load_agent(League(tmp_path).members(role)[-1])
        assert card.scenario == "feint/PhysicalDeception-v0" and card.steps == 10
        assert card.env_kwargs == {**game, **seat, "labels": False}
        assert model.observation_space.shape == ((10,) if role == "agent" else (6,))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["alternating", "simultaneous"])
def test_both_sides_get_better_at_a_third_partys_game(mode, tmp_path):
    ppo = partial(
        PPO, "MlpPolicy", n_steps=25, batch_size=200, gamma=0.95, learning_rate=2e-3, device="cpu"
    )
    train_roles(
        simple_adversary_v3.parallel_env, {"agent": ppo, "adversary": ppo}, tmp_path, mode=mode,
        rounds=3, steps_per_round=4000, copies=16,
    )  # fmt: skip
    for role in ("agent", "adversary"):
        env = ParallelVecEnv(simple_adversary_v3.parallel_env, 16, train=role)  # against chance
        means = []
        for path in (League(tmp_path).members(role)[0], League(tmp_path).members(role)[-1]):
            env.seed(10_000)
            model, _ = load_agent(path, env=env)
            means.append(evaluate_policy(model, env, 160, deterministic=False, warn=False)[0])
        assert means[1] > means[0] + 3, (role, means)


def test_a_league_of_another_training_is_refused(tmp_path):
    train(tmp_path, rounds=1)
    with pytest.raises(ValueError, match="of a run with another seed; resume with the same"):
        train(tmp_path, rounds=1, seed=1)
