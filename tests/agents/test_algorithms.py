# SB3 types its attributes as optional until they are set up, which in a test they are.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportOptionalIterable=false
# pyright: reportOptionalOperand=false, reportOperatorIssue=false
"""Every algorithm against an explicit joint loss, against SB3 itself, and at a task."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env as make_sb3_env
from stable_baselines3.common.utils import polyak_update

from feint.agents import (
    SOOA2C,
    SOODQN,
    SOOPPO,
    SOOSAC,
    SOOTD3,
    AgentOverlap,
    SelfOtherOverlap,
    SOOMaskablePPO,
    SOORecurrentPPO,
    make_vec_env,
)
from feint.agents.actor import Batch, actor_of
from feint.overlap import OverlapConfig

ON = {"n_steps": 20, "seed": 3, "device": "cpu"}
EPOCHS = {**ON, "batch_size": 80, "n_epochs": 2}
OFF = {
    "learning_starts": 64,
    "batch_size": 32,
    "train_freq": 4,
    "gradient_steps": 2,
    "buffer_size": 2000,
    "seed": 3,
    "device": "cpu",
}
SMALL = {"net_arch": [16, 16]}
SHORT = {**SMALL, "lstm_hidden_size": 8}
PAIRS = {
    SOOPPO: (PPO, EPOCHS, SMALL, "MlpPolicy"),
    SOOA2C: (A2C, ON, SMALL, "MlpPolicy"),
    SOOMaskablePPO: (MaskablePPO, EPOCHS, SMALL, "MlpPolicy"),
    SOORecurrentPPO: (RecurrentPPO, EPOCHS, SHORT, "MlpLstmPolicy"),
    SOODQN: (DQN, OFF, SMALL, "MlpPolicy"),
    SOOSAC: (SAC, OFF, SMALL, "MlpPolicy"),
    SOOTD3: (TD3, OFF, SMALL, "MlpPolicy"),
}
"""Ours, its parent, arguments, network, policy."""
CONTINUOUS = (SAC, TD3)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def env(parent):
    continuous = issubclass(parent, CONTINUOUS)
    return make_vec_env(
        "feint/PhysicalDeception-v0", 8, seed=0, attention=True, continuous_actions=continuous
    )


def train(cls, ours=None, steps=400, **kwargs):
    """`cls` is ours, its parent, or an oracle made of the parent of `ours`."""
    _, arguments, net, policy = PAIRS[ours or cls]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of off-policy algorithms over many games
        model = cls(policy, env(cls), policy_kwargs=dict(net), **arguments, **kwargs)
        return model.learn(steps)


def difference(a, b):
    mine, theirs = a.policy.state_dict(), b.policy.state_dict()
    return max(float((mine[k] - theirs[k]).abs().max()) for k in mine)


# -- the oracles: the parents' updates with the auxiliary loss written into the loss line ---------


class Joint:
    """Follows the parents' `train` (2.9), without logging, value clipping and KL stops."""

    coef = 2.0

    def _update_learning_rate(self, optimizers):  # the first thing that every `train` does
        super()._update_learning_rate(optimizers)
        if not hasattr(self, "overlap"):
            config = OverlapConfig(actor_of(self).layers, anchor_bystanders=True)
            self.overlap = AgentOverlap(self, config, "belief", self.seed)

    def auxiliary(self, batch):
        return self.coef * self.overlap(batch).loss


class JointA2C(Joint, A2C):
    def train(self):
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        for data in self.rollout_buffer.get(batch_size=None):
            actions = data.actions.long().flatten()
            values, log_prob, entropy = self.policy.evaluate_actions(data.observations, actions)
            policy_loss = -(data.advantages * log_prob).mean()
            value_loss = F.mse_loss(data.returns, values.flatten())
            loss = policy_loss - self.ent_coef * entropy.mean() + self.vf_coef * value_loss
            step(self, loss + self.auxiliary(data.observations[:512]))


class JointMaskablePPO(Joint, MaskablePPO):
    def train(self):
        for data, actions in epochs(self):
            found = self.policy.evaluate_actions(
                data.observations, actions, action_masks=data.action_masks
            )
            loss = surrogate(self, data, *found)
            step(self, loss + self.auxiliary(data.observations[:512]))


class JointRecurrentPPO(Joint, RecurrentPPO):
    def train(self):
        for data, actions in epochs(self):
            found = self.policy.evaluate_actions(
                data.observations, actions, data.lstm_states, data.episode_starts
            )
            real = data.mask > 1e-8
            loss = surrogate(self, data, *found, real)
            n = data.lstm_states.pi[0].shape[1]
            fresh = 1 - data.episode_starts.view(n, -1)[None, :, :1]
            memory = tuple(part * fresh for part in data.lstm_states.pi)
            batch = Batch(data.observations.view(n, -1, 13), real.view(n, -1), memory)
            step(self, loss + self.auxiliary(batch.first(512)))


class JointSAC(Joint, SAC):
    def train(self, gradient_steps, batch_size=64):
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer]
        self._update_learning_rate(optimizers)
        for _ in range(gradient_steps):
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            actions, log_prob = self.actor.action_log_prob(data.observations)
            log_prob = log_prob.reshape(-1, 1)
            alpha = torch.exp(self.log_ent_coef.detach())
            alpha_loss = -(self.log_ent_coef * (log_prob + self.target_entropy).detach()).mean()
            self.ent_coef_optimizer.zero_grad()
            alpha_loss.backward()
            self.ent_coef_optimizer.step()
            with torch.no_grad():
                later, later_log_prob = self.actor.action_log_prob(data.next_observations)
                best = torch.cat(self.critic_target(data.next_observations, later), dim=1)
                best = best.min(dim=1, keepdim=True)[0] - alpha * later_log_prob.reshape(-1, 1)
                target = data.rewards + (1 - data.dones) * self.gamma * best
            current = self.critic(data.observations, data.actions)
            critic_loss = 0.5 * sum(F.mse_loss(q, target) for q in current)
            self.critic.optimizer.zero_grad()
            critic_loss.backward()
            self.critic.optimizer.step()
            q = torch.cat(self.critic(data.observations, actions), dim=1).min(1, keepdim=True)[0]
            actor_loss = (alpha * log_prob - q).mean() + self.auxiliary(data.observations)
            self.actor.optimizer.zero_grad()
            actor_loss.backward()
            self.actor.optimizer.step()
            polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)


class JointTD3(Joint, TD3):
    def train(self, gradient_steps, batch_size=100):
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        for _ in range(gradient_steps):
            self._n_updates += 1
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            with torch.no_grad():
                noise = data.actions.clone().data.normal_(0, self.target_policy_noise)
                noise = noise.clamp(-self.target_noise_clip, self.target_noise_clip)
                later = (self.actor_target(data.next_observations) + noise).clamp(-1, 1)
                best = torch.cat(self.critic_target(data.next_observations, later), dim=1)
                best = best.min(dim=1, keepdim=True)[0]
                target = data.rewards + (1 - data.dones) * self.gamma * best
            critic_loss = sum(
                F.mse_loss(q, target) for q in self.critic(data.observations, data.actions)
            )
            self.critic.optimizer.zero_grad()
            critic_loss.backward()
            self.critic.optimizer.step()
            if self._n_updates % self.policy_delay == 0:
                actions = self.actor(data.observations)
                actor_loss = -self.critic.q1_forward(data.observations, actions).mean()
                actor_loss = actor_loss + self.auxiliary(data.observations)
                self.actor.optimizer.zero_grad()
                actor_loss.backward()
                self.actor.optimizer.step()
                for net in ("critic", "actor"):
                    own, slow = getattr(self, net), getattr(self, f"{net}_target")
                    polyak_update(own.parameters(), slow.parameters(), self.tau)


def epochs(model):
    model.policy.set_training_mode(True)
    model._update_learning_rate(model.policy.optimizer)
    for _ in range(model.n_epochs):
        for data in model.rollout_buffer.get(model.batch_size):
            actions = data.actions
            discrete = isinstance(model.action_space, spaces.Discrete)
            yield data, actions.long().flatten() if discrete else actions
    model._n_updates += model.n_epochs


def surrogate(model, data, values, log_prob, entropy, real=None):
    real = torch.ones_like(log_prob, dtype=torch.bool) if real is None else real
    clip = model.clip_range(model._current_progress_remaining)
    advantages = data.advantages
    advantages = (advantages - advantages[real].mean()) / (advantages[real].std() + 1e-8)
    ratio = torch.exp(log_prob - data.old_log_prob)
    clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
    policy_loss = -torch.min(advantages * ratio, advantages * clipped)[real].mean()
    value_loss = ((data.returns - values.flatten()) ** 2)[real].mean()
    return policy_loss - model.ent_coef * entropy[real].mean() + model.vf_coef * value_loss


def step(model, loss):
    model.policy.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.policy.parameters(), model.max_grad_norm)
    model.policy.optimizer.step()


@pytest.mark.parametrize(
    ("ours", "oracle", "tolerance"),
    [
        (SOOSAC, JointSAC, 0.0),
        (SOOA2C, JointA2C, 1e-5),
        (SOOTD3, JointTD3, 1e-5),
        (SOOMaskablePPO, JointMaskablePPO, 1e-5),
        (SOORecurrentPPO, JointRecurrentPPO, 1e-5),
    ],
)
def test_the_injected_gradient_equals_the_joint_loss(ours, oracle, tolerance):
    injected = train(ours, soo_coef=2.0, soo_pairs="belief")
    assert difference(injected, train(oracle, ours)) <= tolerance
    assert difference(injected, train(PAIRS[ours][0], ours)) > 1e-4, "the regularizer did nothing"


@pytest.mark.parametrize("coef", [0.0, 1e-30])
@pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
def test_a_vanishing_coefficient_is_bit_identical_to_the_parent(ours, coef):
    model = train(ours, soo_coef=coef)
    assert difference(model, train(PAIRS[ours][0], ours)) == 0.0
    assert bool(model.bound) == (coef > 0)


@pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
def test_the_regularizer_has_a_gradient_and_leaves_nothing_behind(ours):
    model = train(ours, soo_pairs="belief", soo_coef=5.0, soo_sham="shuffled")
    logged = model.logger.name_to_value
    assert logged["soo/loss"] > 0.0
    assert logged["soo/grad_ratio"] > 0.0
    assert np.isfinite(logged["soo/control_gap"])
    assert "evaluate_actions" not in vars(model.policy)
    assert "get" not in vars(getattr(model, "rollout_buffer", model))
    for module in model.policy.modules():
        assert not vars(module).keys() & {"forward", "action_log_prob"}
        assert not module._forward_hooks
    for parameter in model.policy.parameters():
        assert not parameter._post_accumulate_grad_hooks


@pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
def test_the_same_seed_gives_the_same_parameters_and_they_survive_a_file(ours, tmp_path):
    model = train(ours, soo_sham="shuffled")
    assert difference(model, train(ours, soo_sham="shuffled")) == 0.0
    model.save(tmp_path / "model")
    again = ours.load(tmp_path / "model", env=env(PAIRS[ours][0]))
    assert difference(model, again) == 0.0
    assert again.regularizers == model.regularizers
    again.learn(200)


@pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
def test_the_compared_layers_are_the_actors_hidden_activations(ours):
    model = train(ours, steps=0)
    actor = actor_of(model)
    assert len(actor.layers) == 2
    for name in actor.layers:
        assert isinstance(actor.module.get_submodule(name), torch.nn.Tanh | torch.nn.ReLU)


def test_regularizers_are_objects_that_come_alone_or_together():
    one = SelfOtherOverlap(coef=2.0, pairs="belief")
    two = SelfOtherOverlap(coef=1.0, pairs="presence", anchor="none")
    alone = train(SOOPPO, regularizers=[one])
    assert difference(alone, train(SOOPPO, soo_coef=2.0, soo_pairs="belief")) == 0.0
    both = train(SOOPPO, regularizers=[one, two])
    assert len(both.bound) == 2
    assert difference(both, alone) > 1e-4
    with pytest.raises(ValueError, match="must hold Regularizer objects, got 'soo'"):
        SOOPPO("MlpPolicy", env(PPO), regularizers=["soo"])


def test_padding_and_steps_without_a_pair_count_for_nothing_in_sequences():
    model = train(SOORecurrentPPO, steps=0, soo_pairs="belief")
    bound, generator = model.bound[0], torch.Generator().manual_seed(0)
    obs = torch.as_tensor(model.env.reset())[:3]
    sequences = obs[:, None].repeat(1, 5, 1)
    sequences[:, :, -1] = 1.0  # red watches
    memory = (torch.zeros(1, 3, 8), torch.zeros(1, 3, 8))
    real = torch.ones(3, 5, dtype=torch.bool)
    real[1, 3:] = False
    with torch.no_grad():  # so that the anchor is not at its reference, where it is zero
        for p in model.policy.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    whole = bound(Batch(sequences, real, memory))
    padded = sequences.clone()
    padded[1, 3:] = 7.0
    again = bound(Batch(padded, real, memory))
    assert whole.overlap > 0
    assert whole.anchor > 0
    torch.testing.assert_close((again.overlap, again.anchor), (whole.overlap, whole.anchor))


class Reach(gym.Env):
    """Name the point that you see: one step, earning 1 less the squared distance."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.point = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.point.copy(), {}

    def step(self, action):
        reward = 1.0 - float(((action - self.point) ** 2).sum())
        return self.point.copy(), reward, True, False, {}


LEARNING = {
    SOOPPO: (3000, {"n_steps": 16, "batch_size": 64, "learning_rate": 5e-3}),
    SOOA2C: (6000, {"n_steps": 8, "learning_rate": 5e-3}),
    SOOMaskablePPO: (3000, {"n_steps": 16, "batch_size": 64, "learning_rate": 5e-3}),
    SOORecurrentPPO: (2000, {"n_steps": 16, "batch_size": 128, "learning_rate": 1e-2}),
    SOODQN: (4000, {"exploration_fraction": 0.4, "learning_rate": 3e-3}),
    SOOSAC: (2000, {"learning_rate": 5e-3}),
    SOOTD3: (2000, {"learning_rate": 3e-3}),
}


@pytest.mark.parametrize("coef", [0.0, 0.1])
@pytest.mark.parametrize("ours", PAIRS, ids=lambda cls: cls.__name__)
def test_every_algorithm_learns_a_task_with_and_without_overlap(ours, coef):
    """Rooms (guessing earns .25 and more, the truth 1) or points (guessing: .33, the point: 1)."""
    steps, settings = LEARNING[ours]
    if issubclass(ours, CONTINUOUS):
        games = make_sb3_env(Reach, 8, seed=0)
    else:
        games = make_vec_env(
            "feint/RoomSignal-v0", 8, seed=0, incentive=0.0, truth_bonus=0.0, sceptic_rate=0.0
        )
    if issubclass(ours, (DQN, *CONTINUOUS)):
        settings |= {"learning_starts": 200, "batch_size": 128, "gradient_steps": 4}
        settings |= {"train_freq": 1, "buffer_size": 4000, "gamma": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ours(
            PAIRS[ours][3], games, seed=0, device="cpu", soo_coef=coef, soo_anchor="none",
            soo_pairs=lambda obs: (obs, 0.99 * obs, None),
            policy_kwargs=dict(PAIRS[ours][2]), **settings,
        )  # fmt: skip
        model.learn(steps)
    recent = [episode["r"] for episode in model.ep_info_buffer]
    assert np.mean(recent) > 0.85
