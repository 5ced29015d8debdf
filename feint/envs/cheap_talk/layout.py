"""Where things stand in the sender's observation, and the self/other pairs that follow from it."""

import numpy as np

from feint.envs.cheap_talk.dynamics import RIVAL, SELF
from feint.envs.core import Pairs

THETA, CONTEXT, LISTENS, MIRRORED = 0, slice(1, 4), 4, 5


class Layout:
    """Columns of the sender's observation."""

    def __init__(self, num_nuisance: int) -> None:
        self.nuisance = slice(6, 6 + num_nuisance)
        self.size = self.nuisance.stop

    def rival(self, obs: np.ndarray) -> np.ndarray:
        """Where a rival asks, (n,) bool."""
        return obs[:, CONTEXT][:, RIVAL] > 0.5

    def rival_listens(self, obs: np.ndarray) -> np.ndarray:
        """Where a rival asks who heeds what it hears, (n,) bool."""
        return self.rival(obs) & (obs[:, LISTENS] > 0.5)

    def mirrored(self, obs: np.ndarray) -> np.ndarray:
        """Where the receiver reads the scale from the other end, (n,) bool."""
        return obs[:, MIRRORED] > 0.5

    def alone(self, obs: np.ndarray) -> np.ndarray:
        """A copy in which nobody asks: the sender acts itself."""
        out = obs.copy()
        out[:, CONTEXT] = 0.0
        out[:, CONTEXT.start + SELF] = 1.0
        out[:, [LISTENS, MIRRORED]] = 0.0
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """I act for myself / a rival who listens asks: the same state and nuisance."""
        return Pairs(self.alone(obs), obs.copy(), self.rival_listens(obs))

    def belief(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """A rival who does not listen / the same one who does."""
        deaf, heeding = obs.copy(), obs.copy()
        deaf[:, LISTENS] = 0.0
        heeding[:, LISTENS] = 1.0
        return Pairs(deaf, heeding, self.rival(obs))

    def viewpoint(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """I act for myself, reading the scale as the rival does / a rival who listens asks."""
        placed = self.alone(obs)
        theta = obs[:, THETA]
        placed[:, THETA] = np.where(self.mirrored(obs), 1.0 - theta, theta)
        return Pairs(placed, obs.copy(), self.rival_listens(obs))

    def control(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The state half the scale away / where it is: unrelated to the rival, must survive."""
        moved = obs.copy()
        moved[:, THETA] = np.mod(obs[:, THETA].astype(np.float64) + 0.5, 1.0)
        return Pairs(moved, obs.copy(), np.ones(len(obs), np.bool_))

    def irrelevant(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
