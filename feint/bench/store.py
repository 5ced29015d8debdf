"""Results kept beside the code: one small JSON file per run, enough to rebuild every table.

to/suite.json                        the suite
to/<scenario>/<arm>/seed<k>.json     a `RunResult` with few digits and a thin curve
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feint.bench.results import RunResult
from feint.bench.runner import suite_of
from feint.bench.suite import Suite
from feint.files import write_atomically

DIGITS = 5
CURVE_POINTS = 4


def export(suite: Suite, results: Iterable[RunResult], to: str | Path) -> int:
    """Write the suite and the results into `to`; other files there stay. Returns how many.

    Raises:
        ValueError: if it cannot be written.
    """
    to = Path(to)
    suite_json = json.dumps(suite.to_dict(), indent=1)
    write_atomically(to / "suite.json", suite_json + "\n")
    count = 0
    for result in results:
        data = compact(result).model_dump(by_alias=True)
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        write_atomically(_path(to, result.run), text + "\n")
        count += 1
    return count


def load(stored: str | Path) -> tuple[Suite, list[RunResult]]:
    """The suite and the results that `export` wrote, or those in a folder in which a suite ran.

    They are in the suite's order. Results of other versions of Feint are taken as they are: they
    say which they were made with.

    Raises:
        ValueError: if there is no suite, or a file is damaged or belongs to another run.
    """
    stored = Path(stored)
    suite, results, ran = suite_of(stored), [], (stored / "runs").is_dir()
    for spec in suite.runs():
        path = stored / "runs" / spec.id / "result.json" if ran else _path(stored, spec.id)
        if path.exists():
            result = RunResult.read(path)
            if result.run != spec.id or result.suite != suite.name:
                raise ValueError(f"{path} is the result of {result.suite}/{result.run}")
            results.append(result)
    return suite, results


def compact(result: RunResult) -> RunResult:
    """The same with few digits, and a few points of its learning curve."""
    payload = dict(result.payload)
    curve = payload.get("curve")
    if curve and curve["steps"]:
        last = len(curve["steps"]) - 1
        kept = sorted({round(k * last / (CURVE_POINTS - 1)) for k in range(CURVE_POINTS)})
        payload["curve"] = {name: [values[k] for k in kept] for name, values in curve.items()}
    return result.model_copy(update={"payload": _rounded(payload)})


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _path(folder: Path, run: str) -> Path:
    return folder / f"{run}.json"
