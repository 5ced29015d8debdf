"""A trained actor as a small numpy network, to play an opponent: `red="learned"`."""

from pathlib import Path

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from feint.envs.mlp import MLP

_NAMES = {nn.Tanh: "tanh", nn.ReLU: "relu"}


def export_mlp(model: BaseAlgorithm, path: str | Path) -> MLP:
    """Write the actor of an actor-critic model as `.npz`, and return it.

    It plays the likeliest action. A red for PhysicalDeception, say:

        env = make_vec_env("feint/PhysicalDeception-v0", 256, agent="adversary_0")
        export_mlp(PPO("MlpPolicy", env).learn(500_000), "red.npz")
        gym.make("feint/PhysicalDeception-v0", red="learned", red_policy="red.npz")

    Raises:
        ValueError: if the policy is not a feed-forward actor with tanh or ReLU between its layers.
    """
    policy = model.policy
    if not isinstance(policy, ActorCriticPolicy) or not isinstance(policy.action_net, nn.Linear):
        raise ValueError(f"cannot export {type(policy).__name__}: it has no feed-forward actor")
    layers = [*policy.mlp_extractor.policy_net, policy.action_net]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    kinds = {type(layer) for layer in layers if not isinstance(layer, nn.Linear)}
    if len(kinds) > 1 or not kinds <= _NAMES.keys():
        raise ValueError(f"cannot export activations {sorted(k.__name__ for k in kinds)}")
    with torch.no_grad():
        network = MLP(
            [layer.weight.T.double().cpu().numpy() for layer in linear],
            [layer.bias.double().cpu().numpy() for layer in linear],
            _NAMES[kinds.pop()] if kinds else "tanh",
            isinstance(model.action_space, spaces.Discrete),
        )
    network.save(path)
    return network
