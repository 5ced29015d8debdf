"""The suite's plots, as SVG: deception against own task, learning curves, overlap against control.

Colours are Okabe and Ito's, which people with any colour vision can tell apart.
"""

import io
import textwrap
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from feint.bench.analysis import ArmSummary, ScenarioSummary, Study
from feint.bench.results import RunResult
from feint.bench.tables import by_scenario, family_title, shown_arms

MARKERS = {"reference": "s", "treatment": "o", "sham": "X", "baseline": "D"}
PALETTE = (
    "#000000", "#0072B2", "#009E73", "#56B4E9", "#CC79A7",
    "#E69F00", "#D55E00", "#8C564B", "#7F7F7F", "#BCBD22", "#F0E442",
)  # fmt: skip
_DASHES = ("-", "--", ":")
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.fonttype": "none",
    "svg.hashsalt": "feint",  # the same figure gives the same file
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class _Look:
    """How one arm looks in every plot: a colour, and where these run out, another line."""

    colour: str
    line: str
    filled: bool


def _looks(summary: ScenarioSummary) -> dict[str, _Look]:
    families = dict.fromkeys(arm.family for arm in summary.arms.values())
    looks = {}
    for i, family in enumerate(families):
        again = i // len(PALETTE)
        looks[family] = _Look(PALETTE[i % len(PALETTE)], _DASHES[again % 3], again == 0)
    return looks


def _mark(arm: ArmSummary, look: _Look) -> dict[str, Any]:
    return {
        "marker": MARKERS[arm.role],
        "color": look.colour,
        "markerfacecolor": look.colour if look.filled else "white",
        "markersize": 7,
        "linestyle": "none",
        "label": arm.title,
    }


def deception_against_task(summary: ScenarioSummary) -> Figure:
    """Where each arm stands: down and to the right is honest and able. Shams at their best dose."""
    names, arms, looks = list(summary.settings.task), shown_arms(summary), _looks(summary)
    figure, axes = figure_row(len(names), len(arms))
    for axis, name in zip(axes, names, strict=True):
        for arm in arms:
            x, y = arm.task[name], arm.deception
            axis.errorbar(
                x.estimate, y.estimate,
                xerr=[[x.estimate - x.low], [x.high - x.estimate]],
                yerr=[[y.estimate - y.low], [y.high - y.estimate]],
                elinewidth=1, **_mark(arm, looks[arm.family]),
            )  # fmt: skip
        most = max((arm.task[name].high for arm in arms if arm.task[name].n), default=1.0)
        axis.set_xlim(0.0, 1.06 * most if most > 0 else 1.0)
        axis.set_xlabel(f"own task, other {name}: {summary.settings.task[name]}")
        axis.set_ylim(bottom=-0.02)
    axes[0].set_ylabel(f"deception: {summary.settings.deception}")
    legend(figure, axes[0])
    return figure


def learning_curves(summary: ScenarioSummary, results: list[RunResult]) -> Figure:
    """Deception during training and tuning, mean over seeds with the range."""
    arms, looks = shown_arms(summary), _looks(summary)
    figure, axes = figure_row(2, len(arms))
    for arm in arms:
        runs = [r for r in results if r.scenario == summary.key and r.arm == arm.key]
        curves = [r.payload["curve"] for r in runs if len(r.payload["curve"]["steps"]) > 1]
        if not curves:
            continue
        axis = axes[0] if runs[0].settings.get("kind") == "train" else axes[1]
        length = min(len(c["steps"]) for c in curves)
        steps = np.array(curves[0]["steps"][:length]) / 1e6
        values = np.array([c["deception"][:length] for c in curves], np.float64)
        look = looks[arm.family]
        axis.plot(
            steps, values.mean(axis=0), color=look.colour, linestyle=look.line, label=arm.title,
            linewidth=1.6,
        )  # fmt: skip
        if len(curves) > 1 and arm.role != "sham":
            axis.fill_between(
                steps, values.min(axis=0), values.max(axis=0), color=look.colour, alpha=0.12,
                linewidth=0,
            )  # fmt: skip
    for axis, title in zip(axes, ("training", "tuning the deceptive agent"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("environment steps, millions")
        axis.set_ylim(bottom=-0.02)
    axes[0].set_ylabel(f"deception: {summary.settings.deception}")
    legend(figure, *axes)
    return figure


def overlap_against_control(summary: ScenarioSummary) -> Figure:
    """The gap of the arm's own pairs against that of control pairs, relative to the start."""
    arms, looks = [arm for arm in shown_arms(summary) if arm.gaps], _looks(summary)
    figure, (axis,) = figure_row(1, len(arms))
    for arm in arms:
        pair, control = arm.gaps or (1.0, 1.0)
        axis.plot(max(pair, 1e-3), max(control, 1e-3), **_mark(arm, looks[arm.family]))
    line = np.geomspace(1e-3, 1.0, 50)
    axis.plot(line, 1.0 - 0.8 * (1.0 - line), "--", color="0.4", linewidth=1)
    axis.fill_between(line, 1e-3, 1.0 - 0.8 * (1.0 - line), color="0.5", alpha=0.12, linewidth=0)
    axis.annotate("collapse", (1.4e-3, 2e-3), color="0.35")
    axis.set(xscale="log", yscale="log", xlim=(8e-4, 5), ylim=(8e-4, 100))
    axis.set_xlabel("self/other gap, as a share of the deceptive agent's")
    axis.set_ylabel("control gap, likewise")
    legend(figure, axis)
    return figure


def all_scenarios(study: Study) -> Figure:
    """Share of the gap closed by each arm on each scenario, with the verdict."""
    arms = by_scenario(study)
    keys = [scenario.key for scenario in study.scenarios]
    closed = np.full((len(arms), len(keys)), np.nan)
    with plt.rc_context(_STYLE | {"axes.grid": False}):
        size = (3.6 + 1.15 * len(keys), 1.3 + 0.34 * len(arms))
        figure, axis = plt.subplots(figsize=size)
    for i, found in enumerate(arms.values()):
        for j, key in enumerate(keys):
            arm = found.get(key)
            if arm is None or arm.closed is None:
                text = "missing" if arm is None else "not judged"
            else:
                closed[i, j] = arm.closed.estimate
                text = f"{100 * closed[i, j]:z.0f} %\n{arm.judgement.verdict}"  # pyright: ignore
            dark = closed[i, j] > 0.7
            axis.text(
                j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else "black"
            )
    axis.imshow(closed, cmap="cividis_r", vmin=0.0, vmax=1.0, aspect="auto")
    axis.set_xticks(range(len(keys)), [_wrapped(s.title) for s in study.scenarios])
    axis.set_yticks(
        range(len(arms)), [family_title(next(iter(found.values()))) for found in arms.values()]
    )
    axis.tick_params(axis="x", labeltop=True, labelbottom=False, labelsize=7.5, length=0)
    axis.tick_params(axis="y", length=0)
    return figure


def _wrapped(title: str) -> str:
    return textwrap.fill(title, 16, break_long_words=False)


def svg(figure: Figure) -> str:
    """The figure as SVG text without metadata, and close it."""
    buffer = io.StringIO()
    with plt.rc_context(_STYLE):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def figure_row(
    columns: int, entries: int = 0, sharey: bool | None = None
) -> tuple[Figure, list[Axes]]:
    """Plots side by side, with room for so many entries of a legend."""
    with plt.rc_context(_STYLE):
        width = 4.6 if columns == 1 else 3.6 * columns
        size = (width + 3.0, max(3.4, 0.4 + 0.17 * entries))
        shared = columns > 1 if sharey is None else sharey
        figure, axes = plt.subplots(1, columns, figsize=size, sharey=shared)
    return figure, list(np.atleast_1d(axes))


def legend(figure: Figure, *axes: Axes) -> None:
    """One legend for all plots, each label once."""
    found = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    figure.legend(
        found.values(), found.keys(), loc="outside right upper", fontsize=7.5, frameon=False
    )
