"""PettingZoo's two views of a scenario: parallel, and agent by agent (AEC).

Where agents act at once, the AEC view is PettingZoo's own conversion of the parallel one; where
they take turns it is `TurnsEnv`, in which only the agent to move is asked.
"""

import re
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from feint.envs.core import Array, Scenario
from feint.envs.render import Screen
from feint.envs.views import one_game


class ScenarioParallelEnv(ParallelEnv):
    """One game in which the caller plays every agent.

    Args:
        scenario_class: the scenario.
        render_mode: "rgb_array", "human" or "ansi".
        max_cycles: episode length; the scenario's own by default.
        labels: put deception labels into every agent's `info["deception"]`.
        preset: one of the scenario's `presets`.
        kwargs: the scenario's own arguments, over the preset's.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        scenario_class: type[Scenario],
        render_mode: str | None = None,
        max_cycles: int | None = None,
        labels: bool = True,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._screen = Screen(render_mode, 10)  # first: `close` may follow a failed construction
        kwargs = scenario_class.arguments(preset, kwargs)
        if max_cycles is not None:
            kwargs["max_episode_steps"] = max_cycles
        self.scenario = scenario_class(
            num_envs=1,
            external="all",
            labels=labels,
            autoreset="disabled",
            **kwargs,  # pyright: ignore[reportCallIssue]
        )
        self.metadata = {
            "name": _snake(scenario_class.name),
            "render_modes": ["human", "rgb_array", "ansi"],
            "render_fps": 10,
            "is_parallelizable": True,
        }
        self.possible_agents = list(self.scenario.agents)
        self.agents: list[str] = []
        self.render_mode = render_mode
        seen = [self.observation_space(agent) for agent in self.scenario.agents]
        self._text = any(isinstance(space, spaces.Text) for space in seen)
        size = sum(int(np.prod(space.shape or ())) for space in seen)
        self.state_space = (
            spaces.Tuple(seen) if self._text else spaces.Box(-np.inf, np.inf, (size,), np.float32)
        )

    def observation_space(self, agent: str) -> spaces.Space:
        """The same object at every call."""
        return self.scenario.observation_space(agent)

    def action_space(self, agent: str) -> spaces.Space:
        """The same object at every call."""
        return self.scenario.action_space(agent)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
        """Begin an episode; see `pettingzoo.ParallelEnv.reset`."""
        observations = self.scenario.reset(seed=seed)
        self.agents = list(self.possible_agents)
        labels = self.scenario.compute_labels() if self.scenario.labels else None
        if self.render_mode == "human":
            self.render()
        return self._each(observations), self._infos(labels)

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """One step of all agents; see `pettingzoo.ParallelEnv.step`."""
        missing = [agent for agent in self.agents if agent not in actions]
        if missing or not self.agents:
            raise ValueError(
                f"step() needs an action of every live agent; missing: {', '.join(missing)}"
                if missing
                else "the episode has ended: call reset() before step()"
            )
        kind = object if self._text else None  # else numpy makes texts of everything
        joint = _side_by_side([np.asarray(actions[a], kind) for a in self.scenario.agents])[None]
        step = self.scenario.step(joint)
        agents, ended = self.agents, bool(step.terminated[0] or step.truncated[0])
        rewards = {a: float(r[0]) for a, r in zip(agents, step.rewards, strict=True)}
        terminated = dict.fromkeys(agents, bool(step.terminated[0]))
        truncated = dict.fromkeys(agents, bool(step.truncated[0]))
        result = (
            self._each(step.observations),
            rewards,
            terminated,
            truncated,
            self._infos(step.labels),
        )
        if ended:
            self.agents = []
        if self.render_mode == "human":
            self.render()
        return result

    def state(self) -> Any:
        """All agents' observations in one row, for centralised critics; a tuple of texts."""
        if self._text:
            return tuple(str(obs[0]) for obs in self.scenario.observe())
        return np.concatenate([obs[0].ravel() for obs in self.scenario.observe()])

    def render(self) -> Any:
        """A picture of the game in the chosen mode."""
        return self._screen.show(self.scenario.draw(0))

    def close(self) -> None:
        """Close the window, if there is one."""
        self._screen.close()

    def _each(self, observations: tuple[Array, ...]) -> dict[str, Array]:
        return {a: o[0] for a, o in zip(self.scenario.agents, observations, strict=True)}

    def _infos(self, labels: dict[str, Array] | None) -> dict[str, dict[str, Any]]:
        return {agent: info_of(self.scenario, agent, labels) for agent in self.agents}


class TurnsEnv(AECEnv):
    """One game of a turn-based scenario in which the caller plays every agent, one at a time.

    Args:
        parallel: the same game as `ScenarioParallelEnv`, which keeps the state and the picture.
    """

    def __init__(self, parallel: ScenarioParallelEnv) -> None:
        super().__init__()
        self.parallel = parallel
        self.scenario = parallel.scenario
        self.metadata = parallel.metadata
        self.render_mode = parallel.render_mode
        self.possible_agents = list(parallel.possible_agents)
        self.agents = []

    def observation_space(self, agent: str) -> spaces.Space:
        """The same object at every call."""
        return self.parallel.observation_space(agent)

    def action_space(self, agent: str) -> spaces.Space:
        """The same object at every call."""
        return self.parallel.action_space(agent)

    def observe(self, agent: str) -> Array:
        """What `agent` sees now, whoever is to move."""
        return self.scenario.observe_agent(agent)[0]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode; see `pettingzoo.AECEnv.reset`."""
        _, self.infos = self.parallel.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.agent_selection = self._mover()

    def step(self, action: Any) -> None:
        """The move of `agent_selection`; None once it is done. See `pettingzoo.AECEnv.step`."""
        mover = self.agent_selection
        if self.terminations[mover] or self.truncations[mover]:
            self._was_dead_step(action)
            return
        # Whoever is not to move must still name an action; it counts for nothing.
        joint = {agent: _any_action(self.action_space(agent)) for agent in self.agents}
        result = self.parallel.step({**joint, mover: action})
        _, self.rewards, self.terminations, self.truncations, self.infos = result
        self._cumulative_rewards[mover] = 0.0
        if self.parallel.agents:
            self.agent_selection = self._mover()
        self._accumulate_rewards()
        self._deads_step_first()

    def state(self) -> Array:
        """All agents' observations in one row, for centralised critics."""
        return self.parallel.state()

    def render(self) -> Any:
        """A picture of the game in the chosen mode."""
        return self.parallel.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self.parallel.close()

    def _mover(self) -> str:
        return self.possible_agents[int(self.scenario.to_move()[0])]


def info_of(scenario: Scenario, agent: str, labels: dict[str, Array] | None) -> dict[str, Any]:
    """One agent's info: its action mask where the scenario has some, and the labels."""
    info: dict[str, Any] = {}
    masks = scenario.action_masks(agent)
    if masks is not None:
        info["action_mask"] = masks[0].astype(np.int8)
    if labels is not None:
        info["deception"] = one_game(labels)
    return info


def _side_by_side(arrays: list[Array]) -> Array:
    """All agents' actions in one array; beside a row of one number, a bare number is one too."""
    if any(array.ndim for array in arrays):
        arrays = [np.atleast_1d(array) for array in arrays]
    return np.stack(arrays)


def _any_action(space: spaces.Space) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(space.start)
    return np.zeros(space.shape or (), space.dtype)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")


def aec_env(scenario_class: type[Scenario], **kwargs: Any) -> Any:
    """The agent-by-agent view: `TurnsEnv`, or PettingZoo's conversion of the parallel view."""
    parallel = ScenarioParallelEnv(scenario_class, **kwargs)
    return TurnsEnv(parallel) if scenario_class.turn_based else parallel_to_aec(parallel)
