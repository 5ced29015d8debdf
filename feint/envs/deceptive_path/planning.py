"""The strategies of Masters & Sardina (IJCAI 2017), as paths on known maps.

Each goes from the start to some point on the best way between a decoy and the goal, then on to the
goal by a best way. The decoy is the goal whose radius of maximum probability is the least: coming
from there the onlooker can be deceived the longest. The *target* is the last point of that way at
which it is still deceived.
"""

import numpy as np

from feint.envs.deceptive_path.maps import Pool, spread
from feint.metrics.paths import TIE, radius_of_maximum_probability, truthful_nodes

STRATEGIES = {
    "pi_d1": "simulation: a best way to the decoy, then to the goal",
    "pi_d2": "a best way to the target, then to the goal",
    "pi_d3": "as pi_d2, by the best way to the target that has the fewest truthful cells",
    "pi_d4": "as pi_d2, by the shortest of all ways to the target with the fewest truthful cells",
}
"""The paper's paths; pi_d3 and pi_d4 are found by weights on truthful cells, not by its A*."""


def plan(pool: Pool, strategy: str, which: int, truth: int) -> list[int]:
    """The cells of a strategy's path on map `which` to goal `truth`, the start first.

    Where that path has no way round the goal itself, it is a best way to the goal.
    """
    start, goal = int(pool.start[which]), int(pool.goals[which, truth])
    decoy = decoy_of(pool, which, truth)
    straight = _walk(pool, which, start, goal)
    if strategy == "pi_d1":
        through, weight = int(pool.goals[which, decoy]), 0.0
    else:
        through = target_of(pool, which, truth)
        # So little that it only breaks ties between best ways; so much that it outweighs any way.
        weight = {"pi_d2": 0.0, "pi_d3": 1e-6, "pi_d4": 1e4}[strategy]
    extra = np.where(truthful_cells(pool, which, truth), weight, 0.0)
    first = _walk(pool, which, start, through, extra, avoid=goal)
    return first + _walk(pool, which, through, goal)[1:] if first else straight


def truthful_cells(pool: Pool, which: int, truth: int) -> np.ndarray:
    """Cells at which goal `truth` is the likeliest, (cells,) bool; False where nobody can be."""
    costs = pool.costs[which, :, :-1]
    reached = np.isfinite(costs[:, truth])
    found = np.zeros(len(costs), np.bool_)
    found[reached] = truthful_nodes(costs[pool.start[which]], costs[reached], truth)
    return found


def decoy_of(pool: Pool, which: int, truth: int) -> int:
    """The goal at which the radius of maximum probability of `truth` is the least."""
    costs = pool.costs[which, :, :-1]
    start, between = costs[pool.start[which]], costs[pool.goals[which]]
    return radius_of_maximum_probability(start, between, truth)[1]


def target_of(pool: Pool, which: int, truth: int) -> int:
    """The last cell on a best way from the decoy to the goal that is not truthful."""
    goals = pool.goals[which]
    way = _walk(pool, which, int(goals[decoy_of(pool, which, truth)]), int(goals[truth]))
    truthful = truthful_cells(pool, which, truth)
    return next((cell for cell in reversed(way[:-1]) if not truthful[cell]), way[0])


def _walk(
    pool: Pool,
    which: int,
    cell: int,
    target: int,
    extra: np.ndarray | None = None,
    avoid: int = -1,
) -> list[int]:
    """Cells of a cheapest way, both ends included; empty where there is none."""
    landing = pool.landing[which]
    extra = np.zeros(len(landing)) if extra is None else extra
    costs = np.empty(len(landing))
    spread(landing, pool.move_cost, extra, avoid, target, costs)
    if np.isinf(costs[cell]) or cell == avoid:
        return []
    way = [cell]
    while cell != target:
        there = landing[cell]
        onward = np.where(there == cell, np.inf, costs[there] + pool.move_cost + extra[there])
        if avoid >= 0:
            onward[there == avoid] = np.inf
        cell = int(there[np.flatnonzero(onward <= onward.min() + TIE)[0]])
        way.append(cell)
    return way
