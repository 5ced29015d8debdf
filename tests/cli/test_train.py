"""Run folders, settings files, logs, tracking, and scenarios of others."""

import csv
import sys
from types import ModuleType

import gymnasium as gym
import pytest
import yaml
from safetensors.numpy import load_file

from feint.agents import read_card
from feint.agents.evaluations import read_evaluations
from feint.cli import main
from feint.envs.room_signal.scenario import RoomSignal, RoomSignalEnv

SMALL = ("--num-envs", 16, "--no-progress", "--params", "n_steps:8", "batch_size:64", "n_epochs:1")
TRAIN = ("train", "--env", "RoomSignal", "-n", 512, "--eval-episodes", 20)
NAME = "feint-RoomSignal-v0"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_has_agent_best_logs_evaluations_and_settings(tmp_path, capsys):
    code, out, err = run(capsys, *TRAIN, "-f", tmp_path, "--eval-freq", 256, *SMALL)
    assert code == 0, err
    folder = tmp_path / "ppo" / f"{NAME}_1"
    assert str(folder / f"{NAME}.safetensors") in out
    found = read_evaluations(folder / "evaluations.csv")
    assert [row["timesteps"] for row in found] == [0, 256, 512]
    wanted = {"any/return", "present/lie", "absent/own_pick", "back_door/informed_back_door"}
    assert wanted <= found[0].keys()
    logged = rows(folder / "progress.csv")
    assert {"rollout/ep_rew_mean", "eval/present/lie"} <= logged[-1].keys()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    config = yaml.safe_load((folder / NAME / "config.yml").read_text())
    assert (config["n_steps"], config["n_timesteps"], config["n_envs"]) == (8, 512, 16)
    assert yaml.safe_load((folder / NAME / "args.yml").read_text())["eval_freq"] == 256
    assert read_card(folder / "best_model.safetensors").params["n_steps"] == 8

    # The next run has a folder of its own; what the first wrote as its settings gives its agent.
    conf = tmp_path / "conf.yml"
    conf.write_text(yaml.safe_dump({"feint/RoomSignal-v0": config}))
    again = ("train", "--env", "RoomSignal", "-conf", conf, "--no-progress", "--eval-freq", -1)
    code, out, err = run(capsys, *again, "-f", tmp_path, "-tb", tmp_path / "tb")
    assert code == 0, err
    second = tmp_path / "ppo" / f"{NAME}_2"
    assert not (second / "evaluations.csv").exists()
    assert list((tmp_path / "tb" / NAME / "ppo_1").glob("events.*"))
    mine, theirs = (load_file(f / f"{NAME}.safetensors") for f in (second, folder))
    assert all((mine[key] == theirs[key]).all() for key in theirs)  # evaluations changed nothing


def test_a_run_folder_is_taken_up_where_the_run_was_killed(tmp_path, capsys, monkeypatch):
    run(capsys, *TRAIN, "-f", tmp_path / "whole", "--eval-freq", 128, *SMALL)
    cut = (*TRAIN, "-f", tmp_path / "cut", "--eval-freq", 128, "--save-freq", 256)

    def killed(self):
        if self.num_timesteps >= 384:
            raise KeyboardInterrupt

    from feint.agents import Saver

    with monkeypatch.context() as patched:
        patched.setattr(Saver, "_on_rollout_end", killed, raising=False)
        assert run(capsys, *cut, *SMALL)[0] == 130
    code, _, err = run(capsys, *cut, "--resume", *SMALL)
    assert code == 0, err
    whole, cut = (tmp_path / kind / "ppo" / f"{NAME}_1" for kind in ("whole", "cut"))
    assert (whole / "evaluations.csv").read_text() == (cut / "evaluations.csv").read_text()
    one, other = (load_file(f / f"{NAME}.safetensors") for f in (whole, cut))
    assert all((one[key] == other[key]).all() for key in one)
    assert (cut / "progress.csv").exists() and (cut / "progress_256.csv").exists()
    assert not (cut / f"{NAME}.state").exists()


@pytest.fixture
def fake_wandb(monkeypatch):
    """A stand-in for wandb: its real one would want the network."""
    calls = []

    class Run:
        def finish(self, exit_code):
            calls.append(("finish", exit_code))

    module = ModuleType("wandb")
    module.init = lambda **settings: calls.append(("init", settings)) or Run()  # pyright: ignore
    monkeypatch.setitem(sys.modules, "wandb", module)
    return calls


def test_tracking_begins_before_the_events_and_ends_with_the_run(tmp_path, capsys, fake_wandb):
    code, _, err = run(
        capsys, *TRAIN, "-f", tmp_path, "--track", "--wandb-project-name", "liars",
        "--wandb-tags", "a", "b", "--eval-freq", 0, *SMALL,
    )  # fmt: skip
    assert code == 0, err
    (first, settings), last = fake_wandb
    assert (first, last) == ("init", ("finish", 0))
    assert settings["sync_tensorboard"] and settings["project"] == "liars"
    assert settings["tags"] == ["a", "b"] and settings["config"]["hyperparams"]["n_steps"] == 8
    fake_wandb.clear()
    code, _, err = run(capsys, *TRAIN, "-f", tmp_path, "--track", *SMALL, "learning_rate:abc")
    assert (code, fake_wandb[-1]) == (2, ("finish", 1))


def test_without_its_package_tracking_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, _, err = run(capsys, *TRAIN, "-f", tmp_path / "logs", "--track", *SMALL)
    assert (code, err.count("\n")) == (2, 1)
    assert 'pip install "feint[track]"' in err
    assert not (tmp_path / "logs").exists()


class Mine(RoomSignal):
    name = "Game-v0"


class MineEnv(RoomSignalEnv):
    scenario_class = Mine


@pytest.fixture
def third_party(monkeypatch):
    monkeypatch.setitem(sys.modules, "theirs", ModuleType("theirs"))
    gym.register("mine/Game-v0", entry_point=MineEnv)
    yield "theirs:mine/Game-v0"
    del gym.registry["mine/Game-v0"]


def test_a_scenario_of_ones_own_is_trained_evaluated_and_watched(third_party, tmp_path, capsys):
    train = ("train", "--env", third_party, "-n", 128, "-f", tmp_path, "--eval-freq", 0)
    assert run(capsys, *train, *SMALL)[0] == 0
    agent = tmp_path / "ppo" / "theirs-mine-Game-v0_1" / "theirs-mine-Game-v0.safetensors"
    code, out, err = run(capsys, "eval", agent, "--episodes", 20, "--conditions", "present")
    assert code == 0 and "lie" in out, err
    enjoy = ("enjoy", "--env", third_party, "-f", tmp_path, "--no-render", "-n", 3)
    assert run(capsys, *enjoy)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--env", "nobody:mine/Game-v0"), "cannot import 'nobody'"),
        (("--env", "RoomSignal", "--gym-packages", "nobody"), "--gym-packages nobody"),
        (("--env", "RoomSignal", "--device", "nowhere"), "--device nowhere cannot be used"),
        (("--env", "RoomSignal", "--device", "auto", "--save-freq", 9), "need --device cpu"),
        (("--env", "RoomSignal", "--conf-file", "none.yml"), "cannot read none.yml"),
        (("--env", "RoomSignal", "--conf-file", "none.py"), "must be a .yml or .yaml file"),
        (("--env", "RoomSignal", "--params", "nope:1"), "unexpected keyword argument 'nope'"),
        (("--env", "RoomSignal", "--params", "learning_rate:lin_x"), "lin_NUMBER"),
        (("--env", "RoomSignal", "--params", "normalize:True"), "normalize is not supported"),
        (("--env", "RoomSignal", "--resume"), "has no run of feint-RoomSignal-v0"),
        (("--env", "RoomSignal", "--eval-episodes", 0), "eval-episodes must be an integer >= 1"),
        (("--env", "RoomSignal", "--seed", 900), "seed must be below 900"),
        (("--env", "RoomSignal", "--out", "x.safetensors", "--eval-freq", 9), "add --log-folder"),
        (("--env", "RoomSignal", "--out", "x.safetensors", "--track"), "add --log-folder or -tb"),
    ],
)
def test_wrong_input_gives_one_line_and_leaves_nothing(
    arguments, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "train", "-n", 64, "--no-progress", *arguments)
    assert (code, message in err, err.count("\n")) == (2, True, 1), err
    assert not list(tmp_path.iterdir())
