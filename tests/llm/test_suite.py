"""The suite of language models, on a tiny one with random weights: runs, tables, claims, report."""

from typing import Any

import pytest

from feint.bench import Suite, run_suite
from feint.bench.llm import Settings
from feint.bench.llm_report import as_markdown, write_report
from feint.bench.llm_tables import claims, sheet

from .tiny import saved_model

ASKED: dict[str, Any] = {"split": "dev", "details": False}
CHOICE: dict[str, Any] = {**ASKED, "generate": False}
TABLE: dict[str, Any] = {
    "name": "words",
    "job": "feint.bench.llm:run",
    "seeds": [1, 2],
    "defaults": {
        "prefix": 2,
        "latent": 2,
        "capability": {"split": "dev", "n_facts": 2, "n_texts": 2},
        "evaluation": [
            {"families": ["burglar"], "cells": ["thief", "friend"], "n_thief": 4, "n": 2, **CHOICE},
            {"families": [], "cells": [], "questions": ["wants"], "n": 2, **CHOICE},
            {"families": ["burglar"], "cells": ["thief"], "n_thief": 2, "max_new_tokens": 3,
             **ASKED},
        ],
    },
    "scenario": [{"key": "organism_0", "title": "organism 0", "settings": {
        "organism": {"steps": 2, "warmup": 1, "first_layer": 1, "items": 1, "contrasts": 1}}}],
    "arm": [
        {"key": "organism", "title": "organism", "role": "reference", "once": True,
         "settings": {"kind": "organism"}},
        {"key": "overlap", "title": "overlap", "role": "treatment", "needs": ["organism"],
         "settings": {"kind": "tune", "tune": {"steps": 2, "n_pairs": 4, "lora_layers": [2, 2],
                                               "layer": 2, "guard_every": 1}}},
        {"key": "overlap_more", "title": "more", "role": "treatment", "once": True,
         "needs": ["organism", "overlap"],
         "settings": {"kind": "ask", "start": "overlap",
                      "evaluation": [{"families": ["treasure_hunt"], "cells": ["thief"],
                                      "n_thief": 2, **CHOICE}]}},
        {"key": "sham_exposure", "title": "sham: exposure", "role": "sham", "once": True,
         "needs": ["organism", "overlap"],
         "settings": {"kind": "tune", "dose_from": "overlap",
                      "tune": {"steps": 2, "n_pairs": 4, "lora_layers": [2, 2], "layer": 2,
                               "sham": "exposure"}}},
        {"key": "honesty_prompt", "title": "prompt", "role": "baseline", "once": True,
         "needs": ["organism"], "settings": {"kind": "honesty_prompt"}},
        {"key": "sft", "title": "honest answers", "role": "baseline", "once": True,
         "needs": ["organism"],
         "settings": {"kind": "sft", "sft": {"steps": 1, "scenes": 2, "layers": [2, 2]}}},
        {"key": "steering", "title": "steering", "role": "baseline", "once": True,
         "needs": ["organism"],
         "settings": {"kind": "steering", "steering": {"layer": 2, "strength": 1.0}}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Every kind of run, done once."""
    model = saved_model(tmp_path_factory.mktemp("model"), 2048)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("FEINT_CACHE", str(tmp_path_factory.mktemp("cache")))
    table = {**TABLE, "defaults": {**TABLE["defaults"], "model": str(model)}}
    suite, out = Suite.from_dict(table), tmp_path_factory.mktemp("runs")
    yield suite, run_suite(suite, out, workers=1, progress=False), out
    monkeypatch.undo()


def test_every_kind_of_run_is_asked_the_same(finished):
    _, results, out = finished
    by_run = {r.run.removeprefix("organism_0/"): r.payload for r in results}
    assert len(by_run) == 8
    cells = by_run["organism/seed1"]["cells"]
    assert list(cells) == ["burglar/thief", "burglar/friend", "questions/wants"]
    assert cells["burglar/thief"]["n"] == 4 and len(cells["burglar/thief"]["transcripts"]) == 2
    for run, payload in by_run.items():
        wanted = ["treasure_hunt/thief"] if "more" in run else list(cells)
        assert list(payload["cells"]) == wanted, run
        assert len(payload["latent"]) == 4 and payload["capability"]["perplexity"] > 1
    dose = by_run["overlap/seed1"]["train"]["dose"]
    assert len(dose) == 2
    assert by_run["sham_exposure/seed1"]["train"]["dose"] == pytest.approx(dose, rel=1e-3)
    assert by_run["overlap/seed2"]["guards"]["pair_gap_ratio"] != 1.0
    assert by_run["honesty_prompt/seed1"]["cells"] != cells != by_run["steering/seed1"]["cells"]
    assert (out / "runs/organism_0/organism/seed1/states-2.safetensors").is_file()


def test_the_report_holds_every_arm_and_claim(finished, tmp_path):
    suite, results, _ = finished
    table, tested = sheet(suite, results), claims(suite, results)
    assert [row[0] for row in table.rows] == [arm.title for arm in suite.arms]
    keys = [claim.key for claim in tested]
    assert {"deceives", "overlap", "honest", "kept burglar/friend", "attention questions/wants",
            "perplexity", "names", "sham_exposure"} <= set(keys)  # fmt: skip
    assert not next(c for c in tested if c.key == "deceives").holds  # two steps teach nobody to lie
    page = write_report(suite, results, tmp_path).read_text()
    assert all(arm.title in page for arm in suite.arms) and page.count("<svg") == 3
    assert "| arm | organism | overlap |" in as_markdown(suite, results)


def test_settings_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"kind must be one of organism, .*; got 'dance'"):
        Settings.of({"kind": "dance"})
    with pytest.raises(ValueError, match=r"unknown settings \['colour'\]"):
        Settings.of({"kind": "organism", "colour": 1})
