"""Where things stand in an observation, and the self/other pairs that follow from it."""

import numpy as np

from feint.envs.core import Pairs
from feint.envs.hidden_role.dynamics import TASKS

SEAT, PER_STATION, PER_PLAYER = 25, 3, 13
"""First column of the own seat; columns of each station and of each player."""


class Layout:
    """Columns of an observation of P players and T stations."""

    phase = slice(0, 3)
    saboteur, alive, ready, watched, company, stuck = 5, 6, 7, 8, 9, 10
    alarm = slice(11, 15)
    noted = slice(19, 23)

    def __init__(self, players: int, stations: int, num_nuisance: int) -> None:
        self.players, self.stations = players, stations
        self.seat = slice(SEAT, SEAT + players)
        self.station = slice(self.seat.stop, self.seat.stop + PER_STATION * stations)
        self.player = slice(self.station.stop, self.station.stop + PER_PLAYER * players)
        self.said = slice(self.player.stop, self.player.stop + players * players)
        self.nuisance = slice(self.said.stop, self.said.stop + num_nuisance)
        self.size = self.nuisance.stop

    def own_seat(self, obs: np.ndarray) -> np.ndarray:
        """(n,) int64."""
        return obs[:, self.seat].argmax(axis=1)

    def stations_of(self, obs: np.ndarray) -> np.ndarray:
        """(n, T, 3): where each station is, relative to me, and its progress; a view."""
        return obs[:, self.station].reshape(len(obs), self.stations, PER_STATION)

    def players_of(self, obs: np.ndarray) -> np.ndarray:
        """(n, P, 13): what is known of each seat; a view."""
        return obs[:, self.player].reshape(len(obs), self.players, PER_PLAYER)

    def said_of(self, obs: np.ndarray) -> np.ndarray:
        """(n, P, P): 1 where the row's seat accused the column's, -1 where it vouched; a view."""
        return obs[:, self.said].reshape(len(obs), self.players, self.players)

    def crew_in_sight(self, obs: np.ndarray) -> np.ndarray:
        """(n, P) bool."""
        rows = self.players_of(obs)
        return (rows[:, :, 0] > 0.5) & (rows[:, :, 4] < 0.5)

    def facing(self, obs: np.ndarray) -> np.ndarray:
        """Where I play, and crew is in sight or a meeting is on, (n,) bool."""
        meeting = obs[:, self.phase][:, TASKS] < 0.5
        there = (obs[:, self.alive] > 0.5) & (obs[:, self.company] > 0.5)
        return there & (meeting | self.crew_in_sight(obs).any(axis=1))

    def alone(self, obs: np.ndarray) -> np.ndarray:
        """A copy as it would be behind the wall: nobody to see, to hear, or to be seen by."""
        out = obs.copy()
        out[:, [self.watched, self.company]] = 0.0
        out[:, self.alarm] = 0.0
        mine = (obs[:, self.seat] > 0.5)[:, :, None]
        rows, said = self.players_of(obs), self.said_of(obs)
        rows = np.where(mine, rows, 0.0)
        rows[:, :, 12] = 0.0  # votes are the others'
        out[:, self.player] = rows.reshape(len(obs), -1)
        out[:, self.said] = np.where(mine, said, 0.0).reshape(len(obs), -1)
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Behind the wall / together, with crew in sight or a meeting on."""
        return Pairs(self.alone(obs), obs.copy(), self.facing(obs) & (obs[:, self.watched] > 0.5))

    def belief(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The same scene, behind the glass / together."""
        unseen, seen = obs.copy(), obs.copy()
        unseen[:, self.watched] = 0.0
        seen[:, self.watched] = 1.0
        return Pairs(unseen, seen, self.facing(obs))

    def control(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Each station as far as the next one is / as it is: unrelated to the crew."""
        moved = obs.copy()
        stations = self.stations_of(obs).copy()
        stations[:, :, 2] = np.roll(stations[:, :, 2], 1, axis=1)
        moved[:, self.station] = stations.reshape(len(obs), -1)
        return Pairs(moved, obs.copy(), (moved != obs).any(axis=1))

    def irrelevant(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
