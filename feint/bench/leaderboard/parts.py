"""From the results of one suite to its part of the board; each kind of suite has a view of its own.

To put another kind of suite on the board, write in the module of its job (`job = "module:run"`)

    def board_part(
        suite: Suite, results: Sequence[RunResult], checked: Mapping[str, Verification]
    ) -> Part:

`checked` tells what a verification of each run found, by run id; runs that are not in it were not
verified. Give each row the gates that apply (`feint.bench.leaderboard.gates`), and pass the
part through `ordered`. Where the job's module is slow to import, put the function elsewhere, and
its place into `VIEWS`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from feint.bench.leaderboard.board import Number, Part, Row
from feint.bench.leaderboard.gates import Verification
from feint.bench.results import RunResult
from feint.bench.suite import Suite
from feint.metrics import Interval

View = Callable[[Suite, Sequence[RunResult], Mapping[str, Verification]], Part]

#: Module of the job -> module with its `board_part`, where that is another one.
VIEWS = {
    "feint.bench.rl": "feint.bench.leaderboard.rl_rows",
    "feint.bench.soo_rl_paper": "feint.bench.leaderboard.rl_rows",
    "feint.bench.llm": "feint.bench.leaderboard.llm_rows",
    "feint.bench.selfmodel": "feint.bench.leaderboard.selfmodel_rows",
    "feint.bench.selfmodel_rl": "feint.bench.leaderboard.selfmodel_rl_rows",
    "feint.bench.reasons": "feint.bench.leaderboard.reasons_rows",
}


def board_part(
    suite: Suite, results: Sequence[RunResult], checked: Mapping[str, Verification] | None = None
) -> Part:
    """The part of the board that shows these results.

    Raises:
        ValueError: if the suite's job has no view, or too little is finished to show anything.
    """
    job = suite.job.partition(":")[0]
    module = importlib.import_module(VIEWS.get(job, job))
    view: View | None = getattr(module, "board_part", None)
    if view is None:
        raise ValueError(f"suite {suite.name}: {job} has no board_part, so it cannot be shown")
    return view(suite, results, checked or {})


def ordered(part: Part) -> Part:
    """The same with each scenario's rows best first, those that failed a gate after the others.

    Where neither end of the headline is better, they stay in the suite's order.
    """
    better = next(c.better for c in part.columns if c.key == part.headline)
    sign = -1.0 if better == "more" else 1.0
    places = list(part.scenarios)

    def place(row: Row) -> tuple[int, bool, bool, float]:
        where, number = (places.index(row.scenario), not row.ranked), row.numbers.get(part.headline)
        if better is None:
            return *where, False, 0.0
        return *where, number is None, 0.0 if number is None else sign * number.value

    return replace(part, rows=tuple(sorted(part.rows, key=place)))


def number(interval: Interval | None, n: int | None = None) -> Number | None:
    """An interval over seeds as the board has it; with one seed it says nothing of others.

    Args:
        interval: None or of nothing gives None.
        n: how many seeds, where `interval.n` counts something else.
    """
    if interval is None or not interval.n or interval.estimate != interval.estimate:
        return None
    count = interval.n if n is None else n
    if count < 2:
        return Number(interval.estimate, None, None, count)
    return Number(interval.estimate, interval.low, interval.high, count)


def made_with(results: Sequence[RunResult]) -> tuple[dict[str, str], str | None]:
    """Versions ("several" where they differ) and commit (None where they differ) of some runs."""
    versions: dict[str, str] = {}
    for result in results:
        for name, version in result.versions.items():
            same = versions.setdefault(name, version) == version
            versions[name] = version if same else "several"
    commits = {result.commit for result in results}
    return versions, commits.pop() if len(commits) == 1 else None
