"""Where things stand in the sender's observation, and the self/other pairs that follow from it."""

import numpy as np

from feint.envs.core import Pairs
from feint.envs.room_signal.dynamics import RIVAL, SELF


class Layout:
    """Columns of the sender's observation."""

    def __init__(
        self, num_rooms: int, num_nuisance: int, welfare: bool = False, rounds: int = 1
    ) -> None:
        self.treasure = slice(0, num_rooms)
        self.context = slice(num_rooms, num_rooms + 3)
        self.listens = num_rooms + 3
        self.back_door = num_rooms + 4
        self.nuisance = slice(num_rooms + 5, num_rooms + 5 + num_nuisance)
        self.trap = self.nuisance.stop if welfare else None
        end = self.nuisance.stop + int(welfare)
        self.went = slice(end, end + num_rooms) if rounds > 1 else None
        self.size = end if self.went is None else self.went.stop

    def rival(self, obs: np.ndarray) -> np.ndarray:
        """Where a rival asks, (n,) bool."""
        return obs[:, self.context][:, RIVAL] > 0.5

    def rival_listens(self, obs: np.ndarray) -> np.ndarray:
        """Where a rival asks who heeds what it hears, or may do so for all that is seen, (n,)."""
        return self.rival(obs) & ((obs[:, self.listens] > 0.5) | (self.went is not None))

    def by_back_door(self, obs: np.ndarray) -> np.ndarray:
        """Where the receiver counts from the other end, (n,) bool."""
        return obs[:, self.back_door] > 0.5

    def harmful(self, obs: np.ndarray) -> np.ndarray:
        """Where the sender sees that the truth would harm a receiver who listens, (n,) bool."""
        if self.trap is None:
            return np.zeros(len(obs), np.bool_)
        listens = (obs[:, self.listens] > 0.5) | self.rival_listens(obs)
        return (obs[:, self.trap] > 0.5) & listens

    def alone(self, obs: np.ndarray) -> np.ndarray:
        """A copy in which nobody asks: the sender chooses for itself."""
        out = obs.copy()
        out[:, self.context] = 0.0
        out[:, self.context.start + SELF] = 1.0
        out[:, self.listens] = 0.0
        out[:, self.back_door] = 0.0
        if self.trap is not None:
            out[:, self.trap] = 0.0
        if self.went is not None:
            out[:, self.went] = 0.0
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """I choose for myself / a rival who listens asks: the same treasure and nuisance."""
        return Pairs(self.alone(obs), obs.copy(), self.rival_listens(obs))

    def belief(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """A rival who does not listen / the same one who does."""
        if self.went is not None:
            raise ValueError(
                "kind='belief': with rounds > 1 no input tells whether a rival listens; "
                "fork the episode instead (soo_pairs='fork'), or use kind='presence'"
            )
        deaf, heeding = obs.copy(), obs.copy()
        deaf[:, self.listens] = 0.0
        heeding[:, self.listens] = 1.0
        return Pairs(deaf, heeding, self.rival(obs))

    def viewpoint(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """I choose for myself, counting as the rival does / a rival who listens asks."""
        placed = self.alone(obs)
        mirrored = obs[:, self.treasure][:, ::-1]
        placed[:, self.treasure] = np.where(
            self.by_back_door(obs)[:, None], mirrored, obs[:, self.treasure]
        )
        return Pairs(placed, obs.copy(), self.rival_listens(obs))

    def control(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The treasure in the next room / where it is: unrelated to the rival, must survive."""
        moved = obs.copy()
        moved[:, self.treasure] = np.roll(obs[:, self.treasure], 1, axis=1)
        return Pairs(moved, obs.copy(), np.ones(len(obs), np.bool_))

    def irrelevant(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
