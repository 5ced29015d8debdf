"""What time it is in every game, and the kernels that count it."""

from typing import Literal, NamedTuple

import numpy as np

from feint.envs.kernels import kernel

Autoreset = Literal["next_step", "same_step", "disabled", "freeze"]
#: The same for kernels, in that order.
NEXT_STEP, SAME_STEP, DISABLED, FREEZE = range(4)


class Clock(NamedTuple):
    """What every game carries; with the seed, it fixes all random draws (see `feint.envs.rng`)."""

    seed: np.ndarray  #: (num_envs,) uint64
    episode: np.ndarray  #: (num_envs,) int64, counted from 0 after a seeded reset
    step: np.ndarray  #: (num_envs,) int64, steps taken in this episode
    done: np.ndarray  #: (num_envs,) bool, the episode has ended and was not yet reset


@kernel
def tick(step, done, active, terminated, truncated, max_steps, frozen):
    """Count a step of the active games, write `truncated` and `done`; True if a game ended."""
    some = False
    for i in range(done.size):
        step[i] += active[i]
        truncated[i] = active[i] & (not terminated[i]) & (step[i] >= max_steps)
        ended = terminated[i] | truncated[i]
        done[i] = ended | (frozen & (not active[i]))
        some |= ended
    return some


@kernel
def rewind(episode, step, done, games):
    """Put the clocks of `games` at the start of their next episode."""
    for i in games:
        episode[i] += 1
        step[i] = 0
        done[i] = False
