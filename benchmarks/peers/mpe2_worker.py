"""Steps per second of mpe2's `simple_adversary_v3` through its parallel API, one game at a time."""

from itertools import cycle

import numpy as np
from mpe2 import simple_adversary_v3
from protocol import ACTIONS, AGENTS, CHUNKS, EPISODE, Play, serve


def prepare() -> Play:
    """One game; the action dictionaries are built beforehand."""
    env = simple_adversary_v3.parallel_env(N=AGENTS - 1, max_cycles=EPISODE)
    draws = np.random.default_rng(0).integers(ACTIONS, size=(CHUNKS, EPISODE, AGENTS)).tolist()
    chunks = cycle(
        [[dict(zip(env.possible_agents, draw, strict=True)) for draw in chunk] for chunk in draws]
    )
    env.reset(seed=0)

    def play() -> int:
        for action in next(chunks):
            env.step(action)
            if not env.agents:
                env.reset()
        return EPISODE

    return play


if __name__ == "__main__":
    serve(prepare, ["mpe2", "pettingzoo", "numpy"])
