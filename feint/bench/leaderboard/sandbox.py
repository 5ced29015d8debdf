"""Measures models again in a process of its own, with limits of time and memory."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from feint.bench.suite import Suite

#: Seconds until the process must have started; bytes of address space.
START_S, MEMORY = 180.0, 16 << 30


def answers(
    suite: Suite,
    runs: Sequence[dict[str, Any]],
    seed: int,
    factor: int,
    run_s: float,
    memory: int = MEMORY,
) -> Iterator[dict[str, Any]]:
    """What `feint.bench.leaderboard.reevaluate` says of each run, in order.

    Args:
        suite: of the runs.
        runs: each with "run", its id; "result", its file; "models", run id -> checkpoint.
        seed: of the fresh games.
        factor: fresh episodes for each claimed one.
        run_s: seconds for each run.
        memory: bytes of address space.

    Yields:
        A table with "found", or with "error". Where the process dies or takes too long over a run,
        another one goes on with the next.
    """
    common = {"seed": seed, "factor": factor, "memory": memory, "suite": suite.to_dict()}
    done = 0
    while done < len(runs):
        for answer in _session({"runs": list(runs[done:]), **common}, run_s):
            done += 1
            yield answer


def _session(job: dict[str, Any], run_s: float) -> Iterator[dict[str, Any]]:
    """The answers of one process, the last of which may say how it was lost."""
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
        "HF_HUB_OFFLINE": "1",
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
        try:
            for k in range(len(job["runs"])):
                line = lines.next(run_s + (0.0 if k else START_S))
                if not line:
                    yield {"error": _why(process, errors, run_s)}
                    return
                yield json.loads(line)
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
