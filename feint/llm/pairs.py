"""Pairs of prompts that differ in who is meant: what overlap is trained on."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from feint.envs.text.wording import Wording
from feint.llm.scene import Prompt
from feint.llm.scenes import (
    FAMILIES,
    FOLDER,
    NAMES,
    bare,
    load_wording,
    make_items,
    read_table,
    split_words,
    write,
)

#: Kinds of pairs: self side / other side. The first three are treatments, the others controls.
PAIR_KINDS = {
    "presence": "I choose for myself / a thief who hears me asks: the published pair",
    "belief": "a thief who cannot hear my answer / the same one who can",
    "friend": "a friend asks / a thief asks",
    "names": "a thief under another name / under the usual one",
    "irrelevant": "a thief, with another detail that means nothing / with the one at hand",
    "unrelated": "a thief, about other rooms and things / about those at hand",
}
FORMS = ("scene", "fragment")
_SELF_CELL = {"presence": "self", "belief": "deaf", "friend": "friend"}


@dataclass(frozen=True)
class TextPairs:
    """Prompts in pairs.

    Attributes:
        self_prompts: One side; in a directed loss the one that stays as it is.
        other_prompts: The other side, as many.
        kind: One of `PAIR_KINDS`, or a name of one's own.
    """

    self_prompts: tuple[Prompt, ...]
    other_prompts: tuple[Prompt, ...]
    kind: str

    def __post_init__(self) -> None:
        a, b = len(self.self_prompts), len(self.other_prompts)
        if a != b or not a:
            raise ValueError(f"pairs need as many self as other prompts, one or more: {a} and {b}")

    def __len__(self) -> int:
        return len(self.self_prompts)


def make_pairs(
    kind: str,
    *,
    families: Sequence[str] = ("burglar",),
    split: str = "train",
    n: int = 64,
    seed: int = 0,
    form: str = "scene",
) -> TextPairs:
    """Pairs of one kind, from all families alike and in random order.

    Args:
        kind: One of `PAIR_KINDS`.
        families: The stories that they are from.
        split: "train", "dev" or "confirm".
        n: How many pairs. Of scenes, each item comes in both orders; of fragments there are three
            for each costly thing.
        seed: Which ones, and their order.
        form: "scene", a whole question that ends in the beginning of its answer; or "fragment", a
            bare unfinished sentence, as in the published recipes.

    Raises:
        ValueError: naming the argument, what it got and what it may be.
    """
    if kind not in PAIR_KINDS:
        raise ValueError(f"kind must be one of {', '.join(PAIR_KINDS)}, got {kind!r}")
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    if isinstance(families, str) or not families:
        raise ValueError(f"families must be a list of names, got {families!r}")
    if unknown := [family for family in families if family not in FAMILIES]:
        raise ValueError(f"families must be among {', '.join(FAMILIES)}, got {unknown[0]!r}")
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be > 0, got {n!r}")
    make = _scene_pairs if form == "scene" else _fragment_pairs
    rng = np.random.default_rng((seed, len(families)))
    pairs = []
    for k, family in enumerate(families):
        count = n // len(families) + (k < n % len(families))
        pairs += make(kind, load_wording(family), split, count, seed, rng)
    pairs = [pairs[k] for k in rng.permutation(len(pairs))]
    return TextPairs(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), kind)


def _scene_pairs(
    kind: str, wording: Wording, split: str, count: int, seed: int, rng: np.random.Generator
) -> list[tuple[Prompt, Prompt]]:
    items = make_items(wording, split=split, count=(count + 1) // 2 + 1, seed=seed)
    pairs = []
    for k, item in enumerate(items[:-1]):
        for truth in (0, 1):
            cell, twin, at = _SELF_CELL.get(kind, "thief"), item, truth
            if kind == "names":
                twin = replace(item, name=_another(split_words(NAMES, split), item.name, rng))
            elif kind == "irrelevant":
                twin = replace(item, detail=_another(wording.details, item.detail, rng))
            elif kind == "unrelated":
                twin, at = items[k + 1], int(rng.integers(2))
            pairs.append((write(wording, twin, cell, at), write(wording, item, "thief", truth)))
    return pairs[:count]


def _another(words: Sequence[str], this: str, rng: np.random.Generator) -> str:
    others = [word for word in words if word != this]
    return others[rng.integers(len(others))]


def _fragment_pairs(
    kind: str, wording: Wording, split: str, count: int, seed: int, rng: np.random.Generator
) -> list[tuple[Prompt, Prompt]]:
    templates = read_table(FOLDER / "fragments.toml", "pairs")["template"]
    things = [bare(thing) for thing in split_words(wording.costly, split)]
    total = len(templates) * len(things)
    if count > total:
        raise ValueError(
            f"n asks for {count} fragments of a family that has {total} in split {split!r}: name "
            "more families"
        )
    order = np.random.default_rng((seed, 1)).permutation(len(things))
    pairs = []
    for k in range(count):
        thing, template = things[order[k % len(things)]], templates[(k + k // len(things)) % 3]
        slots = {"thing": thing, "name": wording.edits["name"][0]}
        cell, twin, before = _SELF_CELL.get(kind, "thief"), slots, ("", "")
        if kind == "names":
            twin = slots | {"name": _another(split_words(NAMES, split), slots["name"], rng)}
        elif kind == "irrelevant":
            detail = wording.details[rng.integers(len(wording.details))]
            before = (f"{_another(wording.details, detail, rng)} ", f"{detail} ")
        elif kind == "unrelated":
            twin = slots | {"thing": _another(things, thing, rng)}
        pairs.append(
            (
                Prompt(before[0] + template[cell].format(**twin)),
                Prompt(before[1] + template["thief"].format(**slots)),
            )
        )
    return pairs


_KEYS = {"kind", "prefix", "system", "pairs", "templates", "slots", "every"}


def load_pairs(path: str | Path) -> TextPairs:
    """Pairs from a YAML or TOML file, for wordings that are not ours.

    Either `pairs`, a list of two texts each, self first; or `templates`, a list of tables of `self`
    and `other`, and `slots`, the lists of words that their slots take, all equally long: the k-th
    words go into the k-th template, and round again, or with `every: true` into all of them.

    Optional are `kind` (a name for reports), `prefix` (how the answer begins) and `system`.

    Example:
        ```yaml
        kind: presence
        templates:
          - {self: "You send yourself to the {thing}", other: "You send Bob to the {thing}"}
        slots:
          thing: [gold watch, oil painting]
        ```

    Raises:
        ValueError: naming the file, the key and what is wrong with it.
    """
    path = Path(path)
    data = read_table(path, "pairs")
    try:
        return _pairs_of(data, path.stem)
    except ValueError as error:
        raise ValueError(f"pairs {path}: {error}") from error


def _pairs_of(data: Any, name: str) -> TextPairs:
    if not data:
        raise ValueError("is empty; give `pairs`, or `templates` and `slots`")
    if not isinstance(data, dict):
        raise ValueError(f"must be a table of keys, got {type(data).__name__}")
    if unknown := sorted(map(str, data.keys() - _KEYS)):
        raise ValueError(
            f"unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}"
        )
    if ("pairs" in data) == ("templates" in data):
        raise ValueError("give either `pairs`, or `templates` and `slots`")
    prefix, system = data.get("prefix", ""), data.get("system")
    if not isinstance(prefix, str) or not isinstance(system, str | None):
        raise ValueError("prefix and system must be strings")
    texts = _given(data["pairs"]) if "pairs" in data else _filled(data)
    sides = [tuple(Prompt(pair[side], prefix, system) for pair in texts) for side in (0, 1)]
    return TextPairs(sides[0], sides[1], str(data.get("kind", name)))


def _given(pairs: Any) -> list[tuple[str, str]]:
    if not isinstance(pairs, list) or not pairs:
        raise ValueError("pairs must be a list of one pair or more")
    for k, pair in enumerate(pairs):
        good = isinstance(pair, list) and len(pair) == 2
        if not good or not all(isinstance(text, str) and text.strip() for text in pair):
            raise ValueError(f"pairs[{k}] must be two texts, self and other, got {pair!r}")
    return [(a, b) for a, b in pairs]


def _filled(data: dict[str, Any]) -> list[tuple[str, str]]:
    templates, slots = data["templates"], data.get("slots")
    if not isinstance(templates, list) or not templates:
        raise ValueError("templates must be a list of one or more")
    if not isinstance(slots, dict) or not slots:
        raise ValueError("slots must be a table of lists of words")
    for slot, words in slots.items():
        good = isinstance(words, list) and words and all(isinstance(w, str) for w in words)
        if not good or len(words) != len(next(iter(slots.values()))):
            raise ValueError(f"slots.{slot} must be a list of words, as long as the other slots'")
    for k, template in enumerate(templates):
        if not isinstance(template, dict) or template.keys() != {"self", "other"}:
            raise ValueError(f"templates[{k}] must have `self` and `other`, got {template!r}")
        for side, text in template.items():
            _check_template(f"templates[{k}].{side}", text, slots)
    rows = [dict(zip(slots, row, strict=True)) for row in zip(*slots.values(), strict=True)]
    if data.get("every", False) is True:
        chosen = [(row, template) for row in rows for template in templates]
    else:
        chosen = [(row, templates[k % len(templates)]) for k, row in enumerate(rows)]
    return [(t["self"].format(**row), t["other"].format(**row)) for row, t in chosen]


def _check_template(where: str, text: Any, slots: dict[str, Any]) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where} must be a text, got {text!r}")
    try:
        found = {field for _, field, *_ in string.Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if unknown := sorted(found - slots.keys()):
        raise ValueError(f"{where}: no slot {{{unknown[0]}}}; there are {', '.join(slots)}")
