"""SB3's view: any Gymnasium `VectorEnv` that resets in the same step, as an SB3 `VecEnv`."""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from feint.envs import scenario_class
from feint.envs.views import ScenarioVectorEnv


class GymVecEnv(VecEnv):
    """An SB3 `VecEnv` over a Gymnasium `VectorEnv`.

    Seeds work, time limits arrive as `TimeLimit.truncated` with `terminal_observation`, and each
    ended episode reports its return and length under `info["episode"]`, as SB3's Monitor does.

    Args:
        venv: made with `autoreset_mode=AutoresetMode.SAME_STEP`, which is what SB3 expects.

    Raises:
        ValueError: for another autoreset mode.
    """

    def __init__(self, venv: VectorEnv) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                "SB3 needs an environment that resets in the same step: make it with "
                f"autoreset_mode=AutoresetMode.SAME_STEP, got {mode}"
            )
        self.venv = venv
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(venv.num_envs)
        self._lengths = np.zeros(venv.num_envs, np.int64)
        self._since = time.time()

    def reset(self) -> np.ndarray:
        """Begin episodes, with the seeds that `seed` set, if any."""
        seeds = self._seeds
        given = None if any(s is None for s in seeds) else [int(s) for s in seeds if s is not None]
        obs, _ = self.venv.reset(seed=given)  # pyright: ignore[reportArgumentType]
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all games; see `stable_baselines3.common.vec_env.VecEnv`."""
        obs, rewards, terminated, truncated, info = self.venv.step(self._actions)
        done = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            elapsed = round(time.time() - self._since, 6)
            for i in np.flatnonzero(done):
                infos[i] = {
                    "terminal_observation": info["final_obs"][i],
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                    "episode": {
                        "r": float(self._returns[i]),
                        "l": int(self._lengths[i]),
                        "t": elapsed,
                    },
                }
            self._returns[done] = 0.0
            self._lengths[done] = 0
        return obs, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the Gymnasium environment."""
        self.venv.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The vector environment's attribute, once per game."""
        value = getattr(self.venv.unwrapped, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment (of all games: they share it)."""
        setattr(self.venv.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment once; its result stands for every game.

        Of `action_masks`, which MaskablePPO calls, each game gets its own row.
        """
        result = getattr(self.venv.unwrapped, method_name)(*method_args, **kwargs)
        if method_name == "action_masks":
            return [result[i] for i in self._get_indices(indices)]
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """False: a `VectorEnv` has no per-game wrappers."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of every game."""
        frames = self.venv.render()
        return list(frames) if frames is not None else [None] * self.num_envs  # pyright: ignore


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
