"""SB3's view: any Gymnasium `VectorEnv`, in any of its autoreset modes, as an SB3 `VecEnv`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import DictInfoToList
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from feint.envs import scenario_class
from feint.envs.views import ScenarioVectorEnv

Observations = Any
"""(num_envs, ...) array, or a dict of such arrays."""


class GymVecEnv(VecEnv):
    """An SB3 `VecEnv` over a Gymnasium `VectorEnv`.

    Seeds work, time limits arrive as `TimeLimit.truncated` with `terminal_observation`, every
    game's infos arrive as a dict of its own, and each ended episode reports its return and length
    under `info["episode"]`, as SB3's Monitor does.

    SB3 wants a game that ended to begin anew in the same step. What the three autoreset modes of
    Gymnasium (https://farama.org/Vector-Autoreset-Mode) make of that:

    - same step: just so;
    - disabled: this adapter resets the games that ended, with `reset_mask`; the same;
    - next step (Gymnasium's default): after each episode there is a step in which that game only
      resets, whatever the action. SB3 cannot leave it out. It arrives as an episode of its own,
      truncated, without reward, with `info["away"]`, so that no value leaks through it from one
      episode into another; but it is a step of the rollout spent on nothing. Prefer another mode.

    Example:
        >>> env = GymVecEnv(gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="sync"))
        >>> env.reset().shape
        (4, 4)

    Args:
        venv: the vector environment, wrapped or not.

    Raises:
        ValueError: if it does not say which autoreset mode it has, or hands out its own buffers.
    """

    def __init__(self, venv: VectorEnv) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode not in list(AutoresetMode):
            raise ValueError(
                'metadata["autoreset_mode"] must be a gymnasium.vector.AutoresetMode, which says '
                f"when games that ended begin anew; got {mode!r}"
            )
        if getattr(venv.unwrapped, "copy", True) is False:
            raise ValueError("observations must be fresh at every step: make it with copy=True")
        self.venv, self.mode = venv, mode
        self._listed = DictInfoToList(venv)
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(venv.num_envs)
        self._lengths = np.zeros(venv.num_envs, np.int64)
        self._away = np.zeros(venv.num_envs, np.bool_)  # ended, and resets in the next step
        self._last: Observations = None
        self._since = time.time()

    def reset(self) -> Observations:
        """Begin episodes, with the seeds and options that were set, if any."""
        if any(options != self._options[0] for options in self._options):
            raise ValueError("a VectorEnv takes one set of options for all games; give one dict")
        first = self._seeds[0]  # game i gets this plus i, as `seed` promised
        obs, self.reset_infos = self._listed.reset(
            seed=None if first is None else int(first), options=self._options[0] or None
        )
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self._away[:] = False
        self._last = obs
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all games; see `stable_baselines3.common.vec_env.VecEnv`."""
        obs, rewards, terminated, truncated, infos = self._listed.step(self._actions)
        done, away = terminated | truncated, self._away
        rewards = np.array(rewards, np.float32)
        self._returns += rewards
        self._lengths += 1
        final = obs
        if done.any():
            if self.mode == AutoresetMode.DISABLED:
                obs, fresh = self._listed.reset(options={"reset_mask": done.copy()})
                for i in np.flatnonzero(done).tolist():
                    self.reset_infos[i] = fresh[i]
            for i in np.flatnonzero(done).tolist():
                infos[i] = self._farewell(i, infos[i], final, bool(truncated[i] & ~terminated[i]))
            self._returns[done] = 0.0
            self._lengths[done] = 0
        if away.any():
            for i in np.flatnonzero(away).tolist():
                self.reset_infos[i] = infos[i]
                stayed = _row(self._last, i)
                infos[i] = {"away": True, "terminal_observation": stayed}
                infos[i]["TimeLimit.truncated"] = True
            self._returns[away] = 0.0
            self._lengths[away] = 0
        if self.mode == AutoresetMode.NEXT_STEP:
            self._away, self._last = done, obs
        return obs, rewards, done | away, infos

    def close(self) -> None:
        """Close the Gymnasium environment."""
        self.venv.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Each game's attribute; of a native batch, the batch's own, once per game."""
        venv, games = self.venv.unwrapped, self._get_indices(indices)
        if hasattr(venv, "get_attr"):
            values = venv.get_attr(attr_name)  # pyright: ignore[reportAttributeAccessIssue]
            return [values[i] for i in games]
        value = getattr(venv, attr_name)
        return [value for _ in games]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each game; of a native batch, of all games: they share it."""
        venv, games = self.venv.unwrapped, set(self._get_indices(indices))
        if not hasattr(venv, "set_attr"):
            setattr(venv, attr_name, value)
            return
        if len(games) == self.num_envs:
            values = [value] * self.num_envs
        else:
            old = self.get_attr(attr_name)
            values = [value if i in games else old[i] for i in range(self.num_envs)]
        venv.set_attr(attr_name, values)  # pyright: ignore[reportAttributeAccessIssue]

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of each game; of a native batch once, and its result stands for every game.

        Of `action_masks`, which MaskablePPO calls, each game of a native batch gets its own row.

        Raises:
            ValueError: for some games of an `AsyncVectorEnv`, which calls all or none.
        """
        venv, games = self.venv.unwrapped, list(self._get_indices(indices))
        if (envs := getattr(venv, "envs", None)) is not None:
            return [envs[i].get_wrapper_attr(method_name)(*method_args, **kwargs) for i in games]
        if hasattr(venv, "call"):
            if len(games) < self.num_envs:
                raise ValueError(f"{type(venv).__name__} calls a method of all games or of none")
            result = venv.call(method_name, *method_args, **kwargs)  # pyright: ignore
            return [result[i] for i in games]
        result = getattr(venv, method_name)(*method_args, **kwargs)
        return [result[i] if method_name == "action_masks" else result for i in games]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether each game is; False where that cannot be seen from here."""
        envs = getattr(self.venv.unwrapped, "envs", None)
        games = self._get_indices(indices)
        return [envs is not None and is_wrapped(envs[i], wrapper_class) for i in games]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of every game."""
        frames = self.venv.render()
        return list(frames) if frames is not None else [None] * self.num_envs  # pyright: ignore

    def _farewell(
        self, i: int, info: dict[str, Any], final: Observations, truncated: bool
    ) -> dict[str, Any]:
        """The info of a game's last step. In the same-step mode `info` is the next episode's."""
        if self.mode == AutoresetMode.SAME_STEP:
            seen, last = info.pop("final_obs"), info.pop("final_info", {})
            self.reset_infos[i], info = info, last
        else:
            seen = _row(final, i)
        episode = {
            "r": float(self._returns[i]),
            "l": int(self._lengths[i]),
            "t": round(time.time() - self._since, 6),
        }
        return {
            **info,
            "terminal_observation": seen,
            "TimeLimit.truncated": truncated,
            "episode": episode,
        }


def _row(observations: Observations, i: int) -> Any:
    """One game's observation, as a copy."""
    if isinstance(observations, Mapping):
        return {key: _row(value, i) for key, value in observations.items()}
    return np.array(observations[i])


def make_vec_env(env_id: str, num_envs: int, seed: int | None = None, **kwargs: Any) -> GymVecEnv:
    """A scenario as an SB3 `VecEnv`, stepped natively as one batch.

    A third party's scenario needs no vector entry point of its own.

    Example:
        >>> env = make_vec_env("feint/PhysicalDeception-v0", 8, seed=0, incentive=0.0)
        >>> env.reset().shape
        (8, 12)

    Args:
        env_id: a Gymnasium id, of a scenario or with a vector entry point.
        num_envs: games in the batch.
        seed: game `i` is seeded `seed + i` at the next reset.
        kwargs: the scenario's own arguments.
    """
    kwargs |= {"num_envs": num_envs, "autoreset_mode": AutoresetMode.SAME_STEP}
    spec = gym.registry.get(env_id.rpartition(":")[2])
    if spec is not None and spec.vector_entry_point is None:
        members = {"scenario_class": scenario_class(env_id)}
        batch = type("BatchEnv", (ScenarioVectorEnv,), members)
        env = GymVecEnv(batch(**{**spec.kwargs, **kwargs}))
    else:
        env = GymVecEnv(gym.make_vec(env_id, **kwargs))
    if seed is not None:
        env.seed(seed)
    return env
