"""Held-out episodes of one agent under each condition of a scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import SAC
from torch import Tensor

from feint.envs import scenario_class
from feint.envs.core import Scenario

Act = Callable[[np.ndarray], np.ndarray]
"""Observations (n, obs_dim) to actions (n, ...)."""


@dataclass(frozen=True)
class Episodes:
    """What `play` returns.

    Attributes:
        metrics: each (n,) float64, NaN where undefined; see the scenario's `metrics`.
        returns: (n,) float64, the focal agent's sum of rewards.
        observations: (steps, n, obs_dim) float32, what the agent saw before each action.
        alive: (steps, n) bool, the steps that the episodes really had.
    """

    metrics: dict[str, np.ndarray]
    returns: np.ndarray
    observations: np.ndarray
    alive: np.ndarray


class Sampler:
    """An SB3 model as a function of observations; see `policy_of`."""

    def __init__(self, model: Any, deterministic: bool, seed: int) -> None:
        self._model, self._deterministic = model, deterministic
        self._generator = torch.Generator().manual_seed(seed)

    def reseed(self, seed: int) -> None:
        """Begin its sampling anew."""
        self._generator.manual_seed(seed)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Actions (n, ...) for observations (n, obs_dim)."""
        model, generator = self._model, self._generator
        with torch.no_grad():
            tensor = model.policy.obs_to_tensor(obs)[0]
            if self._deterministic or not hasattr(model.policy, "get_distribution"):
                return model.predict(obs, deterministic=True)[0]
            dist = model.policy.get_distribution(tensor).distribution
            if not isinstance(dist, torch.distributions.Categorical):
                noise = torch.randn(dist.mean.shape, generator=generator)
                drawn = (dist.mean + dist.stddev * noise).numpy()
                return np.clip(drawn, model.action_space.low, model.action_space.high)
            return torch.multinomial(dist.probs, 1, generator=generator)[:, 0].numpy()


class Script:
    """One of a scenario's scripted policies as a function of observations; see `scripted`."""

    def __init__(self, scenario: Scenario, policy: str, seed: int) -> None:
        self._scenario, self._policy = scenario, policy
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Begin its draws anew."""
        self._rng = np.random.default_rng(seed)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Actions (n, ...) for observations (n, obs_dim)."""
        return self._scenario.scripted(self._policy, obs, self._rng)


def policy_of(model: Any, deterministic: bool = False, seed: int = 0) -> Sampler:
    """An SB3 model as a function of observations; its sampling has a generator of its own.

    Agents are evaluated as they were trained, sampling their actions: a stochastic policy's mode
    can be another policy.
    """
    return Sampler(model, deterministic, seed)


def scripted(scenario: Scenario, policy: str, seed: int = 0) -> Script:
    """One of the scenario's scripted policies as a function of observations."""
    return Script(scenario, policy, seed)


def play(
    act: Act,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    condition: str | None = None,
    episodes: int = 1000,
    seed: int = 1_000_000,
) -> Episodes:
    """Play one episode in each of `episodes` games, all at once.

    The same seed gives the same starts under every condition, so that conditions can be compared
    game by game.

    Args:
        act: the agent.
        env_id: a scenario's id.
        env_kwargs: its arguments.
        condition: one of the scenario's `conditions`, whose arguments are added.
        episodes: how many games.
        seed: game `i` is seeded `seed + i`; training seeds should stay well below.

    Raises:
        ValueError: for an unknown scenario or condition.
    """
    cls = scenario_class(env_id)
    kwargs = dict(env_kwargs or {})
    if condition is not None:
        if condition not in cls.conditions:
            raise ValueError(
                f"unknown condition {condition!r}; {cls.name} has: {', '.join(cls.conditions)}"
            )
        kwargs |= cls.conditions[condition]
    game = cls(episodes, labels=True, autoreset="freeze", **kwargs)  # pyright: ignore
    (obs,) = game.reset(seed=seed)
    if isinstance(act, Player):
        act.begin()
    seen, labels, alive = [], [], []
    returns = np.zeros(episodes)
    while not game.clock.done.all():
        seen.append(obs)
        alive.append(~game.clock.done)
        masks = game.action_masks(game.focal) if isinstance(act, Player) and act.masked else None
        step = game.step(act(obs) if masks is None else act(obs, masks))  # pyright: ignore
        assert step.labels is not None
        labels.append(step.labels)
        returns += step.rewards[0]
        (obs,) = step.observations
    trace = {key: np.stack([label[key] for label in labels]) for key in labels[0]}
    trace["alive"] = np.stack(alive)
    return Episodes(game.episode_metrics(trace), returns, np.stack(seen), trace["alive"])


def evaluate(
    act: Act,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    episodes: int = 1000,
    seed: int = 1_000_000,
) -> dict[str, dict[str, np.ndarray]]:
    """Metrics per condition and episode: `result[condition][metric]` is (episodes,).

    Each condition also has "return", the focal agent's.
    """
    names = list(scenario_class(env_id).conditions) if conditions is None else list(conditions)
    result = {}
    for name in names:
        run = play(act, env_id, env_kwargs, condition=name, episodes=episodes, seed=seed)
        result[name] = {**run.metrics, "return": run.returns}
    return result
