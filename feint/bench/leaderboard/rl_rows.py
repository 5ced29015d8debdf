"""Rows of RL suites, from what `feint.bench.analysis` says of them."""

from collections.abc import Mapping, Sequence

from feint.bench.analysis import ArmSummary, ScenarioSummary, analyse
from feint.bench.leaderboard import gates
from feint.bench.leaderboard.board import Column, Gate, Number, Part, Plot, Row
from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.parts import made_with, number, ordered
from feint.bench.results import RunResult
from feint.bench.suite import Suite

_COLUMNS = (
    Column(
        "closed", "gap closed", "share", "more",
        "How much of the way from the deceptive to the honest agent's deception is gone.",
    ),
    Column(
        "deception", "deception", "", "less",
        "The scenario's deception metric on held-out episodes, such as the share of lies.",
    ),
    Column(
        "kept", "own task kept", "share", "more",
        "Own-task success as a share of the honest agent's, in the worst condition.",
    ),
    Column(
        "erased", "attention erased", "share", "less",
        "Honest attention to the other that is lost: 0 % as the honest agent, 100 % as with the "
        "other's inputs masked; the worst of the scenario's attention metrics.",
    ),
    Column(
        "overlap", "self/other gap", "share", None,
        "Distance of activations between the two sides of a pair, of the deceptive agent's.",
    ),
    Column(
        "control", "control gap", "share", "more",
        "The same for pairs that differ in something unrelated, which must stay apart.",
    ),
    Column(
        "honest_seeds", "honest seeds", "share", "more",
        "Training seeds whose agent alone is judged honest.",
    ),
)  # fmt: skip


def board_part(
    suite: Suite, results: Sequence[RunResult], checked: Mapping[str, Verification]
) -> Part:
    """The part of an RL suite; scenarios without both references are left out.

    Raises:
        ValueError: if no scenario has both.
    """
    study = analyse(suite, results)
    runs: dict[tuple[str, str], list[RunResult]] = {}
    for result in results:
        runs.setdefault((result.scenario, result.arm), []).append(result)
    tasks = dict.fromkeys(name for s in study.scenarios for name in s.settings.task)
    columns = list(_COLUMNS)
    columns[2:2] = [
        Column(
            f"task_{name}", f"own task, other {name}", "", "more",
            f"Success at the agent's own task, the other {name}, in the scenario's own unit.",
        )
        for name in tasks
    ]  # fmt: skip
    plots = [
        Plot("Deception against the own task", f"task_{name}", "deception")
        for name in list(tasks)[:1]
    ]
    plots.append(Plot("Overlap against what must stay apart", "overlap", "control"))
    scenarios = {summary.key: summary.title for summary in study.scenarios}
    return ordered(
        Part(
            key=suite.name,
            title=suite.name,
            doc=(
                "Agents are trained to deceive and not to; the deceptive one is then tuned. Shown "
                "are means over training seeds of held-out episodes, with 95 % bootstrap intervals "
                f"over seeds. To reproduce: feint bench run {suite.name}"
            ),
            columns=tuple(columns),
            headline="closed",
            plots=tuple(plots),
            scenarios=scenarios,
            rows=tuple(
                _row(suite, summary, arm, runs[summary.key, arm.key], checked)
                for summary in study.scenarios
                for arm in summary.arms.values()
            ),
        )
    )


def _row(
    suite: Suite,
    summary: ScenarioSummary,
    arm: ArmSummary,
    runs: Sequence[RunResult],
    checked: Mapping[str, Verification],
) -> Row:
    ids = [run.run for run in runs]
    versions, commit = made_with(runs)
    return Row(
        suite=suite.name,
        scenario=summary.key,
        method=arm.key,
        title=arm.title,
        role=arm.role,
        numbers=_numbers(arm),
        seeds=arm.seeds,
        gates=(*_gates(arm, summary), gates.verified(ids, checked)),
        verdict=None if arm.judgement is None else str(arm.judgement.verdict),
        verified=gates.verified_on(ids, checked),
        submitter=None,
        versions=versions,
        commit=commit,
    )


def _gates(arm: ArmSummary, summary: ScenarioSummary) -> list[Gate]:
    found = [gates.seeds(len(arm.seeds))]
    if arm.role == "reference":
        return found
    if arm.role != "sham":
        found.insert(0, gates.controls(arm, summary))
    found.append(gates.capability(arm))
    if arm.role != "baseline":
        found.append(gates.collapse(arm))
    return found


def _numbers(arm: ArmSummary) -> dict[str, Number]:
    judged = arm.judgement
    seeds = len(arm.by_seed)
    pair, control = arm.gap_intervals or (None, None)
    found = {
        "deception": number(arm.deception),
        **{f"task_{name}": number(found) for name, found in arm.task.items()},
        "closed": number(arm.closed),
        "kept": None if judged is None else Number(judged.task_ratio, None, None, seeds),
        "erased": _erased(arm),
        "overlap": number(pair),
        "control": number(control),
        "honest_seeds": Number(arm.honest_seeds / seeds, None, None, seeds) if seeds else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _erased(arm: ArmSummary) -> Number | None:
    if arm.erased is None:
        return None
    ends = number(arm.erased_interval)
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    return Number(arm.erased, low, high, len(arm.seeds))
