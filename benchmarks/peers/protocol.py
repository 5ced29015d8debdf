"""What every throughput worker speaks: JSON lines, one request in and one answer out.

A worker first says what it is, then measures until its input ends:

    <- {"versions": {"vmas": "1.5.2", ...}}
    -> {"seconds": 1.0, "setting": {"batch": 1024}}
    <- {"steps": 1024000, "cpu_s": 0.98, "wall_s": 1.0}

With `"warm_up": 0` nothing is played before the clock starts. Games that take notes (`notes()`)
have them in the answer.

It needs nothing but the standard library, since it runs in the peers' environment too.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

EPISODE = 25  #: steps of an episode, in every contestant
CHUNKS = 4  #: episodes' worth of actions that are drawn before the clock starts
AGENTS = 3  #: one adversary and two good agents
ACTIONS = 5  #: stay, left, right, down, up

#: Plays the prepared games on, a whole number of episodes; returns the steps of all games.
Play = Callable[[], int]


def serve(prepare: Callable[..., Play], packages: Iterable[str]) -> None:
    """Answer requests until standard input ends.

    Args:
        prepare: takes a request's setting as keywords and returns games that are ready to play,
            at staggered steps of their episodes. Called once per setting.
        packages: distributions whose versions the results should name.
    """
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    _answer({"versions": versions})
    prepared: dict[str, Play] = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps(request["setting"], sort_keys=True)
        if key not in prepared:
            prepared[key] = prepare(**request["setting"])
        play = prepared[key]
        _measure(play, request.get("warm_up", 0.2))  # compile, fill caches, wake the cores
        measured = _measure(play, request["seconds"])
        _answer(measured | (play.notes() if hasattr(play, "notes") else {}))  # pyright: ignore


def _measure(play: Play, seconds: float) -> dict[str, float]:
    """Play for about `seconds`; CPU time is that of all threads of this process."""
    steps = 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        steps += play()
    return {
        "steps": steps,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
    }


def _answer(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)
