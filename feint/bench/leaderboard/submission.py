"""Submissions: a folder with results, the checkpoints that they are of, and their checksums.

SUBMISSION/manifest.json                               who sent it, what, sha256 of each file
SUBMISSION/results/<scenario>/<arm>/seed<k>.json       one `RunResult` per run
SUBMISSION/models/<scenario>/<arm>/seed<k>.safetensors
SUBMISSION/verification.json                           written by who verifies, never by who submits
"""

import hashlib
import importlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import feint
from feint.bench.leaderboard.untrusted import (
    MOST_JSON,
    MOST_MODEL,
    inside,
    plain_text,
    read_bytes,
    read_json,
)
from feint.bench.results import RESULT_SCHEMA, RunResult
from feint.bench.store import compact
from feint.bench.suite import Suite, suite_names
from feint.files import write_atomically

SCHEMA = 1
MANIFEST = "manifest.json"
RECORD = "verification.json"
#: Where `feint leaderboard submit` writes, and `build` looks.
FOLDER = Path("benchmarks/submissions")
MOST_RUNS, MOST_NAME = 500, 80

#: Module of a suite's job -> module that knows how its runs are checked and played again.
KINDS = {"feint.bench.rl": "feint.bench.leaderboard.rl_runs"}
_KEY = re.compile(r"[a-z0-9_]{1,60}")
_ROLES = ("reference", "treatment", "sham", "baseline")


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


def kind_of(suite: Suite) -> ModuleType:
    """The module that knows how this suite's runs are checked and played again.

    Raises:
        ValueError: if there is none.
    """
    job = suite.job.partition(":")[0]
    if job not in KINDS:
        raise ValueError(
            f"suite {suite.name} is run by {job}, whose runs cannot be played again yet; those of "
            f"{', '.join(KINDS)} can"
        )
    return importlib.import_module(KINDS[job])


def read_result(path: str | Path) -> RunResult:
    """The result of a run, from a file that may be anybody's.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != RESULT_SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise ValueError(
            f"{path} has result schema {str(found)[:20]}; this version of Feint reads "
            f"{RESULT_SCHEMA}"
        )
    try:
        return RunResult.parse(data, str(path))
    except ValueError as error:  # which may quote what was sent at length
        raise ValueError(str(error)[:300]) from None


def checked(results: Sequence[RunResult]) -> Suite:
    """The suite of these results, narrowed to their arms and seeds, if all is as it must be.

    Raises:
        ValueError: for an unknown suite, scenario or role, a run that is there twice, or one that
            was judged otherwise than its suite does.
    """
    if not results:
        raise ValueError("there is no result in it")
    if len(results) > MOST_RUNS:
        raise ValueError(f"it has {len(results)} results; at most {MOST_RUNS} are taken")
    names = sorted({result.suite for result in results})
    if len(names) > 1:
        raise ValueError(f"results of one suite each, please; got {' and '.join(names)[:200]}")
    if names[0] not in suite_names():
        raise ValueError(
            f"there is no suite {names[0][:60]!r}; there are: {', '.join(suite_names())}"
        )
    suite = Suite.load(names[0])
    kind, arms = kind_of(suite), {arm.key: arm for arm in suite.arms}
    seen: set[str] = set()
    roles: dict[str, str] = {}
    for result in results:
        _check_names(result, suite)
        if result.run in seen:
            raise ValueError(f"{result.run} is there twice; each seed counts once")
        seen.add(result.run)
        role = arms[result.arm].role if result.arm in arms else result.role
        if role == "reference" and result.arm not in arms:
            raise ValueError(f"{result.run}: references are the suite's alone; take another role")
        if roles.setdefault(result.arm, role) != result.role:
            raise ValueError(f"{result.run}: {result.arm} is a {role}, not a {result.role}")
        kind.check(result, suite)
    return _narrowed(suite, results, roles)


def _check_names(result: RunResult, suite: Suite) -> None:
    keys = [scenario.key for scenario in suite.scenarios]
    if result.scenario not in keys:
        raise ValueError(
            f"suite {suite.name} has no scenario {result.scenario[:60]!r}; there are: "
            f"{', '.join(keys)}"
        )
    if not _KEY.fullmatch(result.arm):
        raise ValueError(f"the arm {result.arm[:60]!a} must be of a-z, 0-9 and _, 60 at most")
    if result.run != f"{result.scenario}/{result.arm}/seed{result.seed}":
        raise ValueError(
            f"the run {result.run[:100]!a} must be called "
            f"{result.scenario}/{result.arm}/seed{result.seed}"
        )
    if result.role not in _ROLES:
        raise ValueError(f"{result.run}: the role must be one of {', '.join(_ROLES)}")
    for name, version in result.versions.items():
        plain_text(name, f"{result.run}: a package's name", 40)
        plain_text(version, f"{result.run}: versions.{name}", 60)
    if result.commit is not None and not re.fullmatch(r"[0-9a-f]{7,64}(-dirty)?", result.commit):
        raise ValueError(f"{result.run}: commit must be a revision, or null")


def _narrowed(suite: Suite, results: Sequence[RunResult], roles: Mapping[str, str]) -> Suite:
    data = suite.to_dict()
    known = {arm["key"]: arm | {"needs": [], "once": False} for arm in data["arm"]}
    data["arm"] = [
        known.get(key, {"key": key, "title": key.replace("_", " "), "role": role})
        for key, role in roles.items()
    ]
    return Suite.from_dict(
        data | {"seeds": sorted({result.seed for result in results}), "dev_seeds": []}
    )


def write(
    results: Sequence[str | Path], models: Sequence[str | Path], name: str, to: Path = FOLDER
) -> Path:
    """Check everything, and write a submission's folder below `to`, whole or not at all.

    Args:
        results: files of results.
        models: checkpoints, one for each of the runs that trained anything, in the same order; if
            none is given, `agent.safetensors` beside each of their results.
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
    learners = [(result, path) for result, path in pairs if kind.plays_as(result) == result.run]
    if not models:
        models = [path.parent / "agent.safetensors" for _, path in learners]
    if len(models) != len(learners):
        raise ValueError(
            f"{len(learners)} of these runs trained an agent, but {len(models)} models were given; "
            "name one for each, in the same order"
        )
    sources = {r.run: Path(m) for (r, _), m in zip(learners, models, strict=True)}
    _check_models(found, sources, kind)
    folder = to / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "submission")
    if folder.exists():
        raise ValueError(f"{folder} is there already; remove it, or choose another name")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        _write_files(part, name, suite.name, found, sources)
        os.rename(part, folder)
    except OSError as error:
        raise ValueError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _write_files(
    folder: Path, name: str, suite: str, results: Sequence[RunResult], models: Mapping[str, Path]
) -> None:
    runs, sums = [], {}
    for result in results:
        text = json.dumps(result.model_dump(by_alias=True), separators=(",", ":"), allow_nan=False)
        files = {f"results/{result.run}.json": (text + "\n").encode()}
        entry: dict[str, Any] = {"run": result.run, "result": f"results/{result.run}.json"}
        if result.run in models:
            entry["model"] = f"models/{result.run}.safetensors"
            files[entry["model"]] = read_bytes(models[result.run], MOST_MODEL)
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


def _check_models(results: Sequence[RunResult], models: Mapping[str, Path], kind: Any) -> None:
    """Every run has its checkpoint, each is safe and fits, and no two are the same file."""
    known: dict[str, str] = {}
    for result in results:
        player = kind.plays_as(result)
        if player not in models:
            raise ValueError(f"{result.run} has no checkpoint; it plays with that of {player}")
        if player == result.run:
            kind.check_model(models[player], result)
            digest = hashlib.sha256(read_bytes(models[player], MOST_MODEL)).hexdigest()
            twin = known.setdefault(digest, result.run)
            if twin != result.run:
                raise ValueError(f"{result.run} and {twin} have the same checkpoint: one run twice")


def digest(result: RunResult) -> str:
    """Sha256 of what a verification is about; the same for a result and for its stored form."""
    kept = compact(result)
    parts = [kept.run, kept.settings, kept.payload.get("evaluation"), kept.payload.get("guards")]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
