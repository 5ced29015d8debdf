"""The experiment: scenarios x arms x wordings x samples, every reply on disk as it comes.

    folder/design.json          what is asked of whom; another design does not go into this folder
    folder/turns.jsonl          turns that the model said itself, one per scenario, arm and wording
    folder/transcripts.jsonl    every scored reply with the conversation before it

Interrupted, the same call goes on: what is in the files is not asked again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from feint.files import sole_owner, write_atomically
from feint.llm.reasons.backend import Backend, Sampled, Sampling
from feint.llm.reasons.log import Log
from feint.llm.reasons.scenario import Scenario, choose, load_scenarios
from feint.llm.reasons.turns import (
    ARMS,
    SAMPLED,
    Message,
    conversation,
    injected,
    load_turns,
    opening,
    wordings,
)

#: Called with how many replies there are, and how many there will be.
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Design:
    """What is asked.

    Attributes:
        scenarios: Ids; `None` for `per_harm` of each class of harm.
        per_harm: How many of each class; `None` for all, the control among them.
        arms: Names in `ARMS`.
        wordings: Turns of each arm; of those that the model says itself, how many are drawn.
        samples: Replies to each conversation.
        seed: Of all that is drawn.
        sampling: How replies are drawn.
        turn_tokens: Length at most of a turn that the model says itself.
        scenarios_file: Scenarios of your own in place of ours.

    Raises:
        ValueError: Naming the setting, what it got and what it may be.
    """

    scenarios: tuple[str, ...] | None = None
    per_harm: int | None = 1
    arms: tuple[str, ...] = tuple(ARMS)
    wordings: int = 3
    samples: int = 5
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    turn_tokens: int = 80
    scenarios_file: str | None = None

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm not in ARMS:
                raise ValueError(f"arms must be among {', '.join(ARMS)}; got {arm!r}")
        for name in ("wordings", "samples", "turn_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.per_harm is not None and self.per_harm < 1:
            raise ValueError(f"per_harm must be at least 1, got {self.per_harm}")

    @property
    def chosen(self) -> list[Scenario]:
        """The scenarios.

        Raises:
            ValueError: For an id that is not there.
        """
        return choose(load_scenarios(self.scenarios_file), self.scenarios, self.per_harm)


#: One scenario of each class, 3 wordings, 5 samples; and all scenarios, 10 wordings, 10 samples.
SMALL = Design()
FULL = Design(per_harm=None, wordings=10, samples=10)


@dataclass(frozen=True)
class Cell:
    """One conversation of the design, up to the manipulated turn."""

    scenario: Scenario
    arm: str
    wording: int
    opened: tuple[Message, ...]

    @property
    def id(self) -> str:
        """Scenario, arm and wording."""
        return f"{self.scenario.id}/{self.arm}/{self.wording}"


def cells(design: Design) -> list[Cell]:
    """All conversations of a design."""
    turns = load_turns()
    return [
        Cell(scenario, arm, wording, tuple(opening(turns, scenario, arm, wording)))
        for scenario in design.chosen
        for arm in design.arms
        for wording in wordings(turns, design.wordings)
    ]


def run(
    design: Design, backend: Backend, out: str | Path, report: Report | None = None
) -> list[dict[str, Any]]:
    """Ask everything that is not in the folder yet.

    Example:
        >>> model, tokenizer = load("smollm2")  # doctest: +SKIP
        >>> backend = Local(model, tokenizer, "smollm2")  # doctest: +SKIP
        >>> transcripts = run(SMALL, backend, "runs/reasons")  # doctest: +SKIP

    Args:
        design: What is asked.
        backend: Who is asked.
        out: The folder.
        report: Called after each reply.

    Returns:
        The transcripts, in the order of the design. Each has `id`, `scenario`, `harm`, `arm`,
        `wording`, `sample`, `seed`, `turn`, its `turn_tokens`, `messages`, `reply`, `finished`.

    Raises:
        ValueError: If the folder is in use, or holds another design.
        Unavailable: If a server gives no answer; what came before is kept.
    """
    folder = Path(out)
    with sole_owner(folder):
        _check_design(folder / "design.json", design, backend)
        with Log(folder / "turns.jsonl") as turns, Log(folder / "transcripts.jsonl") as said:
            asked = cells(design)
            total = len(asked) * design.samples
            if report:
                report(len(said.entries), total)
            _say_turns(design, backend, asked, turns)
            _say_replies(design, backend, asked, turns, said, report, total)
            return [said.entries[_reply_id(c, k)] for c in asked for k in range(design.samples)]


def load_run(out: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The design and the transcripts in a folder, finished or not.

    Raises:
        ValueError: If there is no run in it.
    """
    folder = Path(out)
    try:
        design = json.loads((folder / "design.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} holds no run of feint llm reasons: {error}") from error
    with Log(folder / "transcripts.jsonl") as said:
        return design, list(said.entries.values())


def _say_turns(design: Design, backend: Backend, asked: list[Cell], turns: Log) -> None:
    """Let the model say the turns that are not injected."""
    missing = [c for c in asked if c.arm in SAMPLED and c.id not in turns]
    seeds = [seed_of(design.seed, c.id) for c in missing]
    how = replace(design.sampling, max_new_tokens=design.turn_tokens)
    for k, reply in backend.sample([c.opened for c in missing], seeds, how):
        turns.add({"id": missing[k].id, "turn": reply.text, "finished": reply.finished})


def _say_replies(
    design: Design,
    backend: Backend,
    asked: list[Cell],
    turns: Log,
    said: Log,
    report: Report | None,
    total: int,
) -> None:
    texts = load_turns()
    waiting: list[dict[str, Any]] = []
    for cell in asked:
        if cell.arm in SAMPLED:
            turn = turns.entries[cell.id]["turn"]
        else:
            turn = injected(texts, cell.scenario, cell.arm, cell.wording, backend.count)
        messages = conversation(cell.opened, turn, cell.scenario.request, texts.reminder)
        for sample in range(design.samples):
            key = _reply_id(cell, sample)
            if key not in said:
                waiting.append(
                    {
                        "id": key, "scenario": cell.scenario.id, "harm": cell.scenario.harm,
                        "arm": cell.arm, "wording": cell.wording, "sample": sample,
                        "seed": seed_of(design.seed, key), "turn": turn,
                        "turn_tokens": backend.count(turn), "messages": messages,
                    }
                )  # fmt: skip
    # One scenario after another: what its conversations share is in the cache together.
    replies = backend.sample(
        [entry["messages"] for entry in waiting],
        [entry["seed"] for entry in waiting],
        design.sampling,
    )
    for k, reply in replies:
        said.add({**waiting[k], **_kept(reply)})
        if report:
            report(len(said.entries), total)


def _kept(reply: Sampled) -> dict[str, Any]:
    return {"reply": reply.text, "finished": reply.finished}


def _reply_id(cell: Cell, sample: int) -> str:
    return f"{cell.id}/{sample}"


def seed_of(seed: int, key: str) -> int:
    """A seed for one reply, below 2**31 as servers want it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


def _check_design(file: Path, design: Design, backend: Backend) -> None:
    """Write down what is asked, or see that it is the same as before."""
    texts = (
        "".join(json.dumps(message) for cell in cells(design) for message in cell.opened)
        + "".join(s.request for s in design.chosen)
        + repr(load_turns())
    )
    wanted = {
        "model": backend.name,
        "design": json.loads(json.dumps(asdict(design))),
        "texts": hashlib.sha256(texts.encode()).hexdigest()[:16],
    }
    if not file.exists():
        write_atomically(file, json.dumps(wanted, indent=1) + "\n")
        return
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is corrupt ({error}); choose another folder") from error
    for part in wanted:
        if found.get(part) != wanted[part]:
            raise ValueError(
                f"{file.parent} holds a run of another {part}; choose another --out, or remove it"
            )
