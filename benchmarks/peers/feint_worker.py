"""Steps per second of our own scenarios; "mpe" is the game that the peers play."""

from functools import partial
from itertools import cycle

import numpy as np
from protocol import ACTIONS, AGENTS, CHUNKS, EPISODE, Play, serve

from feint.envs.physical_deception import PhysicalDeception
from feint.envs.room_signal import RoomSignal

#: The game of the peers, and our scenarios as they are registered.
GAMES = {
    "mpe": partial(
        PhysicalDeception,
        rules="mpe",
        num_good=AGENTS - 1,
        max_episode_steps=EPISODE,
        external="all",
    ),
    "PhysicalDeception": PhysicalDeception,
    "RoomSignal": RoomSignal,
}


def prepare(game: str, batch: int, labels: bool) -> Play:
    """A batch of games that reset themselves in the step in which they end."""
    scenario = GAMES[game](batch, labels=labels, autoreset="same_step")
    choices = ACTIONS if game != "RoomSignal" else scenario.num_rooms
    size = (CHUNKS, EPISODE, batch, len(scenario.external))
    actions = np.random.default_rng(0).integers(choices, size=size)
    scenario.reset(seed=0)
    for step in range(EPISODE - 1):  # stagger the games
        scenario.step(actions[0, step])
        scenario.reset(mask=np.arange(batch) % EPISODE == step)
    chunks = cycle(actions)

    def play() -> int:
        for action in next(chunks):
            scenario.step(action)
        return EPISODE * batch

    return play


if __name__ == "__main__":
    serve(prepare, ["feint", "numba", "numpy"])
