"""The films on the scenarios' pages: liar, honest agent and a trained one, side by side.

make films                                        # the films, films.json and the example of a card
python docs/make_films.py --scenarios RoomSignal  # one scenario alone

Agents are trained by `feint train`, with the seed and the settings that `films.json` records, into
runs/films; one that is there already is not trained again. Only the films and the numbers are kept.
"""

import io
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from make_pages import FILMS, FOLDER, filmed

from feint.agents import evaluate, load_agent, policy_of, scripted
from feint.agents.model_card import deceives, export_agent
from feint.envs import scenario_class
from feint.envs.film import film
from feint.envs.registry import Entry
from feint.files import write_atomically
from feint.metrics import summary

AGENTS = Path(__file__).resolve().parent.parent / "runs" / "films"
CARD = FOLDER.parent / "model_card_example.md"
ALGORITHMS = {"LiarsDice": "ppo_mask"}  #: `feint train --algo`, where it is not ppo
TITLES: tuple[str, ...] = ("scripted liar", "scripted honest agent", "trained agent")
EPISODES = 1000  #: held-out ones, for the rates
SEED = 1_000_000_000  #: of the first of them; the films show these, from the first on
FRAMES = 36  #: a film has episodes until they have so many frames
SIZE = 220  #: pixels of a panel's sides
LIMIT = 300_000  #: bytes of a film


@dataclass(frozen=True)
class Config:
    """Write the films of docs/scenarios anew."""

    scenarios: tuple[str, ...] = tuple(entry.name for entry in filmed())
    """Only these."""


def training(entry: Entry) -> str:
    """The command that trains the agent of a film."""
    algorithm = ALGORITHMS.get(entry.name, "ppo")
    return f"feint train --env {entry.name} --algo {algorithm} --seed 0"


def shot(entry: Entry) -> tuple[bytes, dict[str, Any]]:
    """A scenario's film, and what its caption says: command, metric, rates by agent."""
    checkpoint = AGENTS / f"{entry.name}.safetensors"
    command = training(entry)
    if not checkpoint.exists():
        flags = [*command.split()[1:], "--no-progress", "--out", str(checkpoint)]
        subprocess.run([sys.executable, "-m", "feint.cli", *flags], check=True)
    model, card = load_agent(checkpoint, scenario=entry.id)
    cls = scenario_class(entry.id)
    game = cls(1, **card.env_kwargs)  # pyright: ignore[reportCallIssue]
    agents = {
        "scripted deceptive": scripted(game, "deceptive"),
        "scripted honest": scripted(game, "honest"),
        "this agent": policy_of(model),
    }
    metric = next(name for name, metric in cls.metrics.items() if metric.role == "deception")
    found = {
        name: evaluate(
            act, entry.id, card.env_kwargs, conditions=["present"], episodes=EPISODES, seed=SEED
        )
        for name, act in agents.items()
    }
    rates = {}
    for name, shown in zip(TITLES, found.values(), strict=True):
        rate = summary(shown["present"][metric])
        rates[name] = f"{rate['mean']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]"
        print(f"{entry.id} {name}: {metric} {rates[name]} over {EPISODES} episodes", flush=True)
    players = dict(zip(TITLES, agents.values(), strict=True))
    frames: list[np.ndarray] = []
    episodes = 0
    while len(frames) < FRAMES:
        frames += film(
            players, entry.id, card.env_kwargs, condition="present", seeds=[SEED + episodes],
            beliefs=True, size=SIZE,
        )  # fmt: skip
        episodes += 1
    record = {
        "train": command,
        "steps": card.steps,
        "metric": metric,
        "episodes": EPISODES,
        "seed": SEED,
        "shown": episodes,
        "rates": rates,
        "verdict": deceives(cls, found)[0],
    }
    return small_gif(frames), record


def small_gif(frames: list[np.ndarray], fps: float = 4.0) -> bytes:
    """An endless GIF of at most `LIMIT` bytes, with as many of 64 colours as that allows."""
    from PIL import Image

    size = 0
    for colours in (64, 32, 16):
        first, *rest = (
            Image.fromarray(frame).quantize(colours, dither=Image.Dither.NONE) for frame in frames
        )
        buffer = io.BytesIO()
        first.save(
            buffer, "GIF", save_all=True, append_images=rest, loop=0, duration=1000 / fps,
            optimize=True,
        )  # fmt: skip
        if (size := buffer.tell()) <= LIMIT:
            return buffer.getvalue()
    raise ValueError(f"the film has {size} bytes, more than {LIMIT}")


def example() -> str:
    """The page that shows a card: what `feint export` writes of RoomSignal's agent."""
    with tempfile.TemporaryDirectory() as folder:
        card = export_agent(AGENTS / "RoomSignal.safetensors", folder).read_text(encoding="utf-8")
    return f"""<!-- Written by docs/make_films.py: change that, or feint/agents/model_card.py. -->

# A model card

What these commands wrote ([what stands where](model_card.md)):

```sh
feint train --env RoomSignal --algo ppo --seed 0 --out liar.safetensors
feint export liar.safetensors --out card
```

````markdown
{card.rstrip()}
````
"""


def main(config: Config) -> None:
    """Train what is not there, film it, and keep the numbers."""
    records = json.loads(FILMS.read_text(encoding="utf-8")) if FILMS.exists() else {}
    for entry in filmed():
        if entry.name in config.scenarios:
            data, records[entry.snake] = shot(entry)
            write_atomically(FOLDER / f"{entry.snake}.gif", data)
            write_atomically(FILMS, json.dumps(records, indent=1) + "\n")
            if entry.name == "RoomSignal":
                write_atomically(CARD, example())
    print(f"wrote films to {FOLDER}; now: make pages")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
