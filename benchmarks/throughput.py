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

In the same run, every registered scenario at several batches, as a learner meets it (one agent is
moved, by legal actions of its scripted random policy that were recorded beforehand and are replayed
from a snapshot); a peer that is not installed is left out, with a note.

    make peers                        # once: the peers' own environment
    python benchmarks/throughput.py
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import scenario_speed
import tyro
from contest import HERE, Contestant, Setting, cpu_model, short, take_turns
from rich import box
from rich.console import Console
from rich.table import Table

from feint.files import check_writable, write_atomically

SCHEMA = 2  #: of the results; 1 had two scenarios, and no summary of them
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


#: Sections of the table.
OURS, LIKE, OTHER = "ours", "like for like", "other use"
KINDS = {
    OURS: "Feint",
    LIKE: "Like for like",
    OTHER: "Other uses (no target)",
}


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
        *scenario_speed.rows(),
    ]  # fmt: skip


def ratios(rows: list[Contestant]) -> list[dict[str, Any]]:
    """Each of our rows over each peer: the ratio of medians, and its target where it has one."""
    measured = [row for row in rows if row.samples]
    ours = [row for row in measured if row.kind == OURS]
    peers = [row for row in measured if row.kind in (LIKE, OTHER)]
    found = []
    for mine, peer in product(ours, peers):
        ratio = mine.rate() / peer.rate()
        target = peer.targets.get(mine.label)
        met = None if target is None else ratio >= target
        named = {"ours": mine.label, "peer": peer.label, "kind": peer.kind}
        found.append(named | {"ratio": ratio, "target": target, "met": met})
    return found


def report(rows: list[Contestant]) -> dict[str, Any]:
    """All that was measured, and where."""
    return {
        "schema": SCHEMA,
        "what": "env-steps per CPU second, physical deception under MPE's rules, 3 agents moved",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "rows": {
            row.label: {
                "kind": row.kind,
                "note": row.note,
                "setting": str(row.setting) if row.setting else None,
                "steps_per_cpu_s": row.rate() if row.samples else None,
                "steps_per_wall_s": row.rate("wall_s") if row.samples else None,
                "samples": row.samples,
                "tried": row.tried,
                "versions": row.versions,
                "absent": row.absent or None,
                "floor": row.floor,
                "floor_met": row.floor_met(),
            }
            for row in rows
        },
        "ratios": ratios(rows),
        "scenarios": scenario_speed.summary(rows),
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
        if row.kind in KINDS:
            wall = f"; {short(row.rate('wall_s'))}/s of wall time" if row.samples else ""
            best = f"; best setting: {row.setting}" if len(row.candidates) > 1 else ""
            console.print(f"{row.label}: {row.absent or row.note + best + wall}", style="dim")


def _cells(row: Contestant, against: list[dict[str, Any] | None]) -> list[str]:
    if not row.samples:
        return [f"  {row.label}", "absent", f"`{INSTALL}`"]
    rates = row.rates()
    spread = f"{short(min(rates))}..{short(max(rates))}"
    times = [f"{each['ratio']:,.1f}x" if each else "" for each in against]
    return [f"  {row.label}", short(row.rate()), spread, *times]


def main(config: Config) -> None:
    """Measure, print the tables, and keep the results."""
    check_writable(config.out)
    console = Console(width=None if sys.stdout.isatty() else 110)
    rows = contestants(config.batch)
    with console.status("starting") as status:
        take_turns(rows, config.peers_python, config.rounds, config.seconds, status.update)
    sizes = {"rounds": config.rounds, "seconds": config.seconds, "batch": config.batch}
    results = report(rows) | {"config": sizes}
    write_atomically(config.out, json.dumps(results, indent=1) + "\n")
    show(rows, console)
    console.print(scenario_speed.table(rows))
    console.print(f"written to {config.out}")


if __name__ == "__main__":
    main(tyro.cli(Config))
