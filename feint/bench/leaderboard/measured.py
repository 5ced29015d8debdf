"""Parts of suites whose rows are means of some measures, under gates of the suite's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from feint.bench.leaderboard import gates
from feint.bench.leaderboard.board import Column, Gate, Number, Part, Plot, Row
from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.parts import made_with, number, ordered
from feint.bench.results import RunResult, Unfinished
from feint.bench.suite import Arm, Suite
from feint.metrics import bootstrap

Measure = Callable[[RunResult], float | None]
"""A number of a run; None where it means nothing."""

Runs = Mapping[str, Sequence[RunResult]]
"""Arm -> its runs on one scenario."""


@dataclass(frozen=True)
class View:
    """What is shown of a suite.

    Attributes:
        doc: what is measured, in a paragraph.
        measures: in their order; the first ranks.
        plots: keys of columns, against each other.
        gates: of an arm, beside those of seeds and verification that all rows have.
    """

    doc: str
    measures: Sequence[tuple[Column, Measure]]
    plots: Sequence[Plot]
    gates: Callable[[Arm, Runs], Sequence[Gate]]


def part_of(
    suite: Suite,
    view: View,
    results: Sequence[RunResult],
    checked: Mapping[str, Verification],
) -> Part:
    """The part that shows these results.

    Raises:
        Unfinished: if there are none.
    """
    done: dict[str, dict[str, list[RunResult]]] = {}
    for result in results:
        done.setdefault(result.scenario, {}).setdefault(result.arm, []).append(result)
    if not done:
        raise Unfinished(f"suite {suite.name}: no finished run; run the suite to its end")
    scenarios = {s.key: s.title for s in suite.scenarios if s.key in done}
    rows = tuple(
        _row(suite, view, arm, done[scenario], checked)
        for scenario in scenarios
        for arm in suite.arms
        if arm.key in done[scenario]
    )
    headline = view.measures[0][0].key
    shown = {headline, *(key for row in rows for key in row.numbers)}
    return ordered(
        Part(
            key=suite.name,
            title=suite.name,
            doc=f"{view.doc} To reproduce: feint bench run {suite.name}",
            columns=tuple(column for column, _ in view.measures if column.key in shown),
            headline=headline,
            plots=tuple(plot for plot in view.plots if {plot.x, plot.y} <= shown),
            scenarios=scenarios,
            rows=rows,
        )
    )


def _row(
    suite: Suite, view: View, arm: Arm, there: Runs, checked: Mapping[str, Verification]
) -> Row:
    runs = there[arm.key]
    ids = [run.run for run in runs]
    versions, commit = made_with(runs)
    numbers = {column.key: mean(runs, measure) for column, measure in view.measures}
    return Row(
        suite=suite.name,
        scenario=runs[0].scenario,
        method=arm.key,
        title=arm.title,
        role=arm.role,
        numbers={key: value for key, value in numbers.items() if value is not None},
        seeds=tuple(sorted(run.seed for run in runs)),
        gates=(*view.gates(arm, there), gates.seeds(len(runs)), gates.verified(ids, checked)),
        verdict=None,
        verified=gates.verified_on(ids, checked),
        submitter=None,
        versions=versions,
        commit=commit,
    )


def mean(runs: Sequence[RunResult], measure: Measure) -> Number | None:
    """Mean over the runs that have a number, with its interval."""
    known = [value for run in runs if (value := measure(run)) is not None]
    return number(bootstrap(known)) if known else None


def of(*path: str) -> Measure:
    """What stands there in a run's payload."""

    def measure(result: RunResult) -> float | None:
        found = result.payload
        for key in path:
            found = found[key]
        return found  # pyright: ignore[reportReturnType]

    return measure


def controls(runs: Sequence[RunResult], there: Runs, same: Callable[[RunResult], object]) -> Gate:
    """Shams over the seeds of these runs that are like them in what `same` tells."""
    wanted, like = {run.seed for run in runs}, same(runs[0])
    shams = [
        found
        for found in there.values()
        if found[0].role == "sham" and same(found[0]) == like and wanted <= {r.seed for r in found}
    ]
    told = f"{len(shams)} controls were run on the same seeds, {like}"
    return Gate("controls", bool(shams), told + ("." if shams else "; at least one is asked for."))


def lacks(runs: Sequence[RunResult], there: Runs, references: Sequence[str]) -> Gate | None:
    """The gate that fails where a reference was not run on all seeds of these runs."""
    wanted = {run.seed for run in runs}
    for name in references:
        if not wanted <= {run.seed for run in there.get(name, ())}:
            return Gate("controls", False, f"The {name} reference lacks seeds of this row.")
    return None
