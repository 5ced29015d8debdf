"""Search for settings: Optuna trials of one training, on development seeds, kept in a database.

Nothing here touches the games that results are confirmed on. A sweep that was stopped goes on where
it was: the trials that it had finished count, the one it was in is run again.
"""

import contextlib
import csv
import io
import math
import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState
from stable_baselines3.common.callbacks import BaseCallback

from feint.agents import load_agent
from feint.agents.algorithms import algorithm
from feint.agents.evaluations import RETURN, mean_metrics
from feint.agents.presets import Preset, write_preset
from feint.agents.training import Training
from feint.envs import scenario_class
from feint.files import write_atomically
from feint.metrics import TASK_KEPT, Outcome, judge

_TASK_WEIGHT = 10.0  # of what is lost beyond the tenth that may be

#: What is searched where, by argument. Batch sizes depend on the rollout: see `space_of`.
_RANGES: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "ent_coef": FloatDistribution(1e-4, 0.1, log=True),
    "gamma": CategoricalDistribution((0.9, 0.95, 0.97, 0.99, 0.995)),
    "gae_lambda": CategoricalDistribution((0.8, 0.9, 0.95, 0.98, 1.0)),
    "clip_range": CategoricalDistribution((0.1, 0.2, 0.3)),
    "n_epochs": IntDistribution(3, 15),
    "batch_size": CategoricalDistribution((64, 128, 256, 512)),
    "soo_coef": FloatDistribution(0.1, 10.0, log=True),
    "soo_anchor_coef": FloatDistribution(0.05, 5.0, log=True),
    "soo_task_coef": CategoricalDistribution((0.0, 1.0)),
}
_ON_POLICY = ("learning_rate", "ent_coef", "gamma", "gae_lambda")
_PPO = (*_ON_POLICY, "clip_range", "n_epochs", "batch_size")
_OFF_POLICY = ("learning_rate", "gamma", "batch_size")
_OVERLAP = ("soo_coef", "soo_anchor_coef", "soo_task_coef")


@dataclass(frozen=True)
class Objective:
    """What a sweep makes large.

    Without references it is the return. With them it is the share of the deceptive-to-honest gap
    that is closed, at most 1, less ten times what the own task falls below 90 % of the honest
    agent's in the worst condition.

    Attributes:
        deception: "condition/metric".
        task: the same, for own-task success.
        deceptive: means of the agent that tuning begins with, by "condition/metric".
        honest: those of the honest agent.
    """

    deception: str = ""
    task: tuple[str, ...] = ()
    deceptive: Mapping[str, float] = field(default_factory=dict)
    honest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def honesty(
        cls, env_id: str, deceptive: Path, honest: Path, episodes: int,
        deception: str | None = None, task: Sequence[str] | None = None,
    ) -> "Objective":  # fmt: skip
        """From two checkpoints, played on development games.

        Args:
            env_id: the scenario.
            deceptive: the agent that tuning begins with.
            honest: the agent to compare with.
            episodes: per condition.
            deception: "condition/metric"; the first deception metric under "present" by default.
            task: the same; the first task metric that is defined when present, and when absent.

        Raises:
            ValueError: for an unknown metric, or two agents with no gap between them.
        """
        means = []
        for path in (deceptive, honest):
            model, card = load_agent(path, scenario=env_id)
            means.append(mean_metrics(model, card.scenario, card.env_kwargs, episodes))
        liar, other = means
        metrics = scenario_class(env_id).metrics
        by_role = {
            role: [name for name, metric in metrics.items() if metric.role == role]
            for role in ("deception", "task")
        }
        if task is None:
            found = [[f"{c}/{m}" for m in by_role["task"]] for c in ("present", "absent")]
            there = [[p for p in paths if math.isfinite(other[p])] for paths in found]
            task = [paths[0] for paths in there if paths]
        objective = cls(deception or f"present/{by_role['deception'][0]}", tuple(task), liar, other)
        for path in (objective.deception, *objective.task):
            if not math.isfinite(other.get(path, math.nan)):
                raise ValueError(
                    f"{path!r} is no condition/metric of {env_id} with a value; there are: "
                    + ", ".join(name for name, mean in other.items() if math.isfinite(mean))
                )
        if not objective.task:
            raise ValueError(
                "no task metric is defined when present or absent: name some by --task"
            )
        objective(liar)
        return objective

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that must be played."""
        paths = (self.deception, *self.task) if self.honest else ()
        return tuple(dict.fromkeys(path.partition("/")[0] for path in paths))

    def __call__(self, found: Mapping[str, float]) -> float:
        """The value of an agent with these means.

        Raises:
            ValueError: where a mean is not finite, or there is no gap to close.
        """
        if not self.honest:
            return found[RETURN]
        liar, honest, arm = (
            Outcome(means[self.deception], {path: means[path] for path in self.task})
            for means in (self.deceptive, self.honest, found)
        )
        judged = judge(arm, honest, liar)
        lost = max(0.0, TASK_KEPT - judged.task_ratio)
        return min(judged.closed, 1.0) - _TASK_WEIGHT * lost


@dataclass(frozen=True)
class Sweep:
    """One search.

    Attributes:
        training: what a trial trains, but for what is searched; `seed` is a development seed.
        objective: what is made large.
        space: what is searched.
        folder: for `best.yml`, `trials.csv`, and the database if `storage` names none.
        name: of the study in the database.
        storage: database, as SQLAlchemy names it; by default SQLite in `folder`.
        n_trials: of the whole study; those of earlier runs count.
        n_seeds: training seeds per trial, from `training.seed` on; the value is their mean.
        n_evaluations: values per seed that the pruner sees.
        n_startup_trials: random trials before the sampler models anything.
        episodes: development games per condition.
        sampler: "tpe" or "random".
        pruner: "median", "halving" or "none".
    """

    training: Training
    objective: Objective
    space: Mapping[str, BaseDistribution]
    folder: Path
    name: str
    storage: str | None = None
    n_trials: int = 20
    n_seeds: int = 1
    n_evaluations: int = 4
    n_startup_trials: int = 10
    episodes: int = 200
    sampler: str = "tpe"
    pruner: str = "median"

    @property
    def database(self) -> str:
        """The storage's URL."""
        return self.storage or f"sqlite:///{self.folder.resolve() / 'study.db'}"

    def run(self, n_jobs: int = 1) -> Preset:
        """Run the trials that are missing, in `n_jobs` processes, and return the best settings.

        Raises:
            ValueError: for settings that the scenario or algorithm refuses, or a study of the same
                name with others.
            RuntimeError: if no trial came to its end, or a process died.
        """
        self.training.build()  # refuses what cannot be trained, before anything is written
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_up(optuna.create_study(
            study_name=self.name, storage=self.database, direction="maximize", load_if_exists=True
        ))  # fmt: skip
        if n_jobs == 1:
            work(self, 0, contextlib.nullcontext())
        else:
            self._share(n_jobs)
        return self.report()

    def report(self) -> Preset:
        """Write `best.yml` and `trials.csv`, and return the best settings so far.

        Raises:
            RuntimeError: if no trial came to its end.
        """
        study = optuna.load_study(study_name=self.name, storage=self.database)
        write_atomically(self.folder / "trials.csv", _table(study.trials, list(self.space)))
        done = [t for t in study.trials if t.state == TrialState.COMPLETE]
        if not done:
            raise RuntimeError(f"no trial came to its end; {self.folder / 'trials.csv'} says why")
        best = study.best_trial
        found = self.settings(best.params)
        head = f"# Trial {best.number}, the best of {len(study.trials)}: {best.value:.6g}.\n"
        algo = self.training.algo
        write_atomically(self.folder / "best.yml", head + write_preset(found, algo))
        return found

    def plot(self) -> Path:
        """Write the values of the trials, one after the other, as a picture."""
        import matplotlib

        matplotlib.use("Agg")
        import warnings

        from matplotlib.figure import Figure
        from optuna.visualization.matplotlib import plot_optimization_history

        study = optuna.load_study(study_name=self.name, storage=self.database)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its plots are experimental
            figure = plot_optimization_history(study).figure
        assert isinstance(figure, Figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight")
        write_atomically(self.folder / "history.svg", buffer.getvalue())
        return self.folder / "history.svg"

    def settings(self, found: Mapping[str, Any]) -> Preset:
        """The preset with what a trial has found; a schedule stays one."""
        params = dict(self.training.preset.params)
        for name, value in found.items():
            linear = str(params.get(name, "")).startswith("lin_")
            params[name] = f"lin_{value!r}" if linear else value
        return replace(self.training.preset, params=params)

    def _take_up(self, study: optuna.Study) -> None:
        """Check that the study is this sweep's, and queue again what was not finished."""
        mine = {
            **self.training.settings(),
            "space": {name: str(kind) for name, kind in self.space.items()},
            "objective": [self.objective.deception, *self.objective.task],
            "n_seeds": self.n_seeds,
            "episodes": self.episodes,
        }
        theirs = study.user_attrs.get("settings", mine)
        if other := sorted(key for key in mine if theirs.get(key) != mine[key]):
            raise ValueError(
                f"the study {self.name!r} in {self.database} is of a sweep with another "
                f"{', '.join(other)}; go on with the same settings, or choose another --study-name"
            )
        study.set_user_attr("settings", mine)
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)

    def _share(self, n_jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        lock = context.Lock()
        workers = [
            context.Process(target=_worker, args=(self, k, lock), daemon=True)
            for k in range(n_jobs)
        ]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            for worker in workers:
                if worker.pid is not None:
                    worker.terminate()
                    worker.join()
        if codes := [worker.exitcode for worker in workers if worker.exitcode]:
            raise RuntimeError(f"a process of the sweep died (exit code {codes[0]}), see above")


def space_of(
    algo: str, preset: Preset, names: Mapping[str, Any] | None = None, tuning: bool = False
) -> dict[str, BaseDistribution]:
    """What to search: by default the usual arguments of the algorithm.

    Args:
        algo: as `--algo` takes it.
        preset: what the rest is; batch sizes are parts of its rollout.
        names: argument -> list of values, or None for the range that is built in.
        tuning: begin with a trained agent: only overlap and the learning rate by default.

    Raises:
        ValueError: for an argument without a range, or one that is no list.
    """
    chosen = algorithm(algo)
    overlap = algo.startswith("soo")
    usual = _PPO if "ppo" in algo else _ON_POLICY if chosen.on_policy else _OFF_POLICY
    if overlap:
        usual = ("learning_rate", *_OVERLAP) if tuning else (*usual, *_OVERLAP)
    known = {name: _RANGES[name] for name in dict.fromkeys((*usual, *_RANGES))}
    if chosen.on_policy:
        rollout = int(preset.params.get("n_steps", 2048)) * preset.n_envs
        parts = tuple(rollout // k for k in (16, 8, 4, 2, 1) if rollout % k == 0 and rollout > k)
        known["batch_size"] = CategoricalDistribution(parts)
    space: dict[str, BaseDistribution] = {}
    for name, values in (names or dict.fromkeys(usual)).items():
        if name.startswith("soo_") and not overlap:
            raise ValueError(f"{name} belongs to overlap: take --algo soo{algo}")
        if values is None:
            if name not in known:
                raise ValueError(
                    f"{name} has no built-in range; list its values, as {name}:[1,2], or search "
                    f"{', '.join(known)}"
                )
            space[name] = known[name]
        elif isinstance(values, list | tuple) and values:
            space[name] = CategoricalDistribution(tuple(values))
        else:
            raise ValueError(f"{name} takes a list of values, as {name}:[1,2]; got {values!r}")
    return space


def work(sweep: Sweep, worker: int, lock: AbstractContextManager[Any]) -> None:
    """Run trials until the study has as many as it should have."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=sweep.name, storage=sweep.database)
    # A sweep that goes on must not draw once more what it has drawn.
    seed = sweep.training.seed + 1000 * worker + len(study.trials)
    startup = sweep.n_startup_trials
    study.sampler = {
        "tpe": lambda: optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }[sweep.sampler]()
    warmup = sweep.n_evaluations // 3
    study.pruner = {
        "median": lambda: optuna.pruners.MedianPruner(startup, warmup),
        "halving": optuna.pruners.SuccessiveHalvingPruner,
        "none": optuna.pruners.NopPruner,
    }[sweep.pruner]()
    while True:
        with lock:
            if sum(map(_counts, study.get_trials(deepcopy=False))) >= sweep.n_trials:
                return
            trial = study.ask(dict(sweep.space))
        try:
            study.tell(trial, _value(sweep, trial))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except ValueError as error:  # the run diverged; the others need not
            trial.set_user_attr("error", str(error).partition("\n")[0])
            study.tell(trial, state=TrialState.FAIL)
        with lock:
            print(_line(study.trials[trial.number]), flush=True)
            with contextlib.suppress(RuntimeError):  # nothing is best yet
                sweep.report()


def _worker(sweep: Sweep, worker: int, lock: AbstractContextManager[Any]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    torch.set_num_threads(1)
    work(sweep, worker, lock)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of `n_trials`: one that was interrupted and queued again is not."""
    if trial.state == TrialState.FAIL:
        return "error" in trial.user_attrs
    return trial.state != TrialState.WAITING


def _value(sweep: Sweep, trial: Trial) -> float:
    values: list[float] = []
    for k in range(sweep.n_seeds):
        training = replace(
            sweep.training, preset=sweep.settings(trial.params), seed=sweep.training.seed + k
        )
        seen = _Judge(sweep, trial, values)
        training.build().learn(training.preset.n_timesteps, callback=seen)
        values.append(seen.value)
    return sum(values) / len(values)


class _Judge(BaseCallback):
    """Evaluates a trial now and then, and ends it when the pruner says so."""

    def __init__(self, sweep: Sweep, trial: Trial, before: Sequence[float]) -> None:
        super().__init__()
        self.sweep, self.trial, self.before = sweep, trial, before
        self.done = 0
        self.value = math.nan

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        steps, parts = self.sweep.training.preset.n_timesteps, self.sweep.n_evaluations
        if self.done < parts - 1 and self.num_timesteps >= steps * (self.done + 1) / parts:
            self._evaluate()
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def _on_training_end(self) -> None:
        self._evaluate()

    def _evaluate(self) -> None:
        sweep, preset = self.sweep, self.sweep.training.preset
        self.value = sweep.objective(
            mean_metrics(
                self.model, preset.id, preset.env_kwargs, sweep.episodes,
                conditions=sweep.objective.conditions,
            )
        )  # fmt: skip
        self.done += 1
        seen = [*self.before, self.value]
        step = len(self.before) * sweep.n_evaluations + self.done
        self.trial.report(sum(seen) / len(seen), step)


def _table(trials: Sequence[FrozenTrial], names: list[str]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "state", "value", *names, "error"])
    for trial in trials:
        found = [trial.params.get(name, "") for name in names]
        value = "" if trial.value is None else trial.value
        error = trial.user_attrs.get("error", "")
        writer.writerow([trial.number, trial.state.name.lower(), value, *found, error])
    return buffer.getvalue()


def _line(trial: FrozenTrial) -> str:
    """A trial in one line."""
    params = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in trial.params.items()
    )
    value = "" if trial.value is None else f" {trial.value:.4f}"
    error = f" ({trial.user_attrs['error']})" if "error" in trial.user_attrs else ""
    return f"trial {trial.number}: {trial.state.name.lower()}{value}{error}: {params}"
