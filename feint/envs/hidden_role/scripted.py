"""The focal agent's scripted policies; they see only what it sees."""

from typing import TYPE_CHECKING

import numpy as np

from feint.envs.hidden_role.dynamics import (
    ACCUSE,
    BREAK,
    CLAIM,
    EAST,
    NORTH,
    PLACE,
    SILENT,
    SOUTH,
    STAY,
    STRIKE,
    TASKS,
    USE,
    VOTE,
    WEST,
)

if TYPE_CHECKING:
    from feint.envs.hidden_role.scenario import HiddenRole


def act(game: "HiddenRole", policy: str, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Actions, (n,) int64, for (n, obs_dim) observations."""
    if policy == "random":
        allowed = _allowed(game, obs)
        return np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1)
    layout = game.layout
    phase = obs[:, layout.phase].argmax(axis=1)
    actions = np.zeros(len(obs), np.int64)
    actions[phase == TASKS] = _work(game, obs[phase == TASKS])
    mine = layout.own_seat(obs)
    actions[phase == CLAIM] = ACCUSE + mine[phase == CLAIM]
    if policy == "honest":
        return actions
    watched = obs[:, layout.watched] > 0.5  # where nobody perceives it, all of them are honest
    prowls, claims, votes = (watched & (phase == p) for p in (TASKS, CLAIM, VOTE))
    actions[prowls] = _prowl(game, obs[prowls], actions[prowls])
    denies = ACCUSE + layout.players + mine[claims]
    actions[claims] = denies if policy == "deceptive" else SILENT
    if policy == "deceptive":
        actions[votes] = _join(game, obs[votes])
    return actions


def _allowed(game: "HiddenRole", obs: np.ndarray) -> np.ndarray:
    """What the focal saboteur can tell to be allowed, (n, num_actions) bool."""
    layout, n = game.layout, len(obs)
    rows, stations = layout.players_of(obs), layout.stations_of(obs)
    phase, watched = obs[:, layout.phase] > 0.5, obs[:, layout.watched] > 0.5
    living, here = rows[:, :, 3] > 0.5, (stations[:, :, :2] == 0).all(axis=2)
    here &= stations[:, :, 2] < 1.0
    touched = np.abs(np.rint(rows[:, :, 1:3] * (game.params.size - 1))).sum(axis=2) <= 1
    touched &= (rows[:, :, 0] > 0.5) & watched[:, None]
    out = np.zeros((n, game.num_actions), np.bool_)
    out[:, NORTH : WEST + 1] = (phase[:, TASKS] & (obs[:, layout.stuck] < 0.5))[:, None]
    out[:, USE] = here.any(axis=1) | (touched & (rows[:, :, 5] > 0.5)).any(axis=1)
    out[:, STRIKE] = (obs[:, layout.ready] > 0.5) & (touched & (rows[:, :, 4] < 0.5)).any(axis=1)
    out[:, BREAK] = (here & (stations[:, :, 2] > 0)).any(axis=1)
    out[~phase[:, TASKS], USE:] = False
    claims, votes = phase[:, CLAIM], phase[:, VOTE]
    out[claims, PLACE:ACCUSE] = True
    out[claims, ACCUSE:] = np.tile(living[claims], 2)
    out[votes, 1 : 1 + layout.players] = living[votes]
    out[:, STAY] = True
    out[obs[:, layout.alive] < 0.5] = True
    return out


def _work(game: "HiddenRole", obs: np.ndarray) -> np.ndarray:
    """Free whom I see stuck, else work at the nearest unfinished station."""
    stations, rows = game.layout.stations_of(obs), game.layout.players_of(obs)
    ways = np.concatenate([stations[:, :, :2], rows[:, :, 1:3]], axis=1)
    ways = np.rint(ways * (game.params.size - 1)).astype(np.int64)
    far = np.abs(ways).sum(axis=2).astype(float)
    wanted = np.concatenate([stations[:, :, 2] < 1.0, rows[:, :, 5] > 0.5], axis=1)
    # Who is stuck comes first, and so do those who see me: behind the glass I can free nobody.
    seen = obs[:, game.layout.watched] > 0.5
    wanted[:, game.layout.stations :] &= seen[:, None]
    far[:, game.layout.stations :] -= 100.0
    far[~wanted] = np.inf
    goal = far.argmin(axis=1)
    rows_at = np.arange(len(obs))
    dx, dy = ways[rows_at, goal].T
    reach = goal >= game.layout.stations  # a player is reached from the next cell, too
    there = np.abs(dx) + np.abs(dy) <= reach
    return np.where(wanted.any(axis=1), np.where(there, USE, _towards(dx, dy)), STAY)


def _towards(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """A move along the longer way."""
    along, across = np.where(dx > 0, EAST, WEST), np.where(dy > 0, NORTH, SOUTH)
    return np.where(np.abs(dx) > np.abs(dy), along, across)


def _prowl(game: "HiddenRole", obs: np.ndarray, working: np.ndarray) -> np.ndarray:
    """Go for, and strike, the only crew member in sight; undo work unseen; else look busy."""
    layout = game.layout
    rows, crew = layout.players_of(obs), layout.crew_in_sight(obs)
    ways = np.rint(rows[:, :, 1:3] * (game.params.size - 1))
    touched = crew & (np.abs(ways).sum(axis=2) <= 1)
    prowls = (obs[:, layout.ready] > 0.5) & (crew.sum(axis=1) == 1)
    dx, dy = ways[np.arange(len(obs)), crew.argmax(axis=1)].T
    stations = layout.stations_of(obs)
    undone = (stations[:, :, 2] > 0) & (stations[:, :, 2] < 1)
    here = ((stations[:, :, :2] == 0).all(axis=2) & undone).any(axis=1)
    breaks = here & ~crew.any(axis=1)
    working = np.where(breaks, BREAK, working)
    return np.where(prowls, np.where(touched.any(axis=1), STRIKE, _towards(dx, dy)), working)


def _join(game: "HiddenRole", obs: np.ndarray) -> np.ndarray:
    """Vote for the crew member whom most have accused; skip if nobody is."""
    rows = game.layout.players_of(obs)
    accused = (game.layout.said_of(obs) > 0.5).sum(axis=1)
    accused[(rows[:, :, 3] < 0.5) | (rows[:, :, 4] > 0.5)] = 0
    return np.where(accused.any(axis=1), 1 + accused.argmax(axis=1), 0)
