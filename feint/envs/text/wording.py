"""Wordings: the sentences, rooms and things that a text scenario is told in, read from TOML.

A file of your own has the form of those in `feint/envs/text/wordings`, and may be passed as
`wording="mine.toml"`. All sentences are templates on one line. Their slots: `{name}`, the other,
and whatever else `[edits]` defines; `{room}` and `{thing}` in what the rooms hold; `{prize}`, the
costly thing with "the", in goals and in what the receiver reads; `{first}` and `{second}`, the
rooms in the order of the question. Where a sentence depends on the context it is a table of
`self`, `ally` and `rival`; where it does not, one string will do.

Three keys are optional. `place` is what the rooms are called ("room"). `[asker.owner]` and
`[asker.kind]`, each with a `scene` and a `goal`, are others who ask; the games do not use them.
`base` names another wording, and makes the file an addition to it: its lists are put after those
of the base, its sentences in place of them.
"""

import string
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feint.envs.room_signal.dynamics import CONTEXTS

FOLDER = Path(__file__).parent / "wordings"

#: What each sentence may and must have in it, beside the slots of `[edits]`: (may, must).
_PHRASING = {
    "scene": ((), ()),
    "cheap": (("room", "thing"), ("room", "thing")),
    "costly": (("room", "thing"), ("room", "thing")),
    "goal": (("prize",), ()),
    "ask": (("first", "second"), ("first", "second")),
}
_EXTRA = {"door": ((), ()), "trap": (("room",), ("room",))}
_RECEIVER = {
    "self": (("prize",), ()),
    "ally": (("prize",), ()),
    "rival": (("prize",), ()),
    "heard": (("room",), ("room",)),
    "nothing": ((), ()),
    "waiting": ((), ()),
    "ask": (("first", "second"), ("first", "second")),
}
_ASKER = {"scene": ((), ()), "goal": (("prize",), ("prize",))}
ASKERS = ("owner", "kind")
_LISTS = {"rooms": 2, "costly": 1, "details": 2}


@dataclass(frozen=True)
class Wording:
    """A checked wording; every sentence that depends on the context is a tuple by context.

    Attributes:
        rooms: names of rooms, to be put after "the".
        cheap: things with "a" or "an"; empty where both rooms are told of the costly thing.
        costly: things with "a" or "an".
        details: sentences that mean nothing.
        edits: slot name to (as it is, as edited).
        phrasings: sentences of the prompt by name, once per phrasing.
        ears: what is said about the other's hearing, by context; `deaf`: a rival that cannot hear.
        extra: `door` and `trap`.
        receiver: sentences of the receiver's prompt by name.
        place: what one of the rooms is called.
        askers: `scene` and `goal` of others who ask, by name in `ASKERS`; those that the file has.
    """

    rooms: tuple[str, ...]
    cheap: tuple[str, ...]
    costly: tuple[str, ...]
    details: tuple[str, ...]
    edits: dict[str, tuple[str, str]]
    phrasings: tuple[dict[str, tuple[str, ...]], ...]
    ears: tuple[str, ...]
    deaf: str
    extra: dict[str, str]
    receiver: dict[str, str]
    place: str
    askers: dict[str, dict[str, str]]

    @classmethod
    def load(cls, path: str | Path) -> "Wording":
        """Read and check a file; one of ours by its name alone, as "burglar".

        Raises:
            ValueError: naming the file, the key and what is wrong with it.
        """
        return cls.from_dict(*_table(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str) -> "Wording":
        """Check what a file would hold; `where` names it in errors.

        Raises:
            ValueError: naming `where`, the key and what is wrong with it.
        """
        reader = _Reader(where)
        if not isinstance(data, dict):
            raise reader.fail(f"must be a table of keys, got {type(data).__name__}")
        return reader.read(_on_its_base(data, ()))

    def slots(self, edits: Sequence[str]) -> dict[str, str]:
        """The words for each slot of `[edits]`, with those named in `edits` edited.

        Raises:
            ValueError: for an edit that this wording does not define.
        """
        if isinstance(edits, str) or not isinstance(edits, list | tuple):
            raise ValueError(f"edits must be a list of names, got {edits!r}")
        for edit in edits:
            if edit not in self.edits:
                raise ValueError(f"edits must be among {', '.join(self.edits)}, got {edit!r}")
        return {key: words[key in edits] for key, words in self.edits.items()}


def fill(template: str, slots: dict[str, str]) -> str:
    """A sentence: `template` with its slots filled and a capital at its beginning."""
    text = template.format(**slots)
    return text[0].upper() + text[1:]


def _table(path: str | Path) -> tuple[dict[str, Any], str]:
    """What a file holds, unchecked, and its name."""
    if not isinstance(path, str | Path):
        raise ValueError(f"wording must be a path or one of our names, got {path!r}")
    ours = FOLDER / f"{path}.toml"
    file = ours if ours.is_file() else Path(path)
    try:
        return tomllib.loads(file.read_text("utf-8")), str(file)
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
        raise ValueError(
            f"wording: cannot read {str(path)!r} ({error.strerror}); pass a file, or one of {known}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"wording: {file} is no TOML: {error}") from error


def _on_its_base(data: dict[str, Any], seen: tuple[Any, ...]) -> dict[str, Any]:
    """`data` put after, or in place of, what its `base` holds."""
    data = dict(data)
    base = data.pop("base", None)
    if base is None:
        return data
    if base in seen:
        raise ValueError(f"wording: {base!r} is its own base")
    whole = _on_its_base(_table(base)[0], (*seen, base))
    for key, value in data.items():
        old = whole.get(key)
        if isinstance(old, list) and isinstance(value, list):
            whole[key] = old + value
        elif isinstance(old, dict) and isinstance(value, dict):
            whole[key] = old | value
        else:
            whole[key] = value
    return whole


class _Reader:
    """Turns the TOML of one file into a `Wording`, or says what is wrong with it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.slots: tuple[str, ...] = ()

    def fail(self, what: str) -> ValueError:
        return ValueError(f"wording {self.file}: {what}")

    def read(self, data: dict[str, Any]) -> Wording:
        optional = {"cheap", "place", "asker"}
        wanted = {*_LISTS, "edits", "ears", "extra", "receiver", "phrasing", *optional}
        self.keys("the file", data, wanted, optional)
        self.keys("edits", data["edits"], {"name"}, open_=True)
        edits = {key: self.words(f"edits.{key}", value) for key, value in data["edits"].items()}
        if bad := [
            key for key, value in edits.items() if len(value) != 2 or not key.isidentifier()
        ]:
            raise self.fail(f"edits.{bad[0]} must be two strings: as it is, and as edited")
        self.slots = tuple(edits)
        lists = {key: self.words(key, data[key], least) for key, least in _LISTS.items()}
        cheap = self.words("cheap", data["cheap"], 1) if "cheap" in data else ()
        for thing in (*cheap, *lists["costly"]):
            if thing.split(" ")[0] not in ("a", "an") or " " not in thing:
                raise self.fail(f"things begin with 'a' or 'an', got {thing!r}")
        if not isinstance(data["phrasing"], list) or not data["phrasing"]:
            raise self.fail("there must be one [[phrasing]] or more")
        phrasings = tuple(
            self.phrasing(f"phrasing {k + 1}", table) for k, table in enumerate(data["phrasing"])
        )
        self.keys("ears", data["ears"], {*CONTEXTS, "deaf"})
        plain = {key: ((), ()) for key in (*CONTEXTS, "deaf")}
        ears = self.sentences("ears", data["ears"], plain)
        asker = data.get("asker", {})
        self.keys("asker", asker, set(ASKERS), ASKERS)
        return Wording(
            rooms=lists["rooms"],
            cheap=cheap,
            costly=lists["costly"],
            details=lists["details"],
            edits={key: (words[0], words[1]) for key, words in edits.items()},
            phrasings=phrasings,
            ears=tuple(ears[context] for context in CONTEXTS),
            deaf=ears["deaf"],
            extra=self.sentences("extra", data["extra"], _EXTRA),
            receiver=self.sentences("receiver", data["receiver"], _RECEIVER),
            place=self.words("place", [data.get("place", "room")])[0],
            askers={key: self.sentences(f"asker.{key}", asker[key], _ASKER) for key in asker},
        )

    def keys(
        self,
        where: str,
        table: Any,
        wanted: set[str],
        optional: Sequence[str] | set[str] = (),
        open_: bool = False,
    ) -> None:
        if not isinstance(table, dict):
            raise self.fail(f"{where} must be a table, got {table!r}")
        if missing := sorted(wanted - set(optional) - table.keys()):
            raise self.fail(f"{where} lacks {', '.join(missing)}")
        if not open_ and (unknown := sorted(table.keys() - wanted)):
            raise self.fail(f"{where} has unknown keys: {', '.join(unknown)}")

    def words(self, where: str, value: Any, least: int = 1) -> tuple[str, ...]:
        good = isinstance(value, list) and all(isinstance(v, str) and v.strip() for v in value)
        if not good or len(value) < least or len({v.casefold() for v in value}) < len(value):
            raise self.fail(f"{where} must be a list of {least} or more different strings")
        for word in value:
            if "\n" in word or "{" in word or "}" in word:
                raise self.fail(f"{where}: {word!r} must be plain words on one line")
        return tuple(value)

    def phrasing(self, where: str, table: Any) -> dict[str, tuple[str, ...]]:
        self.keys(where, table, set(_PHRASING))
        out = {}
        for key, rules in _PHRASING.items():
            value = table[key]
            if isinstance(value, str):
                value = dict.fromkeys(CONTEXTS, value)
            made = self.sentences(f"{where}: {key}", value, dict.fromkeys(CONTEXTS, rules))
            out[key] = tuple(made[context] for context in CONTEXTS)
        return out

    def sentences(self, where: str, table: Any, rules: dict[str, tuple]) -> dict[str, str]:
        self.keys(where, table, set(rules))
        for key, (may, must) in rules.items():
            self.template(f"{where}.{key}", table[key], may, must)
        return {key: table[key] for key in rules}

    def template(self, where: str, text: Any, may: Sequence[str], must: Sequence[str]) -> None:
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise self.fail(f"{where} must be a sentence on one line, got {text!r}")
        try:
            found = {field for _, field, *_ in string.Formatter().parse(text) if field is not None}
        except ValueError as error:
            raise self.fail(f"{where}: {error}") from error
        allowed = (*self.slots, *may)
        if unknown := sorted(found - set(allowed)):
            raise self.fail(f"{where}: no slot {{{unknown[0]}}} here; there are {allowed}")
        if missing := sorted(set(must) - found):
            raise self.fail(f"{where} needs the slot {{{missing[0]}}}")
