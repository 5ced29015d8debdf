"""`feint bench`: what is run, reported, stored and listed, and what is refused."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from importlib.resources import files

import pytest

from feint.bench.suite import suite_text
from feint.cli import main
from tests.cli.little import SUITE

NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


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


def test_arms_without_the_references_are_run_and_what_a_report_lacks_is_said(tmp_path):
    suite, out = tmp_path / "little.toml", tmp_path / "out"
    suite.write_text(SUITE)
    code, told, error = run("run", suite, "--out", out, "--arms", "masked", "--workers", "1")
    assert code == 0 and "Traceback" not in error
    assert told == (
        f"2 runs are finished in {out}; no report yet: room: no finished run of the honest agent; "
        "run the suite to its end\n"
    )
    assert not (out / "report.html").exists()
    code, _, error = run("report", suite, "--out", out)
    assert code == 2 and "no finished run of the honest agent" in error


def test_a_suite_of_self_modeling_runs_goes_on_and_is_reported_from_what_is_stored(tmp_path):
    pytest.importorskip("sklearn")
    suite, out, stored = tmp_path / "tiny.toml", tmp_path / "out", tmp_path / "stored"
    text = (files("feint.bench") / "suites/selfmodel.toml").read_text()
    for old, new in {
        'name = "selfmodel"': 'name = "tiny"',
        'data = "fashion-mnist"': 'data = "digits"\nepochs = 6\ndraws = 10',
        "hidden = 512": "hidden = 24",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    suite.write_text(text)
    part = ("--seeds", 1, "--scenarios", "h512", "--workers", 1, "--markdown")
    code, told, _ = run("run", suite, "--out", out, *part, "--arms", "self_10")
    assert code == 0 and "| 24 | self-modeling | 10 |" in told
    before = [p.stat().st_mtime_ns for p in out.glob("runs/*/self_10/*/result.json")]
    more = ("--arms", "baseline", "activation_l2", "weight_decay")
    code, told, _ = run("run", suite, "--out", out, *part, *more)
    assert code == 0 and len(before) == 1
    assert "| 24 | weight decay, at the same SD (0.0" in told
    assert before == [p.stat().st_mtime_ns for p in out.glob("runs/*/self_10/*/result.json")]
    assert sorted(p.stem for p in (out / "plots").iterdir()) == ["accuracy", "llc", "width"]
    code, _, _ = run("export", suite, "--out", out, "--to", stored)
    assert code == 0 and len(list(stored.glob("h512/*/seed1.json"))) == 5
    code, again, _ = run("report", "--stored", stored, "--markdown")
    told = told.partition("results, plots")[0]
    words, numbers = NUMBER.split(told.strip()), map(float, NUMBER.findall(told))
    assert code == 0 and NUMBER.split(again.strip()) == words
    # Stored results have five digits.
    assert list(map(float, NUMBER.findall(again))) == pytest.approx(list(numbers), abs=2e-3)


def test_data_that_is_missing_stops_a_suite_before_it_runs(tmp_path):
    suite, out = tmp_path / "lost.toml", tmp_path / "out"
    suite.write_text(
        'name = "lost"\njob = "feint.bench.selfmodel:run"\nseeds = [1]\n[defaults]\n'
        'data = "mnist"\ndata_dir = "/nowhere"\nhidden = 8\n[[scenario]]\nkey = "a"\ntitle = "a"\n'
        '[[arm]]\nkey = "b"\ntitle = "b"\nrole = "reference"\nsettings = { kind = "self_model" }\n'
    )
    code, _, error = run("run", suite, "--out", out)
    assert code == 2 and "name the folder of the four IDX files" in error and error.count("\n") == 1
    assert not out.exists()
