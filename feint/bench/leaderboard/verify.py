"""Verification: checkpoints are evaluated again, with fresh seeds, and claims compared with that.

The agents are played in a process of its own, with a limit of time and memory; it loads nothing but
safetensors and JSON, which have been checked before. What cannot be checked in this way is how an
agent was trained: the dose, the steps and the seed of the training stay the submitter's word.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feint
from feint.bench.leaderboard import entries, records, submission
from feint.bench.leaderboard.reproduce import FALSE_REFUSALS, TESTS, compare, exact
from feint.bench.leaderboard.sandbox import MEMORY, RUN_S, answers
from feint.bench.results import RunResult
from feint.bench.runner import finished, suite_of
from feint.bench.store import load
from feint.bench.suite import Suite

#: Fresh episodes for each claimed one.
FACTOR = 2
#: By how much a gap may differ when it is measured again in the same games, of its size and at all.
GAP_RATIO, GAP = 0.05, 0.005
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
    result = entries.read_result(where)
    suite = entries.checked([result])
    kind = entries.kind_of(suite)
    given = list(models) or [where.parent / "agent.safetensors"]
    names = dict.fromkeys([kind.plays_as(result), kind.began_with(result) or result.run])
    if len(given) > len(names):
        raise ValueError(f"{result.run} takes at most {len(names)} models, got {len(given)}")
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
    paths = {r.run: root / r.run / "agent.safetensors" for r in results}
    there = {run: path for run, path in paths.items() if path.exists()}
    if not there:
        raise ValueError(f"{root} holds no checkpoint; name the folder of the runs with --model")
    kind = entries.kind_of(suite)
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
    kind = entries.kind_of(suite)
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

    Raises:
        ValueError: for a seed that is out of range.
    """
    if seed is not None and not 0 <= seed <= MOST_SEED:
        raise ValueError(f"the seed must be from 0 to {MOST_SEED}, got {seed}")
    if found.folder is not None and not found.own:
        records.clear(found.folder)
    fresh = FIRST_SEED + secrets.randbelow(1 << 40) if seed is None else seed
    tests = TESTS * sum(len(_claims(result)) for result, _, _ in found.runs)
    outcomes = []
    runs = [
        {"run": result.run, "result": str(file), "models": {k: str(p) for k, p in models.items()}}
        for result, file, models in found.runs
    ]
    said = answers(found.suite, runs, fresh, factor, run_s, memory)
    for (result, _, _), answer in zip(found.runs, said, strict=True):
        entry = _entry(result, answer, fresh, tests)
        if found.folder is not None:
            records.add(found.folder, entry)
        done, of = entry["exact"]
        outcome = Outcome(result.run, tuple(entry["refused"]), entry["held_out"], (done, of))
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
        "digest": entries.digest(result),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "feint": feint.__version__,
        "seed": seed,
        "tests": tests,
        "false_refusals": FALSE_REFUSALS,
        "exact": [0, len(_claims(result))],
        "held_out": {},
    }
    if "error" in answer:
        return entry | {"refused": [f"it could not be evaluated: {answer['error']}"]}
    again, claims = answer["found"], _claims(result)
    refused = [d.says for d in compare(claims, again["replayed"], again["fresh"], tests)]
    gaps = _gaps(result.payload.get("guards"), again["guards"])
    return entry | {
        "refused": refused + gaps,
        "exact": [exact(claims, again["replayed"]), len(claims)],
        "fresh": {path: _shown(again["fresh"][path]) for path in claims if path in again["fresh"]},
        "gaps": again["guards"] is not None,  # whether they could be measured again
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
