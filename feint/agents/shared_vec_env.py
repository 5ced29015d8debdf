"""Several agents of a native batch of games as learners that share one policy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from feint.agents.vec_env import GymVecEnv
from feint.envs import scenario_class


class SharedVectorEnv(VectorEnv):
    """A scenario as a Gymnasium `VectorEnv` in which each agent of each game is one environment.

    Environment `i * k + j` is the `j`th of `k` agents of game `i`. Agents whose observations are
    shorter than the others' see zeros at the end. Games reset in the step in which they end.

    Args:
        env_id: a scenario's id.
        num_games: games in the batch.
        agents: who learns, by name, or "all"; the scenario's own opponents play the others.
        kwargs: the scenario's own arguments.

    Raises:
        ValueError: for agents whose actions differ, or whose observations are no vectors; for a
            scenario whose agents take turns.
    """

    def __init__(
        self, env_id: str, num_games: int, agents: str | Sequence[str] = "all", **kwargs: Any
    ) -> None:
        cls = scenario_class(env_id)
        if cls.turn_based:
            raise ValueError(f"{cls.name}: its agents take turns; use ParallelVecEnv or one agent")
        self.games = cls(num_games, external=agents, autoreset="same_step", **kwargs)  # pyright: ignore[reportCallIssue]
        who = self.games.external
        acting = [self.games.action_space(agent) for agent in who]
        seen = [self.games.observation_space(agent) for agent in who]
        if any(space != acting[0] for space in acting):
            raise ValueError(f"agents that share a policy need equal actions; {who} have {acting}")
        if not all(isinstance(s, spaces.Box) and len(s.shape) == 1 for s in seen):
            raise ValueError(f"agents that share a policy must see vectors; {who} see {seen}")
        self._width = max(space.shape[0] for space in seen)  # pyright: ignore[reportOptionalSubscript]
        self._agents = len(who)
        self.num_envs = num_games * self._agents
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (self._width,), np.float32)
        self.single_action_space = acting[0]
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes; of a list of seeds, one for each environment, a game takes its first."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        if seed is not None:  # of each agent's place in the batch, as any vector environment has it
            places = seed if isinstance(seed, list) else seed + np.arange(self.num_envs)
            self.games.reseed(np.asarray(places[:: self._agents]))
        return self._side_by_side(self.games.reset()), {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every game; see `gymnasium.vector.VectorEnv.step`."""
        actions = np.asarray(actions)
        step = self.games.step(actions.reshape(-1, self._agents, *actions.shape[1:]))
        info: dict[str, Any] = {}
        if step.final is not None:
            slots = step.final.games[:, None] * self._agents + np.arange(self._agents)
            last = np.full(self.num_envs, None, dtype=object)
            seen = self._side_by_side(step.final.observations)
            for i, row in zip(slots.flat, seen, strict=True):
                last[i] = row
            ended = np.zeros(self.num_envs, np.bool_)
            ended[slots] = True
            info = {"final_obs": last, "_final_obs": ended}
        return (
            self._side_by_side(step.observations),
            np.stack(step.rewards, axis=1).reshape(-1),
            step.terminated.repeat(self._agents),
            step.truncated.repeat(self._agents),
            info,
        )

    def _side_by_side(self, observations: Sequence[np.ndarray]) -> np.ndarray:
        """Each agent's (games, ...) as (games * agents, width), zeros at the end."""
        out = np.zeros((len(observations[0]), self._agents, self._width), np.float32)
        for k, seen in enumerate(observations):
            out[:, k, : seen.shape[1]] = seen
        return out.reshape(-1, self._width)


def make_shared_vec_env(
    env_id: str,
    num_games: int,
    agents: str | Sequence[str] = "all",
    seed: int | None = None,
    **kwargs: Any,
) -> GymVecEnv:
    """A scenario as an SB3 `VecEnv` in which several agents of each game share one policy.

    Example:
        >>> env = make_shared_vec_env("feint/PhysicalDeception-v0", 4, seed=0, rules="mpe")
        >>> env.reset().shape  # 4 games of 3 agents
        (12, 10)

    Args:
        env_id: a scenario's id.
        num_games: games in the batch.
        agents: see `SharedVectorEnv`.
        seed: the first game's seed; `agents` lie between a game's seed and the next one's.
        kwargs: the scenario's own arguments.
    """
    env = GymVecEnv(SharedVectorEnv(env_id, num_games, agents, **kwargs))
    if seed is not None:
        env.seed(seed)
    return env
