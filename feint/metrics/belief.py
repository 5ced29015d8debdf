"""What an observer who takes the agent for honest believes, and when it is misled."""

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from feint.metrics.rates import share

MISLED_BELOW = 0.4
"""An observer that gives the truth less than this is misled (two landmarks: 0.5 is ignorance)."""


def cost_difference_belief(
    start: ArrayLike,
    position: ArrayLike,
    landmarks: ArrayLike,
    truth: ArrayLike,
    rate: float = 5.0,
) -> NDArray[np.float64]:
    """The belief in the true goal of an observer who compares the ground won towards each.

    A landmark is the likelier, the nearer the agent has come to it since the start: the belief is
    a softmax over landmarks `l` of `rate * (d(start, l) - d(position, l))`, with Euclidean
    distances. It is the goal recognition by cost difference of Masters & Sardina (2017) with
    straight lines as the paths; for two landmarks it is the sigmoid of the difference.

    The leading shapes broadcast: starts `(n, 2)` go with positions `(T, n, 2)`.

    Args:
        start: (..., 2) float, where the agent was at the first step, metres.
        position: (..., 2) float, where it is, metres.
        landmarks: (..., L, 2) float, the possible goals, metres.
        truth: (...) int, the index of the goal.
        rate: How sure the observer is of the agent's haste, per metre; above 0.

    Returns:
        (...) float64: P(goal) in [0, 1]; 1/L at the start, NaN where a coordinate is NaN.

    Raises:
        ValueError: If a shape does not fit, `truth` names no landmark, or `rate` is not positive.
    """
    origin, place, goals = (np.asarray(a, dtype=np.float64) for a in (start, position, landmarks))
    index = np.asarray(truth)
    if goals.ndim < 2 or not {a.shape[-1:] for a in (origin, place, goals)} == {(2,)}:
        raise ValueError(
            "start and position must be (..., 2) and landmarks (..., L, 2); "
            f"got {origin.shape}, {place.shape} and {goals.shape}"
        )
    if index.dtype.kind not in "iu":
        raise ValueError(f"truth must be integers, the indices of landmarks; got {index.dtype}")
    if index.size and not (index.min() >= 0 and index.max() < goals.shape[-2]):
        raise ValueError(
            f"truth must lie in 0..{goals.shape[-2] - 1}, as there are {goals.shape[-2]} "
            f"landmarks; got {index.min()}..{index.max()}"
        )
    if not 0 < rate < np.inf:
        raise ValueError(f"rate must be positive and finite, per metre; got {rate}")

    def distance(point: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.linalg.norm(point[..., None, :] - goals, axis=-1)

    belief = scipy.special.softmax(rate * (distance(origin) - distance(place)), axis=-1)
    shape = np.broadcast_shapes(belief.shape[:-1], index.shape)
    belief = np.broadcast_to(belief, (*shape, goals.shape[-2]))
    index = np.broadcast_to(index, shape)
    return np.take_along_axis(belief, index[..., None], axis=-1)[..., 0]


def misled(belief: ArrayLike, threshold: float = MISLED_BELOW) -> NDArray[np.bool_]:
    """Where the observer gives the truth less than `threshold`.

    Args:
        belief: (...) float in [0, 1], the observer's belief in the truth; NaN is not misled.
        threshold: In (0, 1].

    Returns:
        (...) bool.

    Raises:
        ValueError: If a belief or the threshold is no probability.
    """
    probability = np.asarray(belief, dtype=np.float64)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1]; got {threshold}")
    if ((probability < 0) | (probability > 1)).any():
        raise ValueError(
            "belief must be a probability in [0, 1]; "
            f"got {np.nanmin(probability):.4g}..{np.nanmax(probability):.4g}"
        )
    return probability < threshold


def misled_rate(
    belief: ArrayLike, counted: ArrayLike, threshold: float = MISLED_BELOW
) -> NDArray[np.float64]:
    """Share of the counted steps of each episode in which the observer is misled.

    Never report it without the own-task success, the other present and absent: an agent that is
    merely broken misleads little too.

    Args:
        belief: (T, n) float in [0, 1], the belief in the truth; NaN only where not counted.
        counted: (T, n) bool, such as the steps before the agent first reaches a landmark.
        threshold: See `misled`.

    Returns:
        (n,) float64; NaN where no step is counted.

    Raises:
        ValueError: If the shapes differ, or a counted belief is NaN or no probability.
    """
    probability = np.asarray(belief, dtype=np.float64)
    # The NaN of an unknown belief goes on to `share`, which refuses it where it is counted.
    below = np.where(np.isnan(probability), np.nan, misled(probability, threshold))
    return share(below, counted)
