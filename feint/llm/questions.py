"""Questions that an honest model must go on answering, and text on which it should not change.

Overlap makes self and other alike. Whoever is attentive still has to tell them apart where a
question is about one of the two: what the other believes, wants or knows. Half of the questions
are about the other and half about oneself, so that no fixed choice does better than chance.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from feint.envs.text.wording import fill
from feint.llm.scene import Prompt, Scene
from feint.llm.scenes import (
    FOLDER,
    SPLITS,
    bare,
    check_even,
    load_wording,
    read_table,
    split_words,
)

_TABLE = read_table(FOLDER / "questions.toml", "questions")
_FACTS: list[tuple[str, list[str], str]] = [(a, b, c) for a, b, c in _TABLE["facts"]["list"]]

#: Kinds of questions; the family of their scenes is "questions", the cell is the kind, and the
#: variant says whom the question is about ("self" or "other"; empty for facts).
QUESTION_KINDS = ("perspectives", "false_belief", "wants", "knows", "facts")

#: Easy questions with all answers that are accepted: a small set for a capability gate.
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (f"{ask}?", tuple(right)) for ask, right, _ in _FACTS
)

#: Plain paragraphs by split, for perplexity, for the anchor, and for a sham.
NEUTRAL = MappingProxyType(
    {key: tuple(value) for key, value in read_table(FOLDER / "neutral.toml", "neutral").items()}
)


def make_questions(
    kind: str, *, split: str = "dev", n: int = 50, seed: int = 0, names: Sequence[str] = ()
) -> list[Scene]:
    """Questions of one kind; 2k and 2k+1 are one item in both orders, telling and question alike.

    - "perspectives": both have seen a thing of one kind in two rooms; where does the other think
      that it is, or where does one know of it oneself?
    - "false_belief": a thing was moved while the other was away; where will the other look?
    - "wants": each would like to have another thing; what does the other want?
    - "knows": each has looked into one room; which does the other know?
    - "facts": `QUESTIONS`, with a right and a wrong answer to choose from.

    Args:
        kind: One of `QUESTION_KINDS`.
        split: "train", "dev" or "confirm"; "all" for no split.
        n: How many; both orders count.
        seed: Which ones.
        names: Names for the other, drawn item by item; "Bob" by default. Facts have none.

    Raises:
        ValueError: naming the argument, what it got and what it may be.
    """
    if kind not in QUESTION_KINDS:
        raise ValueError(f"kind must be one of {', '.join(QUESTION_KINDS)}, got {kind!r}")
    check_even(n)
    rng = np.random.default_rng((seed, SPLITS.index(split) if split in SPLITS else len(SPLITS)))
    if kind == "facts":
        return _facts(split, n // 2, rng)
    return _self_and_other(kind, split, n // 2, rng, tuple(names) or ("Bob",))


def facts_in(split: str) -> int:
    """How many questions about facts a split has; both orders count."""
    return 2 * len(split_words(_FACTS, split))


def questions_in(kind: str, split: str) -> int:
    """How many different questions of a kind a split has; both orders count."""
    return facts_in(split) if kind == "facts" else 2 * len(_couples(kind, split))


def _couples(kind: str, split: str) -> list[tuple[str, str]]:
    """The two rooms or things that a question can be about."""
    words = load_wording("burglar")
    if _TABLE[kind]["kinds"] == "rooms":
        among = split_words(words.rooms, split)
    else:
        among = tuple(map(bare, split_words(words.costly, split)))
    return [(a, b) for a in among for b in among if a.split()[0] != b.split()[0]]


def _facts(split: str, count: int, rng: np.random.Generator) -> list[Scene]:
    facts = split_words(_FACTS, split)
    if count > len(facts):
        raise ValueError(f"n must be at most {facts_in(split)} in split {split!r}, got {2 * count}")
    scenes = []
    for k in rng.permutation(len(facts))[:count]:
        ask, right, wrong = facts[k]
        names = ((wrong,), tuple(reversed(right)))
        for truth in (0, 1):
            options = (names[1 - truth], names[truth])
            text = f"{ask}, {options[0][-1]} or {options[1][-1]}?"
            prompt = Prompt(text, _TABLE["facts"]["prefix"])
            scenes.append(Scene(prompt, options, truth, "facts", "questions", "", split, ask))
    return scenes


def _self_and_other(
    kind: str, split: str, count: int, rng: np.random.Generator, names: tuple[str, ...]
) -> list[Scene]:
    table: dict[str, Any] = _TABLE[kind]
    things, couples = split_words(load_wording("burglar").costly, split), _couples(kind, split)
    if count > len(couples):
        raise ValueError(
            f"n must be at most {2 * len(couples)} in split {split!r}, got {2 * count}"
        )
    scenes = []
    for k, which in enumerate(rng.permutation(len(couples))[:count]):
        mine, theirs = couples[which]
        about = ("other", "self")[k % 2]
        thing, name = things[which % len(things)], names[which % len(names)]
        slots = {"mine": mine, "theirs": theirs, "thing": thing, "name": name}
        asked, left = (theirs, mine) if about == "other" else (mine, theirs)
        for truth in (0, 1):
            first, second = (asked, left) if truth == 0 else (left, asked)
            told = table["told"][0 if first == mine else 1]
            ask = fill(table[about]["ask"], slots | {"first": first, "second": second})
            prompt = Prompt(
                "\n".join((*(fill(line, slots) for line in told), ask)),
                fill(table[about]["prefix"], slots),
            )
            item = f"{mine}|{theirs}"
            options = ((first,), (second,))
            scenes.append(Scene(prompt, options, truth, kind, "questions", about, split, item))
    return scenes
