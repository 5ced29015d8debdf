"""A study of self-modeling: weights x seeds x controls on one task, one file per finished run.

A run that is done is not done again, so a study can be stopped, resumed and extended.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feint.files import write_atomically
from feint.selfmodel import modules, stack
from feint.selfmodel.data import Data
from feint.selfmodel.llc import LLC, SGLD, VARIANTS, chance
from feint.selfmodel.stack import Training, Variations
from feint.selfmodel.tasks import Task, task

#: The treatment and its controls, with what they say of themselves.
ARMS = {
    "self_model": "self-modeling",
    "no_detach": "gradient through the target",
    "shuffled": "another image's activations as target",
    "random": "a random network's activations as target",
    "earlier": "an earlier layer as target",
    "activation_l2": "activation L2, at the same dose",
    "activation_l2_tenth": "activation L2, at a tenth of the dose",
    "weight_decay": "weight decay, at the same SD",
}
CONTROLS = tuple(ARMS)[1:]
_L2 = {"activation_l2": 1.0, "activation_l2_tenth": 0.1}
_PREDICTED = ("shuffled", "random", "earlier")  # what these predict is called like them
_OWN = ("self_model", "no_detach")

#: Weight decays that are tried to match an SD; between them it is interpolated.
LADDER = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
#: Networks are stacked below so many products per network and step; see benchmarks/selfmodel.py.
STACK_BELOW = 1e8


@dataclass(frozen=True)
class Study:
    """What to run.

    Attributes:
        data: a task of `feint.selfmodel.tasks.TASKS`.
        config: "official_code" or "paper_text_variant".
        hidden: sizes of the hidden layer; empty for the task's.
        weights: of the self-prediction; empty for the task's. 0 is the baseline, and is needed.
        seeds: training seeds.
        controls: which of `CONTROLS` to run.
        control_weights: at which weights they run; "matched" means matched to self-modeling there.
        layers: what is predicted; empty for the task's.
        epochs: in place of the task's.
        draws: of the LLC, in place of the task's; 0 to leave it out.
        sgld: variant of the LLC -> settings of `SGLD` in place of those.

    Raises:
        ValueError: for values out of range.
    """

    data: str = "digits"
    config: str = "official_code"
    hidden: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    controls: tuple[str, ...] = ()
    control_weights: tuple[float, ...] = (10.0,)
    layers: tuple[str, ...] = ()
    epochs: int | None = None
    draws: int | None = None
    sgld: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = task(self.data, self.config)
        object.__setattr__(self, "hidden", self.hidden or made.hidden)
        object.__setattr__(self, "weights", tuple(sorted({0.0, *(self.weights or made.weights)})))
        if self.weights[0] < 0 or not all(math.isfinite(w) for w in self.weights):
            raise ValueError(f"weights must be finite and >= 0, got {self.weights}")
        for name in ("hidden", "seeds"):
            value = getattr(self, name)
            low = 1 if name == "hidden" else 0
            if not value or len(set(value)) != len(value) or min(value) < low:
                raise ValueError(f"{name} must be different numbers >= {low}, got {value}")
        for name in self.controls:
            if name not in CONTROLS:
                raise ValueError(f"unknown control {name!r}; there are: {', '.join(CONTROLS)}")
            if made.net != "mlp" and name not in modules.ARMS:
                raise ValueError(
                    f"{name} works on one-hidden-layer nets only; here there are: "
                    f"{', '.join(a for a in modules.ARMS if a in CONTROLS)}"
                )
        if made.net == "mlp" and self.layers not in ((), made.layers):
            raise ValueError(f"layers can be {made.layers} here, got {self.layers}")
        odd = [w for w in self.control_weights if w not in self.weights or w == 0]
        if self.controls and (odd or not self.control_weights):
            raise ValueError(
                f"control_weights must be some of the weights above 0 {self.weights[1:]}, "
                f"got {self.control_weights}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be >= 1, got {self.epochs}")
        if self.draws is not None and self.draws != 0 and self.draws < 10:
            raise ValueError(f"draws must be 0 or >= 10, got {self.draws}")
        known = {f.name for f in fields(SGLD)} - {"nbeta"}
        for variant, settings in self.sgld.items():
            if variant not in VARIANTS or settings.keys() - known:
                raise ValueError(
                    f"sgld takes, for {' or '.join(VARIANTS)}, any of {', '.join(sorted(known))}; "
                    f"got {self.sgld}"
                )

    @property
    def task(self) -> Task:
        """The task, with this study's epochs and draws."""
        made = task(self.data, self.config)
        made = replace(made, layers=self.layers or made.layers)
        if self.epochs is not None:
            made = replace(made, training=replace(made.training, epochs=self.epochs))
        llc, corrected = made.llc, made.corrected
        if self.draws:
            llc = replace(llc, draws=self.draws)
            burn_in = self.draws if corrected.burn_in else 0
            corrected = replace(corrected, draws=self.draws, burn_in=burn_in)
        llc = replace(llc, **self.sgld.get("released", {}))
        corrected = replace(corrected, **self.sgld.get("corrected", {}))
        return replace(made, llc=llc, corrected=corrected)

    def fixed(self) -> dict[str, Any]:
        """What all runs of a folder must have in common."""
        return {
            "schema": 1,
            "data": self.data,
            "config": self.config,
            "layers": list(self.task.layers),
            "epochs": self.epochs,
            "draws": self.draws,
            "sgld": self.sgld,
        }


@dataclass(frozen=True)
class Run:
    """A finished run; numbers that do not exist are NaN.

    Attributes:
        hidden: units.
        arm: see `ARMS`.
        weight: of the self-prediction, or of the one that a control is matched to.
        seed: training seed.
        accuracy: on the test set.
        train_loss: cross-entropy on the training set.
        width: SD of the class rows of the last layer.
        activation_rms: of the hidden activations, on the test set.
        dead: share of hidden units that are 0 on all of it.
        r2: of the self-prediction there.
        identity: |W_s - I| / |I|; NaN where the identity would predict nothing.
        decay: weight decay.
        llc: by variant.
        width_by_epoch: its course.
    """

    hidden: int
    arm: str
    weight: float
    seed: int
    accuracy: float
    train_loss: float
    width: float
    activation_rms: float
    dead: float
    r2: float
    identity: float
    decay: float
    llc: dict[str, LLC]
    width_by_epoch: tuple[float, ...]

    @property
    def scaled_width(self) -> float:
        """SD times activation RMS: a larger activation alone lets smaller weights do."""
        return self.width * self.activation_rms

    def to_json(self) -> dict[str, Any]:
        """As JSON has it, NaN as None."""
        return _null(
            asdict(self) | {"llc": {name: llc._asdict() for name, llc in self.llc.items()}}
        )

    @classmethod
    def from_json(cls, found: Any) -> "Run":
        """From `to_json`.

        Raises:
            ValueError: if it is not one.
        """
        try:
            if found.keys() != {f.name for f in fields(cls)} or found["arm"] not in ARMS:
                raise ValueError("wrong fields")
            llc = {name: LLC(**_nan(one)) for name, one in found["llc"].items()}
            widths = tuple(found["width_by_epoch"])
            return cls(**_nan(found) | {"llc": llc, "width_by_epoch": widths})
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"not a finished run: {error}") from error

    def dumps(self) -> str:
        """The text of its file."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n"

    @classmethod
    def loads(cls, text: str) -> "Run":
        """From `dumps`.

        Raises:
            ValueError: if it is not one.
        """
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not a finished run: {error}") from error
        return cls.from_json(found)


def run_study(
    study: Study,
    data: Data,
    out: Path,
    note: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Run]:
    """Do what is not done yet, and return all runs of the study.

    Args:
        study: what to run.
        data: its data set.
        out: the folder; runs are kept in `out/runs`.
        note: told what begins, and how many runs are done, of how many.

    Raises:
        ValueError: if the folder holds a study with other settings, or a damaged file.
    """
    _claim(study, out)
    worker = _Stacks if study.task.net == "mlp" else _Modules
    doing, done = worker(study, data), {}
    wanted = [(h, a, w, s) for h in study.hidden for a, w in _arms(study) for s in study.seeds]
    for key in wanted:
        path = _path(out, *key)
        if path.exists():
            try:
                done[key] = Run.loads(path.read_text())
            except ValueError as error:
                raise ValueError(f"{path} is {error}; delete it to run it again") from error
    for hidden in study.hidden:
        for arm in ("self_model", *study.controls):
            missing = [k for k in wanted if k[:2] == (hidden, arm) and k not in done]
            finished = [run for run in done.values() if run.hidden == hidden]
            for group in doing.groups(hidden, missing):
                note(f"{ARMS[arm]}, H = {hidden}", len(done), len(wanted))
                for run in doing.runs(hidden, arm, group, finished):
                    write_atomically(_path(out, hidden, arm, run.weight, run.seed), run.dumps())
                    done[hidden, arm, run.weight, run.seed] = run
    note("done", len(done), len(wanted))
    return [done[key] for key in wanted if key in done]


Key = tuple[int, str, float, int]
"""Hidden units, arm, weight, seed."""


class _Stacks:
    """Runs one-hidden-layer networks, stacked where that is faster."""

    def __init__(self, study: Study, data: Data):
        self.study, self.task, self.data = study, study.task, data
        self.doses: dict[tuple[int, float, int], Tensor] = {}
        self.ladders: dict[int, list[float]] = {}

    def groups(self, hidden: int, missing: Sequence[Key]) -> Iterator[list[Key]]:
        """What is trained at once: rectangles of seeds and weights, or one by one."""
        if not stacked(self.data, hidden, self.task.training):
            yield from ([key] for key in missing)
            return
        by_weights: dict[tuple[float, ...], list[int]] = {}
        for seed in dict.fromkeys(key[3] for key in missing):
            weights = tuple(key[2] for key in missing if key[3] == seed)
            by_weights.setdefault(weights, []).append(seed)
        for weights, seeds in by_weights.items():
            yield [(hidden, missing[0][1], w, s) for w in weights for s in seeds]

    def runs(
        self, hidden: int, arm: str, group: Sequence[Key], finished: Sequence[Run]
    ) -> Iterator[Run]:
        """Train and measure a group."""
        weights = tuple(dict.fromkeys(key[2] for key in group))
        seeds = tuple(dict.fromkeys(key[3] for key in group))
        dose, decays, record = None, (), False
        if arm == "self_model" and set(weights) & set(self.study.control_weights):
            record = any(name in self.study.controls for name in _L2)
        elif arm in _L2:
            dose = self._dose(hidden, seeds, weights)
        elif arm == "weight_decay":
            found = {w: self._decay(hidden, w, finished) for w in weights}
            decays = tuple(decay for decay in found.values() if decay is not None)
            weights = tuple(w for w, decay in found.items() if decay is not None)
            if not weights:  # no weight decay gives that SD: there is nothing to match
                return
        runs, dose = train_and_measure(
            self.task, self.data, hidden, arm, weights, seeds,
            dose=dose, decays=decays, record=record, llc=self.study.draws != 0,
        )  # fmt: skip
        if dose is not None:
            for k, weight in enumerate(weights):
                if weight in self.study.control_weights:
                    for s, seed in enumerate(seeds):
                        self.doses[hidden, weight, seed] = dose[:, s, k].clone()
        yield from runs

    def _dose(self, hidden: int, seeds: Sequence[int], weights: Sequence[float]) -> Tensor:
        """Doses of self-modeling, (steps, seeds, weights); trained anew if not at hand."""
        for weight in weights:
            lacking = [seed for seed in seeds if (hidden, weight, seed) not in self.doses]
            if lacking:
                variations = Variations((weight,))
                how = self.task.training
                made = stack.train(self.data, hidden, lacking, how, variations, True)
                assert made.dose is not None
                for s, seed in enumerate(lacking):
                    self.doses[hidden, weight, seed] = made.dose[:, s, 0].clone()
        each = [[self.doses[hidden, w, seed] for w in weights] for seed in seeds]
        return torch.stack([torch.stack(row, -1) for row in each], 1)

    def _decay(self, hidden: int, weight: float, finished: Sequence[Run]) -> float | None:
        """The weight decay that gives self-modeling's mean SD; None if none of the ladder does."""
        same = [r.width for r in finished if (r.arm, r.weight) == ("self_model", weight)]
        if hidden not in self.ladders:
            seeds = self.study.seeds[:2]
            self.ladders[hidden] = ladder(self.task, self.data, hidden, seeds)
        return matching_decay(LADDER, self.ladders[hidden], float(np.mean(same)))


def train_and_measure(
    task: Task,
    data: Data,
    hidden: int,
    arm: str,
    weights: Sequence[float],
    seeds: Sequence[int],
    *,
    dose: Tensor | None = None,
    decays: Sequence[float] = (),
    record: bool = False,
    llc: bool = True,
) -> tuple[list[Run], Tensor | None]:
    """Runs of one arm: networks with one hidden layer as one stack, others one by one.

    Args:
        task: how it is trained and measured.
        data: its data set.
        hidden: units.
        arm: see `ARMS`.
        weights: of the self-prediction, or of the one that a control is matched to.
        seeds: training seeds.
        dose: for activation L2: that of self-modeling, (steps, seeds, weights).
        decays: for weight decay: one for each weight.
        record: give the dose of self-modeling.
        llc: estimate it too.

    Returns:
        The runs, seed by seed; the dose, (steps, seeds, weights), if it was to be recorded.
    """
    if task.net != "mlp":
        runs = [
            Run(hidden=hidden, arm=arm, weight=weight, seed=seed, decay=0.0,
                **modules.run(task, data, hidden, arm, weight, seed, llc))
            for seed in seeds for weight in weights
        ]  # fmt: skip
        return runs, None
    variations = Variations(
        tuple(weights),
        tuple(decays),
        predicted=arm if arm in _PREDICTED else "own" if arm in _OWN else "none",
        detach=arm != "no_detach",
        dose=None if dose is None else dose * _L2[arm],
    )
    how = task.training
    made = stack.train(data, hidden, seeds, how, variations, record)
    predicts = arm in _OWN and any(weights)
    found = stack.measure(made, data, predicts)
    lost = [chance(float(a), data.classes) for a in found.accuracy.flatten()]
    llcs = {}
    for variant in VARIANTS if llc else ():
        settings = task.settings(variant, len(data.x))
        llcs[variant] = stack.llc(made, data, how, settings, variant, lost)
    runs = []
    for s, seed in enumerate(seeds):
        for k, weight in enumerate(weights):
            idle = not predicts or weight == 0
            runs.append(
                Run(
                    hidden=hidden,
                    arm=arm,
                    weight=weight,
                    seed=seed,
                    accuracy=float(found.accuracy[s, k]),
                    train_loss=float(found.train_loss[s, k]),
                    width=float(found.width[s, k]),
                    activation_rms=float(found.activation_rms[s, k]),
                    dead=float(found.dead[s, k]),
                    r2=math.nan if idle else float(found.r2[s, k]),
                    identity=math.nan if idle else float(found.identity[s, k]),
                    decay=decays[k] if decays else 0.0,
                    llc={name: each[s * len(weights) + k] for name, each in llcs.items()},
                    width_by_epoch=tuple(float(w) for w in made.history[:, s, k]),
                )
            )
    return runs, made.dose


def ladder(task: Task, data: Data, hidden: int, seeds: Sequence[int]) -> list[float]:
    """The SD that each weight decay of `LADDER` gives without self-modeling, mean over seeds."""
    groups = [LADDER] if stacked(data, hidden, task.training) else [(d,) for d in LADDER]
    widths: list[float] = []
    for decays in groups:
        variations = Variations((0.0,) * len(decays), decays, predicted="none")
        made = stack.train(data, hidden, seeds, task.training, variations)
        widths += made.history[-1].mean(0).tolist()
    return widths


class _Modules:
    """Runs any other network, one by one."""

    def __init__(self, study: Study, data: Data):
        self.study, self.task, self.data = study, study.task, data

    def groups(self, hidden: int, missing: Sequence[Key]) -> Iterator[list[Key]]:
        """One by one."""
        yield from ([key] for key in missing)

    def runs(
        self, hidden: int, arm: str, group: Sequence[Key], finished: Sequence[Run]
    ) -> Iterator[Run]:
        """Train and measure it."""
        ((_, _, weight, seed),) = group
        llc = self.study.draws != 0
        yield from train_and_measure(self.task, self.data, hidden, arm, [weight], [seed], llc=llc)[
            0
        ]


def stacked(data: Data, hidden: int, how: Training) -> bool:
    """Whether networks of this size train faster as one; see benchmarks/selfmodel.py."""
    rows = min(how.batch_size, len(data.x))
    return data.x[:1].numel() * hidden * rows < STACK_BELOW


def matching_decay(decays: Sequence[float], widths: Sequence[float], width: float) -> float | None:
    """The weight decay at which the SD is `width`, between the two nearest that were tried.

    Args:
        decays: ascending, from 0.
        widths: the SD that each gave.
        width: wanted.

    Returns:
        The smallest such decay, or None if `width` is nowhere between two of them.
    """
    for k in range(len(decays) - 1):
        low, high = sorted((widths[k], widths[k + 1]))
        if low <= width <= high and low < high:
            part = (width - widths[k]) / (widths[k + 1] - widths[k])
            return decays[k] + part * (decays[k + 1] - decays[k])
    return None


def _arms(study: Study) -> list[tuple[str, float]]:
    controls = [(arm, w) for arm in study.controls for w in study.control_weights]
    return [("self_model", w) for w in study.weights] + controls


def _path(out: Path, hidden: int, arm: str, weight: float, seed: int) -> Path:
    return out / "runs" / f"h{hidden}-{arm}-w{weight:g}-seed{seed}.json"


def _claim(study: Study, out: Path) -> None:
    """Refuse a folder of another study; mark a new one."""
    path = out / "study.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} is damaged; take another --out") from error
        found.setdefault("sgld", {})  # of a study from before there was a choice
        other = [k for k, v in study.fixed().items() if found.get(k) != v]
        if other:
            raise ValueError(
                f"{out} holds a study with another {', '.join(other)}; take another --out"
            )
        return
    write_atomically(path, json.dumps(study.fixed(), indent=1) + "\n")


def load_study(out: Path) -> tuple[Study, list[Run]]:
    """What is finished in the folder of a study, and the study that these runs make.

    Raises:
        ValueError: if there is no study, no run, or a damaged file.
    """
    path = out / "study.json"
    try:
        found = json.loads(path.read_bytes())
        fixed = {name: found[name] for name in ("data", "config", "epochs", "draws")}
        fixed["sgld"] = found.get("sgld", {})
        layers = tuple(found["layers"])
        layers = () if layers == task(found["data"], found["config"]).layers else layers
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no study: {error}") from error
    runs = []
    for file in sorted((out / "runs").glob("h*-seed*.json")):
        try:
            runs.append(Run.loads(file.read_text()))
        except ValueError as error:
            raise ValueError(f"{file} is {error}; delete it to run it again") from error
    if not runs:
        raise ValueError(f"{out} holds no finished run")
    return study_of(runs, **fixed, layers=layers), runs


def study_of(runs: Sequence[Run], **settings: Any) -> Study:
    """The study that finished runs make, with these settings."""
    controls = [run for run in runs if run.arm != "self_model"]
    return Study(
        **settings,
        hidden=tuple(sorted({run.hidden for run in runs})),
        weights=tuple({run.weight for run in runs}),
        seeds=tuple(sorted({run.seed for run in runs})),
        controls=tuple(arm for arm in CONTROLS if any(run.arm == arm for run in controls)),
        control_weights=tuple(sorted({run.weight for run in controls})) or (10.0,),
    )


def _null(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _null(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_null(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nan(found: dict[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None else v for k, v in found.items()}
