# SB3 types its attributes as optional until they are set up, which in a test they are.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false
"""The gradient injection against an explicit joint loss, and against SB3 itself."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.logger import Logger

from feint.agents import SOODQN, SOOPPO, AgentOverlap, make_vec_env
from feint.agents.soo import SOOMixin
from feint.overlap import SHAMS, OverlapConfig

ENV = "feint/PhysicalDeception-v0"
PPO_ARGS = {"n_steps": 20, "batch_size": 80, "n_epochs": 2, "seed": 3, "device": "cpu"}
DQN_ARGS = {
    "learning_starts": 64,
    "batch_size": 32,
    "train_freq": 4,
    "gradient_steps": 2,
    "buffer_size": 2000,
    "seed": 3,
    "device": "cpu",
}
SMALL = {"net_arch": [16, 16]}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def env(**kwargs):
    return make_vec_env(ENV, 8, seed=0, attention=True, **kwargs)


def ppo(cls=SOOPPO, steps=320, **kwargs):
    return cls("MlpPolicy", env(), policy_kwargs=SMALL, **PPO_ARGS, **kwargs).learn(steps)


def dqn(cls=SOODQN, steps=400, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls("MlpPolicy", env(), policy_kwargs=SMALL, **DQN_ARGS, **kwargs).learn(steps)


def difference(a, b):
    mine, theirs = a.policy.state_dict(), b.policy.state_dict()
    return max(float((mine[k] - theirs[k]).abs().max()) for k in mine)


class JointPPO(PPO):
    """PPO's `train` with the auxiliary loss written into the loss line: the oracle.

    Follows stable_baselines3.PPO.train (2.9), without its logging, clipping of values and KL stop.
    """

    coef, task_coef, config = 1.0, 1.0, OverlapConfig(layers=("x",))
    pairs, rows = "belief", 512

    def train(self):
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)
        if not hasattr(self, "overlap"):
            self.overlap = AgentOverlap(self, self.config, self.pairs, self.seed)
        for _ in range(self.n_epochs):
            for data in self.rollout_buffer.get(self.batch_size):
                actions = data.actions
                if isinstance(self.action_space, spaces.Discrete):
                    actions = data.actions.long().flatten()
                values, log_prob, entropy = self.policy.evaluate_actions(data.observations, actions)
                advantages = data.advantages
                advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
                ratio = torch.exp(log_prob - data.old_log_prob)
                clipped = torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
                policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
                value_loss = F.mse_loss(data.returns, values.flatten())
                policy_part = policy_loss + self.ent_coef * -torch.mean(entropy)
                loss = self.task_coef * policy_part + self.vf_coef * value_loss
                loss = loss + self.coef * self.overlap(data.observations[: self.rows]).loss
                self.policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += 1


class JointDQN(DQN):
    """DQN's `train` with the auxiliary loss written into the loss line: the oracle."""

    coef, config, pairs = 1.0, OverlapConfig(layers=("x",)), "belief"

    def train(self, gradient_steps, batch_size=100):
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if not hasattr(self, "overlap"):
            self.overlap = AgentOverlap(self, self.config, self.pairs, self.seed)
        for _ in range(gradient_steps):
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            with torch.no_grad():
                best = self.q_net_target(data.next_observations).max(dim=1)[0].reshape(-1, 1)
                target = data.rewards + (1 - data.dones) * self.gamma * best
            current = torch.gather(self.q_net(data.observations), 1, data.actions.long())
            loss = F.smooth_l1_loss(current, target)
            loss = loss + self.coef * self.overlap(data.observations).loss
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps


PPO_LAYERS = ("mlp_extractor.policy_net.1", "mlp_extractor.policy_net.3")


@pytest.mark.parametrize("detach", ["self", "none"])
@pytest.mark.parametrize("sham", ["none", "shuffled"])
def test_injected_gradient_equals_the_joint_loss_exactly_in_ppo(detach, sham):
    class Oracle(JointPPO):
        coef, config = (
            2.0,
            OverlapConfig(layers=PPO_LAYERS, detach=detach, sham=sham, anchor_bystanders=True),
        )

    injected = ppo(soo_coef=2.0, soo_pairs="belief", soo_detach=detach, soo_sham=sham)
    assert difference(injected, ppo(Oracle)) == 0.0
    assert difference(injected, ppo(PPO)) > 1e-4, "the regularizer did nothing"


def test_without_the_task_only_the_value_loss_and_the_regularizer_are_left():
    class Oracle(JointPPO):
        coef, task_coef, config = 2.0, 0.0, OverlapConfig(PPO_LAYERS, anchor_bystanders=True)

    injected = ppo(soo_coef=2.0, soo_task_coef=0.0, soo_pairs="belief")
    assert difference(injected, ppo(Oracle)) == 0.0


def test_injected_gradient_equals_the_joint_loss_exactly_in_dqn():
    class Oracle(JointDQN):
        coef, config = 2.0, OverlapConfig(("q_net.1", "q_net.3"), anchor_bystanders=True)

    injected = dqn(soo_coef=2.0, soo_pairs="belief", soo_batch_size=None)
    assert difference(injected, dqn(Oracle)) == 0.0
    assert difference(injected, dqn(DQN)) > 1e-4, "the regularizer did nothing"


@pytest.mark.parametrize("coef", [0.0, 1e-30])
@pytest.mark.parametrize("sham", ["none", *SHAMS])
def test_a_vanishing_coefficient_is_bit_identical_to_ppo(coef, sham):
    assert difference(ppo(soo_coef=coef, soo_sham=sham), ppo(PPO)) == 0.0


@pytest.mark.parametrize("coef", [0.0, 1e-30])
def test_a_vanishing_coefficient_is_bit_identical_to_dqn(coef):
    assert difference(dqn(soo_coef=coef), dqn(DQN)) == 0.0


def test_same_seed_same_parameters():
    assert difference(ppo(soo_sham="shuffled"), ppo(soo_sham="shuffled")) == 0.0


@pytest.mark.parametrize("make", [ppo, dqn])
def test_no_hook_and_no_seam_is_left_behind(make):
    model = make()
    assert "evaluate_actions" not in vars(model.policy)
    for module in model.policy.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
    for parameter in model.policy.parameters():
        assert not parameter._post_accumulate_grad_hooks


def test_the_seam_is_closed_after_an_error_in_training(monkeypatch):
    model = SOOPPO("MlpPolicy", env(), policy_kwargs=SMALL, **PPO_ARGS)
    monkeypatch.setattr(AgentOverlap, "__call__", lambda *_: (_ for _ in ()).throw(OSError("x")))
    with pytest.raises(OSError):
        model.learn(160)
    assert "evaluate_actions" not in vars(model.policy)


@pytest.mark.parametrize("sham", ["none", *(s for s in SHAMS if s != "self_self")])
def test_the_regularizer_has_a_gradient(sham):
    model = ppo(soo_sham=sham, soo_task_coef=0.0, soo_coef=5.0, soo_anchor_coef=1.0)
    logged = model.logger.name_to_value
    if sham == "anchor_only":  # at its reference the anchor pulls nowhere, and nothing else pulls
        assert logged["soo/overlap"] == 0.0
    else:
        assert logged["soo/grad_ratio"] > 0.0
        assert logged["soo/loss"] > 0.0


def test_what_is_logged_under_soo():
    logged = ppo(soo_pairs="belief").logger.name_to_value
    assert {
        "soo/loss",
        "soo/overlap",
        "soo/anchor",
        "soo/coef",
        "soo/grad_ratio",
        "soo/pair_gap",
        "soo/control_gap",
        "soo/collapse",
    } <= set(logged)


def test_overlap_shrinks_the_pair_gap_and_spares_the_control_gap():
    torch.manual_seed(0)
    model = SOOPPO(
        "MlpPolicy", env(), policy_kwargs=SMALL, **PPO_ARGS, soo_coef=10.0, soo_task_coef=0.0,
        soo_pairs="presence", learning_rate=3e-3,
    )  # fmt: skip
    model.learn(160)
    first = dict(model.logger.name_to_value)
    model.learn(3200)
    last = dict(model.logger.name_to_value)
    assert last["soo/pair_gap"] < 0.5 * first["soo/pair_gap"]
    assert last["soo/control_gap"] > 0.5 * first["soo/control_gap"]


def test_a_sham_gets_the_recorded_dose():
    treated = ppo(soo_pairs="belief", soo_record_dose=True)
    assert len(treated.soo_doses) == 8 and min(treated.soo_doses) > 0
    sham = ppo(
        soo_pairs="belief", soo_sham="shuffled", soo_dose=treated.soo_doses, soo_record_dose=True
    )
    assert sham.soo_doses == pytest.approx(treated.soo_doses)
    free = ppo(soo_pairs="belief", soo_sham="shuffled")
    assert difference(sham, free) > 0
    with pytest.raises(ValueError, match="holds 8 updates"):
        sham.learn(160, reset_num_timesteps=False)


def test_save_and_load_round_trip(tmp_path):
    model = ppo(soo_coef=3.0, soo_pairs="presence", soo_sham="reverse")
    model.save(tmp_path / "model")
    again = SOOPPO.load(tmp_path / "model", env=env())
    assert again.regularizers == model.regularizers
    assert again.regularizers[0].coef == 3.0
    assert again.regularizers[0].sham == "reverse"
    assert difference(model, again) == 0.0
    again.learn(160)


def test_a_schedule_of_the_coefficient_is_followed(monkeypatch):
    used = []
    record = Logger.record

    def spy(self, key, value, *rest, **kwargs):
        used.extend([value] if key == "soo/coef" else [])
        record(self, key, value, *rest, **kwargs)

    monkeypatch.setattr(Logger, "record", spy)
    ppo(steps=480, soo_coef=lambda remaining: 4.0 * remaining)
    assert used == pytest.approx([4.0 * 2 / 3, 4.0 / 3])  # at 0, the last third, it is plain PPO


def test_a_users_own_pairs_on_an_environment_that_is_not_ours():
    def pairs(obs):
        other = obs.copy()
        other[:, 0] += 1.0
        return obs, other, np.ones(len(obs), bool)

    model = SOOPPO("MlpPolicy", "CartPole-v1", soo_pairs=pairs, n_steps=64, batch_size=32)
    model.learn(64)
    assert model.logger.name_to_value["soo/overlap"] > 0


def test_an_environment_without_pairs_says_what_to_pass():
    with pytest.raises(ValueError, match="soo_pairs=function"):
        SOOPPO("MlpPolicy", "CartPole-v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"soo_coef": -1.0}, "soo_coef must be finite and >= 0, got -1.0"),
        ({"soo_coef": float("nan")}, "soo_coef must be finite"),
        ({"soo_task_coef": float("inf")}, "soo_task_coef must be finite"),
        ({"soo_batch_size": 1}, "soo_batch_size must be None or >= 2"),
        ({"soo_layers": ["nope"]}, "nope"),
        ({"soo_pairs": "nope"}, "unknown pair kind 'nope'"),
        ({"soo_sham": "nope"}, "nope"),
        ({"soo_distance": "nope"}, "nope"),
        ({"soo_anchor_coef": -2.0}, "anchor_coef"),
        ({"soo_detach": "nope"}, "nope"),
    ],
)
def test_wrong_arguments_fail_at_construction_with_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        SOOPPO("MlpPolicy", env(), **arguments)
    assert "\n" not in str(caught.value)


def test_the_mixin_comes_first():
    assert SOOPPO.__mro__.index(SOOMixin) < SOOPPO.__mro__.index(PPO)
