"""Contestants that take turns: processes that play, their rows, the best of their settings."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Setting:
    """One way to run a worker: on one core or on all, and what `prepare` takes."""

    one_core: bool
    options: dict[str, Any]

    def __str__(self) -> str:
        cores = "one core" if self.one_core else "all cores"
        return ", ".join([*(f"{k} {v}" for k, v in self.options.items()), cores])


@dataclass
class Contestant:
    """A row of the table."""

    label: str
    kind: str
    worker: str
    candidates: list[Setting]
    note: str  #: what the row is
    targets: dict[str, float] = field(default_factory=dict)  #: ratio that each row of ours needs
    floor: float | None = None  #: steps per CPU second that a row of ours needs
    tried: dict[str, float] = field(default_factory=dict)  #: steps per CPU second by setting
    setting: Setting | None = None  #: the best of them
    samples: list[dict[str, float]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    absent: str = ""  #: why there is nothing to measure

    def rate(self, clock: str = "cpu_s") -> float:
        """The median of `rates`."""
        return median(self.rates(clock))

    def floor_met(self) -> bool | None:
        """Whether the floor is reached; None without a floor or a measurement."""
        return self.rate() >= self.floor if self.samples and self.floor else None

    def rates(self, clock: str = "cpu_s") -> list[float]:
        """Steps per second of each measurement, by "cpu_s" or "wall_s"."""
        return [sample["steps"] / sample[clock] for sample in self.samples]


class Absent(Exception):
    """A peer is not installed."""


class Worker:
    """A process that plays on request (see `peers/protocol.py`).

    Raises:
        Absent: when the interpreter or a package is not there.
        RuntimeError: when it ends for another reason instead of answering.
    """

    def __init__(self, python: Path, name: str, one_core: bool) -> None:
        if not python.exists():
            raise Absent(f"no {python}")
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [python, HERE / "peers" / f"{name}_worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=_keep_to_one_core if one_core else None,
        )
        self.versions: dict[str, str] = self._read()["versions"]

    def measure(
        self, seconds: float, options: dict[str, Any], warm_up: float = 0.2
    ) -> dict[str, float]:
        """Play for about `seconds` after a warm-up: {steps, cpu_s, wall_s}, and any notes."""
        assert self._process.stdin is not None
        request = {"seconds": seconds, "setting": options, "warm_up": warm_up}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process by ending its input."""
        self._process.communicate()
        self._errors.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print, too
                return json.loads(line)
        self._errors.seek(0)
        errors = self._errors.read().strip()
        last = errors.rpartition("\n")[2]
        if last.startswith("ModuleNotFoundError"):
            raise Absent(last)
        raise RuntimeError(f"a worker ended with {self._process.wait()}:\n{errors}")


def _keep_to_one_core() -> None:
    """Pool sizes follow from this; it also spares one-core settings the wakeful idle threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Pool:
    """Workers by name and cores, started when first asked for."""

    def __init__(self, peers_python: Path, stack: ExitStack) -> None:
        self._peers_python = peers_python
        self._stack = stack
        self._workers: dict[tuple[str, bool], Worker] = {}

    def get(self, name: str, one_core: bool) -> Worker:
        """The running worker; starts it on the first call."""
        key = name, one_core
        if key not in self._workers:
            ours = name.startswith("feint")
            python = Path(sys.executable) if ours else self._peers_python
            self._workers[key] = Worker(python, name, one_core)
            self._stack.callback(self._workers[key].close)
        return self._workers[key]


def choose(row: Contestant, pool: Pool, seconds: float, warm_up: float) -> None:
    """Find the row's best setting, or write down why it is absent."""
    try:
        for setting in row.candidates:
            worker = pool.get(row.worker, setting.one_core)
            row.versions = worker.versions
            sample = worker.measure(seconds, setting.options, warm_up)
            row.tried[str(setting)] = sample["steps"] / sample["cpu_s"]
    except Absent as error:
        if row.worker.startswith("feint"):
            raise
        row.absent = str(error)
        return
    row.setting = max(row.candidates, key=lambda setting: row.tried[str(setting)])


def take_turns(
    rows: list[Contestant],
    peers_python: Path,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
    warm_up: float = 0.2,
) -> None:
    """Fill in all rows: each finds its setting, then they are measured in turns."""
    with ExitStack() as stack:
        pool = Pool(peers_python, stack)
        for row in rows:
            say(f"{row.label}: choosing among {len(row.candidates)}")
            choose(row, pool, seconds / 2, warm_up)
        for turn in range(rounds):
            for row in rows:
                if row.setting is not None:
                    say(f"round {turn + 1} of {rounds}: {row.label}")
                    worker = pool.get(row.worker, row.setting.one_core)
                    options = row.setting.options
                    row.samples.append(worker.measure(seconds, options, warm_up))


def short(rate: float) -> str:
    """Steps per second, for reading."""
    return f"{rate / 1e6:.2f} M" if rate >= 1e5 else f"{rate / 1e3:.1f} k"


def cpu_model() -> str:
    """What the results were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
