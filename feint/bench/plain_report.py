"""Pages of results whose job has none of its own, and of single results: all their numbers."""

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from feint.bench import page, plots
from feint.bench.results import RunResult
from feint.bench.suite import Suite
from feint.bench.tables import Sheet
from feint.metrics import bootstrap

_COLUMNS = 14  # a wider table is turned into lines
_LINES = 200
_TEXT = 80


@dataclass(frozen=True)
class Leaf:
    """What stands at a path in a result: in words, and the number to average over seeds."""

    path: tuple[str, ...]
    text: str
    value: float | None


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """All that a table holds; a mean with its spread, or a rate with its interval, is one."""
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict):
            found = _measured(value)
            if found is not None:
                yield Leaf(here, *found)
            else:
                yield from leaves(value, here)
        elif isinstance(value, bool) or value is None or isinstance(value, str):
            text = "-" if value is None else str(value)
            yield Leaf(here, text if len(text) <= _TEXT else text[: _TEXT - 3] + "...", None)
        elif isinstance(value, int | float):
            yield Leaf(here, f"{value:.5g}", float(value))
        elif value and len(value) <= 8 and all(isinstance(v, int | float | str) for v in value):
            yield Leaf(here, ", ".join(map(str, value))[:_TEXT], None)
        else:
            yield Leaf(here, f"{len(value)} values", None)


def _measured(table: dict[str, Any]) -> tuple[str, float | None] | None:
    if table.keys() == {"mean", "sd", "n"}:
        if table["mean"] is None:
            return "-", None
        spread = "" if table["sd"] is None else f" ± {table['sd']:.3g}"
        return f"{table['mean']:.4g}{spread} (n = {table['n']})", table["mean"]
    if {"rate", "low", "high"} <= table.keys():
        if table["rate"] is None:
            return "-", None
        return f"{table['rate']:.3f} [{table['low']:.3f}, {table['high']:.3f}]", table["rate"]
    return None


def of_result(result: RunResult) -> page.Section:
    """A single result: every number in it, and its learning curve."""
    sheets = [
        _matrix(key.replace("_", " "), list(leaves(value)))
        for key, value in result.payload.items()
        if isinstance(value, dict) and key != "curve"
    ]
    single = {k: v for k, v in result.payload.items() if not isinstance(v, dict)}
    if single:
        sheets.insert(0, _matrix("the run", list(leaves(single))))
    curve = result.payload.get("curve")
    drawn = {"learning curve": plots.svg(_curve(curve))} if _is_curve(curve) else {}
    settings = html.escape(json.dumps(result.settings, indent=1))
    about = (
        f"{result.role} of suite {result.suite}, seed {result.seed}; started {result.started}, "
        f"{result.cpu_s:.1f} s of processor time"
    )
    made = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return page.Section(
        f"{result.suite}: {result.run}",
        [
            f'<p class="soft">{html.escape(about)}. A single run: nothing here says how much '
            "another seed would differ.</p>",
            page.figures(drawn),
            *(page.table(sheet) for sheet in sheets if sheet.rows),
            f"<details><summary>Settings</summary><pre>{settings}</pre></details>",
            f'<p class="soft">{html.escape(made)}; commit '
            f"{html.escape(result.commit or 'none')}.</p>",
        ],
    )


def of_suite(suite: Suite, results: Sequence[RunResult]) -> page.Section:
    """A suite of any job: for each scenario the mean of every number, by arm."""
    parts = [
        f'<p class="soft">{len(results)} runs. Cells are means over seeds, with a 95 % bootstrap '
        "interval where there are several; every number that the results hold is shown.</p>"
    ]
    for scenario in suite.scenarios:
        arms = [a for a in suite.arms if any(_is(r, scenario.key, a.key) for r in results)]
        found: dict[str, dict[str, list[float]]] = {}
        for arm in arms:
            for run in (r for r in results if _is(r, scenario.key, arm.key)):
                for leaf in leaves(run.payload):
                    if leaf.value is not None:
                        name = " / ".join(leaf.path)
                        found.setdefault(name, {}).setdefault(arm.key, []).append(leaf.value)
        rows = [
            [name, *(_mean(by_arm.get(arm.key, [])) for arm in arms)]
            for name, by_arm in list(found.items())[:_LINES]
        ]
        if rows:
            heads = ["number", *(arm.title for arm in arms)]
            sheet = Sheet(scenario.title, heads, rows, [""] * len(rows), [""] * len(rows))
            parts.append(page.table(sheet))
        if len(found) > _LINES:
            parts.append(f"<p>{len(found) - _LINES} more numbers are in the results.</p>")
    return page.Section(f"the {suite.name} suite", parts)


def _is(result: RunResult, scenario: str, arm: str) -> bool:
    return (result.scenario, result.arm) == (scenario, arm)


def _mean(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4g}" if values else "-"
    x = bootstrap(values)
    return f"{x.estimate:.4g} [{x.low:.4g}, {x.high:.4g}]"


def _matrix(title: str, found: Sequence[Leaf]) -> Sheet:
    """Leaves with their last names as columns; as lines, where those are many."""
    lasts = list(dict.fromkeys(leaf.path[-1] for leaf in found))
    if len(lasts) > _COLUMNS:
        rows = [[" / ".join(leaf.path), leaf.text] for leaf in found[:_LINES]]
        return Sheet(title, ["what", "value"], rows, [""] * len(rows), [""] * len(rows))
    by_row: dict[str, dict[str, str]] = {}
    for leaf in found:
        by_row.setdefault(" / ".join(leaf.path[:-1]), {})[leaf.path[-1]] = leaf.text
    rows = [[name, *(cells.get(last, "") for last in lasts)] for name, cells in by_row.items()]
    heads = ["", *lasts]
    if list(by_row) == [""]:
        rows, heads = [row[1:] for row in rows], lasts
    rows = rows[:_LINES]
    heads = [head.replace("_", " ") for head in heads]
    return Sheet(title, heads, rows, [""] * len(rows), [""] * len(rows))


def _is_curve(curve: Any) -> bool:
    if not isinstance(curve, dict) or not isinstance(curve.get("steps"), list):
        return False
    series = [values for values in curve.values() if isinstance(values, list)]
    numbers = all(isinstance(v, int | float | None) for values in series for v in values)
    return len(curve["steps"]) > 1 and len({len(values) for values in series}) == 1 and numbers


def _curve(curve: dict[str, list[Any]]) -> Figure:
    figure, (axis,) = plots.figure_row(1, len(curve))
    for k, (name, values) in enumerate(curve.items()):
        if name != "steps" and isinstance(values, list):
            y = np.array(values, np.float64)  # None becomes NaN
            axis.plot(curve["steps"], y, color=plots.PALETTE[k % 11], label=name.replace("_", " "))
    axis.set_xlabel("steps")
    plots.legend(figure, axis)
    return figure
