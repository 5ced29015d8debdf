"""Checks of constructor arguments; an error names the argument, what it got, what it takes."""

import math
import numbers
from collections.abc import Collection
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
