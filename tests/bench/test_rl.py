"""The job of RL suites: what each kind of run leaves behind, for each kind of policy."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from feint.agents import read_card
from feint.bench.profiles import PROFILE
from feint.bench.results import check_json
from feint.bench.rl import CHECKPOINT, DOSE, Settings, run


@dataclass
class Spec:
    settings: dict[str, Any]
    scenario: str = "somewhere"
    arm: str = "some"
    seed: int = 1
    needs: dict[str, Any] = field(default_factory=dict)


ROOM = {
    "id": "feint/RoomSignal-v0",
    "env_kwargs": {"attention": True},
    "conditions": ["present", "blind"],
    "deception": "present/lie",
    "task": {"present": "present/own_pick"},
    "zero_in_other": [0],
}
KUHN = {
    "id": "feint/KuhnPoker-v0",
    "algorithm": "ppo_mask",
    "conditions": ["present"],
    "deception": "present/bluff",
    "task": {"present": "present/slow_play"},
}
WALK = {
    "id": "feint/PhysicalDeception-v0",
    "algorithm": "ppo_lstm",
    "lstm": 4,
    "env_kwargs": {"rules": "soo"},
    "conditions": ["present"],
    "deception": "present/misled",
    "task": {"present": "present/own_goal"},
}
SMALL = {
    "num_envs": 8,
    "net_arch": [8],
    "steps": 128,
    "episodes": 40,
    "curve_points": 1,
    "algo": {"n_steps": 16, "batch_size": 64, "n_epochs": 1},
    "finetune": {"soo": {"pairs": "presence", "record_dose": True}},
}


def played(tmp_path, scenario, arm, needs=(), **settings):
    folder = tmp_path / arm
    folder.mkdir()
    spec = Spec({**SMALL, **scenario, **settings}, arm=arm)
    payload = run(spec, folder, {need: tmp_path / need for need in needs}, lambda share: None)
    check_json(payload, "payload")
    return payload


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("feint.bench.gauges.EPISODES", 24)
    monkeypatch.setattr("feint.bench.rl._Curve.EPISODES", 24)


@pytest.mark.parametrize(
    ("scenario", "name"), [(ROOM, "ppo"), (KUHN, "ppo_mask"), (WALK, "ppo_lstm")]
)
def test_every_kind_of_run_with_every_kind_of_policy(tmp_path, quick, scenario, name):
    start = {"start": "liar", "needs": ["liar"]}
    liar = played(tmp_path, scenario, "liar", kind="train")
    assert read_card(tmp_path / "liar" / CHECKPOINT).algorithm == name
    tuned = played(tmp_path, scenario, "tuned", kind="finetune", **start)
    assert read_card(tmp_path / "tuned" / CHECKPOINT).algorithm == f"soo{name}"
    sham = played(
        tmp_path, scenario, "sham", kind="finetune", start="liar", needs=["liar", "tuned"],
        dose_from="tuned", dose_factor=0.5, soo={"sham": "shuffled"},
    )  # fmt: skip
    doses = [np.load(tmp_path / arm / DOSE)["norms"] for arm in ("tuned", "sham")]
    np.testing.assert_allclose(doses[1], 0.5 * doses[0], rtol=1e-3)
    scratch = played(tmp_path, scenario, "scratch", kind="train", soo={"pairs": "presence"})
    assert read_card(tmp_path / "scratch" / CHECKPOINT).algorithm == f"soo{name}"
    masked = played(tmp_path, scenario, "masked", kind="mask", **start)
    twin = played(tmp_path, scenario, "twin", kind="twin", twin="presence", **start)

    condition = scenario["conditions"][0]
    for payload in (liar, tuned, sham, scratch):
        assert payload["guards"]["presence"]["control_gap"] > 0
        assert payload["detector"][condition]["presence"]["gap"] > 0
    for payload in (masked, twin):
        assert payload["guards"] is payload["detector"] is None and payload["steps"] == 0
    assert liar["guards"]["presence"]["variance_ratio"] == pytest.approx(1.0, abs=1e-6)
    for payload in (liar, masked, twin):
        found = payload["evaluation"][condition]["return"]
        assert found["n"] == 40 and found["sd"] > 0


def test_pair_kinds_that_the_scenario_lacks_are_left_out_and_zeroing_is_its_own_measure(
    tmp_path, quick
):
    walk = played(tmp_path, WALK, "walk", kind="train", algorithm="ppo")
    assert "presence" in walk["guards"] and "belief" not in walk["guards"]
    room = played(tmp_path, ROOM, "room", kind="train")
    found = room["detector"]["present"]
    assert {"presence", "belief", "presence_zeroed", "belief_zeroed"} <= set(found)
    assert found["presence"]["gap"] != found["presence_zeroed"]["gap"]
    assert (
        room["detector"]["blind"].keys() <= found.keys() and "fork" not in room["detector"]["blind"]
    )


def test_a_walk_leaves_its_profile_and_other_scenarios_none(tmp_path, quick):
    walk = played(tmp_path, WALK, "walk", kind="train", algorithm="ppo")
    with np.load(tmp_path / "walk" / PROFILE) as file:
        assert file["records"].shape == (walk["profile"]["records"], 2)
    assert played(tmp_path, ROOM, "room", kind="train")["profile"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "train", "coef": 1}, r"unknown settings \['coef'\]; there are: activation"),
        ({"kind": "tune"}, "kind must be one of train, finetune, mask, twin; got 'tune'"),
        ({"kind": "twin"}, "kind='twin' needs start, the arm to begin with"),
        ({"kind": "train", "dose_factor": 10.0}, "dose_factor needs dose_from"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings.of({**ROOM, **settings})
