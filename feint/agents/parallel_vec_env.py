"""Any PettingZoo parallel environment as an SB3 `VecEnv`: parameter sharing, opponents, deaths."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from feint.agents.pool import Opponent, Pool


def role_of(agent: str) -> str:
    """PettingZoo's naming: `adversary_0` is an `adversary`."""
    return agent.rstrip("0123456789").rstrip("_")


class ParallelVecEnv(VecEnv):
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
        if copies < 1:
            raise ValueError(f"copies must be >= 1, got {copies}")
        self.copies = [make() for _ in range(copies)]
        agents = list(self.copies[0].possible_agents)
        self.trained = _chosen("train", train, agents)
        self.opponents = _cast(opponents or {}, agents, self.trained)
        spaces = [self._spaces(agent) for agent in self.trained]
        if any(pair != spaces[0] for pair in spaces):
            raise ValueError(
                f"agents that share a policy need equal spaces, and those of {self.trained} "
                "differ; train one role, and let opponents play the others"
            )
        self._others = [agent for agent in agents if agent not in self.trained]
        self._random = np.random.default_rng(seed)
        super().__init__(copies * len(self.trained), *spaces[0])
        self._obs: list[dict[str, Any]] = [{} for _ in self.copies]
        self._infos: list[dict[str, Any]] = [{} for _ in self.copies]
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._away = np.zeros(self.num_envs, np.bool_)
        self._since = time.time()
        if seed is not None:
            self.seed(seed)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Copy `i` is seeded `seed + i` at the next reset; the opponents' chance follows it."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
        self._random = np.random.default_rng(seed)
        self._copy_seeds: list[int | None] = [seed + i for i in range(len(self.copies))]
        return [self._copy_seeds[i // len(self.trained)] for i in range(self.num_envs)]

    def reset(self) -> np.ndarray:
        """Begin an episode in every copy."""
        seeds = getattr(self, "_copy_seeds", [None] * len(self.copies))
        for i, seed in enumerate(seeds):
            self._begin(i, seed)
        self._copy_seeds = [None] * len(self.copies)
        self._reset_seeds()
        self._reset_options()
        return self._observations()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step every copy; see `stable_baselines3.common.vec_env.VecEnv`."""
        assert self._actions is not None, "step_wait() comes after step_async()"
        joint = self._joint(self._actions)
        rewards = np.zeros(self.num_envs, np.float32)
        done = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i, (env, actions) in enumerate(zip(self.copies, joint, strict=True)):
            obs, earned, terminated, truncated, info = env.step(actions)
            self._obs[i], self._infos[i] = dict(obs), dict(info)
            over = not env.agents
            for k, agent in enumerate(self.trained):
                slot = i * len(self.trained) + k
                if agent not in actions:  # it was away, and stays so until the copy is reset
                    done[slot], infos[slot] = True, self._absence()
                    continue
                rewards[slot] = earned.get(agent, 0.0)
                self._returns[slot] += rewards[slot]
                self._lengths[slot] += 1
                infos[slot] = dict(info.get(agent, {}))
                ended = terminated.get(agent, False), truncated.get(agent, False)
                if any(ended) or over:
                    done[slot] = True
                    infos[slot] |= self._farewell(slot, agent, *ended)
            if over or not any(agent in env.agents for agent in self.trained):
                self._begin(i, None)
        self._away[:] = [self._is_away(slot) for slot in range(self.num_envs)]
        return self._observations(), rewards, done, infos

    def close(self) -> None:
        """Close every copy."""
        for env in self.copies:
            env.close()

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
        return [env.render() for env in self.copies]

    # -- inside -------------------------------------------------------------------------------

    def _spaces(self, agent: str) -> tuple[gym.Space, gym.Space]:
        seen = self.copies[0].observation_space(agent)
        if isinstance(seen, gym.spaces.Dict) and "action_mask" in seen.spaces:
            seen = seen["observation"]
        return seen, self.copies[0].action_space(agent)

    def _has_masks(self) -> bool:
        return isinstance(self.action_space, gym.spaces.Discrete)

    def _mask(self, slot: int) -> np.ndarray:
        """What this agent may do now, (num_actions,) bool; whatever it likes where nothing says."""
        i, k = divmod(slot, len(self.trained))
        agent = self.trained[k]
        seen, info = self._obs[i].get(agent), self._infos[i].get(agent, {})
        mask = seen.get("action_mask") if isinstance(seen, Mapping) else info.get("action_mask")
        if mask is None or self._is_away(slot):
            assert isinstance(self.action_space, gym.spaces.Discrete)
            return np.ones(int(self.action_space.n), np.bool_)
        return np.asarray(mask, np.bool_)

    def _copy(self, slot: int) -> Any:
        return self.copies[slot // len(self.trained)]

    def _begin(self, i: int, seed: int | None) -> None:
        obs, infos = self.copies[i].reset(seed=seed)
        self._obs[i], self._infos[i] = dict(obs), dict(infos)
        slots = slice(i * len(self.trained), (i + 1) * len(self.trained))
        self._returns[slots], self._lengths[slots], self._away[slots] = 0.0, 0, False
        for opponent in self.opponents.values():
            if isinstance(opponent, Pool):
                opponent.draw(i, self._random)

    def _is_away(self, slot: int) -> bool:
        i, k = divmod(slot, len(self.trained))
        return self.trained[k] not in self.copies[i].agents

    def _observations(self) -> np.ndarray:
        space = self.observation_space
        out = np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
        for slot in range(self.num_envs):
            i, k = divmod(slot, len(self.trained))
            if not self._is_away(slot):
                out[slot] = _plain(self._obs[i][self.trained[k]])
        return out

    def _joint(self, actions: np.ndarray) -> list[dict[str, Any]]:
        """What every live agent of each copy does."""
        joint: list[dict[str, Any]] = []
        for i, env in enumerate(self.copies):
            mine = actions[i * len(self.trained) : (i + 1) * len(self.trained)]
            pairs = zip(self.trained, mine, strict=True)
            joint.append({agent: action for agent, action in pairs if agent in env.agents})
        for agent in self._others:
            here = [i for i, env in enumerate(self.copies) if agent in env.agents]
            if not here:
                continue
            seen = np.stack([_plain(self._obs[i][agent]) for i in here])
            opponent = self.opponents.get(agent)
            if opponent is None:
                chosen = [self._at_random(agent) for _ in here]
            elif isinstance(opponent, Pool):
                chosen = opponent.act(seen, here)
            else:
                chosen = opponent(seen)
            for i, action in zip(here, chosen, strict=True):
                joint[i][agent] = action
        return joint

    def _at_random(self, agent: str) -> Any:
        """A legal action by this adapter's own chance: the copies' spaces stay the user's."""
        space = self._spaces(agent)[1]
        if isinstance(space, gym.spaces.Discrete):
            return int(space.start + self._random.integers(space.n))
        if isinstance(space, gym.spaces.Box):
            return self._random.uniform(space.low, space.high).astype(space.dtype)
        return space.sample()

    def _farewell(self, slot: int, agent: str, terminated: bool, truncated: bool) -> dict[str, Any]:
        i = slot // len(self.trained)
        last = self._obs[i].get(agent)
        space = self.observation_space
        seen = np.zeros(space.shape or (), space.dtype) if last is None else _plain(last)
        episode = {
            "r": float(self._returns[slot]),
            "l": int(self._lengths[slot]),
            "t": round(time.time() - self._since, 6),
            "role": role_of(agent),
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


def _plain(observation: Any) -> np.ndarray:
    """An observation without the mask that some environments put beside it."""
    if isinstance(observation, Mapping):
        observation = observation["observation"]
    return np.asarray(observation)


def _chosen(name: str, given: str | Sequence[str] | None, agents: list[str]) -> list[str]:
    """Agents by name or by role, in the environment's order."""
    if given is None:
        return agents
    wanted = {given} if isinstance(given, str) else set(given)
    found = [agent for agent in agents if agent in wanted or role_of(agent) in wanted]
    unknown = wanted - set(agents) - {role_of(agent) for agent in agents}
    if unknown or not found:
        raise ValueError(f"{name}: no such agent or role {sorted(unknown)}; there are: {agents}")
    return found


def _cast(
    opponents: Mapping[str, Opponent], agents: list[str], trained: list[str]
) -> dict[str, Opponent]:
    """Who plays whom, by agent."""
    cast: dict[str, Opponent] = {}
    for name, opponent in opponents.items():
        for agent in _chosen("opponents", name, agents):
            if agent in trained:
                raise ValueError(f"opponents: {agent} is trained; an opponent cannot play it too")
            if not (callable(opponent) or isinstance(opponent, Pool)):
                raise ValueError(f"opponents[{name!r}] must be callable, got {opponent!r}")
            cast[agent] = opponent
    return cast
