"""The game's kernels: begin, advance, observe."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

NONE = -1
"""A guess that is not there."""


class Params(NamedTuple):
    """Numbers of one game; rates in [0, 1]."""

    incentive: float
    step_cost: float  #: paid for each unit of path cost
    meeting_bonus: float
    absent_rate: float  #: share of episodes in which nobody is there
    blind_rate: float  #: share of foes who see nothing
    friend_rate: float  #: share of friends among those who are there


class State(NamedTuple):
    """All games' state; G goals, numbered as on the map."""

    map: np.ndarray  #: (num_envs,) int64, index into the pool
    goal: np.ndarray  #: (num_envs,) int64, the hidden truth
    cell: np.ndarray  #: (num_envs,) int64, where the walker is
    nearest: np.ndarray  #: (num_envs, G) float64, least cost to each goal so far
    present: np.ndarray  #: (num_envs,) bool, an observer is there
    sees: np.ndarray  #: (num_envs,) bool, and sees the walker
    friend: np.ndarray  #: (num_envs,) bool, and is a friend
    waits: np.ndarray  #: (num_envs,) bool, a friend waits at the post, not met yet
    hunch: np.ndarray  #: (num_envs,) int64, the goal that the observer prefers where it cannot tell
    guess: np.ndarray  #: (num_envs,) int64, its last guess, or NONE
    progress: np.ndarray  #: (num_envs,) float64, share of the way gained in the last step
    spent: np.ndarray  #: (num_envs,) float64, cost of the path so far
    arrived: np.ndarray  #: (num_envs,) bool
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing
    trail: np.ndarray  #: (num_envs, max_steps + 1) int32, cells so far, up to the clock's step


@kernel
def begin(state, clock, pool, params, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    costs, start, post = pool.costs, pool.start, pool.post
    num_maps, num_goals = costs.shape[0], state.nearest.shape[1]
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        which, truth, absent, blind = uniform4(seed, episode, 0, 0)
        friend, hunch, _, _ = uniform4(seed, episode, 0, 1)
        m = int(which * num_maps)
        state.map[i] = m
        state.goal[i] = int(truth * num_goals)
        state.cell[i] = start[m]
        state.present[i] = absent >= params.absent_rate
        state.friend[i] = state.present[i] and friend < params.friend_rate
        state.sees[i] = state.present[i] and (state.friend[i] or blind >= params.blind_rate)
        state.waits[i] = state.friend[i] and post[m] != start[m]
        state.hunch[i] = int(hunch * num_goals)
        state.guess[i] = NONE
        state.progress[i] = 0.0
        state.spent[i] = 0.0
        state.arrived[i] = False
        state.trail[i, 0] = start[m]
        for g in range(num_goals):
            state.nearest[i, g] = costs[m, start[m], g]
        width = state.nuisance.shape[1]
        for c in range(0, width, 4):
            draws = uniform4(seed, episode, 0, 2 + c // 4)
            for d in range(min(4, width - c)):
                state.nuisance[i, c + d] = 2.0 * draws[d] - 1.0


@kernel
def advance(state, steps, pool, params, moves, guesses, active, rewards, terminated):
    """Move the walkers of the games in `active`; `rewards` is (2, num_envs): walker, observer.

    `guesses` (num_envs,) int64 are the observer's; NONE follows the script: the goal of the least
    cost difference (the likeliest, whatever the recogniser), of equals the next from the hunch on.
    """
    landing, costs, start = pool.landing, pool.costs, pool.start
    move_cost, goals, post = pool.move_cost, pool.goals, pool.post
    num_goals = state.nearest.shape[1]
    for i in range(active.size):
        if not active[i]:
            continue
        m, truth, cell = state.map[i], state.goal[i], state.cell[i]
        guessed = NONE
        if state.present[i]:  # it guesses before it sees the move
            guessed = guesses[i]
            if guessed == NONE:
                guessed = state.hunch[i]
                least = np.inf if state.sees[i] else -np.inf
                for k in range(num_goals):
                    g = (state.hunch[i] + k) % num_goals
                    ahead = costs[m, cell, g] - costs[m, start[m], g]
                    if ahead < least - 1e-9:
                        least, guessed = ahead, g
        state.guess[i] = guessed
        there = landing[m, cell, moves[i]]
        paid = move_cost[moves[i]] if there != cell else 1.0
        state.cell[i] = there
        state.trail[i, steps[i] + 1] = there
        state.spent[i] += paid
        before = state.nearest[i, truth]
        for g in range(num_goals):
            state.nearest[i, g] = min(state.nearest[i, g], costs[m, there, g])
        gained = (before - state.nearest[i, truth]) / costs[m, start[m], truth]
        state.progress[i] = gained
        reward = -params.step_cost * paid
        if guessed != NONE:
            right = gained if guessed == truth else 0.0
            rewards[1, i] = right
            if not state.friend[i]:
                right = params.incentive * (gained - right) + (1.0 - params.incentive) * right
            reward += right
        if state.waits[i] and there == post[m]:
            state.waits[i] = False
            reward += params.meeting_bonus
        if there == goals[m, truth]:
            state.arrived[i] = True
            terminated[i] = True
            reward += 1.0
        rewards[0, i] = reward


@kernel
def observe_walker(state, steps, pool, scale, max_steps, games, out):
    """The walker's view; columns as in the layout."""
    landing, costs, start, move_cost = pool.landing, pool.costs, pool.start, pool.move_cost
    num_goals, moves = state.nearest.shape[1], move_cost.size
    rows, columns = pool.shape
    num_maps = costs.shape[0]
    for j in range(games.size):
        i = games[j]
        m, truth, cell = state.map[i], state.goal[i], state.cell[i]
        waits = state.waits[i]
        post_at = 4 * num_goals + moves * (num_goals + 1) + 8
        for k in range(num_goals):  # goals in a circle from the true one on
            g = (truth + k) % num_goals
            out[j, k] = 1.0 if k == truth else 0.0
            out[j, num_goals + k] = costs[m, cell, g] / scale
            out[j, 2 * num_goals + k] = costs[m, start[m], g] / scale
            out[j, 3 * num_goals + k] = state.nearest[i, g] / scale
        c = 4 * num_goals
        for a in range(moves):
            there = landing[m, cell, a]
            for k in range(num_goals):
                g = (truth + k) % num_goals
                out[j, c] = (costs[m, there, g] - costs[m, cell, g]) / move_cost[a]
                c += 1
            change = (costs[m, there, num_goals] - costs[m, cell, num_goals]) / move_cost[a]
            out[j, post_at + 1 + a] = change if waits else 0.0
        for a in range(moves):
            out[j, c] = 1.0 if landing[m, cell, a] != cell else 0.0
            c += 1
        out[j, c] = m / num_maps
        out[j, c + 1] = (cell // columns) / rows
        out[j, c + 2] = (cell % columns) / columns
        out[j, c + 3] = steps[i] / max_steps
        out[j, c + 4] = 1.0 if state.present[i] else 0.0
        out[j, c + 5] = 1.0 if state.sees[i] else 0.0
        out[j, c + 6] = 1.0 if state.friend[i] else 0.0
        out[j, c + 7] = 1.0 if waits else 0.0
        out[j, post_at] = costs[m, cell, num_goals] / scale if waits else 0.0
        for k in range(state.nuisance.shape[1]):
            out[j, post_at + 1 + moves + k] = state.nuisance[i, k]


@kernel
def observe_observer(state, costs, start, scale, games, out):
    """The observer's view: zeros for where the walker is, unless it sees it."""
    num_goals = state.nearest.shape[1]
    for j in range(games.size):
        i = games[j]
        m, cell = state.map[i], state.cell[i]
        for g in range(num_goals):
            out[j, g] = costs[m, cell, g] / scale if state.sees[i] else 0.0
            out[j, num_goals + g] = costs[m, start[m], g] / scale
        out[j, 2 * num_goals] = 1.0 if state.sees[i] else 0.0
        out[j, 2 * num_goals + 1] = 1.0 if state.friend[i] else 0.0
