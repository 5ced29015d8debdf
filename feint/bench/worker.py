"""What happens in worker processes: a server that has imported the job, and a fork of it per run.

The server is ours and not multiprocessing's forkserver: that one is shared by the whole program,
keeps modules that have changed since, imports with another `sys.path`, and has every child run
the main script's imports again.
"""

import faulthandler
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path

from feint.bench import results
from feint.bench.results import RunResult
from feint.bench.suite import RunSpec


def execute(
    spec: RunSpec, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> RunResult:
    """Run a job here and now; `folder` is there afterwards, with a whole result, or not at all.

    The job works in a folder beside it, so it must not write down where that is.

    Args:
        spec: what to run.
        folder: the run's folder, which must not exist yet.
        needs: arm key -> folder of the finished run.
        report: called by the job with the fraction that is done.
    """
    job = spec.load_job()
    part = part_of(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        wall, cpu = time.perf_counter(), _cpu_seconds()
        copy = RunSpec.from_json(spec.to_json())  # the job may take its settings apart
        payload = job(copy, part, needs, report)
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        result = RunResult.of(spec, payload, started=started, wall_s=wall, cpu_s=cpu)
        result.write(part / "result.json")
        part.rename(folder)
        return result
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def part_of(folder: Path) -> Path:
    """Where a run works until it is complete."""
    return folder.with_name(f".{folder.name}.part")


@dataclass(frozen=True)
class Task:
    """A run on its way to a worker; the spec travels as JSON, as it would to another machine."""

    spec: str
    folder: Path
    needs: dict[str, Path]
    log: Path


@dataclass(frozen=True)
class Progress:
    """A run is so far."""

    run: str
    fraction: float


@dataclass(frozen=True)
class Ended:
    """A run's process is gone; `error` says in a line how, and is empty if nothing went wrong."""

    run: str
    error: str = ""


def serve(orders: Connection, module: str, method: str) -> None:
    """Start a process per task that comes in, and send on what they report, until the pipe closes.

    Args:
        orders: receives `Task`; sends None when it is ready, then `Progress` and `Ended`.
        module: imported first, so that forks need not do it again.
        method: how processes are started, "fork" or "spawn".
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    with suppress(Exception), warnings.catch_warnings():  # what is wrong, each run says in its log
        warnings.simplefilter("ignore")
        results.commit()  # of the code as it is loaded now
        importlib.import_module(module)
    children: dict[str, _Child] = {}
    try:
        orders.send(None)
        while True:
            wait([orders, *(handle for child in children.values() for handle in child.handles)], 1)
            while orders.poll():
                task = orders.recv()
                children[RunSpec.from_json(task.spec).id] = _Child(task, method)
            for run, child in list(children.items()):
                # Asked before its last words are read: what ended has said all it had to say.
                code = child.process.exitcode
                for word in child.words():
                    orders.send(Progress(run, word))
                if code is not None:
                    del children[run]
                    orders.send(Ended(run, child.error or _how(code)))
    except (EOFError, OSError):  # the runner is done with us, or gone
        pass
    finally:
        for child in children.values():
            child.process.terminate()
        for child in children.values():
            child.process.join(2)
            child.process.kill()


class _Child:
    """One run's process, seen from the server."""

    def __init__(self, task: Task, method: str):
        context = multiprocessing.get_context(method)
        self.error = ""
        self._pipe, theirs = context.Pipe(duplex=False)
        # Not a daemon, so that a job may have processes of its own.
        self.process = context.Process(  # pyright: ignore[reportAttributeAccessIssue]
            target=_work, args=(task, theirs), daemon=False
        )
        self.process.start()
        theirs.close()

    @property
    def handles(self) -> tuple[Connection | int, ...]:
        return (
            (self.process.sentinel,) if self._pipe.closed else (self.process.sentinel, self._pipe)
        )

    def words(self) -> list[float]:
        """Fractions reported since last time; an error, the last word, is put by."""
        fractions: list[float] = []
        try:
            while not self._pipe.closed and self._pipe.poll():
                word = self._pipe.recv()
                if isinstance(word, str):
                    self.error = word
                else:
                    fractions.append(word)
        except (EOFError, OSError):
            self._pipe.close()
        return fractions


def _work(task: Task, pipe: Connection) -> None:
    """The main function of a run's process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _write_to(task.log)
    spec = RunSpec.from_json(task.spec)
    print(f"=== {spec.id}, process {os.getpid()}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    said = 0.0

    def report(fraction: float) -> None:
        nonlocal said
        if time.monotonic() - said > 0.1:
            said = time.monotonic()
            pipe.send(min(max(float(fraction), 0.0), 1.0))

    try:
        execute(spec, task.folder, task.needs, report)
    except BaseException as error:
        traceback.print_exc()
        lines = str(error).splitlines() or [""]
        pipe.send(f"{type(error).__name__}: {lines[0]}".rstrip(": "))
        sys.exit(1)


def _write_to(log: Path) -> None:
    """Send all output of this process, C libraries' too, to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    faulthandler.enable()


def _end_with_parent() -> None:
    """Leave nobody behind when the server is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _how(code: int) -> str:
    if code == 0:
        return ""
    if code > 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
