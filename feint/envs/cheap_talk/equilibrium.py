"""The equilibria of Crawford & Sobel (1982, Econometrica 50(6)), section 4: uniform-quadratic.

The state is uniform on [0, 1]; the receiver's loss is (y - theta)^2, the sender's
(y - theta - b)^2, with a bias b > 0. In every equilibrium the sender tells no more than in which of
finitely many cells the state lies, and the receiver acts on the cell's mean. There is one such
equilibrium for each number of cells from 1 to `max_cells(b)`.
"""

import math

import numpy as np

from feint.envs import validation as check

#: Points this near to a boundary count as on its right: what rounding may have moved.
SLACK = 1e-9


def max_cells(bias: float) -> int:
    """N(b), the most cells an equilibrium can have: the largest N with 2 N (N - 1) b < 1.

    Args:
        bias: how much more than the receiver the sender wants, above 0.
    """
    bias = check.check_float("bias", bias, above=0.0)
    cells = max(1, math.ceil(0.5 * (math.sqrt(1.0 + 2.0 / bias) - 1.0)))
    # The root is rounded: put the answer right by the inequality itself.
    while 2.0 * (cells + 1) * cells * bias < 1.0:
        cells += 1
    while cells > 1 and 2.0 * cells * (cells - 1) * bias >= 1.0:
        cells -= 1
    return cells


def partition(bias: float, cells: int | None = None) -> np.ndarray:
    """Boundaries of the cells, (cells + 1,) float64 from 0 to 1: a_i = i / N + 2 b i (i - N).

    At each inner boundary the sender is indifferent between the acts on either side.

    Args:
        bias: above 0.
        cells: from 1 to `max_cells(bias)`, the default: the most informative equilibrium.
    """
    most = max_cells(bias)
    cells = most if cells is None else check.check_int("cells", cells, at_least=1)
    if cells > most:
        raise ValueError(f"cells must be at most {most} with bias={bias:g}, got {cells}")
    i = np.arange(cells + 1)
    bounds = i / cells + 2.0 * bias * i * (i - cells)
    bounds[-1] = 1.0
    return bounds


def responses(bounds: np.ndarray) -> np.ndarray:
    """The receiver's act in each cell, (cells,) float64: the cell's mean."""
    return 0.5 * (bounds[:-1] + bounds[1:])


def cell_of(bounds: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which cell each of `points` lies in, (n,) int64."""
    return np.searchsorted(bounds[1:-1], np.asarray(points) + SLACK, side="right")


def residual_variance(bias: float, cells: int | None = None) -> float:
    """What the receiver does not learn: 1 / (12 N^2) + b^2 (N^2 - 1) / 3, its expected loss."""
    cells = len(partition(bias, cells)) - 1
    return 1.0 / (12.0 * cells**2) + bias**2 * (cells**2 - 1) / 3.0


def expected_utilities(bias: float, cells: int | None = None) -> tuple[float, float]:
    """Sender's and receiver's expected utility: both lose the variance, the sender b^2 besides."""
    variance = residual_variance(bias, cells)
    return -(variance + bias**2), -variance


def messages(
    theta: np.ndarray, bounds: np.ndarray, num_messages: int | None, rng: np.random.Generator
) -> np.ndarray:
    """The sender's signalling rule (their theorem 1): a message drawn uniformly from its cell.

    Args:
        theta: (n,) float, the states.
        bounds: boundaries of the equilibrium's cells.
        num_messages: messages are the middles of as many equal parts of [0, 1], each cell holding
            at least one; None: any number in [0, 1].
        rng: draws the message.

    Returns:
        (n,) float64 in [0, 1]: points on the scale, each in the cell of its state.
    """
    cell, draw = cell_of(bounds, theta), rng.random(len(theta))
    if num_messages is None:
        return bounds[cell] + draw * (bounds[cell + 1] - bounds[cell])
    count = np.bincount(cell_of(bounds, middles(num_messages)), minlength=len(bounds) - 1)
    first = np.cumsum(count) - count
    return middles(num_messages)[first[cell] + (draw * count[cell]).astype(np.int64)]


def middles(num_messages: int) -> np.ndarray:
    """Face values of discrete messages, (num_messages,): the middles of equal parts of [0, 1]."""
    return (np.arange(num_messages) + 0.5) / num_messages


def most_informative(bias: float, num_messages: int | None = None) -> np.ndarray:
    """`partition` with as many cells as there can be, each named by at least one message."""
    cells = max_cells(bias)
    if num_messages is None:
        return partition(bias, cells)
    cells = min(cells, num_messages)
    while len(np.unique(cell_of(partition(bias, cells), middles(num_messages)))) < cells:
        cells -= 1
    return partition(bias, cells)
