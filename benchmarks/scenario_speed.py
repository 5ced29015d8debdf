"""Rows and table of our own scenarios: env-steps per CPU second by batch, and with labels."""

from typing import Any

from contest import Contestant, Setting, short
from gymnasium import spaces
from rich import box
from rich.table import Table

from feint.envs import SCENARIOS, scenario_class

KIND = "our scenarios"
BATCHES = (1, 64, 1024, 16384)
JUDGED = 1024  #: the batch that has a floor, and a row with labels
FLOOR = 2e6  #: env-steps per CPU second at that batch, labels off
LOWER = 2e5  #: the same where an observation is text, or who knows what takes a search
SLOWER = ("HiddenRole",)


def rows() -> list[Contestant]:
    """One row for each scenario and batch, and one with labels."""
    found = []
    for entry in SCENARIOS:
        for batch, labels in (*((n, False) for n in BATCHES), (JUDGED, True)):
            setting = Setting(True, {"game": entry.name, "batch": batch, "labels": labels})
            floor = _floor(entry.name) if batch == JUDGED and not labels else None
            label = f"{entry.name}, {_column(setting.options)}"
            note = "one agent moved, the others are the scenario's own"
            found.append(Contestant(label, KIND, "feint", [setting], note, floor=floor))
    return found


def _floor(name: str) -> float:
    game: Any = scenario_class(name)()  # pyright: ignore[reportCallIssue]
    text = isinstance(game.observation_space(game.focal), spaces.Text)
    return LOWER if text or name in SLOWER else FLOOR


def _column(options: dict[str, Any]) -> str:
    return f"{options['batch']}{' labels' if options['labels'] else ''}"


def summary(measured: list[Contestant]) -> dict[str, dict[str, Any]]:
    """Steps per CPU second by scenario and column, with the floor and whether it is met."""
    found: dict[str, dict[str, Any]] = {}
    for row in measured:
        if row.kind != KIND or row.setting is None:
            continue
        options = row.setting.options
        one = found.setdefault(options["game"], {"steps_per_cpu_s": {}})
        one["steps_per_cpu_s"][_column(options)] = row.rate()
        if row.floor is not None:
            one |= {"floor": row.floor, "floor_met": row.floor_met()}
    return found


def table(measured: list[Contestant]) -> Table:
    """What `summary` says, for a terminal."""
    found = summary(measured)
    columns = list(next(iter(found.values()))["steps_per_cpu_s"])
    shown = Table(title="Feint's scenarios, env-steps per CPU second by batch", box=box.SIMPLE)
    for name in ("", *columns, f"at {JUDGED}"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, one in found.items():
        verdict = f"{'' if one['floor_met'] else 'under '}{short(one['floor'])}"
        rates = (short(rate) for rate in one["steps_per_cpu_s"].values())
        shown.add_row(name, *rates, verdict + (" met" if one["floor_met"] else ""))
    return shown
