"""Environment steps per CPU second: ours beside mpe2, VMAS and JaxMARL, in one run.

The game is physical deception under MPE's rules (`simple_adversary`): one adversary, two good
agents, 25 steps an episode, games at staggered steps so that about one in 25 resets at each step.

*Like for like* means: the same batch, all three agents moved by actions that come from outside at
every step, and fresh observations, rewards and dones of every agent handed back at every step, as
somebody needs who trains agents on them. (mpe2 has no batch: it plays one game.) The targets are
computed on those rows. Rows of *other uses* are shown beside them, with their ratios and what they
are; they have no target, since what they do is not the same.

CPU time is that of all threads of the worker that plays. Each peer gets its best setting, found
first: its ways of resetting and of taking actions, one core or all. The contestants then take
turns, so that a busy machine slows all of them.

    make peers                        # once: the peers' own environment
    python benchmarks/throughput.py
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from feint.files import write_atomically

HERE = Path(__file__).resolve().parent
INSTALL = "make peers"


@dataclass(frozen=True)
class Config:
    """Measure steps per CPU second of Feint and its peers."""

    rounds: int = 5
    """How often each contestant is measured."""
    seconds: float = 1.0
    """Length of one measurement."""
    batch: int = 1024
    """Games played at once in the rows that are like for like."""
    out: Path = HERE / "results" / "throughput.json"
    """Where the results go."""
    peers_python: Path = HERE.parent / ".venv-peers" / "bin" / "python"
    """The interpreter of the environment that holds the peers."""


@dataclass(frozen=True)
class Setting:
    """One way to run a worker: on one core or on all, and what `prepare` takes."""

    one_core: bool
    options: dict[str, Any]

    def __str__(self) -> str:
        cores = "one core" if self.one_core else "all cores"
        return ", ".join([*(f"{k} {v}" for k, v in self.options.items()), cores])


#: Sections of the table: the last has our registered scenarios, labels off.
OURS, LIKE, OTHER, SWEEP = "ours", "like for like", "other use", "sweep"
KINDS = {
    OURS: "Feint",
    LIKE: "Like for like",
    OTHER: "Other uses (no target)",
    SWEEP: "Feint's scenarios by batch",
}


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

    def measure(self, seconds: float, options: dict[str, Any]) -> dict[str, float]:
        """Play for about `seconds` after a warm-up: {steps, cpu_s, wall_s}."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"seconds": seconds, "setting": options}) + "\n")
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
            python = Path(sys.executable) if name == "feint" else self._peers_python
            self._workers[key] = Worker(python, name, one_core)
            self._stack.callback(self._workers[key].close)
        return self._workers[key]


def contestants(batch: int) -> list[Contestant]:
    """The table's rows in the order in which they take turns."""

    def feint(game: str, batch: int, labels: bool = False) -> list[Setting]:
        return [Setting(True, {"game": game, "batch": batch, "labels": labels})]

    def jaxmarl(batches: Iterable[int], *uses: str) -> list[Setting]:
        ways = product((True, False), batches, uses)
        return [Setting(one, {"batch": n, "use": use}) for one, n, use in ways]

    def vmas(*batches: int) -> list[Setting]:
        resets = ("next_step", "same_step")
        ways = product((True, False), batches, ("continuous", "discrete"), resets)
        return [
            Setting(one, {"batch": n, "actions": actions, "autoreset": autoreset})
            for one, n, actions, autoreset in ways
        ]

    large = (1024, 4096, 16384)
    return [
        Contestant("Feint", OURS, "feint", feint("mpe", batch), f"batch {batch}"),
        Contestant(
            "Feint, labels", OURS, "feint", feint("mpe", batch, labels=True),
            f"batch {batch}, with deception labels of every step",
        ),
        Contestant(
            "mpe2", LIKE, "mpe2", [Setting(True, {})], "one game at a time, as it has no batch",
            {"Feint": 2500.0},
        ),
        Contestant(
            "VMAS", LIKE, "vmas", vmas(batch), f"batch {batch}",
            {"Feint": 7.0, "Feint, labels": 4.0},
        ),
        Contestant(
            "JaxMARL", LIKE, "jaxmarl", jaxmarl((batch,), "host actions", "device actions"),
            f"batch {batch}, one compiled step a call", {"Feint": 25.0},
        ),
        Contestant(
            "VMAS, any batch", OTHER, "vmas", vmas(*large),
            "its best batch: it spreads its cost per call over more games than a learner may want",
        ),
        Contestant(
            "JaxMARL, scan", OTHER, "jaxmarl", jaxmarl(large, "scan"),
            "100 steps in one compiled call, best batch: all actions are known beforehand and "
            "built in, so no agent can answer an observation",
        ),
        *(
            Contestant(
                f"{game}, {n}", SWEEP, "feint", feint(game, n), f"batch {n}",
                floor=2e6 if n == 1024 else None,
            )
            for game in ("PhysicalDeception", "RoomSignal")
            for n in (1, 64, 1024, 16384)
        ),
    ]  # fmt: skip


def choose(row: Contestant, pool: Pool, seconds: float) -> None:
    """Find the row's best setting, or write down why it is absent."""
    try:
        for setting in row.candidates:
            worker = pool.get(row.worker, setting.one_core)
            row.versions = worker.versions
            sample = worker.measure(seconds, setting.options)
            row.tried[str(setting)] = sample["steps"] / sample["cpu_s"]
    except Absent as error:
        if row.worker == "feint":
            raise
        row.absent = str(error)
        return
    row.setting = max(row.candidates, key=lambda setting: row.tried[str(setting)])


def measure(config: Config, say: Callable[[str], None]) -> list[Contestant]:
    """All rows, measured in turns."""
    rows = contestants(config.batch)
    with ExitStack() as stack:
        pool = Pool(config.peers_python, stack)
        for row in rows:
            say(f"{row.label}: choosing among {len(row.candidates)}")
            choose(row, pool, config.seconds / 2)
        for turn in range(config.rounds):
            for row in rows:
                if row.setting is not None:
                    say(f"round {turn + 1} of {config.rounds}: {row.label}")
                    worker = pool.get(row.worker, row.setting.one_core)
                    row.samples.append(worker.measure(config.seconds, row.setting.options))
    return rows


def ratios(rows: list[Contestant]) -> list[dict[str, Any]]:
    """Each of our rows over each peer: the ratio of medians, and its target where it has one."""
    measured = [row for row in rows if row.samples]
    ours = [row for row in measured if row.kind == OURS]
    peers = [row for row in measured if row.kind in (LIKE, OTHER)]
    found = []
    for mine, peer in product(ours, peers):
        ratio = median(mine.rates()) / median(peer.rates())
        target = peer.targets.get(mine.label)
        met = None if target is None else ratio >= target
        named = {"ours": mine.label, "peer": peer.label, "kind": peer.kind}
        found.append(named | {"ratio": ratio, "target": target, "met": met})
    return found


def report(rows: list[Contestant]) -> dict[str, Any]:
    """All that was measured, and where."""
    return {
        "what": "env-steps per CPU second, physical deception under MPE's rules, 3 agents moved",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "rows": {
            row.label: {
                "kind": row.kind,
                "note": row.note,
                "setting": str(row.setting) if row.setting else None,
                "steps_per_cpu_s": median(row.rates()) if row.samples else None,
                "steps_per_wall_s": median(row.rates("wall_s")) if row.samples else None,
                "samples": row.samples,
                "tried": row.tried,
                "versions": row.versions,
                "absent": row.absent or None,
                "floor": row.floor,
                "floor_met": median(row.rates()) >= row.floor
                if row.samples and row.floor
                else None,
            }
            for row in rows
        },
        "ratios": ratios(rows),
    }


def show(rows: list[Contestant], console: Console) -> None:
    """Print what `report` says: the table, the targets, and what each row is."""
    found = {(each["ours"], each["peer"]): each for each in ratios(rows)}
    table = Table(title="env-steps per CPU second", box=box.SIMPLE)
    for name in ("", "median", "min..max", "Feint / it", "labels / it"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for kind, title in KINDS.items():
        table.add_section()
        table.add_row(f"[bold]{title}")
        for row in rows:
            if row.kind == kind:
                against = [found.get((mine, row.label)) for mine in ("Feint", "Feint, labels")]
                table.add_row(*_cells(row, against))
    console.print(table)
    for each in found.values():
        if each["target"] is not None:
            verdict = "met" if each["met"] else "not met"
            target = f"{each['ratio']:,.1f}x, target {each['target']:,g}x: {verdict}"
            console.print(f"{each['ours']} / {each['peer']}: {target}")
    for row in rows:
        if row.samples and row.floor:
            verdict = "met" if median(row.rates()) >= row.floor else "not met"
            rate = f"{_short(median(row.rates()))}, target {_short(row.floor)}: {verdict}"
            console.print(f"{row.label}: {rate}")
    for row in rows:
        if row.kind != SWEEP:
            wall = f"; {_short(median(row.rates('wall_s')))}/s of wall time" if row.samples else ""
            best = f"; best setting: {row.setting}" if len(row.candidates) > 1 else ""
            console.print(f"{row.label}: {row.absent or row.note + best + wall}", style="dim")


def _cells(row: Contestant, against: list[dict[str, Any] | None]) -> list[str]:
    if not row.samples:
        return [f"  {row.label}", "absent", f"`{INSTALL}`"]
    rates = row.rates()
    spread = f"{_short(min(rates))}..{_short(max(rates))}"
    times = [f"{each['ratio']:,.1f}x" if each else "" for each in against]
    return [f"  {row.label}", _short(median(rates)), spread, *times]


def _short(rate: float) -> str:
    return f"{rate / 1e6:.2f} M" if rate >= 1e5 else f"{rate / 1e3:.1f} k"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def main(config: Config) -> None:
    """Measure, print the table, and keep the results."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    with console.status("starting") as status:
        rows = measure(config, status.update)
    sizes = {"rounds": config.rounds, "seconds": config.seconds, "batch": config.batch}
    results = report(rows) | {"config": sizes}
    write_atomically(config.out, json.dumps(results, indent=1) + "\n")
    show(rows, console)
    console.print(f"written to {config.out}")


if __name__ == "__main__":
    main(tyro.cli(Config))
