"""`feint play`: every scenario in the terminal, films, saved agents, and what is refused."""

import re
import sys

import imageio.v3 as imageio
import numpy as np
import pytest

from feint.cli import main
from feint.envs import SCENARIOS, scenario_class


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["play", *map(str, arguments)])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


CASES = [
    (entry.name, preset)
    for entry in SCENARIOS
    for preset in (None, *scenario_class(entry.id).presets)
]


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_scenario_and_preset_plays_in_the_terminal(name, preset, capsys):
    chosen = () if preset is None else ("--preset", preset)
    code, out, err = run(capsys, name, "--policy", "random", "--episodes", 2, *chosen)
    assert (code, err) == (0, "")
    assert len(re.findall(r"^the episode is (terminated|truncated)$", out, re.M)) == 2
    assert len(re.findall(r"^belief \[?\d\.\d+", out, re.M)) == out.count("-- random, seed ")
    assert "-- random, seed 1, step 0 --" in out and "reward " in out


def test_the_same_seed_shows_the_same_episode_and_policies_differ(capsys):
    hears = ("RoomSignal", "--condition", "present", "--seed", 3)
    _, liar, _ = run(capsys, *hears, "--policy", "deceptive")
    assert run(capsys, *hears)[1] == liar  # deceptive is the default
    _, honest, _ = run(capsys, *hears, "--policy", "honest")
    assert ", misled, deciding" in liar and "reward +1.000" in liar
    assert ", not misled, deciding" in honest
    started = [text.split("step 1")[0].splitlines()[1:-1] for text in (liar, honest)]
    assert started[0] == started[1] and any("$" in line for line in started[0])


def test_arguments_win_over_the_condition(capsys):
    _, out, _ = run(capsys, "RoomSignal", "--condition", "present", "--env-kwargs", "self_rate:1.0")
    assert "I choose" in out or "nobody asks" in out


@pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)
def test_a_film_has_every_step_and_nothing_is_printed_but_its_name(entry, capsys, tmp_path):
    out = tmp_path / "films" / "liar.gif"
    code, text, err = run(capsys, entry.name, "--out", out, "--fps", 10)
    assert (code, err, str(out) in text, "belief" in text) == (0, "", True, False)
    frames = imageio.imread(out, index=None)
    height, width = frames.shape[1:3]
    assert width == 400 and height > width  # the captions
    assert len({frame.tobytes() for frame in frames}) >= 2
    assert [path.name for path in out.parent.iterdir()] == ["liar.gif"]
    _, both, _ = run(capsys, entry.name, "--out", out, "--render", "ansi")
    assert "belief" in both
    np.testing.assert_array_equal(imageio.imread(out, index=0), frames[0])


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "mine.safetensors"
    with pytest.raises(SystemExit) as caught:
        main(
            ["train", "--env", "RoomSignal", "--out", str(path), "-n", "64", "--num-envs", "8",
             "--env-kwargs", "num_rooms:3", "--params", "n_steps:8", "batch_size:32",
             "--no-progress"]
        )  # fmt: skip
    assert caught.value.code == 0
    return path


def test_a_saved_agent_plays_with_its_own_arguments(agent, capsys):
    code, out, err = run(capsys, "RoomSignal", "--agent", agent, "--condition", "present")
    assert (code, err) == (0, "")
    assert "-- mine, seed 0, step 1" in out and "[  2 ]" in out and "[  3 ]" not in out


def test_wrong_input_gives_one_clear_line_and_leaves_earlier_output_intact(
    agent, capsys, tmp_path, monkeypatch
):
    kept = tmp_path / "kept.gif"
    kept.write_bytes(b"before")
    blocked = tmp_path / "file"
    blocked.write_text("")
    room = ("RoomSignal",)
    for arguments, message in (
        (("Nothing",), "unknown scenario 'Nothing'; there are"),
        ((*room, "--policy", "lies"), "policy must be one of 'honest', 'deceptive', "),
        ((*room, "--condition", "never"), "condition must be one of 'present', "),
        ((*room, "--preset", "never"), "preset "),
        ((*room, "--episodes", 0), "episodes must be an integer >= 1, got 0"),
        ((*room, "--seed", -1), "seed must be an integer >= 0, got -1"),
        ((*room, "--fps", "nan"), "fps must be in [0.1, 100], got nan"),
        ((*room, "--env-kwargs", "num_rooms"), "--env-kwargs takes key:value"),
        ((*room, "--env-kwargs", "num_rooms:1"), "num_rooms must be an integer >= 2"),
        ((*room, "--env-kwargs", "rooms:3"), "unexpected keyword argument 'rooms'"),
        ((*room, "--out", tmp_path / "film.mp4"), "--out must end in .gif"),
        ((*room, "--out", blocked / "film.gif"), "cannot write"),
        ((*room, "--agent", tmp_path / "none.safetensors"), "there is no checkpoint"),
        ((*room, "--agent", agent, "--policy", "honest"), "exclude each other"),
        (("PhysicalDeception", "--agent", agent), "not for PhysicalDeception"),
        ((*room, "--agent", agent, "--env-kwargs", "num_rooms:5"), "give other observations"),
        ((*room, "--out", kept, "--policy", "lies"), "policy must be one of"),
    ):
        code, _, err = run(capsys, *arguments)
        assert (code, message in err, err.strip().count("\n")) == (2, True, 0), (arguments, err)
    for module, package in (("pygame", "pygame-ce"), ("imageio.v3", "imageio")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            code, _, err = run(capsys, *room, "--out", kept)
        assert (code, err.strip().count("\n")) == (2, 0), err
        assert f'{package}: pip install "feint[render]"' in err
    assert kept.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"kept.gif", "file"}
