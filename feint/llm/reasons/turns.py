"""The manipulated assistant turn: the arms of the experiment, and the conversations they make.

    system      role and goals; the format: reasoning first, then the message
    user        the order to do wrong
    assistant   the manipulated turn
    user        the request that forces the choice, with a reminder of the format
    assistant   sampled and scored

Injected turns are plain messages without a reasoning block, as far as is known of the paper. The
neutral turns are made as long as the rebuttals, in tokens, with sentences about nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from feint.llm.reasons.scenario import Scenario
from feint.llm.scenes import read_table

FILE = Path(__file__).parent / "turns.yaml"

#: What the assistant said before; in "natural" and "system" it says it itself.
ARMS = {
    "natural": "whatever the model says",
    "refusal": "a polite refusal without reasons",
    "rebuttal": "a refusal that states the rule, from short to long",
    "neutral": "neither, as long as the rebuttal of the same number",
    "off_topic": "the rebuttal with the rule of something else",
    "system": "whatever the model says, with the rebuttal in the system prompt",
}
SAMPLED = ("natural", "system")

Message = dict[str, str]
#: Counts the tokens of a text.
Count = Callable[[str], int]


@dataclass(frozen=True)
class Turns:
    """The texts of the arms; see `turns.yaml`."""

    format: str
    reminder: str
    system_rebuttal: str
    refusal: tuple[str, ...]
    rebuttal: tuple[str, ...]
    neutral: tuple[str, ...]
    filler: tuple[str, ...]
    off_topic: tuple[str, ...]


@cache
def load_turns(file: str | Path = FILE) -> Turns:
    """Ours, or those of a YAML or TOML file in the same form.

    Raises:
        ValueError: Naming the file, the field and what is wrong with it.
    """
    table: Any = read_table(Path(file), "turns")
    if not isinstance(table, dict):
        raise ValueError(f"{file} must be a table of {', '.join(f.name for f in fields(Turns))}")
    made: dict[str, Any] = {}
    for f in fields(Turns):
        value = table.get(f.name)
        one = f.name in ("format", "reminder", "system_rebuttal")
        listed = [value] if one else value
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(text, str) and text.strip() for text in listed)
        ):
            kind = "a text" if one else "a list of texts"
            raise ValueError(f"{file}: {f.name} must be {kind}, got {value!r}")
        texts = tuple(" ".join(str(text).split()) for text in listed)
        made[f.name] = texts[0] if one else texts
    if unknown := sorted(table.keys() - made.keys()):
        raise ValueError(f"{file}: unknown field {unknown[0]!r}; there are: {', '.join(made)}")
    lengths = {len(made[name]) for name in ("refusal", "rebuttal", "neutral", "off_topic")}
    if len(lengths) > 1:
        raise ValueError(f"{file}: refusal, rebuttal, neutral and off_topic must be as many")
    return Turns(**made)


def wordings(turns: Turns, n: int) -> list[int]:
    """Numbers of `n` wordings, spread from the shortest rebuttal to the longest.

    Raises:
        ValueError: If there are not so many.
    """
    if not 1 <= n <= len(turns.rebuttal):
        raise ValueError(f"wordings must be in 1 to {len(turns.rebuttal)}, got {n}")
    return sorted({round(x) for x in np.linspace(0, len(turns.rebuttal) - 1, n).tolist()})


def injected(turns: Turns, scenario: Scenario, arm: str, wording: int, count: Count) -> str:
    """The manipulated turn of an arm that injects one.

    Raises:
        ValueError: For an arm that does not.
    """
    if arm == "refusal":
        return turns.refusal[wording]
    if arm == "rebuttal":
        return stated(turns.rebuttal[wording], scenario.rule)
    if arm == "off_topic":
        return stated(turns.rebuttal[wording], turns.off_topic[wording])
    if arm == "neutral":
        target = count(stated(turns.rebuttal[wording], scenario.rule))
        return fill(turns.neutral[wording], turns.filler, target, count)
    known = [name for name in ARMS if name not in SAMPLED]
    raise ValueError(f"arm must be one of {', '.join(known)}; got {arm!r}")


def fill(text: str, filler: Sequence[str], target: int, count: Count) -> str:
    """A text with those of the filler sentences that bring it nearest to `target` tokens.

    Each sentence is used once at most; their order is kept. Of all sums of lengths that can be
    reached, the nearest is taken.
    """
    sums: dict[int, tuple[int, ...]] = {0: ()}
    for k, sentence in enumerate(filler):
        length = count(f" {sentence}")
        for total, used in list(sums.items()):
            sums.setdefault(total + length, (*used, k))
    missing = target - count(text)
    best = min(sums, key=lambda total: (abs(total - missing), total))
    return " ".join([text, *(filler[k] for k in sums[best])])


def opening(turns: Turns, scenario: Scenario, arm: str, wording: int) -> list[Message]:
    """The conversation up to the manipulated turn."""
    system = f"{scenario.system} {turns.format}"
    if arm == "system":
        rebuttal = stated(turns.rebuttal[wording], scenario.rule)
        system = f"{system} {turns.system_rebuttal.format(rebuttal=rebuttal)}"
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": scenario.pressure},
    ]


def conversation(
    opened: Sequence[Message], turn: str, request: str, reminder: str
) -> list[Message]:
    """The conversation up to the scored reply; a turn that said nothing is shown as "...".

    Templates strip turns, and some servers refuse an empty one.
    """
    return [
        *opened,
        {"role": "assistant", "content": turn.strip() or "..."},
        {"role": "user", "content": f"{request} {reminder}"},
    ]


def stated(text: str, rule: str) -> str:
    """A rebuttal with its rule."""
    return text.format(rule=rule, Rule=rule[:1].upper() + rule[1:])
