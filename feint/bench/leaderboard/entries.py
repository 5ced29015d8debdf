"""Results that may be anybody's: read, and held against the suite that they say they are of."""

import hashlib
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feint.bench.leaderboard.kinds import Kind
from feint.bench.leaderboard.untrusted import plain_text, read_json
from feint.bench.results import RESULT_SCHEMA, RunResult
from feint.bench.store import compact
from feint.bench.suite import Suite, suite_names

MOST_RUNS = 500

#: Module of a suite's job -> the `Kind` that knows how its runs are checked and done again.
KINDS = {
    "feint.bench.rl": "feint.bench.leaderboard.rl_runs:RlRuns",
    "feint.bench.llm": "feint.bench.leaderboard.llm_runs:LlmRuns",
}
_KEY = re.compile(r"[a-z0-9_]{1,60}")
_ROLES = ("reference", "treatment", "sham", "baseline")


def kind_of(suite: Suite) -> Kind:
    """What knows how this suite's runs are checked and done again.

    Raises:
        ValueError: if there is none.
    """
    job = suite.job.partition(":")[0]
    if job not in KINDS:
        raise ValueError(
            f"suite {suite.name} is run by {job}, whose runs cannot be done again yet; those of "
            f"{', '.join(KINDS)} can"
        )
    module, _, name = KINDS[job].partition(":")
    return getattr(importlib.import_module(module), name)()


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
    specs: dict[str, dict[str, Any]] = {}
    for spec in suite.with_seeds(suite.seeds[:1]).runs():
        specs.setdefault(spec.scenario, {})[spec.arm] = spec.settings
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
        if specs[result.scenario].get(result.arm, result.settings) != result.settings:
            raise ValueError(
                f"{result.run}: its settings are not those of the suite's {result.arm}; run it as "
                "the suite has it, or give a method of your own a name of its own"
            )
        kind.check(result, specs[result.scenario])
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


def digest(result: RunResult) -> str:
    """Sha256 of what a verification is about; the same for a result and for its stored form."""
    kept = compact(result)
    parts: list[Any] = [kept.run, kept.settings]
    if "evaluation" in kept.payload:
        parts += [kept.payload["evaluation"], kept.payload.get("guards")]
    else:
        parts.append(kept.payload)
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
