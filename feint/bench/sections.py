"""Sections of a report, from whatever a path holds."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from feint.bench import plain_report
from feint.bench.page import Section
from feint.bench.profiles import with_differences
from feint.bench.results import RunResult
from feint.bench.store import load
from feint.bench.suite import Suite


def sections(paths: Iterable[Path]) -> list[Section]:
    """One section for each path, as the job of its suite has it.

    Args:
        paths: folders in which a suite or a study of self-modeling ran, folders of stored results,
            or single results.

    Raises:
        ValueError: for a path that holds none of these, or nothing that is finished.
    """
    return [_section(path) for path in paths]


def _section(path: Path) -> Section:
    if path.is_file():
        return plain_report.of_result(RunResult.read(path))
    if (path / "suite.json").is_file():
        suite, results = load(path)
        if not results:
            raise ValueError(f"{path} holds no finished run of suite {suite.name}; run it first")
        if (path / "runs").is_dir():
            results = with_differences(results, path)
        return _of_suite(suite, results, path)
    if (path / "study.json").is_file():
        from feint.bench import selfmodel_report
        from feint.selfmodel.study import load_study

        study, runs = load_study(path)
        return selfmodel_report.section(study, selfmodel_report.rows(runs))
    if (path / "result.json").is_file():
        return plain_report.of_result(RunResult.read(path / "result.json"))
    if not path.exists():
        raise ValueError(f"there is no {path}")
    raise ValueError(
        f"{path} holds no suite.json, study.json or result.json; give a folder in which a suite "
        "ran (runs/NAME), a folder of stored results, or a result.json"
    )


def _of_suite(suite: Suite, results: Sequence[RunResult], path: Path) -> Section:
    made = _maker(suite, results)
    return plain_report.of_suite(suite, results) if made is None else made(suite, results, path)


def _maker(suite: Suite, results: Sequence[RunResult]) -> Callable[..., Section] | None:
    """What makes a section of a suite: its job, or the one of agents; None for neither."""
    try:
        job: Any = importlib.import_module(suite.job.partition(":")[0])
    except ImportError:  # of somebody else, or an extra that is not installed
        job = None
    if hasattr(job, "section"):
        return job.section
    if all("evaluation" in r.payload and "deception" in r.settings for r in results):
        from feint.bench.report import section

        return section
    return None
