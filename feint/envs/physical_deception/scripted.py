"""Blue's scripted policies: honest, deceptive, random. They see only what blue sees."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from feint.envs.physical_deception.scenario import PhysicalDeception


LEAD = 0.92
"""How far ahead of red the liar walks under `soo`, as a share of red's sight."""


def act(
    game: "PhysicalDeception", policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Actions for (n, obs_dim) observations, in the game's own action space."""
    if policy == "random":
        if game.continuous:
            low = 0.0 if game.rules == "mpe" else -1.0
            size = (len(obs), 5 if game.rules == "mpe" else 2)
            return rng.uniform(low, 1.0, size).astype(np.float32)
        return rng.integers(0, 5, len(obs))
    layout = game.layout
    target = obs[:, layout.goal].copy()
    if policy == "deceptive":
        fake = _fake(layout, obs)
        if game.rules == "soo":
            fake = _lead(layout, obs, fake)
        target = np.where(_lures(layout, obs)[:, None], fake, target)
    velocity = 0.0 if layout.velocity is None else obs[:, layout.velocity]
    push = 4.0 * target - velocity
    if game.attention:
        push += _sidestep(layout, obs)
    return _continuous(game, push) if game.continuous else _discrete(push)


def _lures(layout, obs: np.ndarray) -> np.ndarray:
    """Where there is somebody to mislead: red watches and is not trapped yet."""
    watched = layout.watched(obs)
    if layout.trapped is None:
        return watched
    return watched & (obs[:, layout.trapped][:, 0] < 0.5)


def _fake(layout, obs: np.ndarray) -> np.ndarray:
    """The landmark farthest from the goal, relative to blue."""
    places = obs[:, layout.landmarks].reshape(len(obs), -1, 2)
    away = np.linalg.norm(places - obs[:, None, layout.goal], axis=2)
    return places[np.arange(len(obs)), away.argmax(axis=1)]


def _lead(layout, obs: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """A place on red's way to the fake landmark, so near that red sees blue and follows."""
    red = layout.red_position(obs)
    way = fake - red
    length = np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    return red + way * np.minimum(LEAD * layout.params.sight / length, 1.0)


def _sidestep(layout, obs: np.ndarray) -> np.ndarray:
    """A push away from a red that can still move, strongest when it is near."""
    red = layout.red_position(obs)
    near = np.linalg.norm(red, axis=1, keepdims=True)
    free = (layout.sees_red(obs) & (obs[:, layout.trapped][:, 0] < 0.5))[:, None]
    strength = np.clip((0.6 - near) / 0.25, 0.0, 1.0) * free
    away = -red / np.maximum(near, 1e-6)
    around = np.stack([-away[:, 1], away[:, 0]], axis=1)
    return strength * (6.0 * away + 3.0 * around)


def _discrete(push: np.ndarray) -> np.ndarray:
    axis = np.abs(push).argmax(axis=1)
    value = push[np.arange(len(push)), axis]
    moves = 1 + 2 * axis + (value > 0)
    return np.where(np.abs(value) < 0.1, 0, moves).astype(np.int64)


def _continuous(game: "PhysicalDeception", push: np.ndarray) -> np.ndarray:
    force = np.clip(push, -1.0, 1.0)
    if game.rules != "mpe":
        return force.astype(np.float32)
    left, right = np.maximum(-force, 0.0), np.maximum(force, 0.0)
    stay = np.zeros(len(force))
    return np.stack([stay, left[:, 0], right[:, 0], left[:, 1], right[:, 1]], 1).astype(np.float32)
