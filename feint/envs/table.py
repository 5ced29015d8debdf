"""A table at which players sit: who sits where and listens, the columns of what they see, pairs."""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from feint.envs.core import Array, Pairs
from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

NONE = -1
"""No action, no bid, no player: nothing there yet."""

DEAL = 1 << 20
"""First slot of a game's own draws at step 0; below it are seats and nuisance."""


class Seating(NamedTuple):
    """Who sits where and listens: numbers for the kernels; rates in [0, 1]."""

    players: int
    seat: int  #: where player_0 sits, or NONE: anywhere
    absent_rate: float
    deaf_rate: float
    tell_rate: float


@kernel
def sit_down(state, clock, seating, games):
    """Draw for `games`, (k,) indices, what does not depend on the rules; each fact a draw."""
    seat, present, listens, shown = state.seat, state.present, state.listens, state.shown
    nuisance, seeds, episodes = state.nuisance, clock.seed, clock.episode
    for i in games:
        place, absent, deaf, tell = uniform4(seeds[i], episodes[i], 0, 0)
        seat[i] = int(place * seating.players) if seating.seat == NONE else seating.seat
        present[i] = absent >= seating.absent_rate
        listens[i] = present[i] and deaf >= seating.deaf_rate
        shown[i] = tell < seating.tell_rate
        width = nuisance.shape[1]
        for c in range(0, width, 4):
            draws = uniform4(seeds[i], episodes[i], 0, 1 + c // 4)
            for d in range(min(4, width - c)):
                nuisance[i, c + d] = 2.0 * draws[d] - 1.0


class TableLayout:
    """Columns of an observation at a table, and the pairs that follow from them.

    Args:
        hand: width of the own hand.
        players: how many there are.
        public: width of what everybody has seen and heard.
        shown: width of what player_0 sees of the others' hands.
        nuisance: width of what means nothing.
    """

    def __init__(self, hand: int, players: int, public: int, shown: int, nuisance: int) -> None:
        ends = np.cumsum([0, hand, players, public, 1, 1, shown, nuisance]).tolist()
        self.hand, self.seat, self.public = (slice(*ends[k : k + 2]) for k in range(3))
        self.present, self.listens = ends[3], ends[4]
        self.shown, self.nuisance = slice(*ends[5:7]), slice(*ends[6:8])
        self.size = ends[7]

    def box(self) -> spaces.Box:
        """All columns lie in [0, 1], nuisance in [-1, 1]."""
        low = np.zeros(self.size, np.float32)
        low[self.nuisance] = -1.0
        return spaces.Box(low, np.ones_like(low), dtype=np.float32)

    def alone(self, obs: Array) -> Array:
        """A copy in which nobody is there who plays, listens or shows a hand."""
        out = obs.copy()
        out[:, [self.present, self.listens]] = 0.0
        out[:, self.shown] = 0.0
        return out

    def presence(self, obs: Array, rng: np.random.Generator) -> Pairs:
        """A machine plays the others' hands / players sit there and listen."""
        return Pairs(self.alone(obs), obs.copy(), obs[:, self.listens] > 0.5)

    def belief(self, obs: Array, rng: np.random.Generator) -> Pairs:
        """The same players, who do not listen / who listen."""
        deaf, heeding = obs.copy(), obs.copy()
        deaf[:, self.listens] = 0.0
        heeding[:, self.listens] = 1.0
        return Pairs(deaf, heeding, obs[:, self.present] > 0.5)

    def control(self, obs: Array, rng: np.random.Generator) -> Pairs:
        """The hand moved on by one rank / as it is: no matter of the others', must survive."""
        moved = obs.copy()
        moved[:, self.hand] = np.roll(obs[:, self.hand], 1, axis=1)
        return Pairs(moved, obs.copy(), (moved != obs).any(axis=1))

    def irrelevant(self, obs: Array, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
