"""Steps per second of our own scenarios; "mpe" is the game that the peers play."""

from itertools import cycle

import numpy as np
from protocol import ACTIONS, AGENTS, CHUNKS, EPISODE, Play, serve

from feint.envs import scenario_class
from feint.envs.core import Scenario
from feint.envs.physical_deception import PhysicalDeception

RECORDED = 2**20  #: actions that are recorded, at most: of all games and steps together
STEPS = (16, 256)  #: steps that are recorded, at least and at most


def prepare(game: str, batch: int, labels: bool) -> Play:
    """A batch of games that reset themselves in the step in which they end."""
    return peers_game(batch, labels) if game == "mpe" else own_game(game, batch, labels)


def peers_game(batch: int, labels: bool) -> Play:
    """Physical deception under MPE's rules; all three agents are moved from outside, at random."""
    scenario = PhysicalDeception(
        batch,
        rules="mpe",
        num_good=AGENTS - 1,
        max_episode_steps=EPISODE,
        external="all",
        labels=labels,
        autoreset="same_step",
    )
    size = (CHUNKS, EPISODE, batch, AGENTS)
    actions = np.random.default_rng(0).integers(ACTIONS, size=size)
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


def own_game(name: str, batch: int, labels: bool) -> Play:
    """A registered scenario with its default arguments, as its single-agent views play it.

    The focal agent's actions are its scripted random policy's: legal by the masks, and sentences
    where actions are text. What is legal depends on the game so far, so they are recorded once and
    replayed from where they began.
    """
    scenario: Scenario = scenario_class(name)(batch, labels=labels, autoreset="same_step")  # pyright: ignore
    rng = np.random.default_rng(0)
    (seen,) = scenario.reset(seed=0)
    longest = min(scenario.max_steps, EPISODE)
    for step in range(longest - 1):  # stagger the games
        scenario.step(scenario.scripted("random", seen, rng))
        (seen,) = scenario.reset(mask=np.arange(batch) % longest == step)
    start = scenario.snapshot()
    least, most = STEPS
    recorded = []
    for _ in range(max(least, min(most, RECORDED // batch))):
        recorded.append(scenario.scripted("random", seen, rng))
        (seen,) = scenario.step(recorded[-1]).observations

    def play() -> int:
        scenario.restore(start)
        for actions in recorded:
            scenario.step(actions)
        return len(recorded) * batch

    return play


if __name__ == "__main__":
    serve(prepare, ["feint", "numba", "numpy"])
