"""Suites (scenarios x arms x seeds, as data), their runner, and their results.

from feint.bench import Suite, run_suite

results = run_suite(Suite.load("demo"), "runs/demo")
"""

from feint.bench.executors import Executor, LocalExecutor
from feint.bench.results import RESULT_SCHEMA, RunResult
from feint.bench.runner import SuiteFailed, finished, run_suite, write_suite
from feint.bench.suite import Arm, RunSpec, Scenario, Suite

__all__ = [
    "RESULT_SCHEMA",
    "Arm",
    "Executor",
    "LocalExecutor",
    "RunResult",
    "RunSpec",
    "Scenario",
    "Suite",
    "SuiteFailed",
    "finished",
    "run_suite",
    "write_suite",
]
