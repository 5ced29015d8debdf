"""`feint bench`: what is run, reported, stored and listed, and what is refused."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from feint.bench.suite import suite_text
from feint.cli import main

SUITE = """
name = "little"
job = "feint.bench.rl:run"
seeds = [1]
dev_seeds = [100]
[defaults]
episodes = 20
conditions = ["present"]
deception = "present/lie"
task = { present = "present/own_pick" }
num_envs = 8
net_arch = [8]
curve_points = 1
steps = 64
algo = { n_steps = 8, batch_size = 64, n_epochs = 1 }
[[scenario]]
key = "room"
title = "room"
settings = { id = "feint/RoomSignal-v0" }
[[arm]]
key = "deceptive"
title = "liar"
role = "reference"
settings = { kind = "train" }
[[arm]]
key = "honest"
title = "honest"
role = "reference"
settings = { kind = "train", incentive = 0.0 }
[[arm]]
key = "masked"
title = "masked"
role = "baseline"
needs = ["deceptive"]
settings = { kind = "mask", start = "deceptive" }
"""


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        main(["bench", *map(str, arguments)])
    return caught.value.code, out.getvalue(), err.getvalue()


def test_run_then_report_then_store_then_report_on_what_is_stored(tmp_path):
    suite, out, stored = tmp_path / "little.toml", tmp_path / "out", tmp_path / "stored"
    suite.write_text(SUITE)
    part = ("--arms", "deceptive", "honest", "--workers", "1")
    code, told, _ = run("run", suite, "--out", out, "--markdown", *part)
    assert code == 0 and "| honest |" in told and (out / "report.html").exists()
    code, told, _ = run("report", suite, "--out", out, "--markdown")
    assert code == 0 and "1 runs are missing: room/masked (1)." in told
    code, told, _ = run("export", suite, "--out", out, "--to", stored)
    assert code == 0 and "stored 2 runs" in told
    page = (out / "report.html").read_bytes()
    code, again, _ = run("report", "--stored", stored, "--markdown")
    assert code == 0 and "1 runs are missing" in again
    assert (out / "report.html").read_bytes() == page
    code, _, error = run("run", suite, "--out", out, "--dev", "--seeds", 3)
    assert code == 2 and "--seeds and --dev exclude each other" in error


def test_list_names_suites_scenarios_and_arms():
    code, told, _ = run("list")
    assert code == 0 and "demo: 66 runs by feint.bench.rl:run" in told
    assert "scenarios: physical_deception, room_signal" in told
    code, told, _ = run("list", "smoke")
    assert code == 0 and told == suite_text("smoke") and 'name = "smoke"' in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report",), "name either a suite or, with --stored"),
        (("report", "nothing"), "there is no suite 'nothing'; there are: demo"),
        (("run", "demo", "--dev"), "suite demo names no dev_seeds"),
        (("run", "demo", "--ray", "a", "b"), "--ray takes one address, got a b"),
        (("run", "demo", "--runs", "x", "--out", "nowhere"), "suite demo has no run 'x'; one is"),
        (("run", "demo", "--arms", "x"), "arms: got 'x'; there are: deceptive, honest"),
        (("export", "demo", "--to", "x", "--out", "nowhere"), "nowhere holds no finished run"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message):
    code, _, error = run(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1
