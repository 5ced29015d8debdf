"""Checks of constructor arguments; an error names the argument, what it got, what it takes."""

import math
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np


def check_int(name: str, value: Any, *, at_least: int) -> int:
    """`value` as an int of at least `at_least`, or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise ValueError(f"{name} must be an integer >= {at_least}, got {value!r}")
    return int(value)


def check_float(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> float:
    """`value` as a finite float within the bounds, or ValueError."""
    number = isinstance(value, (float, int, np.number)) and not isinstance(value, bool)
    inside = number and math.isfinite(value) and value > above and at_least <= value <= at_most
    if not inside:
        if at_most < math.inf:
            bounds = f"in [{at_least:g}, {at_most:g}]"
        elif above > -math.inf:
            bounds = f"> {above:g}"
        else:
            bounds = f">= {at_least:g}" if at_least > -math.inf else "a finite number"
        raise ValueError(f"{name} must be {bounds}, got {value!r}")
    return float(value)


def check_bool(name: str, value: Any) -> bool:
    """`value` as a bool, or ValueError: 0 and 1 are refused, since they are mostly slips."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def check_choice(name: str, value: Any, choices: Collection[str]) -> str:
    """`value` if it is one of `choices`, or ValueError that lists them."""
    if not isinstance(value, str) or value not in choices:
        known = f"must be one of {', '.join(map(repr, choices))}" if choices else "has no choices"
        raise ValueError(f"{name} {known}, got {value!r}")
    return value


def check_rate(name: str, value: Any) -> float:
    """`value` as a float in [0, 1], or ValueError."""
    return check_float(name, value, at_least=0.0, at_most=1.0)


def check_moves(name: str, moves: Any, num_envs: int, sizes: Sequence[int]) -> np.ndarray:
    """Discrete actions as (num_envs, len(sizes)) int64, column `k` in 0..sizes[k]-1, or ValueError.

    The second axis may be left out where there is one column.
    """
    moves, shape = np.asarray(moves), (num_envs, len(sizes))
    fits = moves.shape == shape or (len(sizes) == 1 and moves.shape == (num_envs,))
    if moves.dtype.kind not in "iu" or not fits:
        raise ValueError(
            f"{name} must be integers of shape {shape}, got {moves.dtype} of shape {moves.shape}"
        )
    moves = moves.reshape(shape)
    for k, size in enumerate(sizes):
        low, high = moves[:, k].min(), moves[:, k].max()
        if low < 0 or high >= size:
            raise ValueError(f"{name} must lie in 0..{size - 1}, got {low}..{high}")
    return moves.astype(np.int64)


def check_opponents(
    opponents: Any, agents: Sequence[str], focal: str | None, external: Sequence[str]
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The opponents that play, by agent; ValueError if nobody plays `focal`, where one is given."""
    if opponents is not None and not isinstance(opponents, Mapping):
        raise ValueError(f"opponents must map agents to callables, got {opponents!r}")
    for agent, act in (opponents or {}).items():
        check_choice("opponents", agent, agents)
        if not callable(act):
            raise ValueError(f"opponents[{agent!r}] must be a callable, got {act!r}")
    cast = {a: act for a, act in (opponents or {}).items() if a not in external}
    if focal is not None and focal not in (*external, *cast):
        raise ValueError(
            f"nobody plays {focal}: name it in external, or pass opponents={{{focal!r}: ...}}"
        )
    return cast
