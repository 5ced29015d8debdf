"""Verification: checkpoints are evaluated again, with fresh seeds, and claims compared with that.

The agents are played in a process of its own, with a limit of time and memory; it loads nothing but
safetensors and JSON, which have been checked before. What cannot be checked in this way is how an
agent was trained: the dose, the steps and the seed of the training stay the submitter's word.
"""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feint
from feint.bench.leaderboard import records, submission
from feint.bench.leaderboard.reproduce import FALSE_REFUSALS, TESTS, compare
from feint.bench.results import RunResult
from feint.bench.runner import finished, suite_of
from feint.bench.store import load
from feint.bench.suite import Suite

#: Fresh episodes for each claimed one.
FACTOR = 2
#: Seconds until the process must have started, and for each run; bytes of address space.
START_S, RUN_S, MEMORY = 180.0, 600.0, 16 << 30
#: By how much a gap may differ when it is measured again in the same games, of its size and at all.
GAP_RATIO, GAP = 0.05, 0.005
#: Fresh games are seeded from here on: far above those of training, evaluation and gauges.
FIRST_SEED = 10_000_000_000


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
    """

    run: str
    refused: tuple[str, ...]
    held_out: dict[str, Any]


def target(where: Path, models: Sequence[Path] = ()) -> Target:
    """What to verify.

    Args:
        where: a submission, a folder in which a suite ran, a folder of stored results, or the file
            of one result.
        models: for a result: its checkpoint, by default `agent.safetensors` beside it, and then,
            for control gaps, that of the agent it was tuned from. For stored results: the folder in
            which they were run.

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
    result = submission.read_result(where)
    suite = submission.checked([result])
    kind = submission.kind_of(suite)
    given = list(models) or [where.parent / "agent.safetensors"]
    names = dict.fromkeys([kind.plays_as(result), kind.began_with(result) or result.run])
    if len(given) > len(names):
        raise ValueError(f"{result.run} takes at most {len(names)} models, got {len(given)}")
    paths = dict(zip(names, given, strict=False))
    kind.check_model(given[0], result)
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
    paths = {r.run: root / r.run / "agent.safetensors" for r in results}
    there = {run: path for run, path in paths.items() if path.exists()}
    if not there:
        raise ValueError(f"{root} holds no checkpoint; name the folder of the runs with --model")
    kind = submission.kind_of(suite)
    kept = [r for r in results if kind.plays_as(r) in there]
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
    kind = submission.kind_of(suite)
    runs = []
    for result in results:
        names = (kind.plays_as(result), kind.began_with(result) or result.run)
        mine = {name: models[name] for name in names if name in models}
        runs.append((result, files[result.run], mine))
    return Target(suite, tuple(runs), folder)


def verify(
    found: Target,
    seed: int | None = None,
    told: Callable[[Outcome], None] = lambda _: None,
    factor: int = FACTOR,
    run_s: float = RUN_S,
    memory: int = MEMORY,
) -> list[Outcome]:
    """Evaluate all runs again, compare, and keep what is found, run by run.

    Args:
        found: what to verify.
        seed: of the fresh games; by default one that nobody could know.
        told: called with each run's outcome as soon as it is there.
        factor: fresh episodes for each claimed one.
        run_s: seconds for each run.
        memory: bytes of address space.
    """
    if found.folder is not None and not found.own:
        records.clear(found.folder)
    fresh = FIRST_SEED + secrets.randbelow(1 << 40) if seed is None else seed
    tests = TESTS * sum(len(_claims(result)) for result, _, _ in found.runs)
    outcomes = []
    answers = _answers(found, fresh, factor, run_s, memory)
    for (result, _, _), answer in zip(found.runs, answers, strict=True):
        entry = _entry(result, answer, fresh, tests)
        if found.folder is not None:
            records.add(found.folder, entry)
        outcome = Outcome(result.run, tuple(entry["refused"]), entry["held_out"])
        told(outcome)
        outcomes.append(outcome)
    return outcomes


def _claims(result: RunResult) -> dict[str, dict[str, Any]]:
    return {
        f"{condition}/{metric}": found
        for condition, metrics in result.payload["evaluation"].items()
        for metric, found in metrics.items()
    }


def _entry(result: RunResult, answer: Mapping[str, Any], seed: int, tests: int) -> dict[str, Any]:
    """What is kept of one run."""
    entry: dict[str, Any] = {
        "run": result.run,
        "digest": submission.digest(result),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "feint": feint.__version__,
        "seed": seed,
        "tests": tests,
        "false_refusals": FALSE_REFUSALS,
        "held_out": {},
    }
    if "error" in answer:
        return entry | {"refused": [f"it could not be evaluated: {answer['error']}"]}
    again, claims = answer["found"], _claims(result)
    refused = [d.says for d in compare(claims, again["replayed"], again["fresh"], tests)]
    gaps = _gaps(result.payload.get("guards"), again["guards"])
    return entry | {
        "refused": refused + gaps,
        "fresh": {path: _shown(again["fresh"][path]) for path in claims if path in again["fresh"]},
        "gaps": "not measured again" if again["guards"] is None else "measured again",
        "held_out": again["held_out"],
    }


def _shown(sums: Mapping[str, float]) -> list[float | int | None]:
    """Mean and number of episodes."""
    n = int(sums["n"])
    return [float(f"{sums['s1'] / n:.5g}") if n else None, n]


def _gaps(claimed: Any, again: Any) -> list[str]:
    """Gaps and guards that are not as claimed; they are measured in the same games."""
    if not claimed or again is None:
        return []
    found = []
    for kind, numbers in claimed.items():
        for name, claim in numbers.items():
            value = again.get(kind, {}).get(name)
            if value is None or abs(claim - value) > GAP + GAP_RATIO * abs(value):
                told = "nothing" if value is None else f"{value:.4g}"
                found.append(
                    f"guards.{kind}.{name} is claimed as {claim:.4g}; measured again it is {told}"
                )
    return found[:5]


def _answers(
    found: Target, seed: int, factor: int, run_s: float, memory: int
) -> Iterator[dict[str, Any]]:
    """The process's answers, in order; where it dies or takes too long, an error for each run."""
    runs = [
        {"run": result.run, "result": str(file), "models": {k: str(p) for k, p in models.items()}}
        for result, file, models in found.runs
    ]
    job = {
        "runs": runs, "seed": seed, "factor": factor, "memory": memory,
        "suite": found.suite.to_dict(),
    }  # fmt: skip
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
    }  # fmt: skip
    with tempfile.TemporaryFile() as orders, tempfile.TemporaryFile() as errors:
        orders.write(json.dumps(job).encode())
        orders.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "feint.bench.leaderboard.reevaluate"],
            stdin=orders, stdout=subprocess.PIPE, stderr=errors, env=environment,
            start_new_session=True,
        )  # fmt: skip
        lines = _Lines(process)
        lost = ""
        try:
            for k in range(len(runs)):
                line = "" if lost else lines.next(run_s + (START_S if not k else 0.0))
                if not line and not lost:
                    lost = _why(process, errors, run_s)
                yield {"error": lost} if lost else json.loads(line)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            lines.close()


class _Lines:
    """Lines of a process's output, each with a time limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._pipe, self._rest = process.stdout, b""

    def next(self, seconds: float) -> str:
        """The next line; empty if it does not come in time, or there is none."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                return ""
            more = os.read(self._pipe.fileno(), 1 << 16)
            if not more:
                return ""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        self._pipe.close()


def _why(process: subprocess.Popen[bytes], errors: Any, run_s: float) -> str:
    """What became of a process that says nothing any more."""
    try:
        code = process.wait(1.0)
    except subprocess.TimeoutExpired:
        return f"it took longer than {run_s:.0f} seconds"
    errors.seek(0)
    last = errors.read()[-2000:].decode(errors="replace").strip().splitlines() or [""]
    return f"the process that played it ended with code {code} ({last[-1][:200]})"
