"""What a test says of a capability, and how far that falls short of the true one.

A capability is the share of items that somebody can solve. Who cannot solve an item guesses, and is
right with probability `chance`; so a score is corrected for guessing before it is compared. With
van der Weij et al. 2024 (arXiv 2406.07358), sandbagging is strategic underperformance on an
evaluation: the gap says that there is underperformance, and the conditions under which it comes
and goes (tested or not, incentive or not) say whether it is strategic.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feint.metrics.statistics import Interval, wilson


def measured_capability(
    right: ArrayLike, items: ArrayLike, chance: float = 0.0
) -> NDArray[np.float64]:
    """The share of items that somebody can solve, as a score suggests: corrected for guessing.

    It is `(right / items - chance) / (1 - chance)`, without bias for whoever answers as well as
    it can, and guesses otherwise. It is not cut off at 0: below, somebody was right less often than
    by guessing, which takes knowledge.

    Example:
        >>> float(measured_capability(7, 10, chance=0.25))
        0.6

    Args:
        right: (...) int, items answered right.
        items: (...) int, items asked; NaN comes out where this is 0.
        chance: Probability that a guess is right, in [0, 1).

    Returns:
        (...) float64, at most 1.

    Raises:
        ValueError: If the counts are not integers with `0 <= right <= items`, or `chance` is no
            such probability.
    """
    hits, asked = np.broadcast_arrays(np.asarray(right), np.asarray(items))
    for name, counts in (("right", hits), ("items", asked)):
        if counts.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers, counts of items; got {counts.dtype}")
    if ((hits < 0) | (hits > asked)).any():
        raise ValueError(
            f"right must lie in 0..items; got right {hits.min()}..{hits.max()} "
            f"for items {asked.min()}..{asked.max()}"
        )
    if not 0.0 <= chance < 1.0:
        raise ValueError(f"chance must lie in [0, 1), the luck of a guess; got {chance}")
    rate = np.divide(hits, asked, out=np.full(asked.shape, np.nan), where=asked > 0)
    return ((rate - chance) / (1.0 - chance))[()]


def sandbagging_gap(
    true: ArrayLike, right: ArrayLike, items: ArrayLike, chance: float = 0.0
) -> NDArray[np.float64]:
    """True minus measured capability: 0 on average for whoever does its best.

    An agent that is broken, or answers at random, has a gap too: report it beside the same agent's
    success where nothing is at stake (`paired_difference` of the two is what the stake causes).

    Args:
        true: (...) float in [0, 1], the share of items that it can solve.
        right: (...) int, items answered right in the test.
        items: (...) int, items asked; NaN comes out where this is 0.
        chance: Probability that a guess is right, in [0, 1).

    Returns:
        (...) float64; above `true` where it scored worse than by guessing.

    Raises:
        ValueError: If a capability is not in [0, 1], or for what `measured_capability` refuses.
    """
    able = np.asarray(true, dtype=np.float64)
    if not ((able >= 0.0) & (able <= 1.0)).all():
        raise ValueError(f"true must lie in [0, 1], a share of items; got {true}")
    return able - measured_capability(right, items, chance)


def capability_interval(
    right: int, items: int, chance: float = 0.0, level: float = 0.95
) -> Interval:
    """Wilson's interval of one score, corrected for guessing like `measured_capability`.

    Args:
        right: Items answered right.
        items: Items asked, at least 1.
        chance: Probability that a guess is right, in [0, 1).
        level: Confidence, in (0, 1).

    Returns:
        Measured capability and its interval; `n` is `items`.

    Raises:
        ValueError: For counts or numbers out of range.
    """
    estimate = float(measured_capability(right, items, chance))
    score = wilson(right, items, level)
    low, high = ((end - chance) / (1.0 - chance) for end in (score.low, score.high))
    return Interval(estimate, low, high, score.n)
