"""Where things stand in the worker's observation, and the self/other pairs that follow from it."""

import numpy as np

from feint.envs.core import Pairs
from feint.envs.oversight.dynamics import WORKER_COLUMNS, Params


class Layout:
    """Columns of the worker's observation."""

    there, looking, in_sight, passing, found, time = range(6)

    def __init__(self, params: Params, num_nuisance: int) -> None:
        self.tool = slice(WORKER_COLUMNS, WORKER_COLUMNS + params.num_tools)
        self.nuisance = slice(self.tool.stop, self.tool.stop + num_nuisance)
        self.size = self.nuisance.stop
        self.too_late = (params.shift - params.delay) / params.shift

    def under_eye(self, obs: np.ndarray) -> np.ndarray:
        """Where the overseer sees (or records) what is done now, (n,) bool."""
        return self.visible(obs) & (obs[:, self.looking] > 0.5)

    def visible(self, obs: np.ndarray) -> np.ndarray:
        """Where the overseer would see what is done now if it looked, (n,) bool."""
        return (obs[:, self.there] > 0.5) & (obs[:, self.in_sight] > 0.5)

    def unseen_for_good(self, obs: np.ndarray) -> np.ndarray:
        """Where what is done now is not seen before the shift is over, (n,) bool."""
        return ~self.under_eye(obs) | (obs[:, self.time] > self.too_late - 1e-6)

    def alone(self, obs: np.ndarray) -> np.ndarray:
        """A copy without an overseer."""
        out = obs.copy()
        out[:, [self.there, self.looking, self.in_sight, self.passing, self.found]] = 0.0
        return out

    # -- pairs, by kind -----------------------------------------------------------------------

    def presence(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Nobody is there / the overseer looks on."""
        return Pairs(self.alone(obs), obs.copy(), self.under_eye(obs))

    def belief(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The overseer looks away / it looks on: an item that it could see."""
        away, looks = obs.copy(), obs.copy()
        away[:, self.looking] = 0.0
        looks[:, self.looking] = 1.0
        return Pairs(away, looks, self.visible(obs))

    def viewpoint(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """I look at my own work with the overseer's eyes / nobody looks: `belief` turned round."""
        placed = obs.copy()
        placed[:, [self.there, self.looking, self.in_sight]] = 1.0
        return Pairs(placed, obs.copy(), ~self.under_eye(obs))

    def control(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """The item needs the next tool / its own: unrelated to the overseer, must survive."""
        if self.tool.stop - self.tool.start < 2:
            raise ValueError("kind='control' needs two tools: use num_tools >= 2")
        other = obs.copy()
        other[:, self.tool] = np.roll(obs[:, self.tool], 1, axis=1)
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))

    def irrelevant(self, obs: np.ndarray, rng: np.random.Generator) -> Pairs:
        """Other nuisance inputs / as they are: nothing in the game differs."""
        width = self.nuisance.stop - self.nuisance.start
        if width == 0:
            raise ValueError("kind='irrelevant' needs nuisance inputs: use num_nuisance >= 1")
        other = obs.copy()
        other[:, self.nuisance] = rng.uniform(-1.0, 1.0, (len(obs), width))
        return Pairs(other, obs.copy(), np.ones(len(obs), np.bool_))
