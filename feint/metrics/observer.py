"""An observer that has learnt, from honest agents, what conduct goes with which truth."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Observer:
    """A multinomial logistic regression from what is seen to what is true; made by `fit_observer`.

    Args:
        mean: (d,) float64, subtracted from the features.
        scale: (d,) float64, by which they are then divided.
        weights: (d + 1, K) float64; the last row is the intercept.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]

    def predict_proba(self, features: ArrayLike) -> NDArray[np.float64]:
        """Its belief in every possibility.

        Args:
            features: (..., d) float, such as (T, n, d).

        Returns:
            (..., K) float64, summing to 1.

        Raises:
            ValueError: If the number of features is another than it was fitted with.
        """
        seen = np.asarray(features, dtype=np.float64)
        if seen.shape[-1:] != self.mean.shape:
            raise ValueError(
                f"features must be (..., {self.mean.size}), as in fitting; got {seen.shape}"
            )
        return scipy.special.softmax(_design(seen, self.mean, self.scale) @ self.weights, axis=-1)

    def belief(self, features: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
        """Its belief in the truth, for `misled` and `misled_rate`.

        Args:
            features: (..., d) float.
            truth: (...) int, or what broadcasts to it, such as (n,) for (T, n, d) features.

        Returns:
            (...) float64 in [0, 1].

        Raises:
            ValueError: As `predict_proba`, or if `truth` names no possibility.
        """
        believed = self.predict_proba(features)
        index = np.broadcast_to(_classes(truth, believed.shape[-1]), believed.shape[:-1])
        return np.take_along_axis(believed, index[..., None], axis=-1)[..., 0]


def fit_observer(
    features: ArrayLike, truth: ArrayLike, num_classes: int | None = None, l2: float = 1.0
) -> Observer:
    """Fit an observer to trajectories of *honest* agents, by softmax regression.

    Never fit it to the agent that is judged, or to any liar. An observer that has seen the liar
    lie decodes it (whoever always says the opposite tells all), and then finds nobody misled; the
    question is what somebody believes who takes the agent for honest. Hold out honest episodes and
    report its accuracy on them: an observer that cannot read honest agents measures nothing.

    Minimised by `scipy.optimize.minimize` (BFGS) is the mean log loss plus
    `l2 * |weights|^2 / (2 n)`, on standardised features, the intercept left free.

    Args:
        features: (n, d) float, what an onlooker sees; one row a step or an episode.
        truth: (n,) int, what was true, 0..K-1.
        num_classes: K; by default the highest truth plus 1.
        l2: Strength of the penalty, as so many rows of evidence; at least 0.

    Returns:
        The observer.

    Raises:
        ValueError: If a shape does not fit, a feature is not finite, fewer than two truths occur,
            or `l2` is negative.
    """
    seen = np.asarray(features, dtype=np.float64)
    if seen.ndim != 2 or not seen.size:
        raise ValueError(f"features must be (n, d) and not empty; got {seen.shape}")
    if not np.isfinite(seen).all():
        raise ValueError("features holds a NaN or an infinite value; leave such rows out")
    if not 0 <= l2 < np.inf:
        raise ValueError(f"l2 must be at least 0 and finite; got {l2}")
    index = _classes(truth, num_classes)
    if index.shape != (len(seen),):
        raise ValueError(f"truth must be ({len(seen)},), one per row; got {index.shape}")
    if len(np.unique(index)) < 2:
        raise ValueError("truth is always the same: there is nothing to tell apart")
    classes = int(index.max()) + 1 if num_classes is None else num_classes
    mean, spread = seen.mean(axis=0), seen.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    design, target = _design(seen, mean, scale), np.eye(classes)[index]
    rows, penalised = len(seen), np.r_[np.ones(seen.shape[1]), 0.0][:, None]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(design.shape[1], classes)
        scores = design @ weights
        total = scipy.special.logsumexp(scores, axis=1)
        shrunk = l2 * penalised * weights
        value = (total - scores[np.arange(rows), index]).sum() + 0.5 * (shrunk * weights).sum()
        slope = design.T @ (np.exp(scores - total[:, None]) - target) + shrunk
        return value / rows, slope.ravel() / rows

    start = np.zeros(design.shape[1] * classes)
    found = scipy.optimize.minimize(loss, start, jac=True, method="BFGS")
    return Observer(mean, scale, found.x.reshape(design.shape[1], classes))


def _design(
    seen: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standardised features with a 1 for the intercept."""
    return np.concatenate([(seen - mean) / scale, np.ones((*seen.shape[:-1], 1))], axis=-1)


def _classes(truth: ArrayLike, classes: int | None) -> NDArray[np.int64]:
    index = np.asarray(truth)
    if index.dtype.kind not in "iu":
        raise ValueError(f"truth must be integers; got {index.dtype}")
    if index.size and (index.min() < 0 or (classes is not None and index.max() >= classes)):
        raise ValueError(
            f"truth must lie in 0..{'K-1' if classes is None else classes - 1}; "
            f"got {index.min()}..{index.max()}"
        )
    return index.astype(np.int64)
