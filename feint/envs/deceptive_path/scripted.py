"""The walker's scripted policies. They see what the walker sees, and know the maps."""

from typing import TYPE_CHECKING

import numpy as np

from feint.envs.deceptive_path.planning import STRATEGIES, plan
from feint.metrics.paths import goal_posterior

if TYPE_CHECKING:
    from feint.envs.deceptive_path.scenario import DeceptivePath

DECEPTIVE = "pi_d1"
"""What the scripted liar plays: of the strategies, the one that misleads for the longest."""


def act(
    game: "DeceptivePath", policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Moves, (n,) int64, for (n, obs_dim) observations."""
    if policy == "random":
        return rng.integers(0, len(game.pool.move_cost), len(obs))
    honest = _straight(game, obs)
    if policy == "honest":
        return honest
    if policy in STRATEGIES:
        return _follow(game, policy, obs, honest)
    planned = _follow(game, DECEPTIVE, obs, honest)
    return np.where(game.layout.watched_by_foe(obs), planned, honest)


def _straight(game: "DeceptivePath", obs: np.ndarray) -> np.ndarray:
    """A best way to a friend who waits, then to the goal; of best moves the most legible."""
    layout, costs = game.layout, game.pool.move_cost
    waits, free = obs[:, layout.waits] > 0.5, obs[:, layout.open] > 0.5
    changes = layout.changes(obs).astype(np.float64)
    towards = np.where(waits[:, None], obs[:, layout.post_change], changes[:, :, 0])
    start = game.scale * obs[:, None, layout.start].astype(np.float64)
    after = game.scale * obs[:, None, layout.here] + changes * costs[:, None]
    belief = goal_posterior(start, np.maximum(after, 0.0), game.beta)[:, :, 0]
    best = free & (towards < -1.0 + 1e-4)
    return np.where(best, 2.0 + belief, np.where(free, -towards, -2.0)).argmax(axis=1)


def _follow(
    game: "DeceptivePath", strategy: str, obs: np.ndarray, otherwise: np.ndarray
) -> np.ndarray:
    """The strategy's next move; whoever has left its path goes straight to the goal."""
    layout, pool = game.layout, game.pool
    rows, columns = pool.shape
    which = np.rint(obs[:, layout.map] * len(pool.start)).astype(np.int64)
    truth = obs[:, layout.truth].argmax(axis=1)
    cell = np.rint(obs[:, layout.row] * rows) * columns + np.rint(obs[:, layout.column] * columns)
    step = np.rint(obs[:, layout.time] * game.max_steps).astype(np.int64)
    moves = otherwise.copy()
    for j in range(len(obs)):
        way = game.plans.get((strategy, which[j], truth[j]))
        if way is None:
            way = plan(pool, strategy, which[j], truth[j])
            game.plans[strategy, which[j], truth[j]] = way
        if step[j] + 1 < len(way) and way[step[j]] == cell[j]:
            moves[j] = pool.landing[which[j], way[step[j]]].tolist().index(way[step[j] + 1])
    return moves
