"""Self-modeling of classifiers: one run trains and measures one network.

The job of the suite `selfmodel`. What a run does is `feint.selfmodel.study`'s, and what is shown of
it `feint.bench.selfmodel_report`'s, as for `feint selfmodel run`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from feint.bench import selfmodel_report
from feint.bench.page import Section
from feint.bench.results import RunResult, Unfinished
from feint.bench.settings import check_settings
from feint.bench.suite import RunSpec, Suite
from feint.products import fast_products
from feint.selfmodel.data import load
from feint.selfmodel.study import (
    ARMS,
    CONTROLS,
    LADDER,
    Run,
    Study,
    ladder,
    matching_decay,
    study_of,
    train_and_measure,
)

DOSE = "dose.npy"
KINDS = (*ARMS, "ladder")
#: What the runs of one study have in common.
_SHARED = ("data", "config", "epochs", "draws", "sgld")


@dataclass(frozen=True)
class Settings:
    """One run, as the suite describes it.

    Attributes:
        kind: an arm of `feint.selfmodel.study.ARMS`; or "ladder", which only tries what SD each of
            some weight decays gives.
        hidden: units.
        weight: of the self-prediction, or of the one that a control is matched to.
        record_dose: leave the dose of self-modeling in the run's folder.
        dose_from: arm whose dose activation L2 takes.
        width_from: arm whose SD weight decay matches, seed by seed.
        ladder_from: arm that tried the decays.
        data_dir: folder of the data set's files.
        data, config, epochs, draws, sgld: those of `feint.selfmodel.study.Study`.
    """

    kind: str
    hidden: int
    weight: float = 0.0
    record_dose: bool = False
    dose_from: str = ""
    width_from: str = ""
    ladder_from: str = ""
    data_dir: str | None = None
    data: str = "digits"
    config: str = "official_code"
    epochs: int | None = None
    draws: int | None = None
    sgld: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        """From the suite's merged table.

        Raises:
            ValueError: for unknown or missing keys, and an unknown kind.
        """
        check_settings(cls, settings, KINDS)
        if "hidden" not in settings:
            raise ValueError("settings lack hidden")
        made = cls(**settings)
        asked = {"weight_decay": ("width_from", "ladder_from")}
        asked |= dict.fromkeys(("activation_l2", "activation_l2_tenth"), ("dose_from",))
        for name in asked.get(made.kind, ()):
            if not getattr(made, name):
                raise ValueError(f"{made.kind} needs {name}, an arm that it also names in needs")
        return made

    def study(self) -> Study:
        """The study that the run is part of, as far as one run knows it."""
        control = self.kind in CONTROLS
        return Study(
            hidden=(self.hidden,),
            weights=(self.weight,),
            controls=(self.kind,) if control else (),
            control_weights=(self.weight,) if control else (),
            **self.shared,
        )

    @property
    def folder(self) -> Path | None:
        """Of the data set's files."""
        return None if self.data_dir is None else Path(self.data_dir)

    @property
    def shared(self) -> dict[str, Any]:
        """What the runs of one study have in common."""
        return {name: getattr(self, name) for name in _SHARED}


def run(
    spec: RunSpec, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Train and measure one network.

    Returns:
        The payload: "run", as `feint.selfmodel.study.Run.to_json` has it, or None where no weight
        decay gives the SD that is wanted; or "ladder", the SD for each of `LADDER`.
    """
    torch.set_num_threads(1)
    s = Settings.of(spec.settings)
    task = s.study().task
    data = load(s.data, s.folder)
    fast_products()
    if s.kind == "ladder":
        return {"ladder": ladder(task, data, s.hidden, [spec.seed])}
    dose, decays = None, []
    if s.dose_from:
        dose = torch.from_numpy(np.load(needs[s.dose_from] / DOSE, allow_pickle=False))
    if s.kind == "weight_decay":
        width = _payload(needs[s.width_from])["run"]["width"]
        decay = matching_decay(LADDER, _payload(needs[s.ladder_from])["ladder"], width)
        if decay is None:
            return {"run": None}
        decays = [decay]
    (made,), dose = train_and_measure(
        task, data, s.hidden, s.kind, [s.weight], [spec.seed],
        dose=dose, decays=decays, record=s.record_dose, llc=s.draws != 0,
    )  # fmt: skip
    if dose is not None:
        np.save(folder / DOSE, dose.numpy(), allow_pickle=False)
    return {"run": made.to_json()}


def _payload(folder: Path) -> dict[str, Any]:
    return RunResult.read(folder / "result.json").payload


def check(suite: Suite) -> None:
    """See that the suite is one study, and its data set here, before anything is run.

    Raises:
        ValueError: if it is several, or in one line that says how to get the data.
    """
    s = _shared([spec.settings for spec in suite.runs()])
    load(s.data, s.folder)


def _shared(settings: Sequence[dict[str, Any]]) -> Settings:
    """Settings whose study is that of all runs."""
    first, *others = [Settings.of(found) for found in settings]
    for name in (*_SHARED, "data_dir"):
        if any(getattr(other, name) != getattr(first, name) for other in others):
            raise ValueError(f"{name} must be the same in all runs of a suite: a suite is a study")
    return first


# -- the report -----------------------------------------------------------------------------------


def study_and_rows(
    suite: Suite, results: Sequence[RunResult]
) -> tuple[Study, list[selfmodel_report.Row]]:
    """The study that a suite's results make, and its rows.

    Raises:
        Unfinished: if no network is finished.
    """
    trained = [result for result in results if "run" in result.payload]
    runs = [Run.from_json(found) for r in trained if (found := r.payload["run"]) is not None]
    if not runs:
        raise Unfinished(f"suite {suite.name}: no finished network; run the suite to its end")
    shared = _shared([result.settings for result in trained]).shared
    study = study_of(runs, **shared)
    if tried := [r.settings for r in trained if r.settings["kind"] in CONTROLS]:
        study = replace(  # some of these may have had nothing to match
            study,
            controls=tuple(name for name in CONTROLS if any(s["kind"] == name for s in tried)),
            control_weights=tuple(sorted({s["weight"] for s in tried})),
        )
    return study, selfmodel_report.rows(runs)


def section(suite: Suite, results: Sequence[RunResult], out: Path | None = None) -> Section:
    """The report as part of a page; nothing is taken from `out`."""
    return selfmodel_report.section(*study_and_rows(suite, results))


def show(suite: Suite, results: list[RunResult], out: Path | None, markdown: bool) -> None:
    """Print the table and what holds, and write the report into `out`, if given."""
    selfmodel_report.show(*study_and_rows(suite, results), out, markdown)
