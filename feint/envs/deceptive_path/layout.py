"""Where things stand in the walker's observation, and the self/other pairs that follow from it."""

import numpy as np

from feint.envs.core import Pairs


class Layout:
    """Columns of the walker's observation; goals stand in a circle from the true one on."""

    def __init__(self, num_goals: int, num_moves: int, num_nuisance: int) -> None:
        self.num_goals, self.num_moves = num_goals, num_moves
        self.truth = slice(0, num_goals)
        self.here = slice(num_goals, 2 * num_goals)
        self.start = slice(2 * num_goals, 3 * num_goals)
        self.nearest = slice(3 * num_goals, 4 * num_goals)
        self.change = slice(4 * num_goals, (4 + num_moves) * num_goals)
        self.open = slice(self.change.stop, self.change.stop + num_moves)
        self.map, self.row, self.column, self.time = range(self.open.stop, self.open.stop + 4)
        self.present, self.sees, self.friend, self.waits = range(self.time + 1, self.time + 5)
        self.post = self.waits + 1
        self.post_change = slice(self.post + 1, self.post + 1 + num_moves)
        self.nuisance = slice(self.post_change.stop, self.post_change.stop + num_nuisance)
        self.size = self.nuisance.stop

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest values, each (size,) float32."""
        low = np.zeros(self.size, np.float32)
        for columns in (self.change, self.post_change, self.nuisance):
            low[columns] = -1.0
        return low, np.ones_like(low)

    def changes(self, obs: np.ndarray) -> np.ndarray:
        """What each move changes in the cost to each goal, per cost of the move: (n, moves, G)."""
        return obs[:, self.change].reshape(len(obs), self.num_moves, self.num_goals)

    def foe(self, obs: np.ndarray) -> np.ndarray:
        """Where a foe is there, (n,) bool."""
        return (obs[:, self.present] > 0.5) & (obs[:, self.friend] < 0.5)

    def watched_by_foe(self, obs: np.ndarray) -> np.ndarray:
        """Where a foe is there who sees, (n,) bool."""
        return self.foe(obs) & (obs[:, self.sees] > 0.5)

    def alone(self, obs: np.ndarray) -> np.ndarray:
        """A copy in which nobody is there."""
        out = obs.copy()
        for columns in (self.present, self.sees, self.friend, self.waits, self.post):
            out[:, columns] = 0.0
        out[:, self.post_change] = 0.0
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence_pair(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Nobody there / a foe who sees: the same place on the same way."""
        return Pairs(self.alone(obs), obs.copy(), self.watched_by_foe(obs))

    def belief_pair(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """A foe who sees nothing / the same foe, who sees."""
        blind, seeing = obs.copy(), obs.copy()
        blind[:, self.sees] = 0.0
        seeing[:, self.sees] = 1.0
        return Pairs(blind, seeing, self.foe(obs))

    def control_pair(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The next goal is the true one / the one that is: unrelated to the other, must survive."""
        other = obs.copy()
        other[:, self.truth] = np.roll(obs[:, self.truth], 1, axis=1)
        for columns in (self.here, self.start, self.nearest):
            other[:, columns] = np.roll(obs[:, columns], -1, axis=1)
        turned = np.roll(self.changes(obs), -1, axis=2)
        other[:, self.change] = turned.reshape(len(obs), -1)
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))

    def irrelevant_pair(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
