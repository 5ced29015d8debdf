"""The pieces of `benchmarks/training.py`, on tiny sizes; nothing is timed."""

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks, as their own scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    return importlib.import_module


def _sample(wall_s: float, **more: float) -> dict[str, float]:
    return {"steps": 100, "cpu_s": 1.0, "wall_s": wall_s, "env_s": 0.1, "update_s": 0.5, **more}


def test_our_worker_trains_a_rollout_a_call_and_notes_its_parts(module: Any) -> None:
    learner = module("feint_training_worker").prepare("mpe", games=8, together=True)
    assert learner() == 8 * 3 * 25
    notes = learner.notes()
    assert notes["env_s"] > 0
    assert notes["update_s"] > 0
    assert learner.notes() == {"env_s": 0.0, "update_s": 0.0}


def test_overlap_is_divided_round_by_round_and_judged_by_its_effect(module: Any) -> None:
    training = module("training")
    config = training.Config()
    rows = [row for row in training.contestants(config) if row.kind == "room_signal"]
    plain, full, partial, slow = rows[:4]
    effect = {"deception_before": 0.8, "own_task": 1.0, "own_task_before": 1.0}
    for row in rows:
        row.samples = [_sample(2.0), _sample(4.0, deception=0.8, **effect)]
    full.samples = [_sample(2.0), _sample(4.4, deception=0.01, **effect)]
    partial.samples = [_sample(2.0), _sample(4.4, deception=0.2, **effect)]
    slow.samples = [_sample(3.0), _sample(6.0, deception=0.01, **effect)]
    found = {each["label"]: each for each in training.overlap(rows)}
    assert found[full.label]["ratio"] == pytest.approx(1.05)
    assert found[full.label]["met"] is True
    assert found[partial.label]["full_effect"] is False
    assert found[partial.label]["met"] is None
    assert found[slow.label]["ratio"] == 1.5
    assert found[slow.label]["met"] is False
    assert found[plain.label]["target"] is None


def test_speed_is_ours_over_the_peer_with_the_same_optimizer(module: Any) -> None:
    training = module("training")
    rows = [row for row in training.contestants(training.Config()) if row.kind == "mpe"]
    for k, row in enumerate(rows):
        row.samples = [_sample(1.0 + k)]
    found = {each["label"]: each for each in training.speed(rows)}
    assert found[training.OURS]["ratio"] == pytest.approx(2.0)
    assert found[training.OURS]["met"] is False
    assert found[f"{training.OURS}, and fused Adam"]["ratio"] == pytest.approx(5 / 4)
    assert training.parts(rows[0])["policy, bookkeeping"] == pytest.approx(4000.0)
    assert training.report(rows, training.Config())["rows"][training.OURS]["absent"] is None


def test_an_absent_peer_leaves_our_rows_without_a_ratio(module: Any) -> None:
    training = module("training")
    rows = [row for row in training.contestants(training.Config()) if row.kind == "mpe"]
    rows[0].samples, rows[1].absent = [_sample(1.0)], "no .venv-peers"
    (ours,) = training.speed(rows)
    assert ours["ratio"] is None
    assert ours["met"] is None


def test_some_games_alone_are_played_and_do_not_replace_the_results_of_all(module: Any) -> None:
    training = module("training")
    some = training.Config(only=("room_signal",))
    assert {row.kind for row in training.contestants(some)} == {"room_signal"}
    with pytest.raises(SystemExit, match="give another --out"):
        training.main(some)
    with pytest.raises(SystemExit, match=r"only must name some of mpe, .*got \['poker'\]"):
        training.main(training.Config(only=("poker",)))
