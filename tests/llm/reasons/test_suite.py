"""The suite of the training arm, on a tiny model with random weights: runs, table, report."""

import pytest

from feint.bench import Suite, run_suite
from feint.bench.claims import Claim
from feint.bench.reasons import Settings
from feint.bench.reasons_suite import (
    MEASURES,
    as_markdown,
    claims,
    difference,
    sheets,
    write_report,
)

from ..tiny import saved_model


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Every arm of our own suite, at the smallest size, over two seeds."""
    model = saved_model(tmp_path_factory.mktemp("model"), 4096)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("FEINT_CACHE", str(tmp_path_factory.mktemp("cache")))
    table = Suite.load("reasons").with_seeds([1, 2]).to_dict()
    organism = {"steps": 1, "warmup": 1, "first_layer": 2, "items": 1, "contrasts": 1}
    tuned = {"steps": 1, "n_pairs": 4, "lora_layers": [2, 2], "layer": 2, "guard_every": 1}
    table["defaults"] |= {
        "model": str(model), "small": True, "organism": organism,
        "sft": {"steps": 1, "scenes": 1, "layers": [2, 2]}, "tune": tuned,
    }  # fmt: skip
    table["scenario"][0]["settings"] = {}
    suite, out = Suite.from_dict(table), tmp_path_factory.mktemp("runs")
    yield suite, run_suite(suite, out, workers=1, progress=False), out
    monkeypatch.undo()


def test_every_arm_is_trained_and_asked_the_same(finished):
    _, results, out = finished
    by_run = {r.run.removeprefix("organism_0/"): r.payload for r in results}
    assert len(by_run) == 9
    for run, payload in by_run.items():
        assert payload["scenarios"]["n"] == 3 and payload["over_refusal"]["harmless"]["n"] == 4
        assert payload["capability"]["perplexity"] > 1
        assert (out / "runs/organism_0" / run / "adapter/adapter_model.safetensors").is_file()
        assert (out / "runs/organism_0" / run / "asked/transcripts.jsonl").is_file()
    trained = {arm: by_run[f"{arm}/seed1"]["train"] for arm in ("refusal", "rebuttal", "neutral")}
    assert len({t["examples"] for t in trained.values()}) == 1


def test_the_report_holds_every_arm_and_claim(finished, tmp_path):
    suite, results, _ = finished
    (table,) = sheets(suite, results)
    assert [row[0] for row in table.rows] == [arm.title for arm in suite.arms]
    assert len(table.columns) == 2 + len(MEASURES)
    assert [c.key for c in claims(suite, results)] == [
        "scorer", "rebuttal refusal", "rebuttal neutral", "rebuttal base", "overlap base",
        "overlap rebuttal",
    ]  # fmt: skip
    page = write_report(suite, results, tmp_path).read_text()
    assert all(arm.title in page for arm in suite.arms) and page.count("<svg") == 1
    assert "| arm | organism | trained on refusals |" in as_markdown(suite, results)


def test_rules_that_fail_the_gate_give_no_rate(finished, monkeypatch):
    suite, results, _ = finished
    closed = (Claim("scorer", "the scorer does not agree with hands", False),)
    monkeypatch.setattr("feint.bench.reasons_suite.gates", lambda model: closed)
    assert claims(suite, results) == closed
    table, apart = sheets(suite, results)
    assert "undesired" not in table.columns and "off format" in table.columns
    assert "undesired" in apart.columns and apart.title.startswith("not to be quoted")
    assert apart.title in as_markdown(suite, results)


def test_arms_are_compared_over_scenarios_and_runs():
    good = [{"outcomes": {"a": ["desired"] * 4, "b": ["desired"] * 4}}] * 3
    bad = [{"outcomes": {"a": ["undesired"] * 4, "b": ["undesired"] * 2 + ["none"] * 2}}] * 3
    found = difference(good, bad)
    assert found["rate"] == -0.75 and found["low"] == -1.0 and found["high"] == -0.5
    assert difference(bad, bad)["rate"] == 0.0


def test_settings_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"kind must be one of base, .*; got 'dance'"):
        Settings.of({"kind": "dance"})
    with pytest.raises(ValueError, match=r"unknown settings \['colour'\]"):
        Settings.of({"kind": "base", "colour": 1})
