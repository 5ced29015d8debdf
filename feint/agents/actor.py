"""How a regularizer sees an SB3 algorithm's actor: its layers, its outputs, one way to run it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

Memory = tuple[Tensor, Tensor]
"""An LSTM's state: hidden and cell, each (layers, sequences, units)."""


@dataclass(frozen=True)
class Batch:
    """Observations of one minibatch, as the policy sees them.

    Attributes:
        obs: (n, ...) rows; of a recurrent policy (sequences, steps, ...).
        real: (sequences, steps) bool, the steps that were really played; None for plain rows.
        memory: the recurrent policy's state before the first step of each sequence.
    """

    obs: Tensor
    real: Tensor | None = None
    memory: Memory | None = None

    def first(self, rows: int | None) -> "Batch":
        """The first rows; of sequences, as many as hold about `rows` steps, at least one."""
        if rows is None:
            return self
        if self.real is None or self.memory is None:
            return Batch(self.obs[:rows])
        k = max(1, rows // self.obs.shape[1])
        return Batch(self.obs[:k], self.real[:k], tuple([m[:, :k] for m in self.memory]))  # pyright: ignore


@dataclass(frozen=True)
class Actor:
    """The part of a policy that acts.

    Attributes:
        module: holds the layers.
        forward: runs a module (this one, or a copy) on a batch of inputs, and returns logits,
            Q-values or the parameters of the action's distribution; of sequences
            (sequences, steps, n).
        outputs: whether those are logits or values.
        layers: dotted names of all hidden activations: what arXiv 2412.16325 compares.
    """

    module: nn.Module
    forward: Callable[[nn.Module, Tensor, Memory | None], Tensor]
    outputs: Literal["logits", "values"]
    layers: tuple[str, ...]


def actor_of(algorithm: BaseAlgorithm) -> Actor:
    """The actor of a PPO, A2C, DQN, SAC or TD3 kind of algorithm, or of sb3-contrib's PPOs.

    Raises:
        ValueError: for another kind of policy, or one without hidden layers.
    """
    policy = algorithm.policy
    if hasattr(policy, "mlp_extractor"):  # sb3-contrib's maskable policy is a class of its own
        discrete = isinstance(algorithm.action_space, spaces.Discrete)
        recurrent = hasattr(policy, "lstm_actor")
        return Actor(
            policy,
            _recurrent_outputs if recurrent else _actor_critic_outputs,
            "logits" if discrete else "values",
            hidden_layers(policy, "mlp_extractor.policy_net"),
        )
    if isinstance(policy, DQNPolicy):
        return Actor(policy.q_net, _call, "values", hidden_layers(policy.q_net, "q_net"))
    if isinstance(policy, SACPolicy):
        return Actor(policy.actor, _sac_outputs, "values", hidden_layers(policy.actor, "latent_pi"))
    if isinstance(policy, TD3Policy):
        layers = hidden_layers(policy.actor, "mu")
        if policy.actor.mu[-1] is policy.actor.mu.get_submodule(layers[-1].removeprefix("mu.")):
            layers = layers[:-1]  # the squashing of the actions is no hidden layer
        return Actor(policy.actor, _call, "values", layers)
    raise ValueError(f"no regularizer knows the actor of a {type(policy).__name__}")


def hidden_layers(module: nn.Module, prefix: str) -> tuple[str, ...]:
    """Names of the activations in a stack of layers: those without weights of their own.

    Raises:
        ValueError: where there is none.
    """
    stack = module.get_submodule(prefix)
    names = [
        f"{prefix}.{name}"
        for name, layer in stack.named_children()
        if not any(True for _ in layer.parameters())
    ]
    if not names:
        raise ValueError(
            f"{prefix} has no hidden layer to compare; give layers, or a deeper net_arch"
        )
    return tuple(names)


def _call(module: nn.Module, obs: Tensor, memory: Memory | None) -> Tensor:
    return module(obs)


def _actor_critic_outputs(policy: nn.Module, obs: Tensor, memory: Memory | None) -> Tensor:
    """Logits or mean actions; the value net stays idle."""
    net = cast(Any, policy)
    features = BaseModel.extract_features(net, obs, net.pi_features_extractor)
    return net.action_net(net.mlp_extractor.forward_actor(features))


def _sac_outputs(actor: nn.Module, obs: Tensor, memory: Memory | None) -> Tensor:
    """Mean and log of the standard deviation, side by side, before the squashing."""
    assert isinstance(actor, SACActor)
    mean, log_std, _ = actor.get_action_dist_params(obs)
    return torch.cat([mean, log_std.expand_as(mean)], dim=-1)


def _recurrent_outputs(policy: nn.Module, obs: Tensor, memory: Memory | None) -> Tensor:
    """As `_actor_critic_outputs`, over sequences that go on from `memory`.

    `obs` may hold the same sequences several times over (self versions, then other versions):
    each block goes on from the same memory.
    """
    assert memory is not None, "a recurrent policy needs the memory of its sequences"
    net = cast(Any, policy)
    sequences, steps = obs.shape[:2]
    flat = obs.reshape(sequences * steps, *obs.shape[2:])
    features = BaseModel.extract_features(net, flat, net.pi_features_extractor)
    blocks = sequences // memory[0].shape[1]
    state = tuple([part.repeat(1, blocks, 1) for part in memory])
    # Time first, as LSTMs want it; no episode begins within a sequence.
    latent, _ = net.lstm_actor(features.reshape(sequences, steps, -1).swapaxes(0, 1), state)
    return net.action_net(net.mlp_extractor.forward_actor(latent.swapaxes(0, 1)))


def no_memory(policy: nn.Module) -> Memory:
    """A recurrent policy's memory at the start of an episode; one row serves any number of them."""
    lstm = cast(Any, policy).lstm_actor
    zero = next(lstm.parameters()).new_zeros(lstm.num_layers, 1, lstm.hidden_size)
    return zero, zero
