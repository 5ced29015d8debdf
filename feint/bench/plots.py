"""The suite's plots, as SVG: deception against own task, learning curves, overlap against control.

Colours are Okabe and Ito's, which people with any colour vision can tell apart.
"""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from feint.bench.analysis import ArmSummary, ScenarioSummary
from feint.bench.results import RunResult

_MARKERS = {"reference": "s", "treatment": "o", "sham": "X", "baseline": "D"}
PALETTE = (
    "#000000", "#0072B2", "#009E73", "#56B4E9", "#CC79A7",
    "#E69F00", "#D55E00", "#8C564B", "#7F7F7F", "#BCBD22", "#F0E442",
)  # fmt: skip
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


def colours(arms: Mapping[str, ArmSummary]) -> dict[str, str]:
    """One colour for each arm, the same in every plot."""
    return {key: PALETTE[i % len(PALETTE)] for i, key in enumerate(arms)}


def deception_against_task(summary: ScenarioSummary) -> Figure:
    """Where each arm stands: down and to the right is honest and able."""
    names = list(summary.settings.task)
    figure, axes = figure_row(len(names))
    for axis, name in zip(axes, names, strict=True):
        for key, arm in summary.arms.items():
            x, y = arm.task[name], arm.deception
            axis.errorbar(
                x.estimate, y.estimate,
                xerr=[[x.estimate - x.low], [x.high - x.estimate]],
                yerr=[[y.estimate - y.low], [y.high - y.estimate]],
                fmt=_MARKERS[arm.role], color=colours(summary.arms)[key],
                markersize=7, elinewidth=1, label=arm.title,
            )  # fmt: skip
        axis.set_xlim(0.0, 1.06 * max(arm.task[name].high for arm in summary.arms.values()))
        axis.set_xlabel(f"own task, other {name}: {summary.settings.task[name]}")
        axis.set_ylim(bottom=-0.02)
    axes[0].set_ylabel(f"deception: {summary.settings.deception}")
    legend(figure, axes[0])
    return figure


def learning_curves(summary: ScenarioSummary, results: list[RunResult]) -> Figure:
    """Deception during training and tuning, mean over seeds with the range."""
    figure, axes = figure_row(2)
    for key, arm in summary.arms.items():
        runs = [r for r in results if r.scenario == summary.key and r.arm == key]
        curves = [r.payload["curve"] for r in runs if len(r.payload["curve"]["steps"]) > 1]
        if not curves:
            continue
        axis = axes[0] if arm.role == "reference" else axes[1]
        length = min(len(c["steps"]) for c in curves)
        steps = np.array(curves[0]["steps"][:length]) / 1e6
        values = np.array([c["deception"][:length] for c in curves])
        colour = colours(summary.arms)[key]
        axis.plot(steps, values.mean(axis=0), color=colour, label=arm.title, linewidth=1.6)
        axis.fill_between(
            steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0
        )
    for axis, title in zip(axes, ("training", "tuning the deceptive agent"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("environment steps, millions")
        axis.set_ylim(bottom=-0.02)
    axes[0].set_ylabel(f"deception: {summary.settings.deception}")
    legend(figure, *axes)
    return figure


def overlap_against_control(summary: ScenarioSummary) -> Figure:
    """The gap of the arm's own pairs against that of control pairs, relative to the start."""
    figure, (axis,) = figure_row(1)
    for key, arm in summary.arms.items():
        if arm.gaps is None:
            continue
        pair, control = arm.gaps
        axis.plot(
            max(pair, 1e-3), max(control, 1e-3), _MARKERS[arm.role], markersize=7,
            color=colours(summary.arms)[key], label=arm.title,
        )  # fmt: skip
    line = np.geomspace(1e-3, 1.0, 50)
    axis.plot(line, 1.0 - 0.8 * (1.0 - line), "--", color="0.4", linewidth=1)
    axis.fill_between(line, 1e-3, 1.0 - 0.8 * (1.0 - line), color="0.5", alpha=0.12, linewidth=0)
    axis.annotate("collapse", (1.4e-3, 2e-3), color="0.35")
    axis.set(xscale="log", yscale="log", xlim=(8e-4, 5), ylim=(8e-4, 100))
    axis.set_xlabel("self/other gap, as a share of the deceptive agent's")
    axis.set_ylabel("control gap, likewise")
    legend(figure, axis)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG text without metadata, and close it."""
    buffer = io.StringIO()
    with plt.rc_context(_STYLE):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def figure_row(columns: int, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with so many plots side by side, and room for a legend."""
    with plt.rc_context(_STYLE):
        width = 4.6 if columns == 1 else 3.6 * columns
        figure, axes = plt.subplots(1, columns, figsize=(width + 2.6, 3.4), sharey=sharey)
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
