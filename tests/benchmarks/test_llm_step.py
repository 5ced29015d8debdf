"""The pieces of `benchmarks/llm_step.py`, on a tiny model; no speed is judged."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.llm.tiny import byte_tokenizer, tiny

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("llm_step")


def test_ways_are_measured_beside_a_yardstick_with_their_gradients(bench: Any) -> None:
    model = tiny(dtype=torch.float32)
    sides = torch.randint(3, 250, (2, 3, 12))
    config = replace(bench.BASE, layer=2)
    ways = [("both", {}, 1.5), ("directed", {"detach": "self"}, None)]
    rows = bench.Bench(model, rounds=1).group("tiny", config, tuple(sides), ways).rows()
    assert [row["way"] for row in rows] == ["two full forwards", "both", "directed"]
    assert all(row["gradient_error"] < 1e-5 and row["seconds"] > 0 for row in rows)
    assert rows[0]["peak_mib"] > rows[1]["peak_mib"] > rows[2]["peak_mib"] > 0
    assert not hasattr(model, "peft_config") and "| both |" in bench.table(rows)


def test_an_interrupted_run_keeps_what_it_has(bench: Any, monkeypatch: Any, tmp_path: Any) -> None:
    group = {"config": replace(bench.BASE, layer=2), "sides": tuple(torch.ones(2, 2, 9).long()),
             "ways": [("both", {}, None)]}  # fmt: skip
    plan = [{"name": name, **group} for name in ("a", "b")]
    monkeypatch.setattr(bench, "plan", lambda *_: plan)
    part = tmp_path / "part.json"
    part.write_text(json.dumps({"a": [{"kept": True}]}))
    rows = bench.steps(tiny(dtype=torch.float32), byte_tokenizer(), 1, part)
    assert rows[0] == {"kept": True} and [row.get("group") for row in rows[1:]] == ["b", "b"]
    assert json.loads(part.read_text()).keys() == {"a", "b"}
