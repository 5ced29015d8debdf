"""Submissions: a folder with results, the checkpoints that they are of, and their checksums.

SUBMISSION/manifest.json                               who sent it, what, sha256 of each file
SUBMISSION/results/<scenario>/<arm>/seed<k>.json       one `RunResult` per run
SUBMISSION/models/<scenario>/<arm>/seed<k>.safetensors        for each run that trained anything
SUBMISSION/verification.json                           written by who verifies, never by who submits
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feint
from feint.bench.leaderboard.entries import MOST_RUNS, checked, kind_of, read_result
from feint.bench.leaderboard.kinds import Kind
from feint.bench.leaderboard.untrusted import (
    MOST_JSON,
    MOST_MODEL,
    inside,
    plain_text,
    read_bytes,
    read_json,
)
from feint.bench.results import RunResult
from feint.bench.suite import Suite
from feint.files import write_atomically

SCHEMA = 1
MANIFEST = "manifest.json"
RECORD = "verification.json"
#: Where `feint leaderboard submit` writes, and `build` looks.
FOLDER = Path("benchmarks/submissions")
MOST_NAME = 80


@dataclass(frozen=True)
class Submission:
    """What a folder of a submission holds, checked.

    Attributes:
        folder: where it is.
        name: who sent it, and what; from a stranger.
        suite: the suite of its runs, with the submission's own arms and seeds.
        results: of its runs.
        models: run id -> checkpoint.
    """

    folder: Path
    name: str
    suite: Suite
    results: tuple[RunResult, ...]
    models: dict[str, Path]


def write(
    results: Sequence[str | Path], models: Sequence[str | Path], name: str, to: Path = FOLDER
) -> Path:
    """Check everything, and write a submission's folder below `to`, whole or not at all.

    Args:
        results: files of results.
        models: checkpoints, one for each of the runs that trained anything, in the same order; if
            none is given, those beside their results (`Kind.model`).
        name: who sends it, and what: shown on the board.
        to: made if need be.

    Returns:
        The folder, called after `name`.

    Raises:
        ValueError: naming what is wrong.
    """
    name = plain_text(name, "the name", MOST_NAME)
    found = [read_result(path) for path in results]
    suite = checked(found)
    kind = kind_of(suite)
    pairs = zip(found, map(Path, results), strict=True)
    learners = [(result, path) for result, path in pairs if kind.trains(result)]
    if not models:
        models = [path.parent / kind.model for _, path in learners]
    if len(models) != len(learners):
        raise ValueError(
            f"{len(learners)} of these runs trained a model, but {len(models)} models were given; "
            "name one for each, in the same order"
        )
    sources = {r.run: Path(m) for (r, _), m in zip(learners, models, strict=True)}
    _check_models(found, sources, kind)
    data = {run: kind.read_model(path) for run, path in sources.items()}
    folder = to / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "submission")
    if folder.exists():
        raise ValueError(f"{folder} is there already; remove it, or choose another name")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        _write_files(part, name, suite.name, found, data)
        os.rename(part, folder)
    except OSError as error:
        raise ValueError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _write_files(
    folder: Path, name: str, suite: str, results: Sequence[RunResult], models: Mapping[str, bytes]
) -> None:
    runs, sums = [], {}
    for result in results:
        text = json.dumps(result.model_dump(by_alias=True), separators=(",", ":"), allow_nan=False)
        files = {f"results/{result.run}.json": (text + "\n").encode()}
        entry: dict[str, Any] = {"run": result.run, "result": f"results/{result.run}.json"}
        if result.run in models:
            entry["model"] = f"models/{result.run}.safetensors"
            files[entry["model"]] = models[result.run]
        for file, data in files.items():
            write_atomically(folder / file, data)
            sums[file] = hashlib.sha256(data).hexdigest()
        runs.append(entry)
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "suite": suite,
        "feint": feint.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": runs,
        "sha256": sums,
    }
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def read(folder: str | Path, models: bool = True) -> Submission:
    """A submission, all of it checked against its manifest.

    Args:
        folder: that holds it.
        models: False leaves the checkpoints unread, which the board does not need.

    Raises:
        ValueError: naming what is wrong.
    """
    folder = Path(folder)
    manifest = read_json(inside(folder, MANIFEST))
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ValueError(f"{folder / MANIFEST} must have schema {SCHEMA}")
    name = plain_text(manifest.get("name"), f"{folder / MANIFEST}: name", MOST_NAME)
    entries, sums = manifest.get("runs"), manifest.get("sha256")
    if not isinstance(entries, list) or not isinstance(sums, dict) or len(entries) > MOST_RUNS:
        raise ValueError(f"{folder / MANIFEST} must list its runs and the sha256 of its files")
    results, paths, listed = [], {}, {MANIFEST, RECORD}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("result"), str):
            raise ValueError(f"{folder / MANIFEST} has a damaged list of runs")
        path = _whole(folder, entry["result"], sums, MOST_JSON)
        result = read_result(path)
        if result.run != entry.get("run"):
            raise ValueError(f"{path} is the result of {result.run[:100]!a}")
        results.append(result)
        listed.add(entry["result"])
        if entry.get("model") is not None:
            model = inside(folder, str(entry["model"]))
            paths[result.run] = (
                _whole(folder, str(entry["model"]), sums, MOST_MODEL) if models else model
            )
            listed.add(str(entry["model"]))
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    if more := sorted(there - listed):
        raise ValueError(f"{folder} holds {more[0][:100]!a}, which its manifest does not list")
    suite = checked(results)
    if models:
        _check_models(results, paths, kind_of(suite))
    return Submission(folder, name, suite, tuple(results), paths)


def _whole(folder: Path, relative: str, sums: Mapping[str, Any], most: int) -> Path:
    path = inside(folder, relative)
    if hashlib.sha256(read_bytes(path, most)).hexdigest() != sums.get(relative):
        raise ValueError(f"{path} is not the file whose sha256 the manifest has")
    return path


def _check_models(results: Sequence[RunResult], models: Mapping[str, Path], kind: Kind) -> None:
    """Every run has its checkpoint, each is safe and fits, and no two are the same file."""
    known: dict[str, str] = {}
    for result in results:
        for run in kind.needs(result, models):
            if run not in models:
                raise ValueError(f"{result.run} has no checkpoint; it needs that of {run}")
        if kind.trains(result):
            kind.check_model(models[result.run], result)
            digest = hashlib.sha256(kind.read_model(models[result.run])).hexdigest()
            twin = known.setdefault(digest, result.run)
            if twin != result.run:
                raise ValueError(f"{result.run} and {twin} have the same checkpoint: one run twice")
