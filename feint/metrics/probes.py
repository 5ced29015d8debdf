"""Linear probes: what can be read off a layer's activations, and how well.

They take arrays, so that an agent's hidden layer and a transformer's are probed alike. Judge a
probe on what it was not fitted on: `probe_auroc` does so, and keeps the steps of one episode
together.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from feint.metrics.observer import fit_observer
from feint.metrics.statistics import Interval, wilson

ProbeKind = Literal["mean_difference", "logistic"]


@dataclass(frozen=True)
class Probe:
    """A direction in activation space; made by `fit_probe`.

    Args:
        weights: (d,) float64.
        bias: so that 0 is the boundary.
    """

    weights: NDArray[np.float64]
    bias: float

    def scores(self, activations: ArrayLike) -> NDArray[np.float64]:
        """How much each row looks like label 1: (...,) for (..., d) activations.

        Raises:
            ValueError: If the number of units is another than it was fitted with.
        """
        acts = np.asarray(activations, dtype=np.float64)
        if acts.shape[-1:] != self.weights.shape:
            raise ValueError(
                f"activations must be (..., {self.weights.size}), as in fitting; got {acts.shape}"
            )
        return acts @ self.weights + self.bias


def fit_probe(
    activations: ArrayLike, labels: ArrayLike, kind: ProbeKind = "logistic", l2: float = 1.0
) -> Probe:
    """Fit a probe that tells label 1 from label 0.

    Args:
        activations: (n, d) float.
        labels: (n,) bool.
        kind: "mean_difference": the direction between the two means, which needs no fitting and
            overfits least; "logistic": logistic regression.
        l2: Strength of the logistic penalty, as so many rows of evidence.

    Returns:
        The probe.

    Raises:
        ValueError: For an unknown kind, shapes that do not fit, or a label that never occurs.
    """
    acts, truth = _checked(activations, labels)
    if kind not in get_args(ProbeKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(ProbeKind))}; got {kind!r}")
    if kind == "mean_difference":
        ones, zeros = acts[truth].mean(axis=0), acts[~truth].mean(axis=0)
        weights = ones - zeros
        return Probe(weights, float(-weights @ (ones + zeros) / 2))
    found = fit_observer(acts, truth.astype(np.int64), 2, l2)
    slopes = found.weights[:, 1] - found.weights[:, 0]
    weights = slopes[:-1] / found.scale
    return Probe(weights, float(slopes[-1] - weights @ found.mean))


def auroc(scores: ArrayLike, labels: ArrayLike, level: float = 0.95) -> Interval:
    """The area under the ROC curve: how often a 1 scores above a 0, ties counting half.

    The interval is DeLong's (DeLong et al. 1988) on the logit scale. A perfect separation has no
    variance to estimate; there the bound is Wilson's, for as many trials as the rarer label has
    rows.

    Args:
        scores: (n,) float.
        labels: (n,) bool.
        level: Confidence, in (0, 1).

    Raises:
        ValueError: If shapes do not fit, a score is NaN, or a label never occurs.
    """
    (values, truth) = _checked(np.asarray(scores, dtype=np.float64)[..., None], labels)
    values = values[:, 0]
    ones, zeros = values[truth], values[~truth]
    ranks = scipy.stats.rankdata(values)
    # Shares of the other label that each row is above: DeLong's structural components.
    above = (ranks[truth] - scipy.stats.rankdata(ones)) / len(zeros)
    below = 1.0 - (ranks[~truth] - scipy.stats.rankdata(zeros)) / len(ones)
    area, n = float(above.mean()), len(values)
    if area in (0.0, 1.0):
        fewer = min(len(ones), len(zeros))
        bound = wilson(round(area) * fewer, fewer, level)
        return Interval(area, bound.low, bound.high, n)
    spread = [x.var(ddof=1) / len(x) if len(x) > 1 else area * (1 - area) for x in (above, below)]
    reach = scipy.stats.norm.ppf(0.5 + level / 2) * np.sqrt(sum(spread)) / (area * (1.0 - area))
    logit = np.log(area / (1.0 - area))
    low, high = scipy.special.expit([logit - reach, logit + reach])
    return Interval(area, float(low), float(high), n)


def probe_auroc(
    activations: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    kind: ProbeKind = "logistic",
    folds: int = 5,
    l2: float = 1.0,
) -> Interval:
    """How well a probe reads `labels` on rows that it was not fitted on.

    Args:
        activations: (n, d) float.
        labels: (n,) bool.
        groups: (n,) int, rows that belong together (an episode, a prompt); none is split between
            fitting and judging. By default each row is its own.
        kind: See `fit_probe`.
        folds: Into how many parts the groups are dealt, in turn.
        l2: See `fit_probe`.

    Returns:
        The AUROC of the held-out scores, each standardised within its fold. With groups, the
        interval takes rows as independent, and is too narrow.

    Raises:
        ValueError: As `fit_probe`, or if a fold leaves out one of the labels.
    """
    acts, truth = _checked(activations, labels)
    members = np.arange(len(acts)) if groups is None else np.asarray(groups)
    if members.shape != truth.shape:
        raise ValueError(f"groups must be ({len(truth)},), one per row; got {members.shape}")
    names, index = np.unique(members, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise ValueError(f"folds must be in 2..{len(names)}, the number of groups; got {folds}")
    scores = np.empty(len(acts))
    for fold in range(folds):
        held = index % folds == fold
        if len(np.unique(truth[~held])) < 2:
            raise ValueError(f"fold {fold} leaves only one label to fit on; use fewer folds")
        found = fit_probe(acts[~held], truth[~held], kind, l2)
        seen = found.scores(acts[~held])
        scores[held] = (found.scores(acts[held]) - seen.mean()) / (seen.std() or 1.0)
    return auroc(scores, truth)


def _checked(
    activations: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    acts, truth = np.asarray(activations, dtype=np.float64), np.asarray(labels)
    if acts.ndim != 2 or truth.shape != (len(acts),) or truth.dtype != np.bool_:
        raise ValueError(
            f"activations must be (n, d) and labels (n,) bool; "
            f"got {acts.shape}, and {truth.dtype} of shape {truth.shape}"
        )
    if not np.isfinite(acts).all():
        raise ValueError("a NaN or an infinite value is among the numbers; leave such rows out")
    if truth.all() or not truth.any():
        raise ValueError("both labels must occur: there is nothing to tell apart")
    return acts, truth
