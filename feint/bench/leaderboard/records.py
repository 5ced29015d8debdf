"""Verification records: what was found when checkpoints were evaluated again.

FOLDER/verification.json, where FOLDER is a submission, a folder of runs, or one of stored results.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feint.bench.leaderboard.entries import digest
from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.submission import RECORD
from feint.bench.leaderboard.untrusted import parse_json, read_bytes
from feint.bench.results import RunResult
from feint.files import write_atomically

SCHEMA = 1
_MOST = 64 << 20


def read(folder: Path) -> dict[str, Any]:
    """Run id -> what was found of it; empty where nothing was.

    Raises:
        ValueError: if the file is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    found = parse_json(read_bytes(path, _MOST), str(path))
    runs = found.get("runs") if isinstance(found, dict) else None
    if not isinstance(runs, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no record of verifications; remove it, and verify again")
    return runs


def add(folder: Path, entry: dict[str, Any]) -> None:
    """Add what was found of one run, in place of what was there of it."""
    runs = read(folder) | {entry["run"]: entry}
    lines = [f"{json.dumps(run)}: {json.dumps(found)}" for run, found in sorted(runs.items())]
    text = ",\n".join(lines)  # a run is a line, so that a change shows as one
    write_atomically(folder / RECORD, f'{{"schema": {SCHEMA}, "runs": {{\n{text}\n}}}}\n')


def clear(folder: Path) -> None:
    """Forget what is on record, such as what came with a submission."""
    (folder / RECORD).unlink(missing_ok=True)


def of(folder: Path, results: Iterable[RunResult]) -> dict[str, Verification]:
    """What is on record of these very results; those that changed since are left out."""
    runs, found = read(folder), {}
    for result in results if runs else ():
        entry = runs.get(result.run)
        if isinstance(entry, dict) and entry.get("digest") == digest(result):
            refused = entry.get("refused")
            says = "; ".join(map(str, refused)) if isinstance(refused, list) else "damaged"
            if not says and result.payload.get("guards") and not entry.get("gaps"):
                says = "its gaps could not be measured without the agent that it was tuned from"
            held_out = entry.get("held_out")
            held_out = held_out if isinstance(held_out, dict) else {}
            met = [path.get(_deception(result)) for path in _tables(held_out.get("opponents"))]
            rates = [rate for one in met if (rate := _number(one, "mean")) is not None]
            found[result.run] = Verification(
                str(entry.get("date")), not says, says,
                max(rates, default=None), _number(held_out.get("observer"), "misled"),
            )  # fmt: skip
    return found


def _deception(result: RunResult) -> str:
    return str(result.settings.get("deception"))


def _tables(found: Any) -> list[dict[str, Any]]:
    rows = found.values() if isinstance(found, dict) else ()
    return [row for row in rows if isinstance(row, dict)]


def _number(found: Any, name: str) -> float | None:
    value = found.get(name) if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) else None
