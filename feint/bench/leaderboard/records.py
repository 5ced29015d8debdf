"""Verification records: what was found when checkpoints were evaluated again.

FOLDER/verification.json, where FOLDER is a submission, a folder of runs, or one of stored results.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.submission import RECORD, digest
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
    text = json.dumps({"schema": SCHEMA, "runs": dict(sorted(runs.items()))}, indent=1)
    write_atomically(folder / RECORD, text + "\n")


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
            found[result.run] = Verification(str(entry.get("date")), not says, says)
    return found
