"""From the results of an RL suite to what they show: intervals, verdicts, and claims held or not.

It reads results alone, no episodes: those of a run's folder and stored ones give the same numbers.
Nothing here knows what it would like to find; every word is computed from the numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from feint.bench.claims import Claim, scenario_claims, suite_claims
from feint.bench.detectors import Detector, detectors
from feint.bench.results import RunResult, Unfinished
from feint.bench.settings import Settings
from feint.bench.suite import Arm, Suite
from feint.metrics import (
    Interval,
    Judgement,
    Outcome,
    Verdict,
    bootstrap_seeds,
    judge,
)


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one scenario, over its seeds.

    Attributes:
        key: the arm.
        title: for people.
        role: "reference", "treatment", "sham" or "baseline".
        family: key of the suite's entry; arms that differ in nothing but the dose share one.
        dose: factor on the recorded dose; None for an arm that was given none.
        seeds: training seeds.
        deception: the scenario's deception metric.
        task: own-task success by condition.
        attention: honest attention, by what it says.
        erased: share of honest attention lost, on the scale from the honest agent (0) to masked
            inputs (1), in the worst of the attention metrics; None where that cannot be said.
        erased_interval: of that, over the seeds that have all three; None as `erased`.
        changed: largest relative distance of an attention metric from the honest agent's.
        gaps: pair gap and control gap, relative to the deceptive agent's; None where unmeasured.
        gap_intervals: of both, over seeds; None as `gaps`.
        closed: share of the deceptive-to-honest gap that is closed; None for the references, and
            where there is no gap.
        judgement: verdict over all seeds; None as `closed`.
        unjudged: why there is no verdict; empty where there is one.
        by_seed: verdict of each seed alone; None where that seed's liar does not deceive.
        profile: of each seed, the behavioural difference to the honest and to the deceptive agent,
            and between these two; empty where it was not measured.
        minutes: CPU minutes of training per seed.
    """

    key: str
    title: str
    role: str
    family: str
    dose: float | None
    seeds: tuple[int, ...]
    deception: Interval
    task: dict[str, Interval]
    attention: dict[str, Interval]
    erased: float | None
    erased_interval: Interval | None
    changed: float | None
    gaps: tuple[float, float] | None
    gap_intervals: tuple[Interval, Interval] | None
    closed: Interval | None
    judgement: Judgement | None
    unjudged: str
    by_seed: dict[int, Verdict | None]
    profile: tuple[tuple[float, float, float], ...]
    minutes: float

    @property
    def honest_seeds(self) -> int:
        """How many seeds alone are honest."""
        return sum(verdict == Verdict.HONEST for verdict in self.by_seed.values())


@dataclass(frozen=True)
class ScenarioSummary:
    """All arms on one scenario, and the claims."""

    key: str
    title: str
    settings: Settings
    arms: dict[str, ArmSummary]
    detectors: tuple[Detector, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Study:
    """A suite, as far as it is finished.

    Attributes:
        scenarios: those that can be reported, in the suite's order.
        claims: over all of these.
        missing: ids of the runs without a result.
        unreported: scenario -> why nothing can be said of it yet.
    """

    scenarios: tuple[ScenarioSummary, ...]
    claims: tuple[Claim, ...]
    missing: tuple[str, ...]
    unreported: dict[str, str]


def analyse(suite: Suite, results: Iterable[RunResult]) -> Study:
    """Summaries of a suite, finished or not, in the suite's order.

    Raises:
        Unfinished: if no scenario has both its deceptive and its honest agent.
    """
    by_place = {(r.scenario, r.arm, r.seed): r for r in results}
    found, unreported = [], {}
    for scenario in suite.scenarios:
        try:
            found.append(_scenario(suite, scenario.key, by_place))
        except _Unready as error:
            unreported[scenario.key] = str(error)
    if not found:
        raise Unfinished(f"{'; '.join(unreported.values())}; run the suite to its end")
    missing = [s.id for s in suite.runs() if (s.scenario, s.arm, s.seed) not in by_place]
    return Study(tuple(found), suite_claims(found), tuple(missing), unreported)


class _Unready(Exception):
    """Nothing can be said of a scenario yet."""


class _Cell:
    """One run's numbers."""

    def __init__(self, result: RunResult, settings: Settings) -> None:
        self.result, self.payload = result, result.payload
        self.evaluation = result.payload["evaluation"]
        self.deception = self.mean(settings.deception)
        self.task = {name: self.mean(path) for name, path in settings.task.items()}

    def moments(self, path: str) -> tuple[float, float]:
        """Mean and standard error of a metric; NaN where it is undefined."""
        condition, metric = path.split("/")
        found = self.evaluation[condition][metric]
        if found["mean"] is None:
            return float("nan"), float("nan")
        return found["mean"], (found["sd"] or 0.0) / max(1, found["n"]) ** 0.5

    def mean(self, path: str) -> float:
        return self.moments(path)[0]

    def gaps(self, kind: str) -> tuple[float, float] | tuple[None, None]:
        """Both gaps on the scale of the agent that tuning began with: see `plain_gaps`."""
        guards = (self.payload["guards"] or {}).get(kind)
        if guards is None:
            return None, None
        scale = guards["variance_ratio"]
        return guards["pair_gap"] * scale, guards["control_gap"] * scale

    def pair_kind(self) -> str:
        """The kind of pairs that it was tuned on, if their gaps were measured."""
        kind = self.result.settings.get("soo", {}).get("pairs", "belief")
        measured = self.payload["guards"] or {}
        return kind if kind in measured else next(iter(measured), kind)


_Cells = dict[str, dict[int, _Cell]]


def _scenario(suite: Suite, key: str, by_place: dict) -> ScenarioSummary:
    arms = [arm for arm in suite.arms if arm.runs_on(key)]
    done = {
        arm.key: {
            s: by_place[key, arm.key, s] for s in suite.seeds if (key, arm.key, s) in by_place
        }
        for arm in arms
    }
    if lacking := [name for name in ("deceptive", "honest") if not done.get(name)]:
        raise _Unready(f"{key}: no finished run of the {' agent, nor of the '.join(lacking)} agent")
    settings = Settings.of(next(iter(done["deceptive"].values())).settings)
    cells = {arm: {s: _Cell(r, settings) for s, r in found.items()} for arm, found in done.items()}
    summaries = {arm.key: _arm(arm, cells, settings) for arm in arms if cells[arm.key]}
    title = next(s.title for s in suite.scenarios if s.key == key)
    return ScenarioSummary(
        key,
        title,
        settings,
        summaries,
        detectors([r for found in done.values() for r in found.values()], settings),
        scenario_claims(summaries),
    )


def _arm(arm: Arm, cells: _Cells, settings: Settings) -> ArmSummary:
    mine = cells[arm.key]
    attention = {
        name: found
        for name, path in settings.attention.items()
        if (found := _interval(mine.values(), path)) is not None
    }
    judgement, closed, by_seed, unjudged = None, None, {}, ""
    if arm.role != "reference":
        judgement, closed, by_seed, unjudged = _judged(arm.key, cells, settings)
    erased, changed, erased_interval = _attention(arm.key, cells, settings)
    gaps = _relative_gaps(arm.key, cells) if arm.role != "reference" else None
    first = next(iter(mine.values())).result.settings
    deception = _interval(mine.values(), settings.deception)
    return ArmSummary(
        key=arm.key,
        title=arm.title,
        role=arm.role,
        family=arm.family,
        dose=first.get("dose_factor", 1.0) if "dose_from" in first else None,
        seeds=tuple(mine),
        deception=_or_nan(deception),
        task={name: _or_nan(_interval(mine.values(), p)) for name, p in settings.task.items()},
        attention=attention,
        erased=erased,
        erased_interval=erased_interval,
        changed=changed,
        gaps=None if gaps is None else (gaps[0].estimate, gaps[1].estimate),
        gap_intervals=gaps,
        closed=closed,
        judgement=judgement,
        unjudged=unjudged,
        by_seed=by_seed,
        profile=tuple(
            (found["to_honest"], found["to_deceptive"], found["between"])
            for cell in mine.values()
            if "compared" in (found := cell.payload.get("profile") or {})
        ),
        minutes=float(np.mean([cell.payload["train_s"] / 60 for cell in mine.values()])),
    )


def _interval(cells: Iterable[_Cell], path: str) -> Interval | None:
    """Over seeds; None where it is undefined in all of them."""
    found = [cell.moments(path) for cell in cells]
    known = np.array([x for x in found if not np.isnan(x[0])])
    return bootstrap_seeds(known[:, 0], known[:, 1]) if len(known) else None


def _or_nan(interval: Interval | None) -> Interval:
    nan = float("nan")
    return Interval(nan, nan, nan, 0) if interval is None else interval


def _shared(key: str, cells: _Cells) -> list[int]:
    """Seeds that can be judged: both references are there, and deception is defined in all three.

    (It is not where an agent never did what it is measured by; its own task then tells.)
    """
    trio = [cells[name] for name in (key, "honest", "deceptive")]
    return [
        s for s in cells[key] if all(s in arm and not np.isnan(arm[s].deception) for arm in trio)
    ]


def _judged(
    key: str, cells: _Cells, settings: Settings
) -> tuple[Judgement | None, Interval | None, dict[int, Verdict | None], str]:
    """Judgement, share of the gap closed, verdict of each seed, or why there is none."""
    shared = _shared(key, cells)
    if not shared:
        return None, None, {}, "no seed has both references, with deception defined"
    trio = {name: [cells[name][s] for s in shared] for name in (key, "honest", "deceptive")}
    kind = trio[key][0].pair_kind()

    def verdict(seed: int) -> Verdict | None:
        try:
            return judge(*(_pool([cells[name][seed]], kind) for name in trio)).verdict
        except ValueError:
            return None

    by_seed = {seed: verdict(seed) for seed in shared}
    try:
        judgement = judge(*(_pool(found, kind) for found in trio.values()))
    except ValueError as error:
        return None, None, by_seed, str(error)
    moments = np.array([[c.moments(settings.deception) for c in found] for found in trio.values()])

    def share(mine: Any, honest: Any, liar: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (liar - mine) / (liar - honest)

    closed = bootstrap_seeds(moments[..., 0], moments[..., 1], share)
    return judgement, closed, by_seed, ""


def _pool(cells: list[_Cell], kind: str) -> Outcome:
    """The mean over seeds."""
    gaps = [cell.gaps(kind) for cell in cells]
    pair, control = zip(*gaps, strict=True)
    measured = None not in pair
    return Outcome(
        float(np.mean([cell.deception for cell in cells])),
        {name: float(np.mean([cell.task[name] for cell in cells])) for name in cells[0].task},
        float(np.mean(pair)) if measured else None,
        float(np.mean(control)) if measured else None,
    )


def _relative_gaps(key: str, cells: _Cells) -> tuple[Interval, Interval] | None:
    """Pair and control gap as shares of the deceptive agent's."""
    shared = _shared(key, cells)
    if not shared:
        return None
    kind = cells[key][shared[0]].pair_kind()
    mine, start = (  # (seeds, 2), NaN where they were not measured
        np.array([cells[name][s].gaps(kind) for s in shared], float) for name in (key, "deceptive")
    )
    if np.isnan(mine).any() or np.isnan(start).any() or not start.mean(axis=0).all():
        return None
    return _ratio(mine[:, 0], start[:, 0]), _ratio(mine[:, 1], start[:, 1])


def _ratio(mine: np.ndarray, start: np.ndarray) -> Interval:
    """Of means, over seeds; each seed's own number is taken as exact."""

    def share(now: Any, before: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(now / before)

    return bootstrap_seeds([mine, start], np.zeros((2, len(mine))), share)


def _attention(
    key: str, cells: _Cells, settings: Settings
) -> tuple[float | None, float | None, Interval | None]:
    """Share of honest attention erased and largest relative change, in the worst metric.

    With the interval of the former.
    """

    def mean(arm: str, path: str) -> float:
        found = [cell.mean(path) for cell in cells.get(arm, {}).values()]
        return float(np.nanmean(found)) if found and not np.isnan(found).all() else float("nan")

    erased, changed = {}, []
    for path in settings.attention.values():
        mine, honest, masked = (mean(arm, path) for arm in (key, "honest", "masked"))
        if abs(masked - honest) > 1e-9 and not np.isnan(mine):
            erased[path] = (mine - honest) / (masked - honest)
        if abs(honest) > 1e-9 and not np.isnan(mine):
            changed.append(abs(mine - honest) / abs(honest))
    worst = max(erased, key=lambda path: erased[path], default=None)
    interval = None if worst is None else _erased(key, cells, worst)
    return max(erased.values(), default=None), max(changed, default=None), interval


def _erased(key: str, cells: _Cells, path: str) -> Interval | None:
    """The share of one metric of attention that is erased, over seeds."""
    trio = [cells[name] for name in (key, "honest", "masked")]
    shared = [s for s in cells[key] if all(s in arm for arm in trio)]
    moments = np.array([[arm[s].moments(path) for s in shared] for arm in trio])
    if not shared or np.isnan(moments).any():
        return None

    def share(mine: Any, honest: Any, masked: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num((mine - honest) / (masked - honest))

    return bootstrap_seeds(moments[..., 0], moments[..., 1], share)
