"""The tester's belief in the subject's level: exact Bayes for a subject that does its best."""

import numpy as np


def solve_rates(num_levels: int, lowest: float) -> np.ndarray:
    """The share of items that each level solves, (num_levels,) float64: from `lowest` to 1."""
    return np.linspace(lowest, 1.0, num_levels)


def posterior(num_test: int, rates: np.ndarray, num_answers: int, tolerance: int) -> np.ndarray:
    """Belief that the true level is within `tolerance`, by items asked, items right, true level.

    All levels are equally likely before the test. A subject of level `l` that does its best is
    right in each item with probability `rates[l] + (1 - rates[l]) / num_answers`, so that the
    number of right answers is binomial.

    Returns:
        (num_test + 1, num_test + 1, num_levels) float64; 0 where more are right than asked.
    """
    success = rates + (1.0 - rates) / num_answers
    levels = np.arange(len(rates))
    near = np.abs(levels[:, None] - levels) <= tolerance
    beliefs = np.zeros((num_test + 1, num_test + 1, len(rates)))
    for asked in range(num_test + 1):
        for right in range(asked + 1):
            likelihood = success**right * (1.0 - success) ** (asked - right)
            beliefs[asked, right] = near @ likelihood / likelihood.sum()
    return np.minimum(beliefs, 1.0)  # rounding may leave a sum just above it
