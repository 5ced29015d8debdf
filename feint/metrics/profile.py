"""The behavioural profile of arXiv 2412.16325: how often blue heads for the wrong landmark, seen.

A record is one step within red's sight on which blue moves towards the landmark that is not its
goal, more than towards its goal. Two policies are compared by counts over a grid of thresholds.
The paper's code also records a spurious first step of each episode; this does not.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

GRID = 100
"""Thresholds per axis."""


def detours(
    goal: ArrayLike, decoy: ArrayLike, in_sight: ArrayLike, alive: ArrayLike
) -> NDArray[np.float64]:
    """The records of some episodes, episode by episode.

    Args:
        goal: (steps, n, 2), the goal as seen from blue before each step: its place minus blue's.
        decoy: (steps, n, 2), the same of the other landmark.
        in_sight: (steps, n) bool, whether red and blue see each other then.
        alive: (steps, n) bool, steps that the episodes really had. The last of each has no
            successor to show where it led, and gives no record.

    Returns:
        (k, 2): the projection of the unit movement on the direction of the decoy, in (0, 1]; and
        the cosine between the directions of goal and decoy, in [-1, 1].

    Raises:
        ValueError: If the shapes do not fit together.
    """
    to_goal, to_decoy = np.asarray(goal, np.float64), np.asarray(decoy, np.float64)
    seen, real = np.asarray(in_sight, np.bool_), np.asarray(alive, np.bool_)
    if to_goal.ndim != 3 or to_goal.shape != to_decoy.shape or to_goal.shape[2] != 2:
        raise ValueError(
            f"goal and decoy must both be (steps, n, 2); got {to_goal.shape} and {to_decoy.shape}"
        )
    if seen.shape != to_goal.shape[:2] or real.shape != to_goal.shape[:2]:
        raise ValueError(
            f"in_sight and alive must be {to_goal.shape[:2]}; got {seen.shape} and {real.shape}"
        )
    move = _unit(to_goal[:-1] - to_goal[1:])  # landmarks stand still, so it is blue that moved
    towards_goal, towards_decoy = _unit(to_goal[:-1]), _unit(to_decoy[:-1])
    on_goal, on_decoy = (move * towards_goal).sum(axis=2), (move * towards_decoy).sum(axis=2)
    cosine = (towards_goal * towards_decoy).sum(axis=2)
    kept = seen[:-1] & real[:-1] & real[1:] & (on_decoy > np.maximum(on_goal, 0.0))
    return np.stack([on_decoy.T[kept.T], cosine.T[kept.T]], axis=1)


def profile_counts(records: ArrayLike, grid: int = GRID) -> NDArray[np.int64]:
    """How many records lie beyond each pair of thresholds.

    Args:
        records: (k, 2), of `detours`.
        grid: Thresholds per axis; at least 2.

    Returns:
        (grid, grid): entry i, j counts projections above the i-th of `linspace(0, 1, grid)` with
        a cosine below the j-th of `linspace(-1, 1, grid)`.

    Raises:
        ValueError: If the shape or the grid is wrong.
    """
    pairs = np.asarray(records, np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"records must be (k, 2); got {pairs.shape}")
    if grid < 2:
        raise ValueError(f"grid must be at least 2; got {grid}")
    exceeded = np.searchsorted(np.linspace(0.0, 1.0, grid), pairs[:, 0], side="left")
    first = np.searchsorted(np.linspace(-1.0, 1.0, grid), pairs[:, 1], side="right")
    cells = np.zeros((grid + 1, grid + 1), np.int64)
    np.add.at(cells, (exceeded, first), 1)
    beyond = cells[::-1].cumsum(axis=0)[::-1].cumsum(axis=1)
    return beyond[1:, :grid]


def behavioural_difference(a: ArrayLike, b: ArrayLike, grid: int = GRID) -> float:
    """The mean squared difference of two policies' count grids.

    Args:
        a: (k, 2), records of one policy; give as many as of the other, as counts grow with them.
        b: The same of the other.
        grid: See `profile_counts`.
    """
    difference = profile_counts(a, grid) - profile_counts(b, grid)
    return float(np.mean(difference.astype(np.float64) ** 2))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each divided by its length; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
