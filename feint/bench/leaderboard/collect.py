"""From folders of results to the board: what this project ran, and what others have sent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from feint.bench.leaderboard import records, submission
from feint.bench.leaderboard.board import Board, Part
from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.parts import board_part, ordered
from feint.bench.results import RunResult
from feint.bench.runner import finished, suite_of
from feint.bench.store import load
from feint.bench.suite import Suite

#: Folders whose subfolders are looked at unless others are named.
FOLDERS = (Path("benchmarks/results"), Path("runs"), submission.FOLDER)


@dataclass(frozen=True)
class Source:
    """One folder's results.

    Attributes:
        folder: where they are.
        suite: of them.
        results: those that are there.
        checked: what verifications found, by run id.
        submitter: who sent them; None for runs of this project.
    """

    folder: Path
    suite: Suite
    results: tuple[RunResult, ...]
    checked: dict[str, Verification]
    submitter: str | None = None


def collect(
    folders: Sequence[str | Path] | None = None, say: Callable[[str], None] = lambda _: None
) -> Board:
    """The board of all results below some folders.

    Where several folders hold runs of one suite, that with the most counts, the first of equals.

    Args:
        folders: submissions, folders in which suites ran, folders of stored results, or folders of
            such folders; `FOLDERS` by default.
        say: told, in a line each, of what is left out, and why.

    Raises:
        ValueError: if there is nothing to show.
    """
    sources = []
    for folder in _candidates(folders):
        try:
            sources.append(source(folder))
        except ValueError as error:
            say(f"left out {folder}: {error}")
    own: dict[str, Source] = {}
    for found in (s for s in sources if s.submitter is None):
        best = own.get(found.suite.name)
        if best is not None:
            worse = found if len(found.results) <= len(best.results) else best
            say(f"left out {worse.folder}: another folder has as many runs of {found.suite.name}")
        if best is None or len(found.results) > len(best.results):
            own[found.suite.name] = found
    parts: dict[str, Part] = {}
    for found in own.values():
        try:
            parts[found.suite.name] = board_part(found.suite, found.results, found.checked)
        except ValueError as error:
            say(f"left out {found.folder}: {error}")
    for found in (s for s in sources if s.submitter is not None):
        try:
            _add(parts, found, own.get(found.suite.name))
        except ValueError as error:
            say(f"left out {found.folder}: {error}")
    if not parts:
        raise ValueError(
            "there are no results to show; run a suite first, such as: feint bench run smoke"
        )
    built = datetime.now(UTC).isoformat(timespec="seconds")
    return Board(tuple(parts[name] for name in sorted(parts)), built)


def source(folder: Path) -> Source:
    """What one folder holds.

    Raises:
        ValueError: if that is nothing, or damaged.
    """
    if (folder / submission.MANIFEST).exists():
        sent = submission.read(folder, models=False)
        checked = records.of(folder, sent.results)
        return Source(folder, sent.suite, sent.results, checked, sent.name)
    if (folder / "runs").is_dir():
        suite = suite_of(folder)
        results = finished(suite, folder)[0]
    else:
        suite, results = load(folder)
    if not results:
        raise ValueError("it holds no finished run")
    return Source(folder, suite, tuple(results), records.of(folder, results))


def _candidates(folders: Sequence[str | Path] | None) -> Iterable[Path]:
    """Folders with a suite or a manifest in them: those named, and those one step below."""
    for folder in map(Path, FOLDERS if folders is None else folders):
        if _holds(folder):
            yield folder
        elif folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if _holds(path))
        elif folders is not None:
            raise ValueError(f"there is no folder {folder}")


def _holds(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("suite.json", submission.MANIFEST))


def _add(parts: dict[str, Part], sent: Source, own: Source | None) -> None:
    """Put a submission's rows into its suite's part, judged against its own references.

    Where it brings none, those of this project stand in, over the seeds that they share.
    """
    mine = {result.run for result in sent.results}
    borrowed = [
        result
        for result in (own.results if own else ())
        if result.role == "reference" and result.run not in mine
    ]
    suite = sent.suite
    if borrowed:
        data = suite.to_dict()
        known = {arm["key"] for arm in data["arm"]}
        theirs = own.suite.to_dict()["arm"] if own else []
        data["arm"] += [
            arm | {"needs": []}
            for arm in theirs
            if arm["role"] == "reference" and arm["key"] not in known
        ]
        suite = Suite.from_dict(data)
    part = board_part(suite, [*sent.results, *borrowed], sent.checked)
    arms = {(result.scenario, result.arm) for result in sent.results}
    rows = tuple(
        replace(row, submitter=sent.submitter, title=_title(row.title, row.method, sent))
        for row in part.rows
        if (row.scenario, row.method) in arms
    )
    if not rows:
        raise ValueError("it lacks the references that its runs would be judged against")
    there = parts.get(part.key)
    if there is None:
        parts[part.key] = replace(part, rows=rows)
        return
    scenarios = there.scenarios | part.scenarios
    parts[part.key] = ordered(replace(there, scenarios=scenarios, rows=there.rows + rows))


def _title(title: str, method: str, sent: Source) -> str:
    """The suite's title for its own methods; those of a stranger are called as it calls itself."""
    own = {arm.key for arm in Suite.load(sent.suite.name).arms}
    return title if method in own else f"{sent.submitter}: {title}"
