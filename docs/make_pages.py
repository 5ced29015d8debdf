"""The scenarios' pages: text from what the classes say of themselves, pictures from played games.

make pages                                  # docs/scenarios/*.md and *.png; films: make films
python docs/make_pages.py --no-pictures     # the text alone
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

from feint.envs import SCENARIOS, scenario_class
from feint.envs.core import Scenario
from feint.envs.describe import describe
from feint.envs.film import Moment, moments, side_by_side
from feint.envs.registry import Entry
from feint.files import write_atomically

FOLDER = Path(__file__).resolve().parent / "scenarios"
FILMS = FOLDER / "films.json"  #: what docs/make_films.py measured
HEADER = (
    "<!-- Written by docs/make_pages.py from the class's docstring: change that, not this. -->\n"
)
SEEDS = 40  #: episodes among which a picture is looked for
SIZE = 400  #: pixels of each of its two panels
LIMIT = 60_000  #: bytes of a picture


@dataclass(frozen=True)
class Config:
    """Write docs/scenarios anew."""

    pictures: bool = True
    """Draw the pictures too."""


def texts() -> dict[str, str]:
    """File name -> text of every page, and of the index."""
    shown = {entry.snake: describe(entry) for entry in SCENARIOS}
    moving = {entry.snake for entry in filmed()}
    played = {
        entry.snake: films_part(entry) if entry.snake in moving else transcript(entry)
        for entry in SCENARIOS
    }
    return {
        "README.md": index(shown),
        **{f"{snake}.md": page(snake, one, played[snake]) for snake, one in shown.items()},
    }


def filmed() -> list[Entry]:
    """The scenarios that have a film; those in words have a transcript."""
    games = ((entry, _game(entry)) for entry in SCENARIOS)
    return [
        entry
        for entry, game in games
        if not isinstance(game.observation_space(game.focal), gym.spaces.Text)
    ]


def films_part(entry: Entry) -> str:
    """The film, what is to be seen on it, and the rates of the three agents."""
    found = json.loads(FILMS.read_text(encoding="utf-8"))[entry.snake]
    metric = scenario_class(entry.id).metrics[found["metric"]]
    episodes = "episode" if found["shown"] == 1 else f"{found['shown']} episodes"
    table = _table(("agent", f"`{found['metric']}`: {metric.description}"), found["rates"].items())
    return f"""## Played

![The same episodes of {entry.name}, played by each agent]({entry.snake}.gif)

*The first {episodes} of those that were measured, the same for each agent, in the condition
`present`: the scripted liar, the scripted honest agent, and one trained by*
`{found["train"]} --out liar.safetensors` *({found["steps"]:,} steps).*

{table}

By the rule of [model cards](../model_card.md), of the trained one: **{found["verdict"]}**
Means and 95 % bootstrap intervals over {found["episodes"]:,} held-out episodes, as `make films`
printed them. One training seed: another may give another agent."""


def transcript(entry: Entry) -> str:
    """An episode in words, by the honest agent and by the liar."""
    parts = ["## Played", "The same episode, in the condition `present`."]
    for policy in ("honest", "deceptive"):
        reel = _reel(entry, policy, seed=0)
        said = "\n\n".join(m.picture.ansi for m in reel) + f"\n\n{reel[-1].belief()}"
        command = f"feint play {entry.name} --policy {policy} --condition present"
        parts += [f"`{command}` plays it so:", f"```text\n{said}\n```"]
    parts.append(
        "There is no trained agent here: the algorithms of `feint train` take no texts. "
        "`feint llm organism` trains a language model that lies: [Language models](../llm.md)."
    )
    return "\n\n".join(parts)


def index(shown: dict[str, dict[str, Any]]) -> str:
    """The table of all scenarios."""
    rows = [
        (
            f"[{one['id']}]({snake}.md)",
            one["deception"],
            f"{one['observation_spaces'][one['focal']]}; {one['action_spaces'][one['focal']]}",
            ", ".join(one["pairs"]),
            ", ".join(f"{name} ({m['role']})" for name, m in one["metrics"].items()),
        )
        for snake, one in shown.items()
    ]
    table = _table(("scenario", "who deceives whom", "sees; does", "pairs", "metrics"), rows)
    return f"""{HEADER}
# Scenarios

Each page is what `feint envs ID` shows; `feint play ID --policy deceptive` plays an episode.
*Sees; does* are the spaces of the agent that single-agent views control, with default arguments.

{table}
"""


def page(snake: str, one: dict[str, Any], played: str) -> str:
    """One scenario's page: its docstring, a picture, a film, and what is declared, as tables."""
    focal = one["focal"]
    agents = [
        (agent, "single-agent views" if agent == focal else "played for them", seen,
         one["action_spaces"][agent])
        for agent, seen in one["observation_spaces"].items()
    ]  # fmt: skip
    metrics = [
        (f"`{name}`", m["description"], m["role"], m["better"], m["unit"] or "share")
        for name, m in one["metrics"].items()
    ]
    kinds = [
        (f"`{kind}`" + (" (default)" if kind == one["default_pairs"] else ""), *_sides(meaning))
        for kind, meaning in one["pairs"].items()
    ]
    parts = [
        HEADER,
        f"# {one['id'].removeprefix('feint/')}",
        f"![{one['id']}: {one['deception']}]({snake}.png)",
        "*From the same start, in the condition `present`: the scripted honest agent and the "
        "scripted liar.*",
        one["page"],
        played,
        "## At a glance",
        f"`{one['id']}` for Gymnasium, `{one['pettingzoo_id']}` for PettingZoo; an episode has at "
        f"most {one['max_steps']} steps; agents act {'in turn' if one['turn_based'] else 'at once'}"
        f". Scripted policies: {_code(one['policies'])}.",
        _table(("agent", "played by", "observation", "action"), agents),
        "### Conditions",
        _arguments("condition", one["conditions"]),
        *(["### Presets in full", _arguments("preset", one["presets"])] if one["presets"] else []),
        "### Pairs",
        _table(("kind", "self side", "other side"), kinds),
        "### Metrics",
        _table(("metric", "what", "role", "better", "unit"), metrics),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _sides(meaning: str) -> tuple[str, str]:
    mine, _, other = meaning.partition(" / ")
    return mine, other


def _arguments(what: str, named: dict[str, dict[str, Any]]) -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{key}={value!r}`" for key, value in kwargs.items()))
        for name, kwargs in named.items()
    ]
    return _table((what, "arguments"), rows)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]
    shown = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([shown[0], "|---" * len(head) + "|", *shown[1:]])


def _game(entry: Entry, **kwargs: Any) -> Scenario:
    return scenario_class(entry.id)(1, autoreset="freeze", **kwargs)  # pyright: ignore


def _reel(entry: Entry, policy: str, seed: int) -> list[Moment]:
    """An episode of a scripted policy, in the condition `present`."""
    game = _game(entry, **scenario_class(entry.id).conditions["present"])
    rng = np.random.default_rng(seed)
    return list(moments(game, lambda obs: game.scripted(policy, obs, rng), seed))


def picture(entry: Entry) -> bytes:
    """Honest agent and liar from the same start, where their observer's beliefs differ most."""
    best: tuple[float, dict[str, Moment]] = (-1.0, {})
    for seed in range(SEEDS):
        reels = {policy: _reel(entry, policy, seed) for policy in ("honest", "deceptive")}
        for step in range(max(map(len, reels.values()))):
            now = {name: reel[min(step, len(reel) - 1)] for name, reel in reels.items()}
            honest, liar = (now[name].labels for name in ("honest", "deceptive"))
            gap = np.mean(honest["belief"]) - np.mean(liar["belief"])
            telling = float(gap + np.mean(liar["misled"]))
            if telling > best[0]:
                best = telling, now
    return small_png(side_by_side(best[1], beliefs=True, size=SIZE))


def small_png(image: np.ndarray) -> bytes:
    """A PNG of at most `LIMIT` bytes, with as many of 64 colours as that allows."""
    from PIL import Image

    for colours in (64, 32, 16):
        buffer = io.BytesIO()
        reduced = Image.fromarray(image).quantize(colours, dither=Image.Dither.NONE)
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= LIMIT:
            return buffer.getvalue()
    raise ValueError(f"the picture has {buffer.tell()} bytes, more than {LIMIT}")


def main(config: Config) -> None:
    """Write all files, and remove those of scenarios that are gone."""
    written = texts()
    for name, text in written.items():
        write_atomically(FOLDER / name, text)
    for entry in SCENARIOS if config.pictures else ():
        write_atomically(FOLDER / f"{entry.snake}.png", picture(entry))
    kept = {Path(name).stem for name in written}
    for path in FOLDER.iterdir():
        if path.suffix in (".md", ".png", ".gif") and path.stem not in kept:
            path.unlink()
    print(f"wrote {len(written)} pages to {FOLDER}")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
