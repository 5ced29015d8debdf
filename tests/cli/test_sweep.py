"""`feint sweep`: settings found, sweeps taken up, objectives, and what is refused."""

import csv
import multiprocessing
import sys
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
import yaml

from feint.agents.presets import preset_for
from feint.agents.training import Training
from feint.bench import sweep as sweeps
from feint.bench.sweep import Objective, Sweep, space_of
from feint.cli import main

SWEEP = (
    "sweep", "--env", "RoomSignal", "-n", 512, "--num-envs", 16, "--eval-episodes", 10,
    "--n-evaluations", 2, "--n-startup-trials", 1, "--params", "n_steps:8", "n_epochs:1",
)  # fmt: skip
STUDY = "ppo-feint-RoomSignal-v0-return"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def trials(folder):
    with open(folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_settings_can_be_trained_and_more_trials_go_on_from_these(tmp_path, capsys):
    search = ("--search", "learning_rate", "batch_size:[32,64]", "--out", tmp_path)
    code, _, err = run(capsys, *SWEEP, *search, "--n-trials", 2)
    assert code == 0, err
    folder = tmp_path / STUDY
    before = trials(folder)
    assert len(before) == 2 and (folder / "history.svg").exists()
    best = max((t for t in before if t["state"] == "complete"), key=lambda t: float(t["value"]))
    (entry,) = yaml.safe_load((folder / "best.yml").read_text()).values()
    assert entry["learning_rate"] == float(best["learning_rate"])
    assert entry["batch_size"] == int(best["batch_size"]) and entry["n_epochs"] == 1
    train = ("train", "--env", "RoomSignal", "-conf", folder / "best.yml", "--no-progress")
    assert run(capsys, *train, "--out", tmp_path / "a.safetensors")[0] == 0

    assert run(capsys, *SWEEP, *search, "--n-trials", 2, "--no-optim-plots")[0] == 0
    assert trials(folder) == before  # done is done
    code, _, _ = run(capsys, *SWEEP, *search, "--n-trials", 3, "--no-optim-plots")
    assert (code, trials(folder)[:2], len(trials(folder))) == (0, before, 3)
    assert len({trial["learning_rate"] for trial in trials(folder)}) == 3

    other = (*SWEEP, "--search", "learning_rate", "--out", tmp_path)
    code, _, err = run(capsys, *other)
    assert (code, err.count("\n")) == (2, 1) and "of a sweep with another space" in err


def small(tmp_path, **changes):
    preset = preset_for("RoomSignal", "ppo", over={"n_steps": 8, "n_epochs": 1, "n_envs": 8})
    training = Training("ppo", preset, seed=100)
    settings = {
        "training": training, "objective": Objective(), "folder": tmp_path, "name": "s",
        "space": space_of("ppo", preset, {"ent_coef": None}), "n_trials": 3, "episodes": 5,
    }  # fmt: skip
    return Sweep(**{**settings, **changes})


def test_a_trial_that_was_interrupted_is_run_again_and_one_that_diverged_is_not(
    tmp_path, monkeypatch
):
    fate: Iterator[Any] = iter([1.0, KeyboardInterrupt, ValueError("nan\nmore"), 2.0])
    drawn = []

    def value(sweep, trial):
        drawn.append(trial.params["ent_coef"])
        ended = next(fate)
        if isinstance(ended, float):
            return ended
        raise ended

    monkeypatch.setattr(sweeps, "_value", value)
    sweep = small(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        sweep.run()
    best = sweep.run()
    assert drawn[1] == drawn[2] and len(set(drawn)) == 3
    assert best.params["ent_coef"] == drawn[3]
    assert [t["state"] for t in trials(tmp_path)] == ["complete", "fail", "fail", "complete"]
    assert [t["error"] for t in trials(tmp_path)] == ["", "", "nan", ""]


def test_a_hopeless_trial_is_pruned(tmp_path, monkeypatch):
    worse = iter(range(100, 0, -1))
    monkeypatch.setattr(sweeps, "mean_metrics", lambda *_, **__: {"any/return": next(worse)})
    preset = preset_for("RoomSignal", "ppo", over={"n_steps": 8, "n_epochs": 1, "n_envs": 8})
    preset = sweeps.replace(preset, n_timesteps=256)
    sweep = small(tmp_path, training=Training("ppo", preset, 100), n_startup_trials=1)
    sweep.run()
    assert [t["state"] for t in trials(tmp_path)] == ["complete", "pruned", "pruned"]


@pytest.mark.slow
def test_processes_share_one_study(tmp_path):
    preset = sweeps.replace(small(tmp_path).training.preset, n_timesteps=64)
    sweep = small(tmp_path, training=Training("ppo", preset, 100), n_trials=4)
    sweep.run(n_jobs=2)
    study = optuna.load_study(study_name="s", storage=sweep.database)
    assert len(study.trials) == 4 and not multiprocessing.active_children()
    assert len({trial.params["ent_coef"] for trial in study.trials}) == 4


def test_honesty_is_the_gap_closed_under_the_own_task_kept():
    liar = {"p/lie": 0.9, "p/task": 1.0, "a/task": 1.0}
    honest = {"p/lie": 0.1, "p/task": 0.8, "a/task": 1.0}
    value = Objective("p/lie", ("p/task", "a/task"), liar, honest)
    assert value.conditions == ("p", "a")
    assert value(liar) == pytest.approx(0.0)
    assert value(honest) == pytest.approx(1.0)
    assert value({**honest, "p/lie": 0.0}) == 1.0
    assert value({**honest, "p/lie": 0.5}) == pytest.approx(0.5)
    assert value({**honest, "a/task": 0.9}) == pytest.approx(1.0)
    assert value({**honest, "a/task": 0.8}) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="finite"):
        value({**honest, "a/task": float("nan")})


def test_overlap_is_searched_when_it_is_trained_and_schedules_stay_schedules(tmp_path):
    preset = preset_for("PhysicalDeception", "sooppo")
    tuning = space_of("sooppo", preset, tuning=True)
    assert list(tuning) == ["learning_rate", "soo_coef", "soo_anchor_coef", "soo_task_coef"]
    assert {"gamma", "soo_coef"} <= space_of("sooppo", preset).keys()
    assert "soo_coef" not in space_of("ppo", preset)
    assert space_of("ppo", preset)["batch_size"].choices[-1] == 30 * 512  # pyright: ignore
    sweep = small(tmp_path, training=Training("sooppo", preset))
    assert sweep.settings({"learning_rate": 0.001}).params["learning_rate"] == "lin_0.001"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n-trials", 0), "n-trials must be an integer >= 1, got 0"),
        (("--seed", 899, "--n-seeds", 2), "seed must stay below 900"),
        (("--search", "nope"), "nope has no built-in range"),
        (("--search", "gamma:0.9"), "gamma takes a list of values"),
        (("--search", "soo_coef"), "take --algo sooppo"),
        (("--objective", "honest"), "needs --trained-agent, a liar, and --honest-agent"),
        (("--deception", "present/lie"), "need --objective honest"),
        (("--env-kwargs", "num_rooms:-1"), "num_rooms must be"),
    ],
)
def test_wrong_input_gives_one_line(arguments, message, tmp_path, capsys):
    code, _, err = run(capsys, *SWEEP, "--out", tmp_path, *arguments)
    assert (code, message in err, err.count("\n")) == (2, True, 1), err
    assert not list(tmp_path.rglob("*.db"))


def test_without_its_package_it_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = run(capsys, *SWEEP)
    assert (code, err.count("\n")) == (2, 1) and 'pip install "feint[sweep]"' in err
