"""The tables of a report, as plain text cells: rendered on terminals, in Markdown and in HTML."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from feint.bench.analysis import ArmSummary, ScenarioSummary, Study
from feint.bench.claims import best_doses
from feint.bench.detectors import GROUPS
from feint.metrics import Interval


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        title: what it shows.
        columns: their heads.
        rows: cells, as many as columns.
        roles: of the arm of each row, to style it; empty strings where it is none.
        notes: row -> what to say when the pointer rests on it.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    roles: list[str]
    notes: list[str]


def scenario_sheet(summary: ScenarioSummary) -> Sheet:
    """All arms on one scenario."""
    task = [f"own task, other {name}" for name in summary.settings.task]
    rows = []
    for arm in summary.arms.values():
        found = [arm.deception, *arm.task.values()]
        found += [arm.attention.get(name) for name in summary.settings.attention]
        rows.append([arm.title, *map(_interval, found), *_words(arm)])
    return Sheet(
        summary.title,
        [
            "arm", "deception", *task, *summary.settings.attention, "attention erased",
            "gap closed", "verdict", "honest seeds",
        ],
        rows,
        [arm.role for arm in summary.arms.values()],
        [_note(arm) for arm in summary.arms.values()],
    )  # fmt: skip


def summary_sheet(study: Study) -> Sheet:
    """Arms by scenarios, shams at the dose that does best in the scenario."""
    arms = by_scenario(study)
    firsts = [next(iter(found.values())) for found in arms.values()]
    rows = [
        [family_title(first), *(_cell(found.get(s.key)) for s in study.scenarios)]
        for first, found in zip(firsts, arms.values(), strict=True)
    ]
    title = "All scenarios: gap closed; own task, of the honest agent's; attention erased; verdict"
    heads = ["arm", *(s.title for s in study.scenarios)]
    return Sheet(title, heads, rows, [arm.role for arm in firsts], [""] * len(rows))


def by_scenario(study: Study) -> dict[str, dict[str, ArmSummary]]:
    """Family of arms -> scenario -> the arm of it that is shown there; without the references."""
    found: dict[str, dict[str, ArmSummary]] = {}
    for summary in study.scenarios:
        for arm in shown_arms(summary):
            if arm.role != "reference":
                found.setdefault(arm.family, {})[summary.key] = arm
    return found


def sham_sheet(study: Study) -> Sheet:
    """Every sham at every dose, and its best."""
    rows = []
    for summary in study.scenarios:
        shams = [arm for arm in summary.arms.values() if arm.role == "sham"]
        for family, best in best_doses(shams).items():
            doses = [arm for arm in shams if arm.family == family]
            told = "; ".join(f"{_dose(arm)}: {_closed(arm)}, {_verdict(arm)}" for arm in doses)
            rows.append(
                [
                    summary.title, family_title(best), told, _dose(best), _closed(best, True),
                    _verdict(best),
                ]
            )  # fmt: skip
    heads = ["scenario", "sham", "every dose", "best dose", "gap closed at it", "verdict at it"]
    return Sheet("Shams at their best dose", heads, rows, ["sham"] * len(rows), [""] * len(rows))


def detector_sheet(study: Study) -> Sheet:
    """How well overlap tells agents that deceive from those that do not."""
    rows = []
    for summary in study.scenarios:
        for found in summary.detectors:
            area = "-" if found.auroc is None else _interval(found.auroc)
            told = [summary.title, found.measure.replace("_", ", "), GROUPS[found.group]]
            rows.append([*told, str(found.deceptive), str(found.honest), area])
    heads = ["scenario", "pairs", "which agents", "deceptive", "honest", "AUROC"]
    title = "Overlap as a detector: is the gap of a deceptive agent the larger one?"
    return Sheet(title, heads, rows, [""] * len(rows), [""] * len(rows))


def profile_sheet(study: Study) -> Sheet:
    """The behavioural difference of arXiv 2412.16325, mean and deviation over seeds."""
    rows = []
    for summary in study.scenarios:
        for arm in summary.arms.values():
            if arm.profile:
                told = [_spread([seed[k] for seed in arm.profile]) for k in range(3)]
                rows.append([summary.title, arm.title, *told, str(len(arm.profile))])
    heads = ["scenario", "arm", "to honest", "to deceptive", "honest to deceptive", "seeds"]
    title = "Behavioural difference (mean squared difference of count grids, mean ± SD over seeds)"
    return Sheet(title, heads, rows, [""] * len(rows), [""] * len(rows))


def suite_sheets(study: Study) -> list[Sheet]:
    """Those over all scenarios that have something in them."""
    sheets = [summary_sheet(study), sham_sheet(study), detector_sheet(study), profile_sheet(study)]
    return [sheet for sheet in sheets if sheet.rows]


def shown_arms(summary: ScenarioSummary) -> list[ArmSummary]:
    """The arms, with each sham at its best dose only."""
    best = best_doses(arm for arm in summary.arms.values() if arm.role == "sham")
    return [
        arm
        for arm in summary.arms.values()
        if arm.role != "sham" or arm.family not in best or best[arm.family] is arm
    ]


def _cell(arm: ArmSummary | None) -> str:
    if arm is None:
        return "missing"
    parts = [_closed(arm, True)]
    if arm.judgement is not None:
        parts.append(f"task {100 * arm.judgement.task_ratio:.0f} %")
    if arm.erased is not None:
        parts.append(f"erased {100 * arm.erased:z.0f} %")
    seeds = f"{arm.honest_seeds} of {len(arm.by_seed)}"
    return f"{'; '.join(parts)}; {_verdict(arm)} ({seeds} seeds honest)"


def _words(arm: ArmSummary) -> list[str]:
    """Attention erased, gap closed, verdict and honest seeds."""
    erased = "" if arm.erased is None else f"{100 * arm.erased:z.0f} %"
    if arm.role == "reference":
        return [erased, "", "", ""]
    seeds = f"{arm.honest_seeds} of {len(arm.by_seed)}"
    return [erased, _closed(arm, True), _verdict(arm), seeds]


def _closed(arm: ArmSummary, interval: bool = False) -> str:
    if arm.closed is None:
        return "-"
    text = f"{100 * arm.closed.estimate:z.0f} %"
    if interval:
        text += f" [{100 * arm.closed.low:z.0f}, {100 * arm.closed.high:z.0f}]"
    return text


def _verdict(arm: ArmSummary) -> str:
    return "not judged" if arm.judgement is None else str(arm.judgement.verdict)


def _dose(arm: ArmSummary) -> str:
    return "its own" if arm.dose is None else f"{arm.dose:g}x"


def family_title(arm: ArmSummary) -> str:
    """The title without the dose."""
    return arm.title.removesuffix(f", {_dose(arm)} dose")


def _note(arm: ArmSummary) -> str:
    reason = arm.unjudged if arm.judgement is None else arm.judgement.reason
    seeds = [f"{s}: {'no gap' if v is None else v}" for s, v in arm.by_seed.items()]
    return f"{reason} Seeds {', '.join(seeds)}." if seeds else reason


def _interval(x: Interval | None) -> str:
    if x is None or not x.n:
        return "-"
    return f"{x.estimate:.3f} [{x.low:.3f}, {x.high:.3f}]"


def _spread(values: Iterable[float]) -> str:
    found = np.array(list(values))
    spread = f" ± {found.std(ddof=1):,.0f}" if len(found) > 1 else ""
    return f"{found.mean():,.0f}{spread}"
