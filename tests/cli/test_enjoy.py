"""`feint enjoy` and `feint export`: trained agents watched, and given to others."""

import json
import re

import imageio.v3 as imageio
import pytest
import yaml

from feint.cli import main

SMALL = ("--num-envs", 16, "--no-progress", "--params", "n_steps:8", "batch_size:64", "n_epochs:1")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for algo, env in (("ppo", "RoomSignal"), ("ppo_mask", "LiarsDice"), ("ppo_lstm", "CheapTalk")):
        with pytest.raises(SystemExit) as caught:
            main([*map(str, (
                "train", "--env", env, "--algo", algo, "-n", 256, "-f", folder,
                "--eval-episodes", 10, *SMALL,
            ))])  # fmt: skip
        assert caught.value.code == 0
    return folder


def agent_of(logs):
    return logs / "ppo" / "feint-RoomSignal-v0_1" / "feint-RoomSignal-v0.safetensors"


@pytest.mark.parametrize(
    ("algo", "env", "metric"),
    [("ppo", "RoomSignal", "misled"), ("ppo_mask", "LiarsDice", "bluff"),
     ("ppo_lstm", "CheapTalk", "misled")],
)  # fmt: skip
def test_the_latest_run_is_found_and_its_episodes_are_summed_up(algo, env, metric, logs, capsys):
    find = ("enjoy", "--algo", algo, "--env", env, "-f", logs, "--condition", "present")
    code, out, err = run(capsys, *find, "--no-render", "-n", 12)
    assert (code, err) == (0, "")
    *episodes, mean = out.splitlines()
    assert all(re.match(rf"seed \d+: return \S+, steps \d+, .*{metric}", e) for e in episodes)
    played = [int(re.findall(r"steps (\d+)", episode)[0]) for episode in episodes]
    assert sum(played) >= 12 > sum(played[:-1])
    earned = [float(re.findall(r"return ([-\d.]+)", episode)[0]) for episode in episodes]
    told = float(re.findall(r"mean return ([-\d.]+)", mean)[0])
    assert told == pytest.approx(sum(earned) / len(earned), rel=1e-2, abs=1e-2)
    assert run(capsys, *find, "--no-render", "-n", 12)[1] == out
    assert run(capsys, *find, "--no-render", "-n", 1, "--load-best", "--deterministic")[0] == 0


def test_episodes_are_shown_in_the_terminal_or_as_a_film(logs, capsys, tmp_path):
    show = ("enjoy", agent_of(logs), "-n", 2)
    code, out, _ = run(capsys, *show)
    assert code == 0 and out.count("step 0 --") == 2 and "not misled" in out
    film = tmp_path / "film.gif"
    code, out, _ = run(capsys, *show, "--render", "rgb_array", "--out", film)
    assert code == 0 and "step 0 --" not in out and f"wrote {film}: 2 episode(s)" in out
    assert len(imageio.imread(film, index=None)) > 2


def test_the_numbers_are_those_of_eval(logs, capsys):
    for seed in range(3):
        held = ("--seed", seed, "--deterministic")
        show = ("enjoy", agent_of(logs), "--no-render", "-n", 1, "--condition", "present")
        _, out, _ = run(capsys, *show, *held)
        wanted = ("eval", agent_of(logs), "--episodes", 1, "--conditions", "present", "--json")
        found = json.loads(run(capsys, *wanted, *held)[1])["conditions"]["present"]
        for name, value in found.items():
            if value["mean"] is not None:
                assert f"{name} {value['mean']:.4g}" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a checkpoint, or --env and --algo"),
        (("none.safetensors",), "there is no checkpoint none.safetensors"),
        (("--env", "RoomSignal", "-f", "nowhere"), "has no run of feint-RoomSignal-v0"),
        (("AGENT", "--exp-id", 3), "choose a run's file"),
        (("AGENT", "-n", 0), "n-timesteps must be an integer >= 1"),
        (("AGENT", "--render", "rgb_array"), "name it with --out"),
        (("AGENT", "--no-render", "--out", "x.gif"), "exclude each other"),
        (("AGENT", "--out", "x.png"), "--out must end in .gif"),
        (("AGENT", "--condition", "nope"), "condition must be one of"),
        (("AGENT", "--env-kwargs", "num_rooms:5"), "give other observations"),
    ],
)
def test_wrong_input_gives_one_line(arguments, message, logs, capsys):
    named = [agent_of(logs) if item == "AGENT" else item for item in arguments]
    code, _, err = run(capsys, "enjoy", *named)
    assert (code, message in err, err.count("\n")) == (2, True, 1), err


def test_an_exported_folder_holds_agent_settings_and_card(logs, capsys, tmp_path):
    out = tmp_path / "given"
    code, _, err = run(capsys, "export", agent_of(logs), "--out", out, "--episodes", 40)
    assert (code, err) == (0, "")
    assert (out / "agent.safetensors").read_bytes() == agent_of(logs).read_bytes()
    config = json.loads((out / "config.json").read_text())
    assert config["params"]["n_steps"] == 8 and "torch" in config["versions"]
    _, front, body = (out / "README.md").read_text().split("---\n", 2)
    (entry,) = yaml.safe_load(front)["model-index"]
    given = {metric["name"]: metric["value"] for metric in entry["results"][0]["metrics"]}
    shown = ("eval", out / "agent.safetensors", "--episodes", 40, "--json")
    found = json.loads(run(capsys, *shown)[1])["conditions"]
    assert given["lie (present)"] == pytest.approx(found["present"]["lie"]["mean"], abs=1e-4)
    assert "scripted deceptive" in body and "inputs masked" in body
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _, err = run(capsys, "export", agent_of(logs), "--out", blocked)
    assert (code, err.count("\n")) == (2, 1) and "cannot write" in err
