"""Verification: honest numbers come out again; one altered number, or another agent, does not."""

import hashlib
import json
import shutil

import pytest

from feint.bench import Suite, finished
from feint.bench.leaderboard import records
from feint.bench.leaderboard.entries import digest
from feint.bench.leaderboard.sandbox import START_S
from feint.bench.leaderboard.submission import MANIFEST, RECORD, read, write
from feint.bench.leaderboard.verify import target, verify
from feint.bench.store import export

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def sent(result, tmp_path):
    """The liar and what became of it, as a submission."""
    arms = ("deceptive", "overlap_belief", "masked")
    return write([result(arm) for arm in arms], [], "Ada", tmp_path / "sent")


def alter(folder, run, change):
    """Change a result of a submission, and the manifest with it, as a forger would."""
    path, manifest = folder / f"results/{run}.json", folder / MANIFEST
    data, listed = json.loads(path.read_text()), json.loads(manifest.read_text())
    change(data["payload"])
    path.write_text(json.dumps(data))
    listed["sha256"][f"results/{run}.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))


def test_a_submission_verifies_and_the_same_with_one_altered_number_does_not(sent):
    told = []
    outcomes = verify(target(sent), told=told.append)
    assert told == outcomes and [o.refused for o in outcomes] == [(), (), ()]
    assert {o.exact for o in outcomes} == {(24, 24)}
    liar, tuned = "kuhn_poker/deceptive/seed1", "kuhn_poker/overlap_belief/seed1"
    kept = records.read(sent)
    assert set(kept) == {liar, tuned, "kuhn_poker/masked/seed1"}
    assert kept[tuned]["gaps"] is True and kept[tuned]["seed"] > 10**9
    assert kept[liar]["fresh"]["absent/chips"][1] == 240

    held_out = outcomes[0].held_out
    assert set(held_out["opponents"]) == {"equilibrium"}
    assert 0.0 <= held_out["observer"]["misled"] <= 1.0
    assert held_out["observer"]["honest"] < 0.05 < 0.3 < held_out["observer"]["liar"]

    was = json.loads((sent / f"results/{tuned}.json").read_text())["payload"]["evaluation"]
    alter(sent, tuned, lambda p: p["evaluation"]["absent"]["chips"].update(mean=0.9))
    alter(sent, tuned, lambda p: p["guards"]["belief"].update(control_gap=9.0))
    again = {o.run: o for o in verify(target(sent))}
    assert not again[liar].refused and again[tuned].exact == (23, 24)
    number, gap = again[tuned].refused
    assert number.startswith("absent/chips is claimed as 0.9; the same games give ")
    assert f"{was['absent']['chips']['mean']:.5g}" in number
    assert gap.startswith("guards.belief.control_gap is claimed as 9; measured again it is ")
    found = _on_record(sent)
    assert not found[tuned].agrees and found[tuned].says == f"{number}; {gap}"
    assert found[liar].observer == again[liar].held_out["observer"]["misled"]
    met = again[liar].held_out["opponents"]["equilibrium"]
    assert found[liar].opponent == met["present/misled"]["mean"]


def _on_record(folder):
    return records.of(folder, read(folder).results)


def test_a_record_is_of_one_result_and_no_other(sent):
    (sent / RECORD).write_text(
        json.dumps({"schema": 1, "runs": {"kuhn_poker/masked/seed1": {"digest": "0", "date": ""}}})
    )
    assert not _on_record(sent)
    entry = {"digest": digest(read(sent).results[1]), "date": "2026", "refused": [], "gaps": False}
    run = "kuhn_poker/overlap_belief/seed1"
    (sent / RECORD).write_text(json.dumps({"schema": 1, "runs": {run: entry}}))
    (found,) = _on_record(sent).values()
    assert not found.agrees and "its gaps could not be measured" in found.says
    (sent / RECORD).write_text("{}")
    with pytest.raises(ValueError, match="no record of verifications"):
        records.read(sent)


def test_another_agents_checkpoint_is_refused(result):
    model = result("honest", 2).parent / "agent.safetensors"
    (outcome,) = verify(target(result("deceptive"), [model]), seed=20_000_000_000)
    assert outcome.refused and "is claimed as" in outcome.refused[0]
    assert outcome.exact[0] < outcome.exact[1]


def test_a_process_that_takes_too_long_or_dies_is_a_refusal(result):
    found = target(result("deceptive"))
    (slow,) = verify(found, run_s=0.2 - START_S)  # less than it takes to start
    assert "could not be evaluated: it took longer than" in slow.refused[0]
    (small,) = verify(found, memory=64 << 20)
    assert "could not be evaluated" in small.refused[0]


def test_a_run_folder_is_verified_where_it_is_and_stored_results_against_it(ran, tmp_path):
    found = target(ran)
    assert found.folder == ran and len(found.runs) == 10
    suite = Suite.load("smoke")
    export(suite, finished(suite, ran)[0], tmp_path / "stored")
    stored = target(tmp_path / "stored", [ran])
    assert stored.folder == tmp_path / "stored"
    assert [models for _, _, models in stored.runs] == [models for _, _, models in found.runs]


def test_what_is_on_record_is_left_out_but_for_what_came_with_a_submission(ran, sent, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(ran, folder)
    found = target(folder)
    one, *_ = (result for result, _, _ in found.runs)
    entry = {"run": one.run, "digest": digest(one), "date": "2026", "refused": [], "gaps": True}
    records.add(folder, entry)
    assert one.run not in [result.run for result, _, _ in found.left().runs]
    assert len(found.left().runs) == 9 and len(found.left(again=True).runs) == 10
    assert [r.arm for r, _, _ in found.left(["honest"]).runs] == ["honest", "honest"]
    with pytest.raises(ValueError, match="there is no arm 'x'; there are: deceptive, honest"):
        found.left(["x"])
    records.add(folder, entry | {"refused": ["present/misled is off"]})
    assert len(found.left().runs) == 10

    records.add(sent, entry)
    assert len(target(sent).left().runs) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "cannot be read: No such file"),
        ((".",), "neither a submission nor a folder of runs"),
    ],
)
def test_what_cannot_be_verified_is_said(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        target(*arguments)


def test_models_must_fit_what_is_verified(result, sent, ran, tmp_path):
    with pytest.raises(ValueError, match="takes at most 1 models, got 2"):
        target(result("deceptive"), [tmp_path, tmp_path])
    with pytest.raises(ValueError, match="leave --model out"):
        target(sent, [tmp_path])
    with pytest.raises(ValueError, match="holds no checkpoint"):
        target(ran, [tmp_path])
