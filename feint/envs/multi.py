"""PettingZoo's two views of a scenario: `ScenarioParallelEnv`, and AEC by its own conversion."""

import re
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from feint.envs.core import Array, Scenario
from feint.envs.render import Screen


class ScenarioParallelEnv(ParallelEnv):
    """One game in which the caller plays every agent.

    Args:
        scenario_class: the scenario.
        render_mode: "rgb_array", "human" or "ansi".
        max_cycles: episode length; the scenario's own by default.
        labels: put deception labels into every agent's `info["deception"]`.
        kwargs: the scenario's own arguments.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        scenario_class: type[Scenario],
        render_mode: str | None = None,
        max_cycles: int | None = None,
        labels: bool = True,
        **kwargs: Any,
    ) -> None:
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
            "name": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", scenario_class.name)
            .lower()
            .replace("-", "_"),
            "render_modes": ["human", "rgb_array", "ansi"],
            "render_fps": 10,
            "is_parallelizable": True,
        }
        self.possible_agents = list(self.scenario.agents)
        self.agents: list[str] = []
        self.render_mode = render_mode
        self._screen = Screen(render_mode, 10)
        size = sum(
            int(np.prod(self.observation_space(a).shape or ())) for a in self.scenario.agents
        )
        self.state_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)

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
        joint = np.stack([np.asarray(actions[a]) for a in self.scenario.agents])[None]
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

    def state(self) -> Array:
        """All agents' observations in one row, for centralised critics."""
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
        if labels is None:
            return {agent: {} for agent in self.agents}
        return {
            agent: {
                "deception": {
                    key: value[0].item() if value.ndim == 1 else value[0].copy()
                    for key, value in labels.items()
                }
            }
            for agent in self.agents
        }


def aec_env(scenario_class: type[Scenario], **kwargs: Any) -> Any:
    """The agent-by-agent view of `ScenarioParallelEnv`, by PettingZoo's own conversion."""
    return parallel_to_aec(ScenarioParallelEnv(scenario_class, **kwargs))
