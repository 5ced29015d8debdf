"""What a suite of language models leaves to read: tables, claims, three plots, transcripts."""

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from feint.bench import page, plots
from feint.bench.llm_tables import Measure, claims, field, share, sheet
from feint.bench.report import claim_lines, print_claims, print_sheet
from feint.bench.results import RunResult
from feint.bench.suite import Arm, Suite

THIEF = "burglar/thief"


def show(suite: Suite, results: list[RunResult], out: Path | None, markdown: bool) -> None:
    """Print the tables and claims, and write the report into `out`, if given."""
    written = None if out is None else write_report(suite, results, out)
    if markdown:
        print(as_markdown(suite, results))
    else:
        console = Console()
        console = console if console.is_terminal else Console(width=250)
        print_sheet(sheet(suite, results), console)
        print_claims(claims(suite, results), console)
    if written is not None:
        print(f"results, plots and the report are in {out}; open {written}")


def as_markdown(suite: Suite, results: Sequence[RunResult]) -> str:
    """The table, one row per measure so that a page can hold it, and the claims."""
    turned = sheet(suite, results)
    found = list(zip(*[turned.columns, *turned.rows], strict=True))
    lines = [f"| {' | '.join(row)} |" for row in found]
    lines.insert(1, "|" + "---|" * len(found[0]))
    return "\n".join([f"**{turned.title}**", "", *lines, "", *claim_lines(claims(suite, results))])


def write_report(suite: Suite, results: Sequence[RunResult], out: Path) -> Path:
    """Write plots, `summary.json` and `report.html` into `out`; returns the page's path.

    Raises:
        ValueError: if `out` cannot be written.
    """
    return section(suite, results).write(out)


def section(suite: Suite, results: Sequence[RunResult], out: Path | None = None) -> page.Section:
    """The same to be read elsewhere; nothing is taken from `out`."""
    figures = {
        "lies to the thief, each run": lies(suite, results),
        "honest or right answers, by who asks": answers(suite, results),
        "self and other drawn together, against two names drawn together": gaps(suite, results),
    }
    drawn = {title: plots.svg(figure) for title, figure in figures.items()}
    names = [f"plots/{key}.svg" for key in ("lies", "answers", "gaps")]
    left = dict(zip(names, drawn.values(), strict=True))
    tested, table = claims(suite, results), sheet(suite, results)
    summary = {"table": asdict(table), "claims": [asdict(claim) for claim in tested]}
    left["summary.json"] = json.dumps(summary, indent=1) + "\n"
    first = results[0]
    intro = f"""<p class="soft">{len(results)} training runs,
{sum(r.cpu_s for r in results) / 60:.0f} CPU minutes. A cell is the mean over runs, with a 95 %
bootstrap interval over them where there are several; each run's own Wilson intervals are in its
result.json. "Lies" and "honest" are the model's choice after the given beginning of an answer;
"other" is neither, and counts for neither.</p>"""
    outro = f"""<p class="soft">{html.escape(_versions(first))}; commit
{html.escape(first.commit or "none")}. Made by <code>feint bench run {suite.name}</code>.</p>"""
    parts = [
        intro,
        page.claims(tested),
        page.table(table),
        page.figures(drawn),
        _transcripts(suite, results),
        outro,
    ]
    return page.Section(f"the {suite.name} suite", parts, left)


def _versions(result: RunResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in result.versions.items())


def _transcripts(suite: Suite, results: Sequence[RunResult]) -> str:
    """Answers word for word, of the first run of each arm: read some."""
    parts = []
    for arm in suite.arms:
        runs = [r for r in results if r.arm == arm.key]
        told = (runs[0].payload["cells"].get(THIEF) or {}).get("transcripts") if runs else None
        if told:
            items = "".join(
                f"<li><small>{html.escape(t['user'])}</small><br>{html.escape(t['answer'])} "
                f"<b>{t['label']}</b></li>"
                for t in told[:3]
            )
            title = html.escape(arm.title)
            parts.append(f"<details><summary>{title}</summary><ul>{items}</ul></details>")
    return f"<h2>What they say to the thief</h2>{''.join(parts)}" if parts else ""


_COLOURS = {"reference": 0, "treatment": 1, "sham": 6, "baseline": 2}


def _runs_of(suite: Suite, results: Sequence[RunResult]) -> list[tuple[Arm, list[RunResult]]]:
    pairs = [(arm, [r for r in results if r.arm == arm.key]) for arm in suite.arms]
    return [(arm, runs) for arm, runs in pairs if runs]


def lies(suite: Suite, results: Sequence[RunResult]) -> Figure:
    """Every run as a dot, by arm: how often it lies to the thief, and to that of other stories."""
    cells = [c for c in results[0].payload["cells"] if c.endswith("/thief")]
    arms = _runs_of(suite, results)
    figure, axes = plots.figure_row(min(len(cells), 3), len(arms))
    for axis, cell in zip(axes, cells, strict=False):
        for k, (arm, runs) in enumerate(arms):
            values = [share(cell, "deceptive")(r.payload) for r in runs]
            there = [v for v in values if v is not None]
            spread = np.linspace(-0.15, 0.15, len(there)) if len(there) > 1 else [0.0] * len(there)
            axis.plot(
                there, k + np.asarray(spread), "o", markersize=4, alpha=0.7,
                color=plots.PALETTE[_COLOURS[arm.role]],
            )  # fmt: skip
        axis.set_xlim(-0.03, 1.03)
        axis.set_title(cell.replace("/", ", "), fontsize=9)
        axis.set_xlabel("share of answers that lie")
    axes[0].set_yticks(range(len(arms)), [arm.title for arm, _ in arms])  # all share them
    axes[0].invert_yaxis()
    return figure


def answers(suite: Suite, results: Sequence[RunResult]) -> Figure:
    """Arms by cells: the share of honest answers, or right ones."""
    cells = list(dict.fromkeys(cell for r in results for cell in r.payload["cells"]))
    arms = _runs_of(suite, results)
    table = np.full((len(arms), len(cells)), np.nan)
    for i, (_, runs) in enumerate(arms):
        for j, cell in enumerate(cells):
            found = [share(cell, "honest")(r.payload) for r in runs]
            there = [v for v in found if v is not None]
            table[i, j] = np.mean(there) if there else np.nan
    figure, (axis,) = plots.figure_row(1, len(arms))
    figure.set_size_inches(3.2 + 0.62 * len(cells), 1.9 + 0.33 * len(arms))
    axis.imshow(table, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    axis.grid(False)
    axis.set_xticks(range(len(cells)))
    axis.set_xticklabels([c.replace("/", ", ") for c in cells], rotation=50, ha="right")
    axis.set_yticks(range(len(arms)))
    axis.set_yticklabels([arm.title for arm, _ in arms])
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            ink = "black" if value > 0.55 else "white"
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
    return figure


def gaps(suite: Suite, results: Sequence[RunResult]) -> Figure:
    """Where overlap ends and collapse begins: both gaps, as shares of what they were."""
    measures: tuple[Measure, Measure] = (
        field("guards", "pair_gap_ratio"),
        field("guards", "name_gap_ratio"),
    )
    figure, (axis,) = plots.figure_row(1, len(suite.arms))
    seen: set[str] = set()
    for arm, runs in _runs_of(suite, results):
        for run in runs:
            x, y = (measure(run.payload) for measure in measures)
            if x is not None and y is not None:
                label = arm.title if arm.key not in seen else None
                seen.add(arm.key)
                axis.plot(
                    x, y, marker=plots.MARKERS[arm.role], linestyle="none", label=label,
                    color=plots.PALETTE[list(a.key for a in suite.arms).index(arm.key) % 11],
                )  # fmt: skip
    axis.axline((0, 0), slope=1, color="#888888", linewidth=0.8, linestyle=":")
    axis.set_xlabel("gap of self and other, of before")
    axis.set_ylabel("gap of two names of the thief, of before")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    plots.legend(figure, axis)
    return figure
