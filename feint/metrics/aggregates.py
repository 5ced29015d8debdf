"""Numbers over many runs and tasks: interquartile mean, improvement, and their intervals.

With a handful of training seeds a task, means follow outliers and rankings follow luck. These are
the aggregates of Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical
Precipice". Scores are (runs, tasks), on one scale for all tasks, higher better.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from feint.metrics.statistics import Interval

_CHUNK = 1 << 20


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half of all scores, by `scipy.stats.trim_mean`.

    Args:
        scores: (runs, tasks) float, or any shape: all count alike.

    Raises:
        ValueError: If there is no score, or one is not finite.
    """
    return float(_iqm(_finite(scores, "scores").ravel()[:, None])[0])


def optimality_gap(scores: ArrayLike, target: float = 1.0) -> float:
    """How far scores fall short of a target on average; what lies above it does not make up.

    Args:
        scores: Any shape, float.
        target: The score aimed at.

    Raises:
        ValueError: If there is no score, or one is not finite.
    """
    return float(target - np.minimum(_finite(scores, "scores"), target).mean())


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Share of the scores above each threshold (the run-score distribution).

    Args:
        scores: Any shape, float.
        thresholds: (k,) float.

    Returns:
        (k,) float64, not increasing along growing thresholds.

    Raises:
        ValueError: If there is no score, one is not finite, or thresholds are not one-dimensional.
    """
    found, taus = _finite(scores, "scores"), np.asarray(thresholds, dtype=np.float64)
    if taus.ndim != 1:
        raise ValueError(f"thresholds must be one-dimensional; got shape {taus.shape}")
    return (found.ravel()[:, None] > taus).mean(axis=0)


def stratified_bootstrap(
    scores: ArrayLike | Sequence[ArrayLike],
    statistic: Callable[..., ArrayLike] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The percentile interval of an aggregate, runs resampled within each task.

    Tasks are fixed and runs are luck, so that each task keeps its number of runs. The resampling is
    `scipy.stats.bootstrap`'s, one sample a task.

    Args:
        scores: (runs, tasks) float, or a sequence of one (runs_k,) array a task.
        statistic: Of all scores together along the last axis, with an `axis` argument, such as
            `np.mean`; the interquartile mean by default.
        level: Confidence, in (0, 1).
        resamples: At least 1.
        seed: Same seed, same interval.

    Returns:
        The interval; `n` counts scores.

    Raises:
        ValueError: If there is no task, one has fewer than two runs, or a score is not finite.
    """
    tasks = _tasks(scores, "scores")

    def pooled(*samples: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        together = np.concatenate(samples, axis=axis)
        if statistic is None:
            return _iqm(np.moveaxis(together, axis, 0))
        return np.asarray(statistic(together, axis=axis))

    return _interval(tasks, pooled, level, resamples, seed)


def probability_of_improvement(
    ours: ArrayLike | Sequence[ArrayLike],
    theirs: ArrayLike | Sequence[ArrayLike],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The probability that a run of ours beats a run of theirs on a task, averaged over the tasks.

    Ties count half: the Mann-Whitney statistic over its range, task by task.

    Args:
        ours: (runs, tasks) float, or one (runs_k,) array a task.
        theirs: The same tasks in the same order; their number of runs may differ.
        level: Confidence, in (0, 1).
        resamples: At least 1.
        seed: Same seed, same interval.

    Returns:
        The interval, runs resampled within each task and algorithm; `n` counts all scores.

    Raises:
        ValueError: If the tasks differ in number, or as `stratified_bootstrap`.
    """
    mine, others = _tasks(ours, "ours"), _tasks(theirs, "theirs")
    if len(mine) != len(others):
        raise ValueError(
            f"ours and theirs must hold the same tasks; got {len(mine)} and {len(others)}"
        )

    def improvement(*samples: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        half = len(samples) // 2
        wins = []
        for x, y in zip(samples[:half], samples[half:], strict=True):
            a, b = (np.moveaxis(s, axis, -1) for s in (x, y))
            higher = a[..., :, None] > b[..., None, :]
            tied = a[..., :, None] == b[..., None, :]
            wins.append((higher + 0.5 * tied).mean(axis=(-2, -1)))
        return np.mean(wins, axis=0)

    return _interval([*mine, *others], improvement, level, resamples, seed)


def _iqm(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.stats.trim_mean(scores, 0.25, axis=0))


def _interval(
    samples: list[NDArray[np.float64]],
    statistic: Callable[..., NDArray[np.float64]],
    level: float,
    resamples: int,
    seed: int,
) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), such as 0.95; got {level}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    estimate, n = float(statistic(*samples)), sum(sample.size for sample in samples)
    if all(np.ptp(sample) == 0 for sample in samples):
        return Interval(estimate, estimate, estimate, n)  # nothing to resample
    ends = scipy.stats.bootstrap(
        samples,
        statistic,
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, _CHUNK // n**2),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(estimate, float(ends.low), float(ends.high), n)


def _tasks(scores: ArrayLike | Sequence[ArrayLike], name: str) -> list[NDArray[np.float64]]:
    """One (runs,) array a task."""
    if isinstance(scores, np.ndarray):
        if scores.ndim != 2:
            raise ValueError(f"{name} must be (runs, tasks); got shape {scores.shape}")
        scores = list(scores.T)
    columns: list[ArrayLike] = list(scores)  # pyright: ignore[reportArgumentType, reportAssignmentType]
    if not columns:
        raise ValueError(f"{name} holds no task; give one array of runs per task")
    tasks = [_finite(column, f"{name}, task {k}") for k, column in enumerate(columns)]
    for k, task in enumerate(tasks):
        if task.ndim != 1 or task.size < 2:
            raise ValueError(
                f"{name}, task {k}, must hold two runs or more to resample; got shape {task.shape}"
            )
    return tasks


def _finite(scores: ArrayLike, name: str) -> NDArray[np.float64]:
    found = np.asarray(scores, dtype=np.float64)
    if not found.size:
        raise ValueError(f"{name} is empty")
    if not np.isfinite(found).all():
        raise ValueError(
            f"{name} holds a NaN or an infinite value; leave such runs out, and say so"
        )
    return found
