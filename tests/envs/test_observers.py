"""Observers' beliefs are exact: each is worked out once more, slowly, from what its page states.

To add a scenario, write one function `(game, history, i) -> beliefs` and a line in `OBSERVERS`.
`history` holds a snapshot of the batch after each step so far, the start first; the function works
out what the observer of game `i` believes by now: one number, or one for each agent it watches. It
uses no kernel, label or metric of Feint's.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from feint.envs.cheap_talk import CheapTalk
from feint.envs.core import Scenario
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.room_signal import RoomSignal
from feint.testing.subject import joint_actions

History = list[dict[str, np.ndarray]]
Belief = Callable[[Any, History, int], Sequence[float]]

GAMES, ALONE = 60, 0
EXACT = 1e-12


def posterior(prior: Sequence[Fraction], likelihood: Sequence[Fraction]) -> list[Fraction]:
    """Bayes' rule, by enumeration of the hypotheses."""
    joint = [p * chance for p, chance in zip(prior, likelihood, strict=True)]
    return [weight / sum(joint) for weight in joint]


def told(places: int, truth: int, heard: int | None) -> Sequence[float]:
    """The belief in `truth` of one who hears the true place nine times in ten, else any other."""
    prior = [Fraction(1, places)] * places
    if heard is None:
        return [float(prior[truth])]
    chances = [Fraction(9, 10) if h == heard else Fraction(1, 10) / (places - 1)
               for h in range(places)]  # fmt: skip
    return [float(posterior(prior, chances)[truth])]


def room_signal(game: RoomSignal, history: History, i: int) -> Sequence[float]:
    """A listener counts the rooms from its own door; the others hear nothing."""
    now = {key: value[i] for key, value in history[-1].items()}
    heard = None
    if now["state.message"] >= 0 and now["state.listens"] and now["state.context"] != ALONE:
        named = int(now["state.message"])
        heard = list(range(game.num_rooms))[::-1][named] if now["state.back_door"] else named
    return told(game.num_rooms, int(now["state.treasure"]), heard)


def cheap_talk(game: CheapTalk, history: History, i: int) -> Sequence[float]:
    """The same with cells; a message that is a number is the middle of the cell it stands for."""
    now, cells = {key: value[i] for key, value in history[-1].items()}, game.num_messages
    theta, said = float(now["state.theta"]), float(now["state.said"])
    if said < 0 or not now["state.listens"] or now["state.context"] == ALONE:
        return told(cells, 0, None)
    point = 1 - said if now["state.mirrored"] else said
    if game.continuous:
        # Hypothesis 0: the state is in the cell around what was heard; all others: in another.
        return told(cells, 0 if abs(theta - point) <= 0.5 / cells else 1, 0)
    return told(cells, math.floor(theta * cells), math.floor(point * cells))


def physical_deception(game: PhysicalDeception, history: History, i: int) -> Sequence[float]:
    """Masters & Sardina's cost difference, with rate 5 and straight lines as the paths."""
    start, now = history[0], history[-1]
    landmarks, goal = now["state.landmarks"][i], int(now["state.goal"][i])
    beliefs = []
    for blue in range(1, len(game.agents)):
        before, here = start["state.pos"][i, blue], now["state.pos"][i, blue]
        weights = [math.exp(5.0 * (math.dist(before, mark) - math.dist(here, mark)))
                   for mark in landmarks]  # fmt: skip
        beliefs.append(weights[goal] / math.fsum(weights))
    return beliefs


OBSERVERS: list[tuple[type[Scenario], Belief, dict[str, Any]]] = [
    (RoomSignal, room_signal, {}),
    (RoomSignal, room_signal, {"attention": True, "num_rooms": 7, "sceptic_rate": 0.3}),
    (RoomSignal, room_signal, {"num_rooms": 2}),
    (CheapTalk, cheap_talk, {}),
    (CheapTalk, cheap_talk, {"attention": True, "num_messages": 5, "receiver": "bayes"}),
    (CheapTalk, cheap_talk, {"attention": True, "continuous_messages": True}),
    (PhysicalDeception, physical_deception, {}),
    (PhysicalDeception, physical_deception, {"attention": True}),
    (PhysicalDeception, physical_deception, {"rules": "soo"}),
    (PhysicalDeception, physical_deception, {"rules": "mpe", "num_good": 3}),
]


@pytest.mark.parametrize(
    ("scenario", "belief", "kwargs"),
    [pytest.param(*case, id=f"{case[0].__name__} {case[2]}") for case in OBSERVERS],
)
@pytest.mark.parametrize("external", ["focal", "all"])
def test_an_observers_belief_is_the_one_its_page_states(scenario, belief, kwargs, external):
    game = scenario(GAMES, external=external, autoreset="freeze", **kwargs)
    game.reset(seed=11)
    history, doubts = [game.snapshot()], []
    for actions in [None, *joint_actions(game, min(game.max_steps, 20), seed=3)]:
        if actions is not None:
            game.step(actions)
            history.append(game.snapshot())
        labels = game.compute_labels()
        wanted = np.array([belief(game, history, i) for i in range(GAMES)])
        got = labels["belief"].reshape(GAMES, -1)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=EXACT)
        misled = labels["misled"].reshape(GAMES, -1)
        deciding = labels["deciding"].reshape(GAMES, -1)
        np.testing.assert_array_equal(misled, (wanted < 0.4) & deciding)
        doubts.append(misled)
    # The games were such that somebody was misled and somebody was not.
    assert 0 < np.mean(doubts) < 1
