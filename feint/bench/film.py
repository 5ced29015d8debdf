"""One episode of several agents, side by side, from the same start."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from feint.agents.evaluation import Act
from feint.envs import scenario_class
from feint.envs.core import Scenario
from feint.envs.render import caption, to_array

_SIZE = 300  # pixels per panel
_HOLD = 6  # frames for which the start and the end of an episode stand still


def film(
    agents: Mapping[str, Act],
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    condition: str,
    seeds: Sequence[int],
) -> list[np.ndarray]:
    """Frames (height, width, 3) uint8: one panel per agent, one episode per seed.

    Args:
        agents: title -> agent.
        env_id: the scenario.
        env_kwargs: its arguments.
        condition: one of its conditions.
        seeds: of the episodes; each agent plays the same ones.
    """
    cls = scenario_class(env_id)
    kwargs = {**env_kwargs, **cls.conditions[condition]}
    frames: list[np.ndarray] = []
    for seed in seeds:
        games = {name: cls(1, autoreset="freeze", **kwargs) for name in agents}  # pyright: ignore
        seen = {name: game.reset(seed=seed)[0] for name, game in games.items()}
        frames += [_panels(games)] * _HOLD
        while not all(game.clock.done.all() for game in games.values()):
            for name, game in games.items():
                (seen[name],) = game.step(agents[name](seen[name])).observations
            frames.append(_panels(games))
        frames += [frames[-1]] * _HOLD
    return frames


def _panels(games: Mapping[str, Scenario]) -> np.ndarray:
    panels = []
    for name, game in games.items():
        title = caption(name, _SIZE, _SIZE // 12)
        panels.append(np.concatenate([title, to_array(game.draw(0), _SIZE)]))
    return np.concatenate(panels, axis=1)


def gif(frames: Sequence[np.ndarray], fps: float = 8.0) -> bytes:
    """The frames as an endless GIF."""
    import imageio.v3 as imageio

    buffer = io.BytesIO()
    imageio.imwrite(buffer, np.stack(list(frames)), extension=".gif", loop=0, duration=1000.0 / fps)
    return buffer.getvalue()
