"""Overlap for SB3 policies: pairs from the environment, outputs and layers from the policy."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.dqn.policies import QNetwork
from torch import Tensor, nn

from feint.overlap import (
    OverlapConfig,
    OverlapReport,
    OverlapTerms,
    Pairs,
    SelfOtherOverlap,
    measure,
)

PairFn = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
"""`observations (n, ...)` -> self version, other version, and where the pair is defined."""


class PairSource(Protocol):
    """What a scenario offers: see `feint.envs.core.Scenario`."""

    pair_kinds: dict[str, str]
    default_pairs: str

    def pairs(self, observations: np.ndarray, kind: str, rng: Any = None) -> Any:
        """Self and other versions of `observations`."""
        ...


def actor_outputs(policy: nn.Module, obs: Tensor) -> Tensor:
    """Logits or mean actions (n, outputs) of an actor-critic policy; the value net stays idle."""
    assert isinstance(policy, ActorCriticPolicy)
    features = BaseModel.extract_features(policy, obs, policy.pi_features_extractor)
    return policy.action_net(policy.mlp_extractor.forward_actor(features))


def hidden_layers(module: nn.Module, prefix: str) -> tuple[str, ...]:
    """Names of the activations in a stack of layers: what arXiv 2412.16325 compares."""
    stack = module.get_submodule(prefix)
    names = [
        f"{prefix}.{name}" for name, layer in stack.named_children() if not _has_weights(layer)
    ]
    if not names:
        raise ValueError(
            f"{prefix} has no hidden layer to compare; give soo_layers, or a deeper net_arch"
        )
    return tuple(names)


def _has_weights(layer: nn.Module) -> bool:
    return any(True for _ in layer.parameters())


class AgentOverlap:
    """`SelfOtherOverlap` bound to one SB3 algorithm's policy and environment.

    Args:
        algorithm: with a policy and an environment.
        config: what to compare; empty `layers` mean all hidden activations of the actor.
        pairs: a pair kind of the environment's scenario, a `PairFn`, or None for its default.
        seed: for pairs and shams that draw something.

    Raises:
        ValueError: where the environment has no pairs, or an unknown kind or layer is asked for.
    """

    def __init__(
        self,
        algorithm: BaseAlgorithm,
        config: OverlapConfig,
        pairs: str | PairFn | None,
        seed: int,
    ) -> None:
        policy, outputs = algorithm.policy, "logits"
        if isinstance(policy, ActorCriticPolicy):
            module, forward = policy, actor_outputs
            if not isinstance(algorithm.action_space, spaces.Discrete):
                outputs = "values"
        else:
            module, forward, outputs = policy.q_net, None, "values"
            assert isinstance(module, QNetwork)
        self.device = algorithm.device
        self.normalize = algorithm.get_vec_normalize_env()
        self.pair_fn = pairs if callable(pairs) else None
        self.scenario = None if self.pair_fn else _scenario(algorithm)
        self.kind = pairs if isinstance(pairs, str) else None
        if self.scenario is not None:
            self.kind = self.kind or self.scenario.default_pairs
            if self.kind not in self.scenario.pair_kinds:
                known = ", ".join(self.scenario.pair_kinds)
                raise ValueError(f"unknown pair kind {self.kind!r}; this scenario has: {known}")
        self.rng = np.random.default_rng(seed)
        self.loss = SelfOtherOverlap(module, config, forward, outputs, seed)  # pyright: ignore[reportArgumentType]

    def __call__(self, obs: Tensor, dose: float | None = None) -> OverlapTerms:
        """The loss on a batch of observations, as the policy sees them."""
        return self.loss(self.pairs(self.raw(obs)), dose)

    def pairs(self, raw: np.ndarray) -> Pairs:
        """Pairs for raw observations (n, ...), as the policy would see both sides."""
        if self.pair_fn is not None:
            self_obs, other_obs, valid = self.pair_fn(raw)
        else:
            assert self.scenario is not None
            made = self.scenario.pairs(raw, self.kind or "", self.rng)
            self_obs, other_obs, valid = made.self_obs, made.other_obs, made.valid
        irrelevant = None
        if self.loss.config.sham == "irrelevant":
            irrelevant = self.side_by_side(raw, "irrelevant")
        return Pairs(
            self.tensor(self_obs),
            self.tensor(other_obs),
            None if valid is None else torch.as_tensor(valid, device=self.device),
            irrelevant=irrelevant,
        )

    def side_by_side(self, raw: np.ndarray, kind: str) -> tuple[Tensor, Tensor] | None:
        """Both versions of another pair kind of the scenario; None without a scenario."""
        if self.scenario is None:
            return None
        made = self.scenario.pairs(raw, kind, self.rng)
        return self.tensor(made.self_obs[made.valid]), self.tensor(made.other_obs[made.valid])

    def measure(self, obs: Tensor) -> OverlapReport | None:
        """Guards on a batch of observations; None where no pair is defined in it."""
        raw = self.raw(obs)
        pairs, control = self.pairs(raw).defined(), self.side_by_side(raw, "control")
        if len(pairs) < 2 or control is None:
            return None
        return measure(self.loss, pairs, control)

    def raw(self, obs: Tensor) -> np.ndarray:
        """Observations as the environment gave them: pairs are made in raw space."""
        array = obs.detach().cpu().numpy()
        return array if self.normalize is None else self.normalize.unnormalize_obs(array)  # pyright: ignore[reportReturnType]

    def tensor(self, raw: np.ndarray) -> Tensor:
        """Raw observations as the policy sees them."""
        seen = raw if self.normalize is None else self.normalize.normalize_obs(raw)
        return torch.as_tensor(np.asarray(seen, np.float32), device=self.device)


def _scenario(algorithm: BaseAlgorithm) -> PairSource:
    try:
        assert algorithm.env is not None
        return algorithm.env.get_attr("scenario", [0])[0]
    except (AttributeError, AssertionError) as error:
        raise ValueError(
            "this environment offers no self/other pairs; pass soo_pairs=function, which takes "
            "observations (n, ...) and returns (self_obs, other_obs, valid)"
        ) from error
