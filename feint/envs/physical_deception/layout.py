"""Where things stand in blue's observation, and the self/other pairs that follow from it."""

import math

import numpy as np

from feint.envs.core import Pairs
from feint.envs.physical_deception.rules import FACING_CONE, MPE, SOO, Params


class Layout:
    """Columns of blue's observation under one rule set."""

    def __init__(self, params: Params, num_landmarks: int, num_good: int) -> None:
        self.params = params
        self.goal = slice(0, 2)
        self.landmarks = slice(2, 2 + 2 * num_landmarks)
        width = 4 if params.facing else 2
        self.red = slice(self.landmarks.stop, self.landmarks.stop + width)
        end = self.red.stop
        self.seen = self.trapped = self.velocity = self.watching = None
        self.mates = slice(end, end)
        if params.rules == MPE:
            self.mates = slice(end, end + 2 * (num_good - 1))
            end = self.mates.stop
        elif params.rules == SOO:
            self.trapped = slice(end, end + 2)
            end += 2
        else:
            self.seen, self.trapped = slice(end, end + 1), slice(end + 1, end + 2)
            self.velocity = slice(end + 2, end + 4)
            end += 4
            if params.flag:
                self.watching = slice(end, end + 1)
                end += 1
        self.size = end

    def red_position(self, obs: np.ndarray) -> np.ndarray:
        """Red's place relative to blue, (n, 2); zeros where it is not seen."""
        red = obs[:, self.red]
        return 0.5 * (red[:, :2] + red[:, 2:]) if self.params.facing else red

    def sees_red(self, obs: np.ndarray) -> np.ndarray:
        """Where red is in sight, (n,) bool."""
        if self.seen is not None:
            return obs[:, self.seen][:, 0] > 0.5
        return (obs[:, self.red] != 0).any(axis=1)

    def watched(self, obs: np.ndarray) -> np.ndarray:
        """Where red watches, as far as the input tells, (n,) bool."""
        seen = self.sees_red(obs)
        if self.watching is not None:
            return seen & (obs[:, self.watching][:, 0] > 0.5)
        if self.params.facing:
            head, tail = obs[:, self.red][:, :2], obs[:, self.red][:, 2:]
            forward, to_blue = head - tail, -0.5 * (head + tail)
            size = np.linalg.norm(forward, axis=1) * np.linalg.norm(to_blue, axis=1)
            cosine = (forward * to_blue).sum(axis=1) / np.maximum(size, 1e-9)
            return seen & (cosine >= math.cos(FACING_CONE))
        return seen

    def without_red(self, obs: np.ndarray) -> np.ndarray:
        """A copy in which red is not there."""
        out = obs.copy()
        for columns in (self.red, self.seen, self.trapped, self.watching):
            if columns is not None:
                out[:, columns] = 0.0
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Without red / with red. Under `soo` as in arXiv 2412.16325, where red is out of sight."""
        seen = self.sees_red(obs)
        if self.params.rules != SOO:
            return Pairs(self.without_red(obs), obs.copy(), seen)
        angle = rng.uniform(0.0, 2.0 * math.pi, len(obs))
        radius = rng.uniform(0.0, self.params.sight, len(obs))
        other = obs.copy()
        other[:, self.red] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return Pairs(obs.copy(), other, ~seen)

    def belief(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """A red that learns nothing / a red that watches, in the same scene."""
        watched = self.watched(obs)
        if self.watching is not None:
            self_obs, other_obs = obs.copy(), obs.copy()
            self_obs[:, self.watching] = 0.0
            other_obs[:, self.watching] = 1.0
            return Pairs(self_obs, other_obs, self.sees_red(obs))
        if self.params.facing:
            turned = obs.copy()
            head, tail = obs[:, self.red][:, :2], obs[:, self.red][:, 2:]
            away = np.concatenate([tail, head], axis=1)
            turned[:, self.red] = np.where(watched[:, None], away, obs[:, self.red])
            return Pairs(turned, obs.copy(), watched)
        raise ValueError(
            "kind='belief': without attention=True no input tells whether red watches; "
            "fork the episode instead (soo_pairs='fork'), or use kind='presence'"
        )

    def viewpoint(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The scene recentred on red / on blue."""
        moved, red = obs.copy(), self.red_position(obs)
        for start in range(0, self.landmarks.stop, 2):
            moved[:, start : start + 2] -= red
        if self.params.facing:
            moved[:, self.red] -= np.tile(red, 2)
        moved[:, self.red] *= -1.0
        return Pairs(moved, obs.copy(), self.sees_red(obs))

    def control(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The other landmark is the goal / this one is: unrelated to red, and must survive."""
        first, second = obs[:, 2:4], obs[:, 4:6]
        if self.landmarks.stop < 6:
            raise ValueError("kind='control' needs two landmarks: use num_good >= 2")
        is_first = (np.abs(obs[:, self.goal] - first).max(axis=1) < 1e-6)[:, None]
        swapped = obs.copy()
        swapped[:, self.goal] = np.where(is_first, second, first)
        return Pairs(swapped, obs.copy(), np.ones(len(obs), np.bool_))

    def irrelevant(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The landmarks listed in the other order / as they are: nothing in the game differs."""
        swapped, count = obs.copy(), (self.landmarks.stop - 2) // 2
        if count < 2:
            raise ValueError("kind='irrelevant' needs two landmarks: use num_good >= 2")
        places = obs[:, self.landmarks].reshape(len(obs), count, 2)
        swapped[:, self.landmarks] = places[:, ::-1].reshape(len(obs), -1)
        return Pairs(swapped, obs.copy(), np.ones(len(obs), np.bool_))
