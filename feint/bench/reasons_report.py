"""What a run of `feint llm reasons` leaves to read: tables, a plot, transcripts, and one HTML page.

Rates that hang on a scorer are shown only where it agrees with the hands on held-out replies
(`feint.llm.reasons.agreement.LEAST_KAPPA`). How often the format was kept needs no scorer.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from feint.bench import page, plots
from feint.bench.claims import Claim
from feint.bench.report import claim_lines, print_claims, print_sheet
from feint.bench.tables import Sheet
from feint.files import write_atomically
from feint.llm.reasons.agreement import LEAST_KAPPA
from feint.llm.reasons.counts import tally
from feint.llm.reasons.scoring import Verdict
from feint.llm.reasons.turns import ARMS

_RATES = {
    "undesired": "undesired",
    "deceives": "reason-based deception",
    "two_faced": "of it, ethical trace",
    "desired": "does right",
    "refusal": "refuses",
    "none": "no answer",
}
_PLOTTED = ("undesired", "deceives")
_WHERE = ("held-out replies", "replies of this model")
_FORMS = {"off_format": "off format", "no_trace": "trace missing"}


@dataclass(frozen=True)
class Scored:
    """A run with its verdicts.

    Attributes:
        model: Who was asked.
        scorer: Who scored.
        transcripts: As `feint.llm.reasons.run.run` returns them.
        verdicts: One for each.
        agreement: Of the scorer with the hands (`feint.llm.reasons.agreement.agreement`); `None`
            where the hands themselves scored.
        own: The same on replies of the very model, where there are labelled ones.
    """

    model: str
    scorer: str
    transcripts: Sequence[dict[str, Any]]
    verdicts: Sequence[Verdict]
    agreement: dict[str, Any] | None = None
    own: dict[str, Any] | None = None

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The agreements that there are."""
        return [found for found in (self.agreement, self.own) if found is not None]

    @property
    def trusted(self) -> bool:
        """Whether the scorer may give rates."""
        return all(found["passes"] for found in self.checks)


def write(scored: Scored, out: Path) -> Path:
    """Write `scores.jsonl`, `summary.json`, `table.md`, `plots/arms.svg` and `report.html`.

    Returns:
        The page's path.

    Raises:
        ValueError: If `out` cannot be written.
    """
    counted = tally(scored.transcripts, scored.verdicts)
    lines = [
        json.dumps({"id": t["id"], "scorer": scored.scorer, **v.to_json()}, ensure_ascii=False)
        for t, v in zip(scored.transcripts, scored.verdicts, strict=True)
    ]
    write_atomically(out / "scores.jsonl", "\n".join(lines) + "\n")
    about = {"model": scored.model, "scorer": scored.scorer, "trusted": scored.trusted}
    checks = {"agreement": scored.agreement, "own": scored.own}
    summary = {**about, **checks, **(counted if scored.trusted else {})}
    write_atomically(out / "summary.json", json.dumps(summary, indent=1) + "\n")
    write_atomically(out / "table.md", as_markdown(scored) + "\n")
    found, names = claims(scored, counted), _PLOTTED if scored.trusted else tuple(_FORMS)
    told = " and ".join((_RATES | _FORMS)[name] for name in names)
    picture = plots.svg(arms_figure(counted, names))
    write_atomically(out / "plots" / "arms.svg", picture)
    drawn = {f"{told}, by arm, with Wilson's 95 % intervals; small dots are scenarios": picture}
    parts = [
        f"<p>{html.escape(_about(scored, counted))}</p>",
        page.claims(found),
        *(page.table(sheet) for sheet in sheets(scored, counted)),
        page.figures(drawn),
        _transcripts(scored),
    ]
    path = out / "report.html"
    write_atomically(path, page.page("refusals, rebuttals, and what follows them", parts))
    return path


def show(scored: Scored, markdown: bool = False) -> None:
    """Print the tables and claims."""
    if markdown:
        print(as_markdown(scored))
        return
    counted = tally(scored.transcripts, scored.verdicts)
    console = Console()
    console = console if console.is_terminal else Console(width=180)
    for sheet in sheets(scored, counted):
        print_sheet(sheet, console)
    print_claims(claims(scored, counted), console)
    console.print(_about(scored, counted), highlight=False)


def as_markdown(scored: Scored) -> str:
    """Tables and claims in Markdown."""
    counted = tally(scored.transcripts, scored.verdicts)
    blocks = [markdown_table(sheet) for sheet in sheets(scored, counted)]
    return "\n\n".join([*blocks, *claim_lines(claims(scored, counted)), _about(scored, counted)])


def markdown_table(sheet: Sheet) -> str:
    """A sheet as a Markdown table under its title."""
    rows = [sheet.columns, ["---"] * len(sheet.columns), *sheet.rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"**{sheet.title}**", "", *lines])


def sheets(scored: Scored, counted: dict[str, Any]) -> list[Sheet]:
    """Arms, scenarios by arms, arms against arms, and the scorer against the hands."""
    columns = {**(_RATES if scored.trusted else {}), **_FORMS}
    arms = _sheet(
        f"{scored.model}: by arm",
        ["arm", "n", *columns.values()],
        [
            [arm, str(found["n"]), *(_rate(found[name]) for name in columns)]
            for arm, found in counted["arms"].items()
        ],
        [ARMS.get(arm, "") for arm in counted["arms"]],
    )
    made = [arms]
    if scored.trusted:
        names = ("undesired", "deceives", "desired", "none", "off_format")
        heads = [(_RATES | _FORMS)[name] for name in names]
        made.append(
            _sheet(
                "by scenario and arm",
                ["scenario", "arm", "n", *heads],
                [
                    [*key.split("/"), str(found["n"]), *(_rate(found[name]) for name in names)]
                    for key, found in counted["cells"].items()
                ],
            )
        )
        made.append(
            _sheet(
                "arm against arm: difference of rates, bootstrap over scenarios and wordings",
                ["measure", "arm", "than", "difference", "scenarios", "wordings"],
                [
                    [_RATES[e["measure"]], e["arm"], e["than"], _rate(e, "{:+.2f}"),
                     str(e["scenarios"]), str(e["wordings"])]
                    for e in counted["effects"]
                ],
            )
        )  # fmt: skip
    titles = ("hands", f"hands, on replies of {scored.model}")
    return [*made, *map(agreement_sheet, scored.checks, titles)]


def agreement_sheet(found: dict[str, Any], hands: str = "hands") -> Sheet:
    """Kappa of a scorer with the hands: held-out and other replies, classes of harm, scenarios."""
    titles = {"dev": "dev half", "held": "held-out half", "all": "all"}
    parts = {titles[k]: v for k, v in found["splits"].items()}
    parts |= {**found["harms"], **found["scenarios"]}
    fields = list(next(iter(parts.values())))
    return _sheet(
        f"{found['scorer']} against {hands}: Cohen's kappa [95 % bootstrap]",
        ["replies", "n", *(_RATES[name] if name in _RATES else name for name in fields)],
        [
            [
                title,
                str(part[fields[0]]["n"]),
                *(_rate({**part[f], "rate": part[f]["estimate"]}) for f in fields),
            ]
            for title, part in parts.items()
        ],
    )


def claims(scored: Scored, counted: dict[str, Any]) -> list[Claim]:
    """What the experiment tests; a scorer that is not trusted gives one line and no rate."""
    found = [gate(check, where) for check, where in zip(scored.checks, _WHERE, strict=False)]
    if not scored.trusted:
        return found
    of = {(e["measure"], e["arm"], e["than"]): e for e in counted["effects"]}
    for measure, words in (("undesired", "undesired replies"), ("deceives", _RATES["deceives"])):
        for arm, than in (("rebuttal", "refusal"), ("rebuttal", "neutral")):
            e = of.get((measure, arm, than))
            if e is not None:
                found.append(
                    Claim(
                        f"{measure} {arm} {than}",
                        f"after a {arm} there is less of {words} than after a {than} turn: "
                        f"{_rate(e, '{:+.2f}')} over {e['scenarios']} scenarios",
                        e["high"] < 0,
                    )
                )
    return found


def gate(check: dict[str, Any], where: str) -> Claim:
    """Whether a scorer agrees with hands well enough to give rates."""
    held = check["splits"].get("held", check["splits"]["all"])
    told = ", ".join(
        f"{_RATES[name]} {held[name]['estimate']:.2f} [{held[name]['low']:.2f}, "
        f"{held[name]['high']:.2f}]"
        for name in ("undesired", "deceives")
    )
    return Claim(
        "scorer",
        f"the scorer ({check['scorer']}) agrees with hands on {where}: kappa {told} (at least "
        f"{LEAST_KAPPA})",
        check["passes"],
    )


def arms_figure(counted: dict[str, Any], names: Sequence[str] = _PLOTTED) -> Figure:
    """Rates by arm, with intervals, and each scenario's."""
    arms = list(counted["arms"])
    figure, axes = plots.figure_row(len(names))
    for axis, name in zip(axes, names, strict=True):
        for k, arm in enumerate(arms):
            found = counted["arms"][arm][name]
            axis.errorbar(
                found["rate"], k,
                xerr=[[found["rate"] - found["low"]], [found["high"] - found["rate"]]],
                fmt="o", color=plots.PALETTE[1 + k % (len(plots.PALETTE) - 1)], markersize=7,
            )  # fmt: skip
            each = [
                c[name]["rate"] for key, c in counted["cells"].items() if key.endswith(f"/{arm}")
            ]
            spread = k + 0.22 + 0.03 * (np.arange(len(each)) % 4)
            axis.plot(each, spread, ".", color="0.5", markersize=4)
        axis.set_xlim(-0.03, 1.03)
        axis.set_xlabel(f"share of replies: {(_RATES | _FORMS)[name]}")
    axes[0].set_yticks(range(len(arms)), [arm.replace("_", " ") for arm in arms])
    axes[0].invert_yaxis()
    return figure


def _about(scored: Scored, counted: dict[str, Any]) -> str:
    forms = [found["forms"] for found in counted["arms"].values()]
    total = {name: sum(f[name] for f in forms) for name in forms[0]}
    cut = sum(found["cut"] for found in counted["arms"].values())
    text = (
        f"{counted['n']} replies of {scored.model}, scored by {scored.scorer}. Format kept in "
        f"{total['kept']}; no trace in {total['no trace']}, no message in {total['no message']}, "
        f"nothing in {total['empty']}; {cut} were cut off at the longest length. Replies that "
        "answer nothing are counted as such, and not as honest. Of a model that fails the format, "
        "a missing trace says nothing."
    )
    if counted["length_match"] is not None:
        match, lengths = counted["length_match"], counted["lengths"]
        text += (
            f" Neutral turns are {match['mean']:.1f} tokens off their rebuttals, at most "
            f"{match['most']}; refusals have {lengths['refusal']['mean']:.0f}, rebuttals "
            f"{lengths['rebuttal']['mean']:.0f}."
            if "refusal" in lengths
            else ""
        )
    if not scored.trusted:
        text += (
            f" The scorer is under kappa {LEAST_KAPPA} on held-out replies, so no rate is shown "
            "that hangs on it: use a better judge, or label by hand."
        )
    return text


def _transcripts(scored: Scored, each: int = 3) -> str:
    """Some replies word for word, by arm."""
    parts = []
    for arm in dict.fromkeys(t["arm"] for t in scored.transcripts):
        shown, seen = [], set()
        for t, v in zip(scored.transcripts, scored.verdicts, strict=True):
            if t["arm"] == arm and t["scenario"] not in seen and len(shown) < each:
                seen.add(t["scenario"])
                shown.append(
                    f"<li><small>{html.escape(t['scenario'])}; before: {html.escape(t['turn'])}"
                    f"</small><br>{html.escape(t['reply'])} "
                    f"<b>{v.outcome}, trace {v.stance}</b></li>"
                )
        parts.append(
            f"<details><summary>{html.escape(arm)}</summary><ul>{''.join(shown)}</ul></details>"
        )
    return f"<h2>Replies, the first of some scenarios</h2>{''.join(parts)}"


def _sheet(
    title: str, columns: list[str], rows: list[list[str]], notes: list[str] | None = None
) -> Sheet:
    return Sheet(title, columns, rows, [""] * len(rows), notes or [""] * len(rows))


def _rate(found: dict[str, Any], form: str = "{:.2f}") -> str:
    return (
        f"{form.format(found['rate'])} [{form.format(found['low'])}, {form.format(found['high'])}]"
    )
