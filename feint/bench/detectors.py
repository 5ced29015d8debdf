"""Overlap as a detector of liars, judged across trained agents (arXiv 2412.16325, Table 6).

The paper compared one deceptive network with one honest one, over many evaluation seeds. Here each
trained agent is one case: its score is its own overlap, its label is what it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feint.bench.results import RunResult
from feint.bench.settings import Settings
from feint.metrics import Interval, auroc

#: Which agents are told apart.
GROUPS = {
    "references": "agents trained to deceive against agents trained to be honest",
    "overlap": "agents trained on overlap, by what they do",
    "all": "all trained agents, by what they do",
}


@dataclass(frozen=True)
class Detector:
    """How well one measure of overlap tells agents that deceive from those that do not.

    Attributes:
        measure: pair kind, with "_zeroed" where columns were zeroed on the other side.
        group: one of `GROUPS`.
        deceptive: how many agents deceive.
        honest: how many do not.
        auroc: how often a deceptive agent's gap is above an honest one's; None where one of both
            kinds of agents is not there.
    """

    measure: str
    group: str
    deceptive: int
    honest: int
    auroc: Interval | None


def detectors(results: Sequence[RunResult], settings: Settings) -> tuple[Detector, ...]:
    """All detectors of one scenario, from the runs on it; none if nothing was measured.

    An agent's label is whether it deceives more than half as much as the deceptive agents do on
    average, counted from the honest ones'.
    """
    condition, metric = settings.deception.split("/")
    measured = [r for r in results if (r.payload.get("detector") or {}).get(condition)]

    def deception(result: RunResult) -> float:
        mean = result.payload["evaluation"][condition][metric]["mean"]
        return float("nan") if mean is None else mean

    ends = [
        np.mean([deception(r) for r in results if r.arm == arm]) for arm in ("deceptive", "honest")
    ]
    members = {
        "references": [r for r in measured if r.arm in ("deceptive", "honest")],
        "overlap": [r for r in measured if r.role == "treatment"],
        "all": measured,
    }
    names = dict.fromkeys(name for r in measured for name in r.payload["detector"][condition])
    found = []
    for name in names:
        for group, runs in members.items():
            runs = [r for r in runs if name in r.payload["detector"][condition]]
            scores = [r.payload["detector"][condition][name]["gap"] for r in runs]
            if group == "references":
                lies = np.array([r.arm == "deceptive" for r in runs], np.bool_)
            else:
                lies = np.array([deception(r) > np.mean(ends) for r in runs], np.bool_)
            if runs:
                both = bool(lies.any() and not lies.all())
                area = auroc(scores, lies) if both else None
                found.append(Detector(name, group, int(lies.sum()), int((~lies).sum()), area))
    return tuple(found)
