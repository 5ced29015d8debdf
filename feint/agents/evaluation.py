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


class Player:
    """An SB3 model as a function of observations, with a generator and a memory of its own.

    Agents are evaluated as they were trained, sampling their actions: a stochastic policy's mode
    can be another policy. `begin` starts new episodes, which matters to recurrent policies.

    Args:
        model: of any algorithm in `feint.agents.algorithms`.
        deterministic: take the likeliest action instead.
        seed: of the sampling.
    """

    def __init__(self, model: Any, deterministic: bool = False, seed: int = 0) -> None:
        self.policy, self.model, self.deterministic = model.policy, model, deterministic
        self.generator = torch.Generator().manual_seed(seed)
        self.masked = isinstance(model, MaskablePPO)
        self.recurrent = isinstance(model, RecurrentPPO)
        self.begin()

    def reseed(self, seed: int) -> None:
        """Begin its sampling anew."""
        self.generator.manual_seed(seed)

    def begin(self) -> None:
        """Forget what was seen so far."""
        self._states: tuple[Tensor, Tensor] | None = None

    def __call__(self, obs: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
        """Actions (n, ...) for observations (n, obs_dim) of n games, one step after the last.

        Args:
            obs: raw observations.
            masks: (n, num_actions) bool, what may be done; heeded by algorithms that know masks.
        """
        with torch.no_grad():
            tensor = self.policy.obs_to_tensor(obs)[0]
            if isinstance(self.model, SAC) and not self.deterministic:
                mean, log_std, _ = self.model.actor.get_action_dist_params(tensor)
                drawn = torch.tanh(mean + log_std.exp() * self._noise(mean))
                return self.policy.unscale_action(drawn.cpu().numpy())
            if not hasattr(self.policy, "get_distribution"):  # DQN, TD3: nothing to sample
                return self.model.predict(obs, deterministic=True)[0]
            dist = self._distribution(tensor, masks)
            if self.deterministic:
                return self._clipped(dist.mode())
            inner = dist.distribution
            if isinstance(inner, torch.distributions.Categorical):
                probs = inner.probs.cpu()  # where the generator is
                return torch.multinomial(probs, 1, generator=self.generator)[:, 0].numpy()
            return self._clipped(inner.mean + inner.stddev * self._noise(inner.mean))

    def _distribution(self, obs: Tensor, masks: np.ndarray | None) -> Any:
        if self.masked:
            return self.policy.get_distribution(obs, action_masks=masks)
        if not self.recurrent:
            return self.policy.get_distribution(obs)
        lstm = self.policy.lstm_actor
        fresh = self._states is None
        if self._states is None:
            zero = torch.zeros(lstm.num_layers, len(obs), lstm.hidden_size, device=obs.device)
            self._states = (zero, zero)
        starts = torch.full((len(obs),), float(fresh), device=obs.device)
        dist, self._states = self.policy.get_distribution(obs, self._states, starts)
        return dist

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(like.device)

    def _clipped(self, actions: Tensor) -> np.ndarray:
        space = self.model.action_space
        array = actions.cpu().numpy()
        return np.clip(array, space.low, space.high) if isinstance(space, spaces.Box) else array


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


def policy_of(model: Any, deterministic: bool = False, seed: int = 0) -> Player:
    """An SB3 model as a function of observations; see `Player`."""
    return Player(model, deterministic, seed)


def scripted(scenario: Scenario, policy: str, seed: int = 0) -> Script:
    """One of the scenario's scripted policies as a function of observations."""
    return Script(scenario, policy, seed)


def begin(act: Act) -> None:
    """Let an agent that has a memory forget what it saw: new episodes begin."""
    if (forget := getattr(act, "begin", None)) is not None:
        forget()


def choose(act: Act, game: Scenario, obs: np.ndarray) -> np.ndarray:
    """The agent's actions in all games, among those that are allowed if it knows masks."""
    masks = game.action_masks(game.focal) if getattr(act, "masked", False) else None
    return act(obs) if masks is None else act(obs, masks)  # pyright: ignore[reportCallIssue]


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
        act: the agent; if it has a method `attend`, that is given the games before they begin.
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
    begin(act)
    if (attend := getattr(act, "attend", None)) is not None:
        attend(game)
    seen, labels, alive = [], [], []
    returns = np.zeros(episodes)
    while not game.clock.done.all():
        seen.append(obs)
        alive.append(~game.clock.done)
        step = game.step(choose(act, game, obs))
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
