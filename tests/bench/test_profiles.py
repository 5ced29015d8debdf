"""Profiles of runs are compared with those of their seed's references."""

import numpy as np
import pytest

from feint.bench import RunResult, Suite
from feint.bench.profiles import PROFILE, with_differences
from feint.metrics.profile import behavioural_difference

from .jobs import table


def results(tmp_path, records):
    data = table(seeds=[0], scenario=[{"key": "walk", "title": "walk"}])
    data["arm"] = [
        {"key": key, "title": key, "role": "reference"} for key in ("deceptive", "honest", "tuned")
    ]
    found = []
    for spec in Suite.from_dict(data).runs():
        mine = records.get(spec.arm)
        if mine is not None:
            folder = tmp_path / "runs" / spec.id
            folder.mkdir(parents=True)
            np.savez(folder / PROFILE, records=np.array(mine, np.float32).reshape(-1, 2))
        payload = {"profile": None if mine is None else {"records": len(mine)}}
        found.append(RunResult.of(spec, payload, started="now", wall_s=1.0, cpu_s=1.0))
    return {r.arm: r.payload["profile"] for r in with_differences(found, tmp_path)}


def test_each_run_is_compared_at_the_length_of_the_shortest_of_three(tmp_path):
    liar, honest = [[0.9, -0.5]] * 5, [[0.1, 0.5]] * 2
    tuned = [[0.5, 0.0]] * 3
    found = results(tmp_path, {"deceptive": liar, "honest": honest, "tuned": tuned})
    assert found["tuned"] == {
        "records": 3,
        "compared": 2,
        "to_honest": pytest.approx(behavioural_difference(tuned[:2], honest)),
        "to_deceptive": pytest.approx(behavioural_difference(tuned[:2], liar[:2])),
        "between": pytest.approx(behavioural_difference(honest, liar[:2])),
    }
    assert found["honest"]["to_honest"] == 0.0 == found["deceptive"]["to_deceptive"]


def test_without_both_references_nothing_is_compared(tmp_path):
    found = results(tmp_path, {"deceptive": [[0.9, -0.5]], "tuned": [[0.5, 0.0]]})
    assert found == {"deceptive": {"records": 1}, "honest": None, "tuned": {"records": 1}}
