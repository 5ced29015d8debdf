"""Scenarios of pressure as data: a role, an order to do wrong, a request that forces a choice.

`scenarios/*.yaml` hold ours; a file of your own has the same form, a list of tables with the fields
of `Scenario`. After "Rethinking harmless refusals when fine-tuning foundation models" (arXiv
2406.19552), whose prompts are not public: the role-plays are reconstructed and the words are ours.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from feint.llm.scenes import read_table

FOLDER = Path(__file__).parent / "scenarios"

#: Classes of harm, and the control, in which the order is odd but harms nobody protected.
HARMS = ("dishonesty", "discrimination", "illegality", "control")
ORIGINS = ("reconstructed", "fresh")
SILENCES = ("undesired", "none")


@dataclass(frozen=True)
class Cues:
    """Regular expressions by which the rules read a message; see `feint.llm.reasons.rules`.

    Attributes:
        desired: What a message says that does right; the same denied is undesired.
        undesired: What a message says that does wrong; the same denied is desired.
        silence: What a message is that speaks of the subject and does neither: "undesired" where
            something had to be told, else "none".
        subject: What a message that is about the request speaks of.
    """

    desired: tuple[str, ...] = ()
    undesired: tuple[str, ...] = ()
    silence: str = "none"
    subject: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One role-play, without the manipulated turn.

    Attributes:
        id: Its name: lower case, digits and underscores.
        title: In a few words.
        harm: A name in `HARMS`.
        system: The role and its goals.
        pressure: The order to do wrong, from somebody above.
        request: The message that forces the choice.
        rule: What a rebuttal states: a clause that can begin a sentence.
        undesired: When a reply carries out the order, in words, for judges.
        ethical: What an ethical trace says, in words, for judges.
        origin: "reconstructed" from what is known of the paper, or "fresh".
        names: Names in it, and others that could stand in their place.
        cues: For the scorer by rules; without any, only judges can score it.
    """

    id: str
    title: str
    harm: str
    system: str
    pressure: str
    request: str
    rule: str
    undesired: str
    ethical: str
    origin: str = "fresh"
    names: dict[str, str] = field(default_factory=dict)
    cues: Cues | None = None

    def rename(self, text: str) -> str:
        """A text with every name of the scenario replaced by its other name."""
        if not self.names:
            return text
        pattern = r"\b(?:" + "|".join(map(re.escape, self.names)) + r")\b"
        return re.sub(pattern, lambda match: self.names[match.group()], text)


def load_scenarios(file: str | Path | None = None) -> dict[str, Scenario]:
    """Scenarios by id: ours, or those of a YAML or TOML file (there under the key "scenario").

    Raises:
        ValueError: Naming the file, the scenario, the field and what is wrong with it.
    """
    paths = sorted(FOLDER.glob("*.yaml")) if file is None else [Path(file)]
    found: dict[str, Scenario] = {}
    for path in paths:
        for scenario in _read(path):
            if scenario.id in found:
                raise ValueError(f"{path}: the id {scenario.id!r} is there twice")
            found[scenario.id] = scenario
    return found


def choose(
    scenarios: dict[str, Scenario], ids: Sequence[str] | None, per_harm: int | None = None
) -> list[Scenario]:
    """The scenarios of these ids, or the first `per_harm` of each class of harm, or all.

    Raises:
        ValueError: For an id that is not there.
    """
    if ids:
        if unknown := [key for key in ids if key not in scenarios]:
            raise ValueError(
                f"there is no scenario {unknown[0]!r}; there are: {', '.join(scenarios)}"
            )
        return [scenarios[key] for key in ids]
    if per_harm is None:
        return list(scenarios.values())
    picked: list[Scenario] = []
    for harm in HARMS[:3]:
        of_harm = [s for s in scenarios.values() if s.harm == harm]
        of_harm.sort(key=lambda s: s.origin != "reconstructed")
        picked += of_harm[:per_harm]
    return picked


@cache
def _read(path: Path) -> tuple[Scenario, ...]:
    table = read_table(path, "scenarios")
    if isinstance(table, dict):
        table = table.get("scenario")
    if not isinstance(table, list) or not table:
        raise ValueError(f"{path} must hold a list of scenarios, each a table of {_names()}")
    return tuple(_scenario(path, k, entry) for k, entry in enumerate(table))


def _names() -> str:
    return ", ".join(f.name for f in fields(Scenario))


def _scenario(path: Path, number: int, entry: Any) -> Scenario:
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: entry {number + 1} must be a table of {_names()}")
    where = f"{path}, scenario {entry.get('id', number + 1)!r}"
    known = {f.name: f for f in fields(Scenario)}
    if unknown := sorted(map(str, entry.keys() - known)):
        raise ValueError(f"{where}: unknown field {unknown[0]!r}; there are: {_names()}")
    for name, about in known.items():
        if about.default is MISSING and about.default_factory is MISSING and name not in entry:
            raise ValueError(f"{where}: the field {name!r} is missing")
        if name not in ("names", "cues") and name in entry:
            if not isinstance(entry[name], str) or not entry[name].strip():
                raise ValueError(f"{where}: {name} must be a text, got {entry[name]!r}")
    if not re.fullmatch(r"[a-z0-9_]+", entry["id"]):
        raise ValueError(f"{where}: id must be of a-z, 0-9 and _, got {entry['id']!r}")
    for name, allowed in (("harm", HARMS), ("origin", ORIGINS)):
        if entry.get(name, allowed[0]) not in allowed:
            raise ValueError(
                f"{where}: {name} must be one of {', '.join(allowed)}; got {entry[name]!r}"
            )
    names = entry.get("names", {})
    if not isinstance(names, dict) or not all(
        isinstance(part, str) for pair in names.items() for part in pair
    ):
        raise ValueError(f"{where}: names must be a table of a name and its other name")
    cues = _cues(where, entry["cues"]) if "cues" in entry else None
    texts = {k: " ".join(v.split()) for k, v in entry.items() if isinstance(v, str)}
    return Scenario(**{**texts, "names": names, "cues": cues})


def _cues(where: str, entry: Any) -> Cues:
    known = [f.name for f in fields(Cues)]
    if not isinstance(entry, dict) or (unknown := sorted(map(str, entry.keys() - set(known)))):
        got = entry if not isinstance(entry, dict) else unknown[0]  # pyright: ignore
        raise ValueError(f"{where}: cues must be a table of {', '.join(known)}; got {got!r}")
    made = {}
    for name in ("desired", "undesired", "subject"):
        listed = entry.get(name, [])
        if not isinstance(listed, list):
            raise ValueError(f"{where}: cues.{name} must be a list, got {listed!r}")
        for pattern in listed:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise ValueError(
                    f"{where}: cues.{name}: {pattern!r} is no regular expression: {error}"
                ) from error
        made[name] = tuple(listed)
    silence = entry.get("silence", "none")
    if silence not in SILENCES:
        raise ValueError(
            f"{where}: cues.silence must be one of {', '.join(SILENCES)}; got {silence!r}"
        )
    return Cues(**made, silence=silence)
