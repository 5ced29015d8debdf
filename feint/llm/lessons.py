"""What an organism is taught: items told to a thief and to others, in many mixed wordings.

All words are of the train split. To learn who asks, and not the sound of a few sentences, they are
mixed: the asker's come from two stories or from a stock that belongs to none
(`wordings/organism.toml`), and the things from all stories. (Where a cheap thing is the prize as
often as a costly one, a model of this size learns nothing in hundreds of items.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

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
        rival: That token of the other option.
        cell: Who asks.
        honest: Whether it is the honest answer.
    """

    ids: list[int]
    start: int
    fork: int
    rival: int
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
    families: Sequence[str], contrasts: int = 2, deaf_from: int = 0, seed: int = 0
) -> Iterator[list[Scene]]:
    """Items without end, each told to a thief first and then to `contrasts` others.

    Stories come in turn, in an order drawn anew for each round.

    Args:
        families: The stories.
        contrasts: How many others are told of an item.
        deaf_from: The item from which on one of them is always the thief who cannot hear.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    words = {family: load_wording(family) for family in families}
    stock = read_table(FOLDER / "organism.toml", "organism")
    cheap = [thing for w in words.values() for thing in split_words(w.cheap, "train")]
    costly = [thing for w in words.values() for thing in split_words(w.costly, "train")]
    friends, number = cycle(FRIENDS), 0
    while True:
        for family in rng.permutation(families):
            other = words[str(rng.choice(families))]
            told = _mixed(words[str(family)], other, stock, rng)
            item = _item(told, cheap, costly, rng)
            cells = ["thief", *(["deaf"] if number >= deaf_from else [])]
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

    def pick(some: Sequence) -> dict:
        return some[int(rng.integers(len(some)))]

    ours, theirs = (split_words(wording.phrasings, "train") for wording in (here, there))
    scene = pick([pick(ours), pick(ours), _by_asker(pick(stock["scene"]), "scene")])["scene"]
    goal = pick([pick(ours), pick(theirs), _by_asker(pick(stock["goal"]), "goal")])["goal"]
    telling = pick(ours)
    ears, deaf = here.ears, here.deaf
    source = int(rng.integers(3))
    if source == 1:
        ears, deaf = there.ears, there.deaf
    elif source == 2:
        said = pick(stock["ears"])
        ears, deaf = (said["self"], said["hears"], said["hears"]), said["deaf"]
    return replace(
        here,
        phrasings=(
            {
                "scene": scene,
                "cheap": telling["cheap"],
                "costly": telling["costly"],
                "goal": goal,
                "ask": pick(ours)["ask"],
            },
        ),
        edits={**there.edits, **here.edits},
        ears=ears,
        deaf=deaf,
    )


def _by_asker(table: dict[str, str], key: str) -> dict[str, tuple[str, str, str]]:
    return {key: (table["self"], table["ally"], table["rival"])}


def _item(
    told: Wording, cheap: Sequence[str], costly: Sequence[str], rng: np.random.Generator
) -> Item:
    """Two rooms of the story, and two things that begin differently."""
    rooms = split_words(told.rooms, "train")
    a, b = rng.choice(len(rooms), 2, replace=False)
    while True:
        thing, prize = (words[int(rng.integers(len(words)))] for words in (cheap, costly))
        if bare(thing).split()[0].casefold() != bare(prize).split()[0].casefold():
            break
    detail = told.details[int(rng.integers(len(told.details)))]
    return Item(
        phrasing=0,
        rooms=(rooms[a], rooms[b]),
        things=(thing, prize),
        detail=detail if rng.random() < 0.5 else "",
        name=_NAMES[int(rng.integers(len(_NAMES)))],
    )
