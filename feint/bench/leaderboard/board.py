"""What a leaderboard holds: for each suite rows of numbers, each with the gates it had to pass.

Data only: rows are made from results elsewhere, and pages are made from these.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Number:
    """A mean over seeds and its 95 % interval.

    Attributes:
        value: the mean.
        low: lower end of the interval; None where there are too few seeds for one.
        high: upper end.
        n: how many seeds it is of.
    """

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Column:
    """One measure of a suite.

    Attributes:
        key: its name in `Row.numbers`.
        title: head of the column.
        unit: "share" (shown in %), or the unit's name, or "".
        better: which is better, "more" or "less"; None where neither is.
        doc: one sentence that says what it is.
    """

    key: str
    title: str
    unit: str
    better: Literal["more", "less"] | None
    doc: str


@dataclass(frozen=True)
class Gate:
    """A condition without which a row is not ranked.

    Attributes:
        name: "controls", "seeds", "capability", "collapse", "verified", ...
        passed: None where it was not measured, which does not pass.
        says: one sentence with the numbers.
    """

    name: str
    passed: bool | None
    says: str


@dataclass(frozen=True)
class Row:
    """A method on a scenario.

    Attributes:
        suite: key of the suite.
        scenario: key of the scenario.
        method: key of the method.
        title: the method's name; may come from a stranger, so escape it.
        role: "reference", "treatment", "sham" or "baseline".
        numbers: `Column.key` -> value; a column may be missing.
        seeds: training seeds.
        gates: all that apply, passed or not.
        verdict: in one word, where the suite judges; None elsewhere.
        verified: when a fresh evaluation from its checkpoints agreed: ISO date; None if never.
        submitter: who sent it; None for runs of this project.
        versions: of the packages it was made with.
        commit: of Feint, where known.
    """

    suite: str
    scenario: str
    method: str
    title: str
    role: str
    numbers: dict[str, Number]
    seeds: tuple[int, ...]
    gates: tuple[Gate, ...]
    verdict: str | None
    verified: str | None
    submitter: str | None
    versions: dict[str, str]
    commit: str | None

    @property
    def ranked(self) -> bool:
        """Whether it passed every gate; otherwise it stands below those that did."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class Plot:
    """A scatter plot with intervals: the keys of two columns, and what it shows."""

    title: str
    x: str
    y: str


@dataclass(frozen=True)
class Part:
    """All rows of one suite.

    Attributes:
        key: of the suite.
        title: its name.
        doc: one paragraph that says what is measured and how to reproduce it.
        columns: in the order in which they are shown.
        headline: `Column.key` by which rows are ranked.
        plots: scatter plots, for each scenario.
        scenarios: key -> title.
        rows: best first within a scenario, those that failed a gate after the others.
    """

    key: str
    title: str
    doc: str
    columns: tuple[Column, ...]
    headline: str
    plots: tuple[Plot, ...]
    scenarios: dict[str, str]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Board:
    """The whole leaderboard; `built` is the ISO date and time of its making, UTC."""

    parts: tuple[Part, ...]
    built: str
