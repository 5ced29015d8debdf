"""Episodes as one sees them: moment by moment, as text, or side by side as a film.

Needs the `render` extra (pygame-ce, imageio) for pictures; moments and text need nothing.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from feint.envs.core import Array, Scenario
from feint.envs.registry import scenario_class
from feint.envs.render import Picture, caption, to_array
from feint.envs.views import one_game

_SIZE = 300  # pixels per panel
_HOLD = 6  # frames for which the start and the end of an episode stand still

Act = Callable[[Array], Array]
"""Observations (n, obs_dim) to actions (n, ...)."""


@dataclass(frozen=True)
class Moment:
    """One game after one step.

    Attributes:
        step: steps taken; 0 is the start.
        action: what the focal agent just did; None at the start.
        reward: what it got for that.
        earned: what it got so far.
        labels: the deception labels of this state.
        picture: what it looks like.
        end: "" while the game goes on, then "terminated" or "truncated".
    """

    step: int
    action: Any
    reward: float
    earned: float
    labels: dict[str, Any]
    picture: Picture
    end: str

    def belief(self) -> str:
        """The observer's belief in a few words; several, where each agent has an observer."""
        beliefs = " ".join(f"{belief:.2f}" for belief in np.ravel(self.labels["belief"]))
        misled = np.any(self.labels["misled"])
        return f"belief in the truth {beliefs}{', misled' if misled else ''}"


def moments(game: Scenario, act: Act, seed: int) -> Iterator[Moment]:
    """One episode of `game`, made with `num_envs=1, autoreset="freeze"`, from its start on."""
    (obs,) = game.reset(seed=seed)
    if (begin := getattr(act, "begin", None)) is not None:  # an agent with a memory
        begin()
    earned = 0.0
    yield Moment(0, None, 0.0, 0.0, one_game(game.compute_labels()), game.draw(0), "")
    while not game.clock.done[0]:
        masks = game.action_masks(game.focal) if getattr(act, "masked", False) else None
        actions = act(obs) if masks is None else act(obs, masks)  # pyright: ignore
        step = game.step(actions)
        (obs,) = step.observations
        reward = float(step.rewards[0][0])
        earned += reward
        end = "terminated" if step.terminated[0] else "truncated" if step.truncated[0] else ""
        yield Moment(
            int(game.clock.step[0]),
            np.asarray(actions)[0],
            reward,
            earned,
            one_game(game.compute_labels()),
            game.draw(0),
            end,
        )


def film(
    agents: Mapping[str, Act],
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    condition: str | None = None,
    seeds: Sequence[int],
    beliefs: bool = False,
    size: int = _SIZE,
) -> list[np.ndarray]:
    """Frames (height, width, 3) uint8: one panel per agent, one episode per seed.

    Args:
        agents: title -> agent.
        env_id: the scenario.
        env_kwargs: its arguments.
        condition: one of its conditions.
        seeds: of the episodes; each agent plays the same ones.
        beliefs: say below each title what the observer believes.
        size: pixels of a panel's sides.
    """
    cls = scenario_class(env_id)
    kwargs = {**env_kwargs, **(cls.conditions[condition] if condition else {})}
    shown: list[np.ndarray] = []
    for seed in seeds:
        games = {name: cls(1, autoreset="freeze", **kwargs) for name in agents}  # pyright: ignore
        reels = {n: list(moments(game, agents[n], seed)) for n, game in games.items()}
        shown += frames(reels, beliefs=beliefs, size=size)
    return shown


def frames(
    reels: Mapping[str, Sequence[Moment]], *, beliefs: bool = False, size: int = _SIZE
) -> list[np.ndarray]:
    """Frames of one episode as each of several agents played it; the shorter ones wait at the end.

    Args:
        reels: title -> moments.
        beliefs: say below each title what the observer believes.
        size: pixels of a panel's sides.
    """
    shown = [
        side_by_side({n: reel[min(t, len(reel) - 1)] for n, reel in reels.items()}, beliefs, size)
        for t in range(max(map(len, reels.values())))
    ]
    return [shown[0]] * _HOLD + shown[1:] + [shown[-1]] * _HOLD


def side_by_side(
    scenes: Mapping[str, Moment], beliefs: bool = False, size: int = _SIZE
) -> np.ndarray:
    """One panel per title, (height, width, 3) uint8."""
    panels = []
    for title, moment in scenes.items():
        lines = [caption(title, size, size // 12)]
        if beliefs:
            lines.append(caption(moment.belief(), size, size // 14))
        panels.append(np.concatenate([*lines, to_array(moment.picture, size)]))
    return np.concatenate(panels, axis=1)


def gif(frames: Sequence[np.ndarray], fps: float = 8.0) -> bytes:
    """The frames as an endless GIF."""
    try:
        import imageio.v3 as imageio
    except ImportError as error:
        raise DependencyNotInstalled('films need imageio: pip install "feint[render]"') from error
    buffer = io.BytesIO()
    imageio.imwrite(buffer, np.stack(list(frames)), extension=".gif", loop=0, duration=1000.0 / fps)
    return buffer.getvalue()
