"""Where runs run. The runner decides what and when; an executor, where."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from feint.bench.suite import RunSpec
from feint.bench.worker import Ended, Progress, Task, serve

Event = Progress | Ended

# One run is one thread: results must not depend on how many cores a machine has. Strings hash
# alike in every session, so that the order of a set does not change either.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


class Executor(Protocol):
    """Runs `feint.bench.worker.execute` for each spec, somewhere.

    The runner calls it from one thread. When `poll` says that a run has `Ended`, what the run left
    must be in the `folder` it was submitted with, on this machine, with `result.json` if all went
    well: that file, not the event, is what the runner believes.
    """

    @property
    def slots(self) -> int:
        """How many runs it takes at once, now."""
        ...

    def submit(self, spec: RunSpec, folder: Path, needs: dict[str, Path], log: Path) -> None:
        """Start a run, and return at once; its output and traceback go to the end of `log`."""
        ...

    def poll(self) -> list[Event]:
        """What happened since last time; may wait for it for a fraction of a second."""
        ...

    def stop(self) -> None:
        """End whatever runs, now, and return when it has ended."""
        ...


class LocalExecutor:
    """Processes on this machine, one per run.

    A server process imports the job's module once and forks for each run, so put slow imports at
    the top of that module. Where fork is not safe (anywhere but Linux), each run starts from
    scratch.

    Args:
        workers: how many runs at once; all cores if None.
        method: "fork" or "spawn"; "fork" where it is safe if None.
    """

    def __init__(self, workers: int | None = None, method: str | None = None):
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise RuntimeError(
                "a suite is run by a script that its own workers must import; put the call under "
                "`if __name__ == '__main__':`"
            )
        if workers is None:
            workers = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ValueError(f"workers must be a whole number, 1 or more; got {workers!r}")
        self.slots = workers
        self._method = method or ("fork" if sys.platform == "linux" else "spawn")
        if self._method not in ("fork", "spawn"):
            raise ValueError(f"method must be 'fork' or 'spawn', got {method!r}")
        self._running: set[str] = set()
        self._server: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._ready = False

    def submit(self, spec: RunSpec, folder: Path, needs: dict[str, Path], log: Path) -> None:
        """Hand a run to the server, which is started by the first one."""
        if self._pipe is None:
            self._start(spec.job.partition(":")[0])
        assert self._pipe is not None
        self._running.add(spec.id)
        try:
            self._pipe.send(Task(spec.to_json(), folder, needs, log))
        except OSError:  # the server has died; poll says so
            pass

    def poll(self) -> list[Event]:
        """News from the server; if that has died, the end of all its runs.

        Raises:
            RuntimeError: if the server does not even start.
        """
        if self._pipe is None or self._server is None:
            time.sleep(0.05)
            return []
        events: list[Event] = []
        try:
            if self._pipe.poll(0.2):
                while self._pipe.poll():
                    if (event := self._pipe.recv()) is None:
                        self._ready = True
                    else:
                        events.append(event)
            dead = not self._server.is_alive() and not self._pipe.poll()
        except (EOFError, OSError):
            dead = True
        self._running -= {event.run for event in events if isinstance(event, Ended)}
        if dead:
            self._server.join(2)
            code = f"(exit code {self._server.exitcode})"
            lost = sorted(self._running)
            self.stop()
            if not self._ready:
                raise RuntimeError(f"the workers' server could not start {code}; it says why above")
            events += [Ended(run, f"the workers' server died {code}") for run in lost]
        return events

    def stop(self) -> None:
        """End the server and with it its runs."""
        if self._pipe is not None and self._server is not None:
            self._pipe.close()
            self._server.join(5 if self._ready else 0)  # until it is ready it has no runs
            self._server.kill()
            self._server.join()
        self._running.clear()
        self._server = self._pipe = None

    def _start(self, module: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready = False
        self._pipe, theirs = context.Pipe()
        self._server = context.Process(target=serve, args=(theirs, module, self._method))
        with _deaf_to_interrupts(), _environment():
            self._server.start()
        theirs.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started in here ignores Ctrl-C from its first instant, and prints no traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
