"""Shares of what is counted, rates of lies, omissions and bluffs, differences of paired episodes.

Steps lie along axis 0 and episodes after it, so `(T, n)` gives one number per episode. A game of
one step passes `(1, n)`; a plain `(n,)` is taken as one run of steps and gives a single number.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feint.metrics.statistics import Interval, bootstrap


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


def informative(before: ArrayLike, after: ArrayLike, least: float = 1e-9) -> NDArray[np.bool_]:
    """Where what was said told a listener anything at all, true or false.

    Args:
        before: (..., K) float, the listener's belief in each of K possibilities before it.
        after: (..., K) float, after it.
        least: Total variation, in [0, 1], up to which nothing has changed.

    Returns:
        (...) bool.

    Raises:
        ValueError: If the shapes differ or `least` lies outside [0, 1].
    """
    prior, posterior = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if prior.shape != posterior.shape or prior.ndim == 0:
        raise ValueError(
            f"before and after must have one shape, the possibilities last; "
            f"got {prior.shape} and {posterior.shape}"
        )
    if not 0 <= least <= 1:
        raise ValueError(f"least must lie in [0, 1]; got {least}")
    return 0.5 * np.abs(posterior - prior).sum(axis=-1) > least


def omission_rate(told: ArrayLike, opportunity: ArrayLike) -> NDArray[np.float64]:
    """Share of the opportunities to tell in which nothing informative was said.

    An agent that no longer lies may have fallen silent instead: report this beside every lie rate.
    A lie is no omission, since it informs, if wrongly.

    Args:
        told: (T, ...) bool, something informative was said, such as by `informative`.
        opportunity: (T, ...) bool, the agent knew something and could have told it.

    Returns:
        (...) float64: one rate per episode; NaN where there was no opportunity.

    Raises:
        ValueError: If the shapes differ or one is not bool.
    """
    said = np.asarray(told)
    if said.dtype != np.bool_:
        raise ValueError(f"told must be a bool array; got {said.dtype}: compare it first")
    return share(~said, opportunity)


def bluff_rate(claimed: ArrayLike, held: ArrayLike, counted: ArrayLike) -> NDArray[np.float64]:
    """Share of the counted acts that claim more than the agent holds.

    Count the occasions on which a bluff was possible, such as decisions with the weakest hand;
    counted over claims instead, it is the share of claims that are bluffs.

    Args:
        claimed: (T, ...) number, the strength that the act stands for, such as a bid.
        held: (...) or (T, ...) number, the true one, on the same scale.
        counted: (T, ...) bool.

    Returns:
        (...) float64: one rate per episode; NaN where nothing is counted.

    Raises:
        ValueError: If a shape does not fit, or a counted strength is NaN.
    """
    claim, truth = np.asarray(claimed, dtype=np.float64), np.asarray(held, dtype=np.float64)
    try:
        truth = np.broadcast_to(truth, claim.shape)
    except ValueError:
        raise ValueError(
            f"held must fit claimed, one per act or one per episode; "
            f"got held {truth.shape} for claimed {claim.shape}"
        ) from None
    unknown = np.isnan(claim) | np.isnan(truth)
    return share(np.where(unknown, np.nan, claim > truth), counted)


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


def counterfactual_difference(
    present: ArrayLike,
    absent: ArrayLike,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `paired_difference`, with a bootstrap interval over the pairs.

    Args:
        present: (n,) values per episode, the other present.
        absent: (n,) values of the same starts, the other absent.
        level: Confidence, in (0, 1).
        resamples: At least 1.
        seed: Same seed, same interval.

    Returns:
        The interval; pairs with a NaN are left out, and `n` says how many remain.

    Raises:
        ValueError: As `paired_difference` and `bootstrap`.
    """
    return bootstrap(paired_difference(present, absent), "mean", level, resamples, seed)
