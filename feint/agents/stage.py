"""The game that several roles share: copies of a PettingZoo environment, and who plays whom."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from feint.agents.pool import Opponent, Pool, ask


class Outcome(NamedTuple):
    """What one step of one copy gave; each by agent, as PettingZoo has it."""

    moved: frozenset[str]  #: agents that were alive before the step
    observations: dict[str, Any]  #: what they see after it, before any reset
    rewards: dict[str, float]
    terminated: dict[str, bool]
    truncated: dict[str, bool]
    infos: dict[str, dict[str, Any]]
    over: bool  #: nobody is left


class Stage:
    """Copies of a PettingZoo parallel environment, stepped side by side.

    A copy is reset in the step in which nobody is left who is moved from outside.

    Args:
        make: makes one copy; called `copies` times.
        copies: how many are stepped side by side.
        moved: agents whose actions come from outside, or roles (see `chosen`); None for all.
        opponents: by agent or by role, who plays the others; by default they act at random.
        seed: copy `i` is seeded `seed + i` at the next reset.

    Raises:
        ValueError: for unknown agents, and opponents of agents that are moved.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        copies: int = 1,
        *,
        moved: str | Sequence[str] | None = None,
        opponents: Mapping[str, Opponent] | None = None,
        seed: int | None = None,
    ) -> None:
        if copies < 1:
            raise ValueError(f"copies must be >= 1, got {copies}")
        self.copies = [make() for _ in range(copies)]
        self.agents: list[str] = list(self.copies[0].possible_agents)
        self.cast(moved, opponents or {})
        self.observations: list[dict[str, Any]] = [{} for _ in self.copies]
        self.infos: list[dict[str, Any]] = [{} for _ in self.copies]
        self._random = np.random.default_rng(seed)
        self._seeds: list[int | None] = [None] * copies
        if seed is not None:
            self.seed(seed)

    def cast(self, moved: str | Sequence[str] | None, opponents: Mapping[str, Opponent]) -> None:
        """Say anew who is moved from outside, and who plays the others; `reset` comes after it."""
        self.moved = chosen("train", moved, self.agents)
        self.opponents = _cast(opponents, self.agents, self.moved)
        self._others = [agent for agent in self.agents if agent not in self.moved]

    def spaces(self, agent: str) -> tuple[gym.Space, gym.Space]:
        """Observations (without the mask that some environments put beside them) and actions."""
        seen = self.copies[0].observation_space(agent)
        if isinstance(seen, gym.spaces.Dict) and "action_mask" in seen.spaces:
            seen = seen["observation"]
        return seen, self.copies[0].action_space(agent)

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Copy `i` is seeded `seed + i` at the next reset; the opponents' chance follows it."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
        self._random = np.random.default_rng(seed)
        self._seeds = [seed + i for i in range(len(self.copies))]
        return list(self._seeds)

    def reset(self) -> None:
        """Begin an episode in every copy."""
        for i, seed in enumerate(self._seeds):
            self._begin(i, seed)
        self._seeds = [None] * len(self.copies)

    def step(self, moves: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Step every copy.

        Args:
            moves: per copy, actions of the agents that are moved from outside and alive.
        """
        outcomes = []
        for i, actions in enumerate(self._joint(moves)):
            env = self.copies[i]
            obs, rewards, terminated, truncated, infos = env.step(actions)
            self.observations[i], self.infos[i] = dict(obs), dict(infos)
            over = not env.agents
            seen, told = self.observations[i], self.infos[i]
            outcomes.append(
                Outcome(frozenset(actions), seen, rewards, terminated, truncated, told, over)
            )
            if over or not any(agent in env.agents for agent in self.moved):
                self._begin(i, None)
        return outcomes

    def mask(self, i: int, agent: str) -> np.ndarray | None:
        """What an agent of copy `i` may do now, (num_actions,) bool; None where nothing says."""
        seen, info = self.observations[i].get(agent), self.infos[i].get(agent, {})
        mask = seen.get("action_mask") if isinstance(seen, Mapping) else info.get("action_mask")
        return None if mask is None else np.asarray(mask, np.bool_)

    def close(self) -> None:
        """Close every copy."""
        for env in self.copies:
            env.close()

    def _begin(self, i: int, seed: int | None) -> None:
        obs, infos = self.copies[i].reset(seed=seed)
        self.observations[i], self.infos[i] = dict(obs), dict(infos)
        for opponent in self.opponents.values():
            if isinstance(opponent, Pool):
                opponent.draw(i, self._random)

    def _joint(self, moves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What every live agent of each copy does."""
        joint = [dict(actions) for actions in moves]
        for agent in self._others:
            here = [i for i, env in enumerate(self.copies) if agent in env.agents]
            if not here:
                continue
            seen = np.stack([plain(self.observations[i][agent]) for i in here])
            opponent = self.opponents.get(agent)
            if opponent is None:
                picked = [self._at_random(agent) for _ in here]
            else:
                rows = [self.mask(i, agent) for i in here]
                masks = None if any(row is None for row in rows) else np.stack(rows)  # pyright: ignore
                if isinstance(opponent, Pool):
                    picked = opponent.act(seen, here, masks)
                else:
                    picked = ask(opponent, seen, masks)
            for i, action in zip(here, picked, strict=True):
                joint[i][agent] = action
        return joint

    def _at_random(self, agent: str) -> Any:
        """An action by this stage's own chance: the copies' spaces stay the user's."""
        space = self.spaces(agent)[1]
        if isinstance(space, gym.spaces.Discrete):
            return int(space.start + self._random.integers(space.n))
        if isinstance(space, gym.spaces.Box):
            return self._random.uniform(space.low, space.high).astype(space.dtype)
        return space.sample()


def role_of(agent: str) -> str:
    """PettingZoo's naming: `adversary_0` is an `adversary`."""
    return agent.rstrip("0123456789").rstrip("_")


def plain(observation: Any) -> np.ndarray:
    """An observation without the mask that some environments put beside it."""
    if isinstance(observation, Mapping):
        observation = observation["observation"]
    return np.asarray(observation)


def chosen(name: str, given: str | Sequence[str] | None, agents: list[str]) -> list[str]:
    """Agents by name or by role, in the environment's order.

    Raises:
        ValueError: that begins with `name`, where there is no such agent.
    """
    if given is None:
        return agents
    wanted = {given} if isinstance(given, str) else set(given)
    found = [agent for agent in agents if agent in wanted or role_of(agent) in wanted]
    unknown = wanted - set(agents) - {role_of(agent) for agent in agents}
    if unknown or not found:
        raise ValueError(f"{name}: no such agent or role {sorted(unknown)}; there are: {agents}")
    return found


def _cast(
    opponents: Mapping[str, Opponent], agents: list[str], moved: list[str]
) -> dict[str, Opponent]:
    """Who plays whom, by agent."""
    cast: dict[str, Opponent] = {}
    for name, opponent in opponents.items():
        for agent in chosen("opponents", name, agents):
            if agent in moved:
                raise ValueError(f"opponents: {agent} is trained; an opponent cannot play it too")
            if not (callable(opponent) or isinstance(opponent, Pool)):
                raise ValueError(f"opponents[{name!r}] must be callable, got {opponent!r}")
            cast[agent] = opponent
    return cast
