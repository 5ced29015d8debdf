"""What a scenario is, in plain words and values: for `feint envs`, and for the pages in `docs`."""

import inspect
from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium import spaces

from feint.envs.registry import Entry, scenario_class


def describe(entry: Entry) -> dict[str, Any]:
    """All that a scenario declares, as values that JSON can hold; `page` is its docstring."""
    cls = scenario_class(entry.id)
    game = cls()  # pyright: ignore[reportCallIssue]
    return {
        "id": entry.id,
        "pettingzoo_id": entry.pettingzoo_id,
        "deception": cls.deception,
        "agents": list(game.agents),
        "focal": game.focal,
        "others": list(game.others),
        "turn_based": cls.turn_based,
        "observation_spaces": {a: space_text(game.observation_space(a)) for a in game.agents},
        "action_spaces": {a: space_text(game.action_space(a)) for a in game.agents},
        "max_steps": game.max_steps,
        "pairs": dict(cls.pair_kinds),
        "default_pairs": game.default_pairs,
        "policies": list(cls.policies),
        "metrics": {name: asdict(metric) for name, metric in cls.metrics.items()},
        "conditions": dict(cls.conditions),
        "counterfactual": cls.counterfactual,
        "presets": dict(cls.presets),
        "page": inspect.getdoc(cls) or "",
    }


def space_text(space: spaces.Space) -> str:
    """A space in a few words: arrays of bounds as their extremes."""
    if isinstance(space, spaces.Box):
        low, high = (f"{bound:g}" for bound in (np.min(space.low), np.max(space.high)))
        return f"Box({low}, {high}, {space.shape}, {space.dtype})"
    if isinstance(space, spaces.Text):
        return f"Text({space.min_length} to {space.max_length} characters)"
    return str(space)
