"""Gymnasium's two views of a scenario: one game as `Env`, a batch as `VectorEnv`."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from feint.envs.core import Array, Autoreset, Scenario
from feint.envs.render import Screen

_MODES: dict[AutoresetMode, Autoreset] = {
    AutoresetMode.NEXT_STEP: "next_step",
    AutoresetMode.SAME_STEP: "same_step",
    AutoresetMode.DISABLED: "disabled",
}


class ScenarioEnv(gym.Env):
    """One game of `scenario_class`, seen by its focal agent; all others are played for it.

    Args:
        render_mode: "rgb_array", "human" or "ansi".
        labels: put deception labels into `info["deception"]`.
        preset: one of the scenario's `presets`.
        kwargs: the scenario's own arguments, over the preset's.
    """

    scenario_class: ClassVar[type[Scenario]]
    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        render_mode: str | None = None,
        labels: bool = True,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._screen = Screen(render_mode, self.metadata["render_fps"])
        kwargs = self.scenario_class.arguments(preset, kwargs)
        self.scenario = self.scenario_class(
            num_envs=1, labels=labels, autoreset="disabled", **kwargs
        )
        self.observation_space = self.scenario.observation_space(self.scenario.focal)
        self.action_space = self.scenario.action_space(self.scenario.focal)
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; see `gymnasium.Env.reset`."""
        super().reset(seed=seed)
        (obs,) = self.scenario.reset(seed=seed)
        labels = self.scenario.compute_labels() if self.scenario.labels else None
        if self.render_mode == "human":
            self.render()
        return obs[0], self._info(labels)

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """One step; see `gymnasium.Env.step`."""
        step = self.scenario.step(np.asarray(action)[None])
        if self.render_mode == "human":
            self.render()
        return (
            step.observations[0][0],
            float(step.rewards[0][0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            self._info(step.labels),
        )

    def render(self) -> Any:
        """A picture of the game in the chosen mode."""
        return self._screen.show(self.scenario.draw(0))

    def close(self) -> None:
        """Close the window, if there is one."""
        self._screen.close()

    def pairs(self, observations: Array, kind: str, rng: Any = None) -> Any:
        """See `Scenario.pairs`."""
        return self.scenario.pairs(observations, kind, rng)

    def action_masks(self) -> Array:
        """What may be done now, (num_actions,) bool: sb3-contrib's MaskablePPO asks for this."""
        return focal_masks(self.scenario)[0]

    def _info(self, labels: dict[str, Array] | None) -> dict[str, Any]:
        info: dict[str, Any] = {}
        masks = self.scenario.action_masks(self.scenario.focal)
        if masks is not None:
            info["action_mask"] = masks[0].astype(np.int8)
        if labels is not None:
            info["deception"] = one_game(labels)
        return info


def one_game(labels: dict[str, Array]) -> dict[str, Any]:
    """The labels of a batch of one game, without the batch's axis."""
    return {
        key: value[0].item() if value.ndim == 1 else value[0].copy()
        for key, value in labels.items()
    }


def focal_masks(scenario: Scenario) -> Array:
    """The focal agent's action masks, (num_envs, num_actions) bool; all True without masks.

    Raises:
        ValueError: where the focal agent's actions are not discrete.
    """
    masks = scenario.action_masks(scenario.focal)
    if masks is not None:
        return masks
    space = scenario.action_space(scenario.focal)
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"action masks need discrete actions; {scenario.name} has {space}")
    return np.ones((scenario.num_envs, int(space.n)), np.bool_)


class ScenarioVectorEnv(VectorEnv):
    """A batch of games of `scenario_class`; what `gymnasium.make_vec` returns.

    Args:
        num_envs: games in the batch.
        max_episode_steps: episode length; the scenario's own by default.
        autoreset_mode: one of Gymnasium's three modes, or its name ("NextStep", ...).
        render_mode: "rgb_array": `render` returns a picture of every game.
        labels: put deception labels into `infos["deception"]`; off by default, for speed.
        preset: one of the scenario's `presets`.
        kwargs: the scenario's own arguments, over the preset's.
    """

    scenario_class: ClassVar[type[Scenario]]

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        labels: bool = False,
        preset: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._screen = Screen(render_mode, 10)
        try:
            mode = AutoresetMode(autoreset_mode)
        except ValueError as error:
            modes = ", ".join(repr(mode.value) for mode in AutoresetMode)
            raise ValueError(
                f"autoreset_mode must be an AutoresetMode or one of {modes}, got {autoreset_mode!r}"
            ) from error
        kwargs = self.scenario_class.arguments(preset, kwargs)
        self.scenario = self.scenario_class(
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,  # pyright: ignore[reportCallIssue]
            labels=labels,
            autoreset=_MODES[mode],
            **kwargs,
        )
        self.num_envs = self.scenario.num_envs
        self.metadata = {
            "render_modes": ["rgb_array", "ansi"],
            "render_fps": 10,
            "autoreset_mode": mode,
        }
        focal = self.scenario.focal
        self.single_observation_space = self.scenario.observation_space(focal)
        self.single_action_space = self.scenario.action_space(focal)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.render_mode = render_mode

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        *,
        seed: int | list[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Begin episodes; game `i` of a batch seeded `s` is the single game seeded `s + i`.

        `options={"reset_mask": bool array}` resets only some games. A list gives each its seed.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        mask = (options or {}).get("reset_mask")
        if isinstance(seed, list):
            if len(seed) != self.num_envs:
                raise ValueError(f"seed must list {self.num_envs} integers, got {len(seed)}")
            self.scenario.reseed(np.asarray(seed))
            seed = None
        (obs,) = self.scenario.reset(seed=seed, mask=mask)
        labels = self.scenario.compute_labels() if self.scenario.labels else None
        return obs, self._info(labels, np.ones(self.num_envs, np.bool_) if mask is None else mask)

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One step of every game; see `gymnasium.vector.VectorEnv.step`."""
        step = self.scenario.step(actions)
        info = self._info(step.labels, np.ones(self.num_envs, np.bool_))
        if step.final is not None:
            games = step.final.games
            ended = np.zeros(self.num_envs, np.bool_)
            ended[games] = True
            final_obs = np.full(self.num_envs, None, dtype=object)
            final_obs[games] = list(step.final.observations[0])
            info["final_obs"], info["_final_obs"] = final_obs, ended
            final_labels = None
            if step.final.labels is not None:
                final_labels = {}
                for key, value in step.final.labels.items():
                    whole = np.zeros((self.num_envs, *value.shape[1:]), value.dtype)
                    whole[games] = value
                    final_labels[key] = whole
            info["final_info"] = self._info(final_labels, ended)
            info["_final_info"] = ended.copy()
        return step.observations[0], step.rewards[0], step.terminated, step.truncated, info

    def render(self) -> Any:
        """A picture of every game, as a tuple."""
        return tuple(self._screen.show(self.scenario.draw(i)) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Close what `render` opened."""
        if hasattr(self, "_screen"):  # Gymnasium closes what could not be made, too
            self._screen.close()

    def pairs(self, observations: Array, kind: str, rng: Any = None) -> Any:
        """See `Scenario.pairs`."""
        return self.scenario.pairs(observations, kind, rng)

    def action_masks(self) -> Array:
        """What may be done now in each game, (num_envs, num_actions) bool."""
        return focal_masks(self.scenario)

    def _info(self, labels: dict[str, Array] | None, games: Array) -> dict[str, Any]:
        """Masks, and labels, in the layout of Gymnasium's vector infos: each with its `_key`."""
        info: dict[str, Any] = {}
        masks = self.scenario.action_masks(self.scenario.focal)
        if masks is not None:
            info |= {"action_mask": masks.astype(np.int8), "_action_mask": games.copy()}
        if labels is not None:
            nested: dict[str, Any] = {}
            for key, value in labels.items():
                nested[key], nested[f"_{key}"] = value, games.copy()
            info |= {"deception": nested, "_deception": games.copy()}
        return info
