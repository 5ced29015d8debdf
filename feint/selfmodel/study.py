"""A study of self-modeling: weights x seeds x controls on one task, one file per finished run.

A run that is done is not done again, so a study can be stopped, resumed and extended.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feint.files import write_atomically
from feint.selfmodel import modules, stack
from feint.selfmodel.data import Data
from feint.selfmodel.llc import LLC, VARIANTS, chance
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
_PREDICTED = {"shuffled": "shuffled", "random": "random", "earlier": "earlier"}

#: Weight decays that are tried to match an SD; between them it is interpolated.
_LADDER = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
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

    @property
    def task(self) -> Task:
        """The task, with this study's epochs and draws."""
        made = task(self.data, self.config)
        made = replace(made, layers=self.layers or made.layers)
        if self.epochs is not None:
            made = replace(made, training=replace(made.training, epochs=self.epochs))
        if self.draws:
            burn_in = self.draws if made.corrected.burn_in else 0
            made = replace(
                made,
                llc=replace(made.llc, draws=self.draws),
                corrected=replace(made.corrected, draws=self.draws, burn_in=burn_in),
            )
        return made

    def fixed(self) -> dict[str, Any]:
        """What all runs of a folder must have in common."""
        return {
            "schema": 1,
            "data": self.data,
            "config": self.config,
            "layers": list(self.task.layers),
            "epochs": self.epochs,
            "draws": self.draws,
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

    def dumps(self) -> str:
        """As JSON, NaN as null."""
        found = asdict(self) | {"llc": {name: llc._asdict() for name, llc in self.llc.items()}}
        return json.dumps(_null(found), indent=1, allow_nan=False) + "\n"

    @classmethod
    def loads(cls, text: str) -> "Run":
        """From `dumps`.

        Raises:
            ValueError: if it is not one.
        """
        try:
            found = json.loads(text)
            if found.keys() != {f.name for f in fields(cls)} or found["arm"] not in ARMS:
                raise ValueError("wrong fields")
            found["llc"] = {name: LLC(**_nan(llc)) for name, llc in found["llc"].items()}
            found["width_by_epoch"] = tuple(found["width_by_epoch"])
            return cls(**_nan(found))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"not a finished run: {error}") from error


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
        how, data = self.task.training, self.data
        variations = Variations(weights)
        record = False
        if arm == "self_model":
            record = any(name in self.study.controls for name in _L2)
        elif arm == "no_detach":
            variations = Variations(weights, detach=False)
        elif arm in _PREDICTED:
            variations = Variations(weights, predicted=_PREDICTED[arm])
        elif arm in _L2:
            dose = self._dose(hidden, seeds, weights) * _L2[arm]
            variations = Variations(weights, predicted="none", dose=dose)
        else:
            decays = tuple(self._decay(hidden, w, finished) for w in weights)
            kept = [k for k, decay in enumerate(decays) if decay is not None]
            if not kept:  # no weight decay gives that SD: there is nothing to match
                return
            weights = tuple(weights[k] for k in kept)
            variations = Variations(
                weights, tuple(decays[k] or 0.0 for k in kept), predicted="none"
            )
        made = stack.train(data, hidden, seeds, how, variations, record)
        if made.dose is not None:
            for k, w in enumerate(weights):
                if w in self.study.control_weights:
                    for s, seed in enumerate(seeds):
                        self.doses[hidden, w, seed] = made.dose[:, s, k].clone()
        predicts = arm in ("self_model", "no_detach") and any(weights)
        found = stack.measure(made, data, predicts)
        lost = [chance(float(a), data.classes) for a in found.accuracy.flatten()]
        llcs = {}
        if self.study.draws != 0:
            for variant in VARIANTS:
                settings = self.task.settings(variant, len(data.x))
                llcs[variant] = stack.llc(made, data, how, settings, variant, lost)
        for s, seed in enumerate(seeds):
            for k, weight in enumerate(weights):
                idle = not predicts or weight == 0
                yield Run(
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
                    decay=variations.decays[k] if variations.decays else 0.0,
                    llc={name: each[s * len(weights) + k] for name, each in llcs.items()},
                    width_by_epoch=tuple(float(w) for w in made.history[:, s, k]),
                )

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
        if not hasattr(self, "_tried"):
            self._tried: dict[int, list[float]] = {}
        if hidden not in self._tried:
            variations = Variations((0.0,) * len(_LADDER), _LADDER, predicted="none")
            how, seeds = self.task.training, self.study.seeds[:2]
            ladder = stack.train(self.data, hidden, seeds, how, variations)
            self._tried[hidden] = ladder.history[-1].mean(0).tolist()
        return matching_decay(_LADDER, self._tried[hidden], float(np.mean(same)))


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
        found = modules.run(
            self.task, self.data, hidden, arm, weight, seed, llc=self.study.draws != 0
        )
        yield Run(hidden=hidden, arm=arm, weight=weight, seed=seed, decay=0.0, **found)


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
        layers = tuple(found["layers"])
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
    controls = [run for run in runs if run.arm != "self_model"]
    study = Study(
        **fixed,
        layers=layers,
        hidden=tuple(sorted({run.hidden for run in runs})),
        weights=tuple({run.weight for run in runs}),
        seeds=tuple(sorted({run.seed for run in runs})),
        controls=tuple(arm for arm in CONTROLS if any(run.arm == arm for run in controls)),
        control_weights=tuple(sorted({run.weight for run in controls})) or (10.0,),
    )
    return study, runs


def _null(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _null(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_null(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nan(found: dict[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None else v for k, v in found.items()}
