# SB3 types its attributes as optional until they are set up, which in a test they are.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false
"""Policies that predict themselves, alone and together with overlap."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from feint.agents import (
    SOOA2C,
    SOODQN,
    SOOPPO,
    SOOSAC,
    SOOTD3,
    AgentCard,
    Saver,
    SelfModeling,
    SelfOtherOverlap,
    SOOMaskablePPO,
    SOORecurrentPPO,
    load_agent,
    load_into,
    load_state,
    make_vec_env,
    save_agent,
)
from feint.agents.actor import actor_of

ON = {"n_steps": 20, "seed": 3, "device": "cpu"}
EPOCHS = {**ON, "batch_size": 80, "n_epochs": 2}
OFF = {
    "learning_starts": 64, "batch_size": 32, "train_freq": 4, "gradient_steps": 2,
    "buffer_size": 1000, "seed": 3, "device": "cpu",
}  # fmt: skip
SMALL = {"net_arch": [16, 12]}
KINDS = {
    SOOPPO: (PPO, EPOCHS),
    SOOA2C: (A2C, ON),
    SOOMaskablePPO: (MaskablePPO, EPOCHS),
    SOORecurrentPPO: (RecurrentPPO, EPOCHS),
    SOODQN: (DQN, OFF),
    SOOSAC: (SAC, OFF),
    SOOTD3: (TD3, OFF),
}
OVERLAP = SelfOtherOverlap(coef=2.0, pairs="belief")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(cls, arguments, **kwargs):
    recurrent = issubclass(cls, RecurrentPPO)
    env = make_vec_env(
        "feint/PhysicalDeception-v0", 8, seed=0, attention=True,
        continuous_actions=issubclass(cls, SAC | TD3),
    )  # fmt: skip
    nets = {**SMALL, "lstm_hidden_size": 8} if recurrent else SMALL
    policy = "MlpLstmPolicy" if recurrent else "MlpPolicy"
    return cls(policy, env, policy_kwargs=dict(nets), **{**arguments, **kwargs})


def learned(cls, arguments, steps=320, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of off-policy algorithms over many games
        return made(cls, arguments, **kwargs).learn(steps)


def difference(a, b):
    """Over the parameters that both have."""
    mine, theirs = a.policy.state_dict(), b.policy.state_dict()
    return max(float((mine[k] - theirs[k]).abs().max()) for k in mine.keys() & theirs.keys())


class JointPPO(PPO):
    """PPO's `train` with the self-prediction written into the loss line: the oracle."""

    def train(self):
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if not hasattr(self, "head"):
            self.head = self.given
            self.policy.add_module("head", self.head)
            self.policy.optimizer.add_param_group({"params": list(self.head.parameters())})
        clip = self.clip_range(self._current_progress_remaining)
        for _ in range(self.n_epochs):
            for data in self.rollout_buffer.get(self.batch_size):
                actions = data.actions.long().flatten()
                values, log_prob, entropy = self.policy.evaluate_actions(data.observations, actions)
                adv = data.advantages
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                ratio = torch.exp(log_prob - data.old_log_prob)
                clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
                loss = -torch.min(adv * ratio, adv * clipped).mean()
                loss = loss + self.ent_coef * -torch.mean(entropy)
                loss = loss + self.vf_coef * F.mse_loss(data.returns, values.flatten())
                hidden = self.policy.mlp_extractor.policy_net(data.observations)
                target = hidden.detach() if self.detached else hidden
                loss = loss + 5.0 * ((self.head(hidden) - target) ** 2).mean()
                self.policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += 1


@pytest.mark.parametrize("detached", [True, False])
def test_the_gradient_equals_that_of_the_joint_loss(detached):
    regularizers = [SelfModeling(coef=5.0, detach_target=detached)]
    ours = learned(SOOPPO, EPOCHS, regularizers=regularizers)
    oracle = made(JointPPO, EPOCHS)
    start = made(SOOPPO, EPOCHS, regularizers=regularizers)
    oracle.given, oracle.detached = start.policy.regularizers["selfmodel"], detached
    oracle.learn(320)
    # The oracle clips the same parameters, whose norms it adds up in another order.
    assert difference(ours, oracle) < 1e-6
    assert difference(ours, learned(PPO, EPOCHS)) > 1e-4, "the regularizer did nothing"


@pytest.mark.parametrize("coef", [0.0, 1e-30])
@pytest.mark.parametrize("cls", [SOOPPO, SOODQN, SOOSAC])
def test_a_vanishing_coefficient_is_bit_identical_to_the_parent(cls, coef):
    parent, arguments = KINDS[cls]
    ours = learned(cls, arguments, regularizers=[SelfModeling(coef=coef)])
    assert difference(ours, learned(parent, arguments)) == 0.0
    if coef == 0:
        assert not hasattr(ours.policy, "regularizers")


@pytest.mark.parametrize("cls", KINDS)
def test_every_algorithm_takes_it_alone_and_beside_overlap(cls):
    alone = learned(cls, KINDS[cls][1], regularizers=[SelfModeling(coef=1.0)])
    logged = alone.logger.name_to_value
    assert logged["selfmodel/loss"] > 0 and logged["selfmodel/activation_rms"] > 0
    assert logged["selfmodel/grad_ratio"] > 0 and "selfmodel/r2" in logged
    start = made(cls, KINDS[cls][1], regularizers=[SelfModeling(coef=1.0)])
    both = learned(cls, KINDS[cls][1], regularizers=[SelfModeling(coef=1.0), OVERLAP])
    assert both.logger.name_to_value["soo/loss"] > 0
    for model, name in ((start, "the start"), (both, "both")):
        head = model.policy.regularizers["selfmodel"].weight
        assert not torch.equal(head, alone.policy.regularizers["selfmodel"].weight), name
    for module in both.policy.modules():
        assert not module._forward_hooks


def test_the_policy_learns_to_predict_itself():
    model = made(
        SOOPPO, EPOCHS, regularizers=[SelfModeling(coef=5.0)], soo_task_coef=0.0, learning_rate=1e-2
    )
    model.learn(160)
    before = model.logger.name_to_value["selfmodel/r2"]
    model.learn(3200)
    assert before < 0.5 < 0.9 < model.logger.name_to_value["selfmodel/r2"]


@pytest.mark.parametrize("target", ["own", "shuffled", "random", "earlier"])
def test_targets(target):
    model = learned(SOOPPO, EPOCHS, regularizers=[SelfModeling(coef=1.0, target=target)])
    layers = actor_of(model).layers
    (bound,) = model.bound
    assert bound.config.layers == (layers[0] if target == "earlier" else layers[-1],)
    assert bound.head.weight.shape == (16 if target == "earlier" else 12, 12)
    assert ("selfmodel/identity_distance" in model.logger.name_to_value) == (target != "earlier")


def test_several_layers_are_predicted_together():
    model = made(SOOPPO, EPOCHS)
    layers = actor_of(model).layers
    model = learned(SOOPPO, EPOCHS, regularizers=[SelfModeling(coef=1.0, layers=layers)])
    assert model.bound[0].head.weight.shape == (28, 12)


@pytest.mark.parametrize("cls", [SOOPPO, SOODQN, SOOSAC])
def test_save_and_load_keep_the_self_model(cls, tmp_path):
    regularizers = [SelfModeling(coef=1.0, target="shuffled"), OVERLAP]
    model = learned(cls, KINDS[cls][1], regularizers=regularizers)
    model.save(tmp_path / "model")
    for env in (None, model.get_env()):
        again = cls.load(tmp_path / "model", env=env)
        assert difference(again, model) == 0.0
        assert again.policy.state_dict().keys() == model.policy.state_dict().keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again.learn(320)
    assert len(again.policy.regularizers) == 1


def test_a_checkpoint_is_that_of_an_agent_without_one(tmp_path):
    model = learned(SOOPPO, EPOCHS, regularizers=[SelfModeling(coef=1.0)])
    card = AgentCard("sooppo", "feint/PhysicalDeception-v0", {"attention": True}, (16, 12))
    save_agent(model, card, tmp_path / "agent.safetensors")
    plain, _ = load_agent(tmp_path / "agent.safetensors")
    assert difference(plain, model) == 0.0 and not hasattr(plain.policy, "regularizers")
    fresh = made(SOOPPO, {**EPOCHS, "seed": 9}, regularizers=[SelfModeling(coef=1.0)])
    head = fresh.policy.regularizers["selfmodel"].weight.clone()
    load_into(fresh, tmp_path / "agent.safetensors")
    assert torch.equal(fresh.policy.regularizers["selfmodel"].weight, head)
    assert torch.equal(fresh.policy.action_net.weight, model.policy.action_net.weight)


class Cut(Exception):
    pass


class CuttingSaver(Saver):
    def _on_rollout_start(self):
        super()._on_rollout_start()
        if self._last >= 320:
            raise Cut


@pytest.mark.parametrize("cls", [SOOPPO, SOODQN, SOOSAC])
def test_a_run_that_was_cut_ends_with_the_same_parameters(cls, tmp_path):
    arguments = KINDS[cls][1]
    kwargs = {"regularizers": [SelfModeling(coef=1.0, target="shuffled"), OVERLAP]}
    whole = learned(cls, arguments, steps=640, **kwargs)
    with pytest.raises(Cut), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made(cls, arguments, **kwargs).learn(640, CuttingSaver(tmp_path / "state", {}, 320))
    torch.manual_seed(99)
    again = made(cls, arguments, **kwargs)
    done = load_state(again, tmp_path / "state", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again.learn(640 - done, reset_num_timesteps=False)
    wanted = whole.policy.state_dict()
    for key, value in again.policy.state_dict().items():
        assert torch.equal(value, wanted[key]), key


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coef": -1.0}, "coef must be finite and >= 0"),
        ({"target": "nope"}, "target must be one of"),
        ({"target_norm": "nope"}, "target_norm must be"),
        ({"batch_size": 1}, "batch_size must be None or >= 2"),
        ({"layers": ("nope",)}, "unknown layer 'nope'"),
        ({"target": "earlier", "layers": ("x",)}, "leave layers out"),
    ],
)
def test_wrong_settings_fail_at_construction_in_one_clear_line(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        made(SOOPPO, EPOCHS, regularizers=[SelfModeling(**settings)])
    assert "\n" not in str(caught.value)


def test_an_earlier_layer_must_exist_and_one_self_model_is_enough():
    with pytest.raises(ValueError, match="needs two hidden layers"):
        SOOPPO(
            "MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [8]},
            regularizers=[SelfModeling(target="earlier")],
        )  # fmt: skip
    with pytest.raises(ValueError, match="there can be one selfmodel regularizer"):
        made(SOOPPO, EPOCHS, regularizers=[SelfModeling(), SelfModeling(target="earlier")])
