"""The scenario under test: how its views are made, and how what they return is compared."""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

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
        kwargs: the scenario's arguments; may name a `preset`.
    """

    env_id: str
    pettingzoo_id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scenario(self) -> type[Scenario]:
        """The scenario's class."""
        return scenario_class(self.env_id)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the scenario's class: a preset is spelt out."""
        given = dict(self.kwargs)
        return self.scenario.arguments(given.pop("preset", None), given)

    def with_arguments(self, **kwargs: Any) -> "Subject":
        """The same scenario under other arguments."""
        return replace(self, kwargs=kwargs)

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
        return self.scenario(num_envs, **{**self.arguments, **held, **extra})  # pyright: ignore[reportCallIssue]

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
    """Actions of a space, (*shape, ...): always the same ones for a seed."""
    space = deepcopy(space)
    space.seed(seed)
    flat = np.stack([np.asarray(space.sample()) for _ in range(int(np.prod(shape)))])
    return flat.reshape(*shape, *flat.shape[1:])


def joint_actions(game: Scenario, steps: int, seed: int) -> np.ndarray:
    """Actions of all external agents, (steps, num_envs, num_external, ...), before any mask.

    What a mask forbids is mended when it is played, by `legal`: masks depend on the game so far.
    Where some agents' actions are rows of one number, the bare numbers of others are rows too.
    """
    columns = [
        random_actions(game.action_space(agent), (steps, game.num_envs), seed + 1000 * k)
        for k, agent in enumerate(game.external)
    ]
    if any(column.ndim > 2 for column in columns):
        columns = [column[..., None] if column.ndim == 2 else column for column in columns]
    return np.stack(columns, axis=2)


def legal(game: Scenario, actions: np.ndarray) -> np.ndarray:
    """The external agents' `actions`, each that a mask forbids now replaced by one it allows.

    Which one depends on the action and the mask alone, so that equal games stay equal.
    """
    actions = actions.copy()
    for k, agent in enumerate(game.external):
        masks = game.action_masks(agent)
        if masks is None:
            continue
        first = int(discrete(game, agent).start)
        for i in np.flatnonzero(~allowed(masks, actions[:, k] - first)):
            if (options := np.flatnonzero(masks[i])).size:  # none in a game that has ended
                actions[i, k] = first + options[actions[i, k] % options.size]
    return actions


def legal_move(env: Any, action: np.ndarray) -> Any:
    """The same for the focal agent's action in a Gymnasium view, single or batch."""
    game = env.unwrapped.scenario
    if isinstance(env.unwrapped, gym.vector.VectorEnv):
        return legal(game, action[:, None])[:, 0]
    chosen = np.asarray(legal(game, np.asarray(action)[None, None])[0, 0])
    return chosen.item() if chosen.ndim == 0 else chosen  # Discrete takes integers, not arrays


def allowed(masks: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Which games' masks allow what was chosen, (num_envs,) bool; `chosen` counts from 0."""
    return masks[np.arange(len(masks)), chosen]


def discrete(game: Scenario, agent: str) -> spaces.Discrete:
    """The action space of an agent that has masks."""
    space = game.action_space(agent)
    assert isinstance(space, spaces.Discrete), f"{agent} has action masks, but acts in {space}"
    return space


def outside(space: gym.Space) -> list[Any]:
    """Actions that do not belong to the space."""
    if isinstance(space, spaces.Discrete):
        return [int(space.start + space.n), int(space.start) - 1, 0.5, float("nan"), [0, 0]]
    if isinstance(space, spaces.Box):
        middle = 0.5 * (space.low + space.high)
        bad = []
        for value in (space.high.flat[-1] + 1.0, space.low.flat[-1] - 1.0, np.nan, np.inf):
            action = middle.copy()
            action.flat[-1] = value
            bad.append(action)
        return [*bad, np.append(middle, 0.0), middle[:-1], np.full(space.shape, "left")]
    if isinstance(space, spaces.Text):
        # From 1 on: numpy's strings have no NUL at their end.
        strange = next(c for c in map(chr, range(1, 0x110000)) if c not in space.character_set)
        return [7, None, 0.5, strange, "a" * (space.max_length + 1), ["a", "b"]]
    return []


def spoilt(actions: np.ndarray, game: int, column: int, bad: Any) -> np.ndarray:
    """Joint actions with a bad one in one game and column, or everywhere if its shape is wrong."""
    if np.shape(bad) != actions.shape[2:]:
        return np.broadcast_to(np.asarray(bad), (*actions.shape[:2], *np.shape(bad)))
    # Beside texts numpy would make a text of everything.
    kind = object if actions.dtype.kind in "UO" else np.result_type(actions, np.asarray(bad))
    mixed = actions.astype(kind)
    mixed[game, column] = bad
    return mixed


def assert_refused(game: Scenario, step: Callable[[], Any], what: str) -> None:
    """Raise AssertionError unless `step` raises ValueError and leaves the games as they were."""
    before = game.snapshot()
    try:
        step()
    except ValueError:
        assert_same(game.snapshot(), before, f"the state after the illegal action ({what})")
        return
    raise AssertionError(f"an illegal action was accepted ({what})")


def row(batch: Any, i: int) -> Any:
    """Game `i` of a batch of observations or labels."""
    if isinstance(batch, Mapping):
        return {key: row(value, i) for key, value in batch.items()}
    return batch[i]


def arrays(value: Any) -> Iterator[np.ndarray]:
    """All arrays in nested tuples, lists, dicts and object arrays; texts are arrays themselves."""
    if isinstance(value, np.ndarray):
        if value.dtype != object or all(isinstance(item, str) for item in value.flat):
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
