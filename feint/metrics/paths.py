"""How deceptive a path is: what an onlooker makes of it node by node, and scores of the whole.

The measures are those of Masters & Sardina, "Deceptive Path-Planning" (IJCAI 2017), over the goal
recognition of their "Cost-Based Goal Recognition for Path-Planning" (AAMAS 2017). They need no map,
only *costs*: the optimal cost from each node of the path to each candidate goal, with the start as
the first row. So any trajectory can be scored, whoever walked it.

Steps lie along axis 0 and goals along the last axis: `costs` is `(T, ..., G)`, one path of T nodes
`(T, G)`, and `costs[0]` belongs to the start. Costs are in any one unit; infinite costs (a goal
that cannot be reached any more) are allowed after the start.

An agent that merely wanders is dense in deceptive steps and has an extent near 0, since it
completes nothing: read these scores beside its arrivals.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Recogniser = Literal["exponential", "logistic"]

TIE = 1e-9
"""Costs that differ by less are equal: sums of diagonal steps are not exact."""


@dataclass(frozen=True)
class PathScore:
    """What `score_path` finds in one path, or in each of a batch: every field is `(...)`.

    Attributes:
        last_deceptive_point: index of the node after which all nodes are truthful; 0 is the start,
            at which every goal is as likely.
        extent: path completion at that node, in the unit of the costs; see `deceptive_extent`.
        share: the extent over the optimal cost from the start: 1 means deceived to the end.
        truthful_steps: nodes after the start that are truthful; the fewer, the denser.
        density: share of the nodes after the start that are deceptive; see `deceptive_density`.
        magnitude: see `deceptive_magnitude`.
    """

    last_deceptive_point: NDArray[np.int64]
    extent: NDArray[np.float64]
    share: NDArray[np.float64]
    truthful_steps: NDArray[np.int64]
    density: NDArray[np.float64]
    magnitude: NDArray[np.float64]


def cost_differences(
    start_costs: ArrayLike, costs: ArrayLike, spent: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """By how much a detour over what was seen is dearer than the best way, for each goal.

    With `spent`, the cost of the path so far, it is `spent + optc(n, G) - optc(s, G)`, which on a
    real path is never below 0. Without it, it is the simpler form of AAMAS 2017 that looks at the
    current node alone; it ranks goals in the same order.

    Args:
        start_costs: (..., G) optimal costs from the start to the goals, finite.
        costs: (..., G) optimal costs from the node.
        spent: (...) cost of the path from the start to the node.

    Returns:
        (..., G) float64.
    """
    start, here = _costs("start_costs", start_costs), _costs("costs", costs)
    if not np.isfinite(start).all():
        raise ValueError("start_costs must be finite: every candidate goal must be reachable")
    if start.shape[-1] != here.shape[-1]:
        raise ValueError(
            f"start_costs and costs must have the same goals, got {start.shape} and {here.shape}"
        )
    return np.asarray(spent, np.float64)[..., None] + here - start


def goal_posterior(
    start_costs: ArrayLike,
    costs: ArrayLike,
    beta: float = 1.0,
    *,
    spent: ArrayLike = 0.0,
    recogniser: Recogniser = "exponential",
    prior: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """P(goal | what was seen) of an onlooker who takes the agent for a good planner.

    Goals are the likelier, the smaller their cost difference c. "logistic" is the papers' formula,
    from Ramirez & Geffner (AAAI 2010): prior times `exp(-beta c) / (1 + exp(-beta c))`, normalised.
    "exponential" leaves out the denominator: a softmax of `-beta c`, which does not depend on
    `spent`, and which is `cost_difference_belief` with paths for straight lines. With a flat prior
    both rank goals alike, so that all measures but the magnitude are the same.

    Example:
        >>> goal_posterior([6.0, 6.0], [5.0, 7.0], beta=0.5).round(3).tolist()
        [0.731, 0.269]

    Args:
        start_costs: (..., G) optimal costs from the start, finite.
        costs: (..., G) optimal costs from the node; not all infinite.
        beta: how sure the onlooker is that the agent spares costs, per unit of cost; above 0.
        spent: (...) cost of the path so far; 0 looks at the node alone.
        recogniser: "exponential" or "logistic".
        prior: (G,) probabilities above 0; flat by default.

    Returns:
        (..., G) float64, summing to 1 along the last axis.

    Raises:
        ValueError: naming the argument that is wrong.
    """
    if not 0 < beta < np.inf:
        raise ValueError(f"beta must be > 0 and finite, got {beta!r}")
    if recogniser not in get_args(Recogniser):
        raise ValueError(f"recogniser must be 'exponential' or 'logistic', got {recogniser!r}")
    logit = -beta * cost_differences(start_costs, costs, spent)
    if recogniser == "logistic":
        logit = scipy.special.log_expit(logit)
    if prior is not None:
        weights = np.asarray(prior, np.float64)
        if weights.shape != logit.shape[-1:] or not (weights > 0).all():
            raise ValueError(f"prior must be {logit.shape[-1]} numbers > 0, got {prior!r}")
        logit = logit + np.log(weights)
    return scipy.special.softmax(logit, axis=-1)


def truthful_nodes(start_costs: ArrayLike, costs: ArrayLike, truth: ArrayLike) -> NDArray[np.bool_]:
    """Nodes at which the true goal is likelier than every other: what the paper calls truthful.

    At all others the path is deceptive; so it always is at the start. Which goal is the likeliest
    depends neither on beta nor on the recogniser.

    Args:
        start_costs: (..., G) optimal costs from the start.
        costs: (..., G) optimal costs from the nodes.
        truth: (...) int, the index of the true goal.

    Returns:
        (...) bool.
    """
    ahead = cost_differences(start_costs, costs)
    mine = _pick(ahead, truth)
    rival = np.where(_is_truth(ahead, truth), np.inf, ahead).min(axis=-1)
    return mine < rival - TIE


def last_deceptive_point(truthful: ArrayLike, alive: ArrayLike | None = None) -> NDArray[np.int64]:
    """The LDP: index of the last node that is not truthful; all nodes after it are.

    Args:
        truthful: (T, ...) bool, the start first.
        alive: (T, ...) bool, nodes that the path really has; all by default.

    Returns:
        (...) int64; -1 where every node is truthful (never, if the first is the start).
    """
    deceptive = ~_bools("truthful", truthful)
    if alive is not None:
        deceptive &= _bools("alive", alive)
    steps = len(deceptive)
    last = steps - 1 - deceptive[::-1].argmax(axis=0)
    return np.where(deceptive.any(axis=0), last, -1)


def deceptive_extent(
    costs_to_truth: ArrayLike, truthful: ArrayLike, alive: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Path completion at the LDP: `optc(s, g) - optc(LDP, g)`, in the unit of the costs.

    The paper measures an extent by what is left of the way rather than by what was walked, so that
    detours do not count. It is negative where the LDP is further from the goal than the start.

    Args:
        costs_to_truth: (T, ...) optimal costs from the nodes to the true goal, the start first.
        truthful: (T, ...) bool; see `truthful_nodes`.
        alive: see `last_deceptive_point`.
    """
    costs = np.asarray(costs_to_truth, np.float64)
    point = last_deceptive_point(truthful, alive)
    if costs.shape != np.shape(truthful):
        raise ValueError(
            f"costs_to_truth must have the shape of truthful, got {costs.shape} "
            f"and {np.shape(truthful)}"
        )
    at = np.take_along_axis(costs, np.maximum(point, 0)[None], axis=0)[0]
    return costs[0] - at


def deceptive_density(truthful: ArrayLike, alive: ArrayLike | None = None) -> NDArray[np.float64]:
    """Share of the nodes after the start that are deceptive; NaN for a path of one node.

    The paper orders paths by their number of truthful steps, the fewer the denser. The share is
    ours: it compares paths of different length, and rises as that number falls.

    Args:
        truthful: (T, ...) bool, the start first.
        alive: see `last_deceptive_point`.
    """
    deceptive = ~_bools("truthful", truthful)[1:]
    counted = np.ones_like(deceptive) if alive is None else _bools("alive", alive)[1:]
    nodes = counted.sum(axis=0)
    total = (deceptive & counted).sum(axis=0).astype(np.float64)
    return np.divide(total, nodes, out=np.full(total.shape, np.nan), where=nodes > 0)[()]


def deceptive_magnitude(
    posterior: ArrayLike, truth: ArrayLike, alive: ArrayLike | None = None
) -> NDArray[np.float64]:
    """By how much the likeliest other goal is likelier than the true one, mean over the nodes.

    In [-1, 1]; above 0 the onlooker leans to a false goal. The paper leaves open how magnitude is
    measured at a node; this definition is ours. The start, where nothing is known, is left out.

    Args:
        posterior: (T, ..., G), the start first; see `goal_posterior`.
        truth: (...) int, the index of the true goal.
        alive: see `last_deceptive_point`.
    """
    belief = np.asarray(posterior, np.float64)
    index = np.broadcast_to(np.asarray(truth), belief.shape[:-1])
    lean = np.where(_is_truth(belief, index), -np.inf, belief).max(axis=-1) - _pick(belief, index)
    counted = np.ones(lean.shape, np.bool_) if alive is None else _bools("alive", alive)
    total = np.where(counted, lean, 0.0)[1:].sum(axis=0)
    nodes = counted[1:].sum(axis=0)
    return np.divide(total, nodes, out=np.full(total.shape, np.nan), where=nodes > 0)[()]


def radius_of_maximum_probability(
    start_costs: ArrayLike, goal_costs: ArrayLike, truth: int
) -> tuple[float, int]:
    """The RMP of the true goal: nearer than this it is the likeliest, whatever the path was.

    The paper's theorem, for costs that are the same both ways: every node n with
    `optc(n, g) < RMP` is truthful, where
    `RMP = min over g' of (optc(s, g) + optc(g, g') - optc(s, g')) / 2`;
    and on an optimal way from the minimising g' to g no node further off is. So no path has a
    later LDP than one that comes over g', and `RMP / optc(s, g)` is the share of the way that
    nobody can hide.

    Example:
        >>> radius_of_maximum_probability([6.0, 6.0], [[0.0, 8.0], [8.0, 0.0]], truth=0)
        (4.0, 1)

    Args:
        start_costs: (G,) optimal costs from the start.
        goal_costs: (G, G) optimal costs between goals, symmetric.
        truth: the index of the true goal.

    Returns:
        The radius, in the unit of the costs, and the index of the minimising decoy.
    """
    start, between = _costs("start_costs", start_costs), _costs("goal_costs", goal_costs)
    goals = start.shape[-1]
    if start.shape != (goals,) or between.shape != (goals, goals) or goals < 2:
        raise ValueError(
            "start_costs must be (G,) and goal_costs (G, G) with G >= 2, "
            f"got {start.shape} and {between.shape}"
        )
    if not np.allclose(between, between.T, rtol=0.0, atol=TIE):
        raise ValueError("goal_costs must be symmetric: the theorem needs costs alike both ways")
    if not 0 <= truth < goals:
        raise ValueError(f"truth must lie in 0..{goals - 1}, got {truth!r}")
    radius = (start[truth] + between[truth] - start) / 2.0
    radius[truth] = np.inf
    decoy = int(radius.argmin())
    return float(radius[decoy]), decoy


def score_path(
    costs: ArrayLike,
    truth: ArrayLike,
    beta: float = 1.0,
    *,
    recogniser: Recogniser = "exponential",
    alive: ArrayLike | None = None,
) -> PathScore:
    """All measures of a path, or of a batch of paths.

    Example:
        A corridor of 4 cells between goals 0 and 1, walked from the middle to goal 1, then back:

        >>> score = score_path([[2, 2], [3, 1], [4, 0], [3, 1], [2, 2], [1, 3], [0, 4]], truth=0)
        >>> int(score.last_deceptive_point), float(score.extent), int(score.truthful_steps)
        (4, 0.0, 2)

    Args:
        costs: (T, ..., G) optimal costs from the nodes to the goals, the start first.
        truth: (...) int, the index of the true goal.
        beta: of the onlooker; only the magnitude depends on it.
        recogniser: see `goal_posterior`.
        alive: (T, ...) bool, nodes that a path really has; all by default.
    """
    table = _costs("costs", costs)
    if table.ndim < 2 or len(table) < 1:
        raise ValueError(f"costs must be (T, ..., G), the start first, got shape {table.shape}")
    index = np.broadcast_to(np.asarray(truth), table.shape[:-1])
    truthful = truthful_nodes(table[0], table, index)
    to_truth = _pick(table, index)
    extent = deceptive_extent(to_truth, truthful, alive)
    kept = truthful if alive is None else truthful & _bools("alive", alive)
    posterior = goal_posterior(table[0], table, beta, recogniser=recogniser)
    return PathScore(
        last_deceptive_point=last_deceptive_point(truthful, alive),
        extent=extent,
        share=extent / to_truth[0],
        truthful_steps=kept[1:].sum(axis=0),
        density=deceptive_density(truthful, alive),
        magnitude=deceptive_magnitude(posterior, truth, alive),
    )


def _costs(name: str, value: ArrayLike) -> NDArray[np.float64]:
    costs = np.asarray(value, np.float64)
    if costs.ndim < 1 or not (costs >= 0).all():
        raise ValueError(f"{name} must be costs >= 0 with goals along the last axis, got {value!r}")
    return costs


def _bools(name: str, value: ArrayLike) -> NDArray[np.bool_]:
    flags = np.asarray(value)
    if flags.dtype != np.bool_ or flags.ndim < 1:
        raise ValueError(f"{name} must be a bool array, steps first, got {flags.dtype}")
    return flags


def _is_truth(values: NDArray[np.float64], truth: ArrayLike) -> NDArray[np.bool_]:
    """Where an entry of (..., G) belongs to the true goal."""
    index = np.asarray(truth)
    goals = values.shape[-1]
    if index.dtype.kind not in "iu":
        raise ValueError(f"truth must be integers, the indices of goals, got {index.dtype}")
    if index.size and not (index.min() >= 0 and index.max() < goals):
        raise ValueError(f"truth must lie in 0..{goals - 1}, got {index.min()}..{index.max()}")
    return np.arange(goals) == index[..., None]


def _pick(values: NDArray[np.float64], truth: ArrayLike) -> NDArray[np.float64]:
    """The true goal's entries of (..., G)."""
    return np.where(_is_truth(values, truth), values, 0.0).sum(axis=-1)
