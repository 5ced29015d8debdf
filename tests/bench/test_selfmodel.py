"""The suite of self-modeling classifiers: its job, what it shares with `feint selfmodel run`."""

import pytest

from feint.bench import RunResult, RunSpec, Suite
from feint.bench.results import Unfinished
from feint.bench.selfmodel import DOSE, Settings, check, run, study_and_rows
from feint.bench.selfmodel_report import markdown
from feint.bench.worker import execute
from feint.selfmodel import study
from feint.selfmodel.data import load
from feint.selfmodel.study import ARMS, CONTROLS, Study, run_study

pytest.importorskip("sklearn")
TINY = {"data": "digits", "epochs": 6, "draws": 10}


def suite(seeds=(1,), **defaults):
    """That of the package, on the digits and on small networks."""
    data = Suite.load("selfmodel").to_dict()
    scenario = {"key": "h24", "title": "H = 24", "settings": {"hidden": 24}}
    data |= {"seeds": list(seeds), "scenario": [scenario], "defaults": TINY | defaults}
    return Suite.from_dict(data)


def done(made, out):
    results = []
    for spec in made.runs():
        assert spec.load_job() is run
        needs = {need.split("/")[1]: out / need for need in spec.needs}
        results.append(execute(RunSpec.from_json(spec.to_json()), out / spec.id, needs, print))
    return results


def test_the_suite_gives_what_the_study_gives(tmp_path):
    made = suite()
    results = done(made, tmp_path)
    assert (tmp_path / "h24/self_10/seed1" / DOSE).exists()
    whole = Study(**TINY, hidden=(24,), weights=(1, 5, 10, 20, 50), seeds=(1,), controls=CONTROLS)
    wanted = {(r.arm, r.weight): r for r in run_study(whole, load("digits"), tmp_path / "study")}
    found, rows = study_and_rows(made, results)
    assert found == whole
    assert {(row.arm, row.weight) for row in rows} == wanted.keys()
    for row in rows:
        (mine,), theirs = row.runs, wanted[row.arm, row.weight]
        assert mine.width == pytest.approx(theirs.width, rel=1e-3)  # stacked there, single here
        assert mine.accuracy == pytest.approx(theirs.accuracy, abs=0.01)
        assert mine.decay == pytest.approx(theirs.decay, rel=1e-2)
        for variant, llc in mine.llc.items():
            assert llc.value == pytest.approx(theirs.llc[variant].value, rel=0.05, abs=0.05)
    text = markdown(found, rows)
    assert "weight decay, at the same SD (0.0" in text and "10 after 10" in text


def test_weight_decay_that_matches_nothing_is_said_to(tmp_path, monkeypatch):
    made = suite()
    monkeypatch.setattr("feint.bench.selfmodel.matching_decay", lambda *_: None)
    results = done(made.select(arms=["baseline", "weight_decay"]), tmp_path)
    (one,) = [r for r in results if r.arm == "weight_decay"]
    assert one.payload == {"run": None}
    found, rows = study_and_rows(made, results)
    assert "H = 24, weight 10: no weight decay gives the SD" in markdown(found, rows)
    with pytest.raises(Unfinished, match="no finished network"):
        study_and_rows(made, [r for r in results if r.arm == "ladder"])


def test_an_arm_that_lacks_seeds_is_said_to(tmp_path):
    results = done(suite((1, 2), draws=0).select(arms=["baseline", "self_1"]), tmp_path)
    text = markdown(*study_and_rows(suite((1, 2)), results[:3]))
    assert "H = 24, weight 1, self-modeling: 1 of 2 seeds" in text and "LLC" not in text


def test_the_suite_of_the_package_is_whole():
    made = Suite.load("selfmodel")
    made.check_job()
    specs = made.runs()
    assert len(made.seeds) >= 5 and {s.settings["hidden"] for s in specs} == {64, 512}
    for spec in specs:
        s = Settings.of(spec.settings)
        assert s.study().task.training.epochs == 50
        named = [name for name in (s.dose_from, s.width_from, s.ladder_from) if name]
        assert {need.split("/")[1] for need in spec.needs} == set(named)
    kinds = [s.settings["kind"] for s in specs]
    assert set(kinds) == {*ARMS, "ladder"} and kinds.count("ladder") == 2
    weights = {s.settings["weight"] for s in specs if s.settings["kind"] == "self_model"}
    assert weights == {0, 1, 5, 10, 20, 50}


def test_settings_of_the_llc_are_the_suites():
    s = Settings.of({"kind": "self_model", "hidden": 6, "sgld": {"corrected": {"chains": 2}}})
    made = s.study()
    assert made.task.corrected.chains == 2 and made.task.llc.chains == 4
    assert made.task.corrected.draws == study.task("digits").corrected.draws


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "self_model"}, "settings lack hidden"),
        ({"kind": "nope", "hidden": 6}, "kind must be one of self_model"),
        ({"kind": "self_model", "hidden": 6, "nope": 1}, "unknown settings"),
        ({"kind": "activation_l2", "hidden": 6}, "activation_l2 needs dose_from"),
        ({"kind": "weight_decay", "hidden": 6, "width_from": "x"}, "weight_decay needs ladder_"),
        ({"kind": "self_model", "hidden": 6, "sgld": {"nope": {}}}, "sgld takes, for released"),
        ({"kind": "self_model", "hidden": 6, "sgld": {"released": {"n": 1}}}, "any of burn_in"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings.of(settings).study()


def test_a_suite_is_one_study_whose_data_is_here():
    check(suite())
    data = suite().to_dict()
    data["arm"][1]["settings"]["epochs"] = 4
    with pytest.raises(ValueError, match="epochs must be the same in all runs"):
        check(Suite.from_dict(data))
    with pytest.raises(ValueError, match="name the folder of the four IDX files"):
        check(suite(data="mnist", data_dir="/nowhere"))


def test_a_result_survives_being_stored(tmp_path):
    (result,) = done(suite().select(arms=["baseline"]), tmp_path)
    again = RunResult.read(tmp_path / "h24/baseline/seed1/result.json")
    assert again == result
    ours, stored = study_and_rows(suite(), [result]), study_and_rows(suite(), [again])
    assert markdown(*ours) == markdown(*stored)
