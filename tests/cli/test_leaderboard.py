"""`feint leaderboard`: what is built, sent and verified, and what is refused."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest

from feint.bench import Suite, run_suite
from feint.cli import main
from tests.cli.little import SUITE


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        main(["leaderboard", *map(str, arguments)])
    return caught.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A little suite of one's own, run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "little.toml").write_text(SUITE)
    run_suite(Suite.load(folder / "little.toml"), folder / "out", workers=1, progress=False)
    return folder / "out"


def test_a_folder_of_runs_is_verified_and_put_on_the_board(ran, tmp_path):
    code, told, _ = run("verify", ran, "--arms", "deceptive")
    assert code == 0 and "room/deceptive/seed1: verified; 10 of 10 numbers came" in told
    assert "held-out opponent doubtful: present/lie" in told and "held-out observer: misled" in told
    assert (
        f"1 of 1 runs verified, 2 left out (verified before, or not asked for); see {ran}" in told
    )
    assert set(json.loads((ran / "verification.json").read_text())["runs"]) == {
        "room/deceptive/seed1"
    }
    pytest.importorskip("feint.bench.leaderboard.site")
    code, told, said = run("build", "--from", ran, "--to", tmp_path / "board")
    assert code == 0 and not said and "3 rows of 1 suites, 0 of them ranked" in told
    assert (tmp_path / "board" / "index.html").exists()


def test_a_number_that_does_not_come_out_again_is_told_with_exit_status_1(ran, tmp_path):
    path = ran / "runs/room/honest/seed1/result.json"
    kept = path.read_text()
    data = json.loads(kept)
    data["payload"]["evaluation"]["present"]["lie"] |= {"mean": 0.123}
    path.write_text(json.dumps(data))
    try:
        code, told, _ = run("verify", ran, "--arms", "honest")
    finally:
        path.write_text(kept)
    assert (
        code == 1
        and "room/honest/seed1: refused; 9 of 10 numbers" in told
        and "\n  present/lie is claimed as 0.123;" in told
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "--from", "nowhere"), "there is no folder nowhere"),
        (("verify", "nowhere"), "nowhere cannot be read"),
        (("submit", "nowhere.json", "--name", "Ada"), "nowhere.json cannot be read"),
        (("submit", "nowhere.json", "--name", ""), "the name must be a text of 1 to 80 letters"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1


def test_results_of_ones_own_suite_cannot_be_sent(ran, tmp_path):
    path = ran / "runs/room/honest/seed1/result.json"
    code, _, error = run("submit", path, "--name", "Ada", "--to", tmp_path)
    assert code == 2 and "there is no suite 'little'; there are: demo" in error
