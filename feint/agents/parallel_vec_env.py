"""Any PettingZoo parallel environment as an SB3 `VecEnv`: parameter sharing, opponents, deaths."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from feint.agents.pool import Opponent
from feint.agents.stage import Outcome, Stage, plain, role_of


class StageView(VecEnv):
    """What agents of equal spaces see of a `Stage`: each agent of each copy is one environment.

    Args:
        stage: where the game is played.
        trained: the agents, all moved from outside.

    Raises:
        ValueError: for agents whose spaces differ.
    """

    def __init__(self, stage: Stage, trained: Sequence[str]) -> None:
        self.stage, self.trained = stage, list(trained)
        spaces = [stage.spaces(agent) for agent in self.trained]
        if any(pair != spaces[0] for pair in spaces):
            raise ValueError(
                f"agents that share a policy need equal spaces, and those of {self.trained} "
                "differ; train one role, and let opponents play the others"
            )
        super().__init__(len(stage.copies) * len(self.trained), *spaces[0])
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._since = time.time()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Copy `i` is seeded `seed + i` at the next reset; the opponents' chance follows it."""
        seeds = self.stage.seed(seed)
        return [seeds[self._place(slot)[0]] for slot in range(self.num_envs)]

    def reset(self) -> np.ndarray:
        """Begin an episode in every copy."""
        self.stage.reset()
        return self._first()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step every copy; see `stable_baselines3.common.vec_env.VecEnv`."""
        return self._seen(self.stage.step(self._moves()))

    def close(self) -> None:
        """Close every copy."""
        self.stage.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the copies that hold the given agents."""
        if attr_name == "action_masks" and self._has_masks():
            return [lambda i=i: self._mask(i) for i in self._get_indices(indices)]
        return [getattr(self._copy(i).unwrapped, attr_name) for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of those copies."""
        for i in self._get_indices(indices):
            setattr(self._copy(i).unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of those copies; `action_masks` gives each agent its own mask."""
        if method_name == "action_masks":
            return [self._mask(i) for i in self._get_indices(indices)]
        return [
            getattr(self._copy(i).unwrapped, method_name)(*method_args, **kwargs)
            for i in self._get_indices(indices)
        ]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """False: PettingZoo's wrappers are not Gymnasium's."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of every copy."""
        return [env.render() for env in self.stage.copies]

    # -- inside -------------------------------------------------------------------------------

    def _place(self, slot: int) -> tuple[int, str]:
        """Copy and agent of one of SB3's environments."""
        i, k = divmod(slot, len(self.trained))
        return i, self.trained[k]

    def _copy(self, slot: int) -> Any:
        return self.stage.copies[self._place(slot)[0]]

    def _first(self) -> np.ndarray:
        """What the episodes that have just begun show."""
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0.0, 0
        return self._observations()

    def _moves(self) -> list[dict[str, Any]]:
        """The actions that were given, by copy and live agent."""
        assert self._actions is not None, "step_wait() comes after step_async()"
        moves: list[dict[str, Any]] = [{} for _ in self.stage.copies]
        for slot, action in enumerate(self._actions):
            i, agent = self._place(slot)
            if not self._is_away(slot):
                moves[i][agent] = action
        return moves

    def _seen(
        self, outcomes: Sequence[Outcome]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """A step as SB3 wants it."""
        rewards = np.zeros(self.num_envs, np.float32)
        done = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for slot in range(self.num_envs):
            i, agent = self._place(slot)
            outcome = outcomes[i]
            if agent not in outcome.moved:  # it was away, and stays so until the copy is reset
                done[slot], infos[slot] = True, self._absence()
                continue
            rewards[slot] = outcome.rewards.get(agent, 0.0)
            self._returns[slot] += rewards[slot]
            self._lengths[slot] += 1
            infos[slot] = dict(outcome.infos.get(agent, {}))
            ended = outcome.terminated.get(agent, False), outcome.truncated.get(agent, False)
            if any(ended) or outcome.over:
                done[slot] = True
                infos[slot] |= self._farewell(slot, outcome.observations.get(agent), *ended)
        return self._observations(), rewards, done, infos

    def _has_masks(self) -> bool:
        return isinstance(self.action_space, gym.spaces.Discrete)

    def _mask(self, slot: int) -> np.ndarray:
        """What this agent may do now, (num_actions,) bool; whatever it likes where nothing says."""
        mask = None if self._is_away(slot) else self.stage.mask(*self._place(slot))
        if mask is None:
            assert isinstance(self.action_space, gym.spaces.Discrete)
            return np.ones(int(self.action_space.n), np.bool_)
        return mask

    def _is_away(self, slot: int) -> bool:
        i, agent = self._place(slot)
        return agent not in self.stage.copies[i].agents

    def _observations(self) -> np.ndarray:
        space = self.observation_space
        out = np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
        for slot in range(self.num_envs):
            i, agent = self._place(slot)
            if not self._is_away(slot):
                out[slot] = plain(self.stage.observations[i][agent])
        return out

    def _farewell(self, slot: int, last: Any, terminated: bool, truncated: bool) -> dict[str, Any]:
        space = self.observation_space
        seen = np.zeros(space.shape or (), space.dtype) if last is None else plain(last)
        episode = {
            "r": float(self._returns[slot]),
            "l": int(self._lengths[slot]),
            "t": round(time.time() - self._since, 6),
            "role": role_of(self._place(slot)[1]),
        }
        self._returns[slot], self._lengths[slot] = 0.0, 0
        return {
            "terminal_observation": seen,
            "TimeLimit.truncated": bool(truncated and not terminated),
            "episode": episode,
        }

    def _absence(self) -> dict[str, Any]:
        space = self.observation_space
        nothing = np.zeros(space.shape or (), space.dtype)
        return {"away": True, "terminal_observation": nothing, "TimeLimit.truncated": False}


class ParallelVecEnv(StageView):
    """An SB3 `VecEnv` over copies of a PettingZoo parallel environment.

    Each trained agent of each copy is one environment to SB3, so that agents of one role share one
    policy. All others are played by `opponents`. Seeds work; time limits arrive as
    `TimeLimit.truncated` with `terminal_observation`; action masks, in infos or in observations of
    the form {"observation", "action_mask"}, reach sb3-contrib's MaskablePPO; every ended episode of
    an agent reports its return, length and role under `info["episode"]`, as SB3's Monitor does.

    An agent that dies before the others ends its episode there. Until its copy is reset it is
    *away*: it sees zeros, earns nothing, each step is an episode of its own (so that no value leaks
    from there into steps that were played), and `info["away"]` says so.

    Example:
        >>> from mpe2 import simple_adversary_v3
        >>> env = ParallelVecEnv(simple_adversary_v3.parallel_env, 4, train="agent", seed=0)
        >>> env.num_envs, env.reset().shape
        (8, (8, 10))

    Args:
        make: makes one copy; called `copies` times.
        copies: how many are stepped side by side.
        train: names of the agents that SB3 moves, or a role, which stands for all agents of that
            name; None for all agents. They must have equal spaces.
        opponents: by agent or by role, who plays the others: a function of observations (n, ...),
            such as `policy_of(model)`, or a `Pool`; by default they act at random.
        seed: copy `i` is seeded `seed + i` at the next reset.

    Raises:
        ValueError: for unknown agents, and trained agents whose spaces differ.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        copies: int = 1,
        *,
        train: str | Sequence[str] | None = None,
        opponents: Mapping[str, Opponent] | None = None,
        seed: int | None = None,
    ) -> None:
        stage = Stage(make, copies, moved=train, opponents=opponents, seed=seed)
        super().__init__(stage, stage.moved)
