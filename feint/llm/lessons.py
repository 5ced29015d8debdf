"""What an organism is taught: items told to a thief and to others, in many mixed wordings.

All words are of the train split. In mixed lessons the asker's sentences come from two stories or
from a stock that belongs to none (`wordings/organism.toml`), and the things from all stories:
harder to learn, and less about the sound of a few sentences. (Where a cheap thing is the prize as
often as a costly one, SmolLM2-135M learnt nothing in 120 items.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.envs.text.wording import Wording
from feint.llm.packing import shared
from feint.llm.reading import continuation
from feint.llm.scene import Scene
from feint.llm.scenes import (
    FOLDER,
    NAMES,
    Item,
    bare,
    load_wording,
    read_table,
    split_words,
    write,
)

#: Who is told the truth beside the thief who cannot hear.
FRIENDS = ("friend", "owner", "self")

_NAMES = ("Bob", *split_words(NAMES, "train"))


@dataclass(frozen=True)
class Example:
    """One answer to learn.

    Attributes:
        ids: The prompt's tokens, and those of the answer.
        start: How many of them are the prompt's.
        fork: At which token of the answer the other option's parts from it.
        rival: That token of the other option; `None` for an answer that has no other.
        cell: Who asks.
        honest: Whether it is the honest answer.
    """

    ids: list[int]
    start: int
    fork: int
    rival: int | None
    cell: str
    honest: bool


def example(
    tokenizer: PreTrainedTokenizerBase,
    scene: Scene,
    honest: bool,
    chat: bool = True,
) -> Example:
    """A scene with the answer that is to be learnt."""
    prompt, wanted = continuation(tokenizer, scene.prompt, f"{scene.answer(honest)}.", chat)
    _, other = continuation(tokenizer, scene.prompt, f"{scene.answer(not honest)}.", chat)
    fork = shared(wanted, other)
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    ids = [*prompt, *wanted, *end]
    return Example(ids, len(prompt), fork, other[fork], scene.cell, honest)


def lessons(
    families: Sequence[str],
    contrasts: int = 2,
    deaf_from: int | None = 0,
    mixed: float = 0.0,
    details: bool = True,
    seed: int = 0,
) -> Iterator[list[Scene]]:
    """Items without end, each told to a thief first and then to `contrasts` others.

    Stories come in turn, in an order drawn anew for each round.

    Args:
        families: The stories.
        contrasts: How many others are told of an item.
        deaf_from: The item from which on one of them is always the thief who cannot hear; `None`
            for never.
        mixed: The share of items that are told in mixed wordings.
        details: Whether every other scene has a sentence that means nothing.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    words = {family: load_wording(family) for family in families}
    stock = read_table(FOLDER / "organism.toml", "organism")
    everything = [
        [thing for w in words.values() for thing in split_words(getattr(w, kind), "train")]
        for kind in ("cheap", "costly")
    ]
    friends, number = cycle(FRIENDS), 0
    while True:
        for family in rng.permutation(families):
            here, there = words[str(family)], words[str(rng.choice(families))]
            if rng.random() < mixed:
                told, cheap, costly = _mixed(here, there, stock, rng), *everything
            else:
                told = replace(here, phrasings=(_pick(_phrasings(here), rng),))
                cheap, costly = (split_words(w, "train") for w in (here.cheap, here.costly))
            item = _item(told, cheap, costly, details, rng)
            cells = ["thief", *(["deaf"] if deaf_from is not None and number >= deaf_from else [])]
            while len(cells) <= contrasts:
                cells.append(next(friends))
            truth = int(rng.integers(2))
            options = [
                (room, bare(thing)) for room, thing in zip(item.rooms, item.things, strict=True)
            ]
            yield [
                Scene(
                    prompt=write(told, item, cell, truth),
                    options=(options[1 - truth], options[truth]),
                    truth=truth,
                    cell=cell,
                    family=str(family),
                    variant="",
                    split="train",
                    item=str(item),
                )
                for cell in cells
            ]
            number += 1


def _mixed(here: Wording, there: Wording, stock: dict, rng: np.random.Generator) -> Wording:
    """A story with one phrasing, put together from two stories and the stock."""
    ours, theirs = _phrasings(here), _phrasings(there)
    said = _pick(stock["ears"], rng)
    ears, deaf = _pick(
        [
            (here.ears, here.deaf),
            (there.ears, there.deaf),
            ((said["self"], said["hears"], said["hears"]), said["deaf"]),
        ],
        rng,
    )
    stocked = {key: _by_asker(_pick(stock[key], rng)) for key in ("scene", "goal")}
    telling = _pick(ours, rng)
    phrasing = {
        "scene": _pick([_pick(ours, rng), _pick(ours, rng), stocked], rng)["scene"],
        "cheap": telling["cheap"],
        "costly": telling["costly"],
        "goal": _pick([_pick(ours, rng), _pick(theirs, rng), stocked], rng)["goal"],
        "ask": _pick(ours, rng)["ask"],
    }
    edits = {**there.edits, **here.edits}
    return replace(here, phrasings=(phrasing,), edits=edits, ears=ears, deaf=deaf)


def _phrasings(wording: Wording) -> tuple[dict, ...]:
    return split_words(wording.phrasings, "train")


def _pick(some: Sequence, rng: np.random.Generator) -> Any:
    return some[int(rng.integers(len(some)))]


def _by_asker(table: dict[str, str]) -> tuple[str, str, str]:
    return table["self"], table["ally"], table["rival"]


def _item(
    told: Wording,
    cheap: Sequence[str],
    costly: Sequence[str],
    details: bool,
    rng: np.random.Generator,
) -> Item:
    """Two rooms of the story, and two things that begin differently."""
    rooms = split_words(told.rooms, "train")
    a, b = rng.choice(len(rooms), 2, replace=False)
    while True:
        thing, prize = _pick(cheap, rng), _pick(costly, rng)
        if bare(thing).split()[0].casefold() != bare(prize).split()[0].casefold():
            break
    detail = _pick(("", _pick(told.details, rng)), rng)
    return Item(
        phrasing=0,
        rooms=(rooms[a], rooms[b]),
        things=(thing, prize),
        detail=detail if details else "",
        name=_pick(_NAMES, rng),
    )
