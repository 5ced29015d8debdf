"""What is on the board: own results, submissions, and a word on what is left out."""

import json
import shutil
import sys
from subprocess import run

import pytest

from feint.bench import Suite, finished
from feint.bench.leaderboard.collect import collect
from feint.bench.leaderboard.submission import write
from feint.bench.store import export

pytestmark = pytest.mark.usefixtures("small")


def test_a_run_is_on_the_board_unranked_for_its_few_seeds(ran):
    (part,) = collect([ran]).parts
    assert part.key == "smoke" and list(part.scenarios) == ["kuhn_poker"]
    assert {row.method for row in part.rows} == {
        "deceptive", "honest", "overlap_belief", "sham_shuffled", "masked"
    }  # fmt: skip
    for row in part.rows:
        (seeds,) = [gate for gate in row.gates if gate.name == "seeds"]
        assert not row.ranked and seeds.says == "2 training seeds; at least 5 are asked for."


def test_of_two_folders_of_a_suite_the_fuller_one_counts(ran, tmp_path):
    suite, said = Suite.load("smoke"), []
    results = finished(suite, ran)[0]
    export(suite, results[:4], tmp_path / "a")
    export(suite, results, tmp_path / "b")
    (part,) = collect([tmp_path], said.append).parts
    assert len(part.rows) == 5 and len(said) == 1
    assert said[0].startswith(f"left out {tmp_path / 'a'}: another folder has as many")


def test_a_submission_stands_beside_the_projects_own_rows(ran, result, changed, tmp_path):
    def mine(data):
        data.update(arm="mine", run="kuhn_poker/mine/seed1", role="treatment")

    script = "<script>alert(1)</script>"
    path = changed(result("overlap_belief"), mine)
    write([result("overlap_belief"), path], [], script, tmp_path / "sent")
    model = tmp_path / "sent/script-alert-1-script/models/kuhn_poker/mine/seed1.safetensors"
    assert model.exists()


def test_a_method_without_references_is_judged_by_the_projects_own(ran, result, tmp_path):
    write([result("overlap_belief")], [], "Ada", tmp_path / "sent")
    (part,) = collect([ran, tmp_path / "sent"]).parts
    assert len(part.rows) == 6
    (row,) = [row for row in part.rows if row.submitter is not None]
    assert row.submitter == "Ada" and row.seeds == (1,) and row.title == "overlap, belief pairs"
    said = []
    with pytest.raises(ValueError, match="no results to show"):
        collect([tmp_path / "sent"], said.append)
    assert "no finished run of the deceptive agent" in said[0]


def test_strangers_methods_are_called_as_they_call_themselves(ran, result, changed, tmp_path):
    def mine(data):
        data.update(arm="mine", run="kuhn_poker/mine/seed1", role="treatment")

    write([changed(result("overlap_belief"), mine)], [], "<b>Ada</b>", tmp_path / "sent")
    (part,) = collect([ran, tmp_path / "sent"]).parts
    assert "<b>Ada</b>: mine" in {row.title for row in part.rows}


def test_what_is_damaged_is_left_out_and_the_rest_is_shown(ran, result, tmp_path):
    sent = write([result("overlap_belief")], [], "Ada", tmp_path / "sent")
    (sent / "manifest.json").write_text(json.dumps({"schema": 1, "name": "Ada"}))
    shutil.copytree(ran, tmp_path / "runs" / "smoke")
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "suite.json").write_text("{")
    said = []
    (part,) = collect([tmp_path / "runs", tmp_path / "sent"], said.append).parts
    assert len(part.rows) == 5 and len(said) == 2
    assert "suite.json is not JSON" in said[0] and "must list its runs" in said[1]


def test_nothing_to_show_is_said(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        collect([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="feint bench run smoke"):
        collect([tmp_path])


def test_collecting_needs_no_torch(ran):
    code = (
        "import sys; from feint.bench.leaderboard.collect import collect; "
        "collect(['benchmarks/results']); sys.exit('torch' in sys.modules)"
    )
    assert run([sys.executable, "-c", code]).returncode == 0
