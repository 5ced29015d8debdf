"""The hidden activations of an agent, for probes (`feint.metrics.probes`)."""

from collections.abc import Sequence

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from feint.agents.actor import actor_of
from feint.overlap import activations


def hidden_activations(
    model: BaseAlgorithm, observations: np.ndarray, layers: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """What the actor's layers hold for these observations.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from feint.agents import make_vec_env
        >>> env = make_vec_env("feint/RoomSignal-v0", 64, seed=0)
        >>> obs = env.reset()
        >>> found = hidden_activations(PPO("MlpPolicy", env, n_steps=2, batch_size=128), obs)
        >>> {name: acts.shape for name, acts in found.items()}
        {'mlp_extractor.policy_net.1': (64, 64), 'mlp_extractor.policy_net.3': (64, 64)}

    Args:
        model: of any algorithm in `feint.agents.algorithms` but the recurrent ones, whose
            activations depend on what went before.
        observations: (n, obs_dim), as the environment gave them.
        layers: dotted names; by default all hidden activations of the actor.

    Returns:
        (n, units) float32 by layer.

    Raises:
        ValueError: for an unknown layer, or a recurrent policy.
    """
    if hasattr(model.policy, "lstm_actor"):
        raise ValueError("a recurrent policy's activations depend on what it saw before; probe ppo")
    actor, normalize = actor_of(model), model.get_vec_normalize_env()
    seen = observations if normalize is None else normalize.normalize_obs(observations)
    obs = torch.as_tensor(np.asarray(seen, np.float32), device=model.device)
    names = actor.layers if layers is None else tuple(layers)
    with torch.no_grad():
        found, _ = activations(
            actor.module, names, lambda: actor.forward(actor.module, obs, None), stop=True
        )
    return {name: acts.cpu().numpy() for name, acts in found.items()}
