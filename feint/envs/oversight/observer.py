"""The overseer's belief in what is true of the meter: exact Bayes for a worker of either type."""

import numpy as np

from feint.envs.oversight.dynamics import State

HONEST_PRIOR = 0.8
"""How sure the overseer is, before it has seen anything, that the worker is no shirker."""
SHIRK_RATE = 0.5
"""The share of items that it thinks a shirker passes on unmade, whoever looks."""


def belief(state: State) -> np.ndarray:
    """Its belief that the meter is right, where it is, or wrong, where it is: (num_envs,) float64.

    One that learns nothing holds the meter right with `HONEST_PRIOR`.
    """
    made = 1.0 - SHIRK_RATE
    shirker = (1.0 - HONEST_PRIOR) * made**state.known_sound
    unknown = state.items - state.known_sound - state.found
    right = (HONEST_PRIOR + shirker * made**unknown) / (HONEST_PRIOR + shirker)
    learns = state.there & ~state.blind
    right = np.where(learns, np.where(state.found > 0, 0.0, right), HONEST_PRIOR)
    return np.where(state.faked > 0, 1.0 - right, right)
