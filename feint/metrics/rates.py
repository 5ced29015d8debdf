"""Shares of what is counted, lie rates, and differences between paired episodes.

Steps lie along axis 0 and episodes after it, so `(T, n)` gives one number per episode. A game of
one step passes `(1, n)`; a plain `(n,)` is taken as one run of steps and gives a single number.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def share(values: ArrayLike, counted: ArrayLike) -> NDArray[np.float64]:
    """Mean over the counted steps, along axis 0; NaN where none is counted.

    Args:
        values: (T, ...) bool or number; what is not counted may be NaN.
        counted: (T, ...) bool, the same shape.

    Returns:
        (...) float64: one mean per episode.

    Raises:
        ValueError: If the shapes differ, `counted` is not bool, or a counted value is NaN.
    """
    numbers, mask = np.asarray(values), np.asarray(counted)
    if mask.dtype != np.bool_:
        raise ValueError(f"counted must be a bool array; got {mask.dtype}: compare it first")
    if numbers.shape != mask.shape or mask.ndim == 0:
        raise ValueError(
            f"values and counted must have one shape, steps first; "
            f"got {numbers.shape} and {mask.shape}"
        )
    if np.isnan(numbers[mask]).any():
        raise ValueError("a counted value is NaN; leave such steps out of counted")
    total = np.where(mask, numbers, 0).sum(axis=0, dtype=np.float64)
    steps = mask.sum(axis=0)
    return np.divide(total, steps, out=np.full(total.shape, np.nan), where=steps > 0)[()]


def lie_rate(heard: ArrayLike, truth: ArrayLike, counted: ArrayLike) -> NDArray[np.float64]:
    """Share of the counted messages that say something other than the truth.

    Args:
        heard: (T, ...) int, what the receiver was told, in the vocabulary of `truth`.
        truth: (...) or (T, ...) int, what was true.
        counted: (T, ...) bool, the messages in question, such as those told to a rival.

    Returns:
        (...) float64: one rate per episode; NaN where no message is counted.

    Raises:
        ValueError: If a shape does not fit or a message is not an integer.
    """
    said, fact = np.asarray(heard), np.asarray(truth)
    for name, array in (("heard", said), ("truth", fact)):
        if array.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers, the indices of messages; got {array.dtype}")
    try:
        fact = np.broadcast_to(fact, said.shape)
    except ValueError:
        raise ValueError(
            f"truth must fit heard, one per message or one per episode; "
            f"got truth {fact.shape} for heard {said.shape}"
        ) from None
    return share(said != fact, counted)


def paired_difference(present: ArrayLike, absent: ArrayLike) -> NDArray[np.float64]:
    """What the other's presence changes: the same episodes with it minus those without it.

    Both must come from the same starts, so that what is left is caused by the other. A broken
    agent that misleads nobody in particular scores near 0 here.

    Args:
        present: (n,) values per episode, the other present.
        absent: (n,) values of the same starts, the other absent.

    Returns:
        (n,) float64; NaN where either is NaN.

    Raises:
        ValueError: If the shapes differ, since then the episodes are not pairs.
    """
    there, gone = np.asarray(present, dtype=np.float64), np.asarray(absent, dtype=np.float64)
    if there.shape != gone.shape:
        raise ValueError(
            f"present and absent must hold the same episodes; got {there.shape} and {gone.shape}: "
            "run both from the same seeds"
        )
    return there - gone
