"""The scenario under test: how its views are made, and how what they return is compared."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from feint.envs import scenario_class
from feint.envs.core import Scenario

SEED = 20_000
"""Seed of the first game in every check."""


class Skip(Exception):
    """A check has no meaning here; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A scenario and the arguments it is tested with.

    Attributes:
        env_id: Gymnasium id.
        pettingzoo_id: id in both PettingZoo registries.
        kwargs: the scenario's arguments.
    """

    env_id: str
    pettingzoo_id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scenario(self) -> type[Scenario]:
        """The scenario's class."""
        return scenario_class(self.env_id)

    def single(self, **extra: Any) -> gym.Env:
        """The single-agent view, through `gymnasium.make`."""
        return gym.make(self.env_id, **{**self.kwargs, **extra})

    def vector(self, num_envs: int, **extra: Any) -> gym.vector.VectorEnv:
        """The vector view, through `gymnasium.make_vec`."""
        return gym.make_vec(self.env_id, num_envs=num_envs, **{**self.kwargs, **extra})

    def parallel(self, **extra: Any) -> Any:
        """PettingZoo's parallel view, through `pettingzoo.make`."""
        return self._pettingzoo("parallel", **extra)

    def aec(self, **extra: Any) -> Any:
        """PettingZoo's agent-by-agent view, through `pettingzoo.make`."""
        return self._pettingzoo("aec", **extra)

    def core(self, num_envs: int, *, condition: str | None = None, **extra: Any) -> Scenario:
        """The batch of games itself, under one of the scenario's conditions if one is named."""
        held = {} if condition is None else self.scenario.conditions[condition]
        return self.scenario(num_envs, **{**self.kwargs, **held, **extra})  # pyright: ignore[reportCallIssue]

    def _pettingzoo(self, kind: Any, **extra: Any) -> Any:
        import pettingzoo
        from pettingzoo.env_registry import registration

        if self.pettingzoo_id not in registration._get_registry(kind):
            raise Skip(f"{self.pettingzoo_id} is not in PettingZoo's {kind} registry")
        return pettingzoo.make(kind, self.pettingzoo_id, **{**self.kwargs, **extra})


def snake_id(env_id: str) -> str:
    """The PettingZoo id that goes with a Gymnasium id: "a/MyGame-v0" gives "a/my_game-v0"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", env_id.removeprefix("feint:")).lower()


def random_actions(space: gym.Space, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Legal actions, (*shape, ...): always the same ones for a seed."""
    space = deepcopy(space)
    space.seed(seed)
    flat = np.stack([np.asarray(space.sample()) for _ in range(int(np.prod(shape)))])
    return flat.reshape(*shape, *flat.shape[1:])


def joint_actions(game: Scenario, steps: int, seed: int) -> np.ndarray:
    """Legal actions of all external agents, (steps, num_envs, num_external, ...).

    Where some agents' actions are rows of one number, the bare numbers of others are rows too.
    """
    columns = [
        random_actions(game.action_space(agent), (steps, game.num_envs), seed + 1000 * k)
        for k, agent in enumerate(game.external)
    ]
    if any(column.ndim > 2 for column in columns):
        columns = [column[..., None] if column.ndim == 2 else column for column in columns]
    return np.stack(columns, axis=2)


def row(batch: Any, i: int) -> Any:
    """Game `i` of a batch of observations or labels."""
    if isinstance(batch, Mapping):
        return {key: row(value, i) for key, value in batch.items()}
    return batch[i]


def arrays(value: Any) -> Iterator[np.ndarray]:
    """All arrays in nested tuples, lists, dicts and object arrays."""
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            yield value
            return
        value = list(value.flat)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from arrays(item)


def same(got: Any, wanted: Any) -> bool:
    """Equality of nested data, NaN equal to NaN, numbers equal whatever their type."""
    if isinstance(wanted, Mapping):
        return (
            isinstance(got, Mapping)
            and got.keys() == wanted.keys()
            and all(same(got[key], value) for key, value in wanted.items())
        )
    if isinstance(wanted, list | tuple):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if wanted is None or got is None:
        return got is wanted
    a, b = np.asarray(got), np.asarray(wanted)
    floats = a.dtype.kind == "f" and b.dtype.kind == "f"
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=floats)


def assert_same(got: Any, wanted: Any, what: str) -> None:
    """Raise AssertionError with both values unless they are equal."""
    assert same(got, wanted), f"{what}: got {got}, wanted {wanted}"
