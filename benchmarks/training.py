"""Wall time of training: what overlap adds to PPO, and our way to SB3 beside mpe2 and SuperSuit.

*Overlap* is timed where it works: these are the demo's own runs, which tune an agent that has
learnt to deceive (it is trained first, once; that is not timed). Each contestant trains as long as
the demo does, in turns with the others, and the time of each turn is divided by that of plain PPO's
in the same round. Then its deception is measured on the demo's held-out episodes: a ratio counts
only beside an effect. The dose is not recorded, as only the demo's shams need it.

*Our path* (the scenario core's batch, our `VecEnv`, SB3's PPO) plays MPE's game against mpe2,
SuperSuit and SB3's PPO: all three agents learn by one policy, with the same games, network,
rollout length, minibatches, epochs and truncation. Counted are learner steps per second of wall
time.

All contestants are kept to one core and to one thread; they are two processes that take turns. On
a busy machine wall time says little: look at the ratios of CPU time, which are beside it.

    make peers                      # once: the peers' own environment
    python benchmarks/training.py   # the first time it also trains two agents: a minute or two
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from contest import HERE, Contestant, Setting, cpu_model, take_turns
from rich import box
from rich.console import Console
from rich.table import Table

from feint.bench.runner import run_suite
from feint.bench.suite import Suite
from feint.files import check_writable, write_atomically

SCHEMA = 1  #: of the results
ONCE = 1e-3  #: seconds in which nobody ends a turn, so that each measurement is exactly one
MOST_TIME, LEAST_SPEED = 1.25, 7.5  #: the targets
FULL = 0.1  #: the effect is full where at most this share of the deception is left

#: Of each game of the demo, the rows of a minibatch on which overlap is computed: the default, and
#: fewer. Minibatches are 2,560 rows in the first game and 1,024 in the second.
ROWS = {"physical_deception": (512, 256), "room_signal": (512, 128)}
GAMES = ("mpe", *ROWS)
ARMS = {
    "overlap_belief": "belief pairs",
    "overlap_presence": "presence pairs",
    "overlap_rewarded": "belief pairs, reward kept on",
}
OURS, PEER = "Feint + SB3", "mpe2 + SuperSuit + SB3"


@dataclass(frozen=True)
class Config:
    """Measure what overlap costs, and learner steps per second beside SuperSuit's."""

    rounds: int = 8
    """How often each contestant is measured; with fewer than 8, none is trained to the end."""
    games: int = 192
    """MPE games side by side; three learners each."""
    only: tuple[str, ...] = GAMES
    """Which games to play; for some of them alone, give another --out, too."""
    seed: int = 1
    """Of the demo's runs."""
    agents: Path = HERE.parent / "runs" / "training"
    """Where the two deceptive agents are kept."""
    out: Path = HERE / "results" / "training.json"
    """Where the results go."""
    peers_python: Path = HERE.parent / ".venv-peers" / "bin" / "python"
    """The interpreter of the environment that holds the peers."""


def contestants(config: Config) -> list[Contestant]:
    """The rows, in the order in which they take turns."""
    mpe = {"kind": "mpe", "games": config.games}
    peer = {"games": config.games}
    rows = [
        _row(OURS, "mpe", "feint_training", mpe, "SB3 as it is"),
        _row(PEER, "mpe", "supersuit", peer, "SB3 as it is, with the truncation flag added"),
        _row(
            f"{OURS}, time limits together", "mpe", "feint_training", mpe | {"together": True},
            "`TimeLimitsTogether`: ended games are valued in one forward",
        ),
        _row(
            f"{OURS}, and fused Adam", "mpe", "feint_training",
            mpe | {"together": True, "fused": True}, "Adam(fused=True) as well",
        ),
        _row(
            f"{PEER}, fused Adam", "mpe", "supersuit", peer | {"fused": True}, "Adam(fused=True)"
        ),
    ]  # fmt: skip
    for game, counts in ROWS.items():
        tuned = [(arm, n) for n in counts for arm in ARMS]
        for arm, n in [("plain", 0), *tuned]:
            options = {
                "kind": "overlap", "game": game, "arm": arm, "rows": n,
                "agents": str(config.agents.absolute()), "seed": config.seed,
            }  # fmt: skip
            note = f"overlap on {n} rows" if n else "SB3's PPO with the same settings"
            rows.append(_row(_label(game, arm, n), game, "feint_training", options, note))
    return [row for row in rows if row.kind in config.only]


def _row(label: str, kind: str, worker: str, options: dict[str, Any], note: str) -> Contestant:
    return Contestant(label, kind, worker, [Setting(True, options)], note)


def _label(game: str, arm: str, rows: int) -> str:
    return f"{game}, plain PPO" if arm == "plain" else f"{game}, {ARMS[arm]}, {rows} rows"


def overlap(rows: list[Contestant]) -> list[dict[str, Any]]:
    """Each run with overlap over plain PPO, round by round, with what it did to deception."""
    plain = {row.kind: row for row in rows if row.label == _label(row.kind, "plain", 0)}
    found = []
    for row in rows:
        if row.kind not in plain:
            continue
        pairs = list(zip(row.samples, plain[row.kind].samples, strict=True))
        ratios = [mine["wall_s"] / its["wall_s"] for mine, its in pairs]
        last = row.samples[-1]
        before, after = last.get("deception_before"), last.get("deception")
        full = None if before is None or after is None else after <= FULL * before
        judged = row is not plain[row.kind]
        found.append(
            {
                "label": row.label,
                "ratio": median(ratios),
                "spread": [min(ratios), max(ratios)],
                "cpu_ratio": median(mine["cpu_s"] / its["cpu_s"] for mine, its in pairs),
                "deception": [before, after],
                "own_task": [last.get("own_task_before"), last.get("own_task")],
                "full_effect": full,
                "target": MOST_TIME if judged else None,
                "met": median(ratios) <= MOST_TIME if judged and full else None,
            }
        )
    return found


def speed(rows: list[Contestant]) -> list[dict[str, Any]]:
    """Learner steps per second of both paths, and ours over the peer's, option by option."""
    measured = {row.label: row for row in rows if row.kind == "mpe" and row.samples}
    found = []
    for label, row in measured.items():
        rate = row.rate("wall_s")
        peer = measured.get(f"{PEER}, fused Adam" if "fused" in label else PEER)
        ratio = None if peer is None else rate / peer.rate("wall_s")
        cpu_ratio = None if peer is None else row.rate() / peer.rate()
        target = LEAST_SPEED if label == OURS else None
        met = None if target is None or ratio is None else ratio >= target
        found.append(
            {
                "label": label,
                "steps_per_wall_s": rate,
                "ratio": ratio,
                "cpu_ratio": cpu_ratio,
                "target": target,
                "met": met,
            }
        )
    return found


def parts(row: Contestant) -> dict[str, float]:
    """Microseconds of a learner step by part, medians over the rounds."""

    def typical(seconds: Callable[[dict[str, float]], float]) -> float:
        return median(1e6 * seconds(sample) / sample["steps"] for sample in row.samples)

    return {
        "env": typical(lambda s: s["env_s"]),
        "update": typical(lambda s: s["update_s"]),
        "policy, bookkeeping": typical(lambda s: s["wall_s"] - s["env_s"] - s["update_s"]),
    }


def report(rows: list[Contestant], config: Config) -> dict[str, Any]:
    """All that was measured, and where."""
    return {
        "schema": SCHEMA,
        "what": "wall time of SB3 PPO's learn: with overlap over without, and Feint's path over "
        "mpe2 + SuperSuit's; one core, one thread",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "config": {k: v for k, v in asdict(config).items() if not isinstance(v, Path)},
        "overlap": overlap(rows),
        "speed": speed(rows),
        "rows": {
            row.label: {
                "kind": row.kind,
                "note": row.note,
                "us_per_step": parts(row) if row.samples else None,
                "samples": row.samples,
                "versions": row.versions,
                "absent": row.absent or None,
            }
            for row in rows
        },
    }


def show(rows: list[Contestant], console: Console) -> None:
    """Print what `report` says."""
    table = _table(
        "PPO's learn with overlap / without",
        "wall time",
        "min..max",
        "CPU time",
        "deception",
        "own task",
        "",
    )
    game = ""
    for each in overlap(rows):
        name, _, label = each["label"].partition(", ")
        if name != game:
            game = name
            table.add_section()
            table.add_row(f"[bold]{game}")
        low, high = each["spread"]
        table.add_row(
            f"  {label}",
            f"{each['ratio']:.2f}x",
            f"{low:.2f}..{high:.2f}",
            f"{each['cpu_ratio']:.2f}x",
            _change(each["deception"]),
            _change(each["own_task"]),
            _verdict(each),
        )
    console.print(table)
    table = _table(
        "MPE's game, three learners", "learner steps/s", "/ the peer's", "by CPU time", ""
    )
    for each in speed(rows):
        found = (each["ratio"], each["cpu_ratio"])
        ratios = ["" if ratio is None else f"{ratio:.1f}x" for ratio in found]
        verdict = "" if each["met"] is None else _met(each["met"], f"{LEAST_SPEED}x")
        table.add_row(f"  {each['label']}", f"{each['steps_per_wall_s']:,.0f}", *ratios, verdict)
    console.print(table)
    measured = [row for row in rows if row.samples]
    table = _table("microseconds of a learner step", *parts(measured[0]))
    for row in measured:
        table.add_row(f"  {row.label}", *(f"{us:.1f}" for us in parts(row).values()))
    console.print(table)
    for row in rows:
        if row.absent:
            console.print(f"{row.label}: absent, `make peers` ({row.absent})", style="dim")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _change(values: list[float | None]) -> str:
    before, after = values
    return "" if before is None or after is None else f"{before:.3f} -> {after:.3f}"


def _verdict(each: dict[str, Any]) -> str:
    if each["target"] is None:
        return ""
    if each["full_effect"] is None:
        return "trained too short"
    if not each["full_effect"]:
        return "no full effect"
    return _met(each["met"], f"{MOST_TIME}x")


def _met(met: bool, target: str) -> str:
    return f"{target}: {'met' if met else 'not met'}"


def main(config: Config) -> None:
    """Train the agents that are missing, measure, print the tables, and keep the results."""
    if not config.only or not set(config.only) <= set(GAMES):
        raise SystemExit(f"only must name some of {', '.join(GAMES)}; got {list(config.only)}")
    if set(config.only) != set(GAMES) and config.out == Config.out:
        raise SystemExit(f"a part of the games would replace {config.out}; give another --out")
    check_writable(config.out)
    console = Console(width=None if sys.stdout.isatty() else 150)
    demo = Suite.load("demo").with_seeds([config.seed])
    if tuned := [game for game in ROWS if game in config.only]:
        run_suite(demo.select(tuned, ["deceptive"]), config.agents)
    rows = contestants(config)
    with console.status("starting") as status:
        take_turns(rows, config.peers_python, config.rounds, ONCE, status.update, warm_up=0.0)
    write_atomically(config.out, json.dumps(report(rows, config), indent=1) + "\n")
    show(rows, console)
    console.print(f"written to {config.out}")


if __name__ == "__main__":
    main(tyro.cli(Config))
