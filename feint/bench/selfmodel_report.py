"""What a study of self-modeling leaves to read: a table, three plots, what holds, and one page."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from feint.bench import page
from feint.bench.claims import Claim
from feint.bench.plots import PALETTE, figure_row, legend, svg
from feint.bench.tables import Sheet
from feint.metrics import Interval, bootstrap
from feint.selfmodel.llc import VARIANTS
from feint.selfmodel.study import ARMS, Run, Study

#: Means over ten runs, read off the figures of arXiv 2407.10188: hidden units to weight to (SD,
#: RLCT), at the end of MNIST's 50 epochs.
PUBLISHED = {
    64: {0: (0.262, 33.1), 1: (0.235, 31.6), 5: (0.221, 29.5), 10: (0.231, 25.5),
         20: (0.119, -3.5), 50: (0.095, -5.3)},
    128: {0: (0.190, 38.2), 1: (0.176, 37.3), 5: (0.163, 34.3), 10: (0.158, 32.2),
          20: (0.170, 28.3), 50: (0.080, -15.8)},
    256: {0: (0.137, 46.2), 1: (0.130, 45.6), 5: (0.123, 42.0), 10: (0.118, 39.6),
          20: (0.1135, 36.9), 50: (0.113, 27.9)},
    512: {0: (0.097, 57.8), 1: (0.094, 58.0), 5: (0.0915, 56.1), 10: (0.0887, 52.8),
          20: (0.0845, 48.8), 50: (0.0808, 37.0)},
}  # fmt: skip

Measure = Callable[[Run], float]
_MEASURES: dict[str, Measure] = {
    "accuracy": lambda r: r.accuracy,
    "SD": lambda r: r.width,
    "activation RMS": lambda r: r.activation_rms,
    "SD x RMS": lambda r: r.scaled_width,
    "self-prediction R2": lambda r: r.r2,
    "distance from identity": lambda r: r.identity,
}


@dataclass(frozen=True)
class Row:
    """The runs of one arm at one weight and size.

    Attributes:
        hidden: units.
        arm: see `feint.selfmodel.study.ARMS`.
        weight: of the self-prediction.
        runs: one per seed.
    """

    hidden: int
    arm: str
    weight: float
    runs: tuple[Run, ...]

    @property
    def title(self) -> str:
        """What it is, in words."""
        if self.arm == "self_model":
            return "baseline" if self.weight == 0 else ARMS[self.arm]
        if self.arm == "weight_decay":
            return f"{ARMS[self.arm]} ({np.mean([run.decay for run in self.runs]):.2g})"
        return ARMS[self.arm]

    def interval(self, measure: Measure) -> Interval | None:
        """Mean over the seeds that have a number, with its 95 % bootstrap interval."""
        return _interval([measure(run) for run in self.runs])

    def llc(self, variant: str) -> tuple[Interval | None, int]:
        """The LLC of the runs in which it means anything, and how many those are."""
        values = [valid_llc(run, variant) for run in self.runs]
        return _interval(values), sum(not math.isnan(v) for v in values)


def valid_llc(run: Run, variant: str) -> float:
    """The estimate, or NaN where it is invalid or missing."""
    found = run.llc.get(variant)
    return math.nan if found is None or found.invalid else found.value


def rows(runs: Sequence[Run]) -> list[Row]:
    """Runs by size, arm and weight, in their order."""
    groups: dict[tuple[int, str, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.hidden, run.arm, run.weight), []).append(run)
    order = list(ARMS)
    keys = sorted(groups, key=lambda k: (k[0], order.index(k[1]), k[2]))
    return [Row(*key, runs=tuple(groups[key])) for key in keys]


def claims(made: Sequence[Row]) -> list[Claim]:
    """The published shape, weight by weight: differences from the baseline of the same seed.

    Self-modeling at a weight "keeps accuracy" where it loses less than 2 points on average; only
    there is it asked whether SD and LLC are lower.
    """
    found = []
    for hidden in dict.fromkeys(row.hidden for row in made):
        own = {r.weight: r for r in made if r.hidden == hidden and r.arm == "self_model"}
        base = own.get(0.0)
        if base is None:
            continue
        for weight, row in own.items():
            if weight == 0:
                continue
            at = f"H = {hidden}, weight {weight:g}"
            lost = _difference(row, base, lambda r: r.accuracy)
            if lost is None:
                continue
            if lost.estimate < -0.02:
                text = f"{at}: accuracy is kept: {lost.estimate:+.3f} {_ends(lost)}"
                found.append(Claim("accuracy", text, False))
                continue
            for name, measure in _claimed().items():
                change = _difference(row, base, measure)
                if change is not None:
                    text = f"{at}: {name} is lower than without: {change.estimate:+.3g} "
                    found.append(Claim(name, text + _ends(change), change.high < 0))
    return found


def _claimed() -> dict[str, Measure]:
    llcs: dict[str, Measure] = {f"LLC ({v})": (lambda r, v=v: valid_llc(r, v)) for v in VARIANTS}
    return {"SD": _MEASURES["SD"], "SD x RMS": _MEASURES["SD x RMS"], **llcs}


def _difference(row: Row, base: Row, measure: Measure) -> Interval | None:
    before = {run.seed: measure(run) for run in base.runs}
    return _interval([measure(r) - before[r.seed] for r in row.runs if r.seed in before])


def _interval(values: Sequence[float]) -> Interval | None:
    kept = [v for v in values if math.isfinite(v)]
    return bootstrap(kept) if kept else None


# -- table ----------------------------------------------------------------------------------------


def columns(study: Study) -> list[str]:
    """Headings of the table."""
    published = ["paper: SD", "paper: RLCT"] if _compares(study) else []
    llcs = [f"LLC, {v}" for v in VARIANTS] if study.draws != 0 else []
    return ["H", "arm", "weight", *_MEASURES, *llcs, *published]


def cells(row: Row, study: Study) -> list[str]:
    """One line of the table."""
    found = [str(row.hidden), row.title, f"{row.weight:g}"]
    found += [_cell(row.interval(measure)) for measure in _MEASURES.values()]
    for variant in VARIANTS if study.draws != 0 else ():
        interval, valid = row.llc(variant)
        text = _cell(interval, 2)
        if valid < len(row.runs):
            why = [r.llc[variant].invalid.partition(" (")[0] for r in row.runs if variant in r.llc]
            kinds = "; ".join(dict.fromkeys(filter(None, why)))
            text = f"{text} invalid in {len(row.runs) - valid} of {len(row.runs)}: {kinds}".strip()
        found.append(text)
    if _compares(study):
        known = (
            PUBLISHED.get(row.hidden, {}).get(int(row.weight)) if row.arm == "self_model" else None
        )
        found += [f"{x:g}" for x in known] if known else ["", ""]
    return found


def _compares(study: Study) -> bool:
    return study.data == "mnist"


def _cell(x: Interval | None, digits: int = 3) -> str:
    if x is None:
        return ""
    return f"{x.estimate:.{digits}f} [{x.low:.{digits}f}, {x.high:.{digits}f}]"


def _ends(x: Interval) -> str:
    return f"[{x.low:+.3g}, {x.high:+.3g}]"


def show(study: Study, made: Sequence[Row], out: Path | None, in_markdown: bool) -> None:
    """Print the table and what holds, and write the report into `out`, if given."""
    written = None if out is None else section(study, made).write(out)
    if in_markdown:
        print(markdown(study, made))
    else:
        console = Console()
        print_study(study, made, console if console.is_terminal else Console(width=250))
    if written is not None:
        print(f"results, plots and the report are in {out}; open {written}")


def print_study(study: Study, made: Sequence[Row], console: Console) -> None:
    """The table and what holds, on a terminal."""
    table = Table(title=_title(study), title_justify="left", title_style="bold")
    for column in columns(study):
        table.add_column(column, overflow="fold")
    for row in made:
        table.add_row(*cells(row, study), style="" if row.arm == "self_model" else "dim")
    console.print(table)
    for claim in claims(made):
        mark = "[green]holds[/]" if claim.holds else "[red]does not hold[/]"
        console.print(f"  {mark}: {claim.text}", highlight=False)
    for text in notes(study, made):
        console.print(f"  note: {text}", highlight=False)


def markdown(study: Study, made: Sequence[Row]) -> str:
    """The same in Markdown."""
    lines = [f"**{_title(study)}**", "", f"| {' | '.join(columns(study))} |"]
    lines.append("|" + "---|" * len(columns(study)))
    lines += [f"| {' | '.join(cells(row, study))} |" for row in made]
    lines.append("")
    lines += [f"- {'holds' if c.holds else '**does not hold**'}: {c.text}" for c in claims(made)]
    lines += [f"- {text}" for text in notes(study, made)]
    return "\n".join(lines) + "\n"


def notes(study: Study, made: Sequence[Row]) -> list[str]:
    """What must be known to read the table."""
    found = []
    there = {(row.hidden, row.arm, row.weight) for row in made}
    found += [
        f"H = {hidden}, weight {weight:g}: no weight decay gives the SD of self-modeling"
        for hidden in study.hidden
        for weight in study.control_weights
        if "weight_decay" in study.controls and (hidden, "weight_decay", weight) not in there
    ]
    found += [
        f"H = {row.hidden}, weight {row.weight:g}, {row.title}: {len(row.runs)} of "
        f"{len(study.seeds)} seeds"
        for row in made
        if len(row.runs) < len(study.seeds)
    ]
    if study.draws != 0:
        llc, corrected = study.task.llc, study.task.corrected
        found.append(
            "the two LLCs are on different scales (batch / ln batch against n / ln n): compare "
            f"within a column only; released: {llc.chains} chains of {llc.draws} draws, of which "
            f"the second half counts; corrected: {corrected.chains} of {corrected.draws} after "
            f"{corrected.burn_in}"
        )
    if len(study.seeds) < 5:
        found.append(f"{len(study.seeds)} seeds: the intervals are too narrow")
    return found


def _title(study: Study) -> str:
    epochs = study.task.training.epochs
    return f"{study.data}, {study.config}, {epochs} epochs, {len(study.seeds)} seeds"


# -- plots and page -------------------------------------------------------------------------------


def plots(study: Study, made: Sequence[Row]) -> dict[str, Figure]:
    """Width, LLC and accuracy against the weight, mean over seeds with intervals."""
    found = {
        "width": _against_weight(made, {"SD of the class rows": _MEASURES["SD"],
                                        "SD x activation RMS": _MEASURES["SD x RMS"]}),
        "accuracy": _against_weight(made, {"test accuracy": _MEASURES["accuracy"]}),
    }  # fmt: skip
    if study.draws != 0:
        llcs: dict[str, Measure] = {f"LLC, {v}": (lambda r, v=v: valid_llc(r, v)) for v in VARIANTS}
        found["LLC"] = _against_weight(made, llcs)
    return found


def _against_weight(made: Sequence[Row], measures: dict[str, Measure]) -> Figure:
    figure, axes = figure_row(len(measures), sharey=False)
    weights = sorted({row.weight for row in made})
    place = {w: k for k, w in enumerate(weights)}  # evenly spaced: 0 has no logarithm
    sizes = list(dict.fromkeys(row.hidden for row in made))
    markers = dict(zip(ARMS, "osvD^XxP", strict=True))
    for axis, (name, measure) in zip(axes, measures.items(), strict=True):
        for arm in ARMS:
            for k, hidden in enumerate(sizes):
                mine = [r for r in made if (r.arm, r.hidden) == (arm, hidden)]
                points = [(r.weight, i) for r in mine if (i := r.interval(measure))]
                if not points:
                    continue
                own = arm == "self_model"
                offset = 0.0 if own else 0.09 * list(ARMS).index(arm)
                y = np.array([i.estimate for _, i in points])
                ends = np.array([[i.estimate - i.low, i.high - i.estimate] for _, i in points]).T
                colour = PALETTE[k + 1] if own else PALETTE[(list(ARMS).index(arm) + 3) % 11]
                axis.errorbar(
                    [place[w] + offset for w, _ in points], y, yerr=ends,
                    fmt=markers[arm] + ("-" if own else ""), color=colour, markersize=5,
                    elinewidth=1, label=f"{ARMS[arm]}, H = {hidden}",
                )  # fmt: skip
        axis.set_xticks(list(place.values()), [f"{w:g}" for w in weights])
        axis.set_xlabel("weight of the self-prediction")
        axis.set_title(name, fontsize=9)
    legend(figure, *axes)
    return figure


def section(study: Study, made: Sequence[Row]) -> page.Section:
    """The same to be read elsewhere."""
    drawn = {title: svg(figure) for title, figure in plots(study, made).items()}
    told = [cells(row, study) for row in made]
    roles = ["treatment" if row.arm == "self_model" else "sham" for row in made]
    table = Sheet(_title(study), columns(study), told, roles, [""] * len(told))
    remarks = "".join(f"<li>{html.escape(text)}</li>" for text in notes(study, made))
    intro = """<p class="soft">Brackets are 95 % bootstrap intervals over seeds. An LLC counts only
where training ended at a minimum of the classification loss, and above chance.</p>"""
    return page.Section(
        f"self-modeling on {_title(study)}",
        [
            intro,
            page.table(table),
            page.claims(claims(made)),
            f"<ul>{remarks}</ul>" if remarks else "",
            page.figures(drawn),
        ],
        {f"plots/{title.lower()}.svg": text for title, text in drawn.items()}
        | {"table.md": markdown(study, made)},
    )
