"""Verification: checkpoints are evaluated again, with fresh seeds, and claims compared with that.

The models are run in a process of its own, with a limit of time and memory; it loads nothing but
safetensors and JSON, which have been checked before. What is measured hangs on the suite's job
(`feint.bench.leaderboard.kinds`). What cannot be checked in this way is how a model was trained:
the dose, the steps and the seed of the training stay the submitter's word.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feint
from feint.bench.leaderboard import entries, records, submission
from feint.bench.leaderboard.kinds import Judged, Kind
from feint.bench.leaderboard.reproduce import FALSE_REFUSALS
from feint.bench.leaderboard.sandbox import MEMORY, answers
from feint.bench.results import RunResult
from feint.bench.runner import finished, suite_of
from feint.bench.store import load
from feint.bench.suite import Suite

#: Fresh episodes for each claimed one.
FACTOR = 2
#: Fresh games are seeded from here on: far above those of training, evaluation and gauges.
FIRST_SEED, MOST_SEED = 10_000_000_000, 10**14


@dataclass(frozen=True)
class Target:
    """Results to be verified, and where what is found is kept.

    Attributes:
        suite: of the results.
        runs: each a result, its file, and checkpoints by run id.
        folder: of the record; None where it is only told.
        own: whether the record in it is our own; one that came with a submission is not believed.
    """

    suite: Suite
    runs: tuple[tuple[RunResult, Path, dict[str, Path]], ...]
    folder: Path | None
    own: bool = True

    def left(self, arms: Sequence[str] = (), again: bool = False) -> "Target":
        """Those runs that are not on record as verified, of these arms if any are named.

        Args:
            arms: keys.
            again: take those on record as well.

        Raises:
            ValueError: if there is no such arm.
        """
        there = {result.arm for result, _, _ in self.runs}
        for arm in arms:
            if arm not in there:
                raise ValueError(f"there is no arm {arm!r}; there are: {', '.join(sorted(there))}")
        done = {}
        if self.folder is not None and self.own and not again:
            done = records.of(self.folder, (result for result, _, _ in self.runs))
        kept = [
            run
            for run in self.runs
            if not (run[0].run in done and done[run[0].run].agrees)
            and (not arms or run[0].arm in arms)
        ]
        return replace(self, runs=tuple(kept))


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Attributes:
        run: its id.
        refused: why, in sentences; empty where it agrees.
        held_out: what was found with others that training never sees.
        exact: how many numbers the same games gave to the last digit, and of how many.
    """

    run: str
    refused: tuple[str, ...]
    held_out: dict[str, Any]
    exact: tuple[int, int]


def target(where: Path, models: Sequence[Path] = ()) -> Target:
    """What to verify.

    Args:
        where: a submission, a folder in which a suite ran, a folder of stored results, or the file
            of one result.
        models: for a result: its checkpoint, by default what lies beside it, and then that of the
            run it was tuned from, which language models need, and agents for their control gaps.
            For stored results: the folder in which they were run.

    Raises:
        ValueError: if it is nothing of these, or something in it is wrong.
    """
    where = Path(where)
    if (where / submission.MANIFEST).exists():
        if models:
            raise ValueError(f"{where} holds its checkpoints itself; leave --model out")
        found = submission.read(where)
        files = {r.run: where / "results" / f"{r.run}.json" for r in found.results}
        made = _target(found.suite, found.results, files, found.models, where)
        return replace(made, own=False)
    if (where / "suite.json").exists():
        return _folder(where, models)
    if where.is_dir():
        raise ValueError(f"{where} is neither a submission nor a folder of runs or stored results")
    result = entries.read_result(where)
    suite = entries.checked([result])
    kind = entries.kind_of(suite)
    given = list(models) or [where.parent / kind.model]
    names = kind.uses(result, ())
    if len(given) > len(names):
        raise ValueError(f"{result.run} takes at most {len(names)} models, got {len(given)}")
    if missing := kind.needs(result, ())[len(given) :]:
        raise ValueError(f"{result.run} needs the model of {missing[0]} too; add it to --model")
    paths = dict(zip(names, given, strict=False))
    for path in given:
        kind.check_model(path, result)
    return _target(suite, [result], {result.run: where}, paths, None)


def _folder(where: Path, models: Sequence[Path]) -> Target:
    if len(models) > 1:
        raise ValueError("give --model once: the folder in which the stored results were run")
    ran = (where / "runs").is_dir()
    if ran:
        suite = suite_of(where)
        results, _ = finished(suite, where)
        files = {r.run: where / "runs" / r.run / "result.json" for r in results}
    else:
        suite, results = load(where)
        files = {r.run: where / f"{r.run}.json" for r in results}
    root = (models[0] if models else where) / "runs"
    kind = entries.kind_of(suite)
    paths = {r.run: root / r.run / kind.model for r in results}
    there = {run: path for run, path in paths.items() if path.exists()}
    if not there:
        raise ValueError(f"{root} holds no checkpoint; name the folder of the runs with --model")
    kept = [r for r in results if there.keys() >= set(kind.needs(r, there))]
    for result in kept:
        if result.run in there:
            kind.check_model(there[result.run], result)
    return _target(suite, kept, files, there, where)


def _target(
    suite: Suite,
    results: Sequence[RunResult],
    files: Mapping[str, Path],
    models: Mapping[str, Path],
    folder: Path | None,
) -> Target:
    kind = entries.kind_of(suite)
    runs = []
    for result in results:
        mine = {name: models[name] for name in kind.uses(result, models) if name in models}
        runs.append((result, files[result.run], mine))
    return Target(suite, tuple(runs), folder)


def verify(
    found: Target,
    seed: int | None = None,
    told: Callable[[Outcome], None] = lambda _: None,
    factor: int = FACTOR,
    run_s: float | None = None,
    memory: int = MEMORY,
) -> list[Outcome]:
    """Evaluate all runs again, compare, and keep what is found, run by run.

    Args:
        found: what to verify.
        seed: of the fresh games; by default one that nobody could know.
        told: called with each run's outcome as soon as it is there.
        factor: fresh episodes for each claimed one.
        run_s: seconds for each run; by default as many as runs of its kind may take.
        memory: bytes of address space.

    Raises:
        ValueError: for a seed that is out of range; or if what no submission holds, such as a base
            model, is not on this machine.
    """
    if seed is not None and not 0 <= seed <= MOST_SEED:
        raise ValueError(f"the seed must be from 0 to {MOST_SEED}, got {seed}")
    kind = entries.kind_of(found.suite)
    for result, _, _ in found.runs:
        kind.prepare(result)
    if found.folder is not None and not found.own:
        records.clear(found.folder)
    fresh = FIRST_SEED + secrets.randbelow(1 << 40) if seed is None else seed
    tests = sum(kind.tests(result) for result, _, _ in found.runs)
    outcomes = []
    runs = [
        {"run": result.run, "result": str(file), "models": {k: str(p) for k, p in models.items()}}
        for result, file, models in found.runs
    ]
    run_s = kind.seconds if run_s is None else run_s
    said = answers(found.suite, runs, fresh, factor, run_s, memory)
    for (result, _, _), answer in zip(found.runs, said, strict=True):
        entry = _entry(kind, result, answer, fresh, tests)
        if found.folder is not None:
            records.add(found.folder, entry)
        done, of = entry["exact"]
        outcome = Outcome(result.run, tuple(entry["refused"]), entry["held_out"], (done, of))
        told(outcome)
        outcomes.append(outcome)
    return outcomes


def _entry(
    kind: Kind, result: RunResult, answer: Mapping[str, Any], seed: int, tests: int
) -> dict[str, Any]:
    """What is kept of one run."""
    if "error" in answer:
        judged = Judged([f"it could not be evaluated: {answer['error']}"], (0, 0))
    else:
        judged = kind.judge(result, answer["found"], tests)
    return {
        "run": result.run,
        "digest": entries.digest(result),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "feint": feint.__version__,
        "seed": seed,
        "tests": tests,
        "false_refusals": FALSE_REFUSALS,
        "refused": judged.refused,
        "exact": list(judged.exact),
        "held_out": {},
        **judged.kept,
    }
