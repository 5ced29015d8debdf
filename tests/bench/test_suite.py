"""Suites: from TOML to runs."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from feint.bench import RunSpec, Suite
from feint.bench import suite as suite_module

from .jobs import table, tiny

TOML = """
name = "demo"
job = "feint.bench.rl:run"
seeds = [0, 1]
[defaults]
episodes = 2000
ppo = { lr = 1e-3, steps = 10 }
[[scenario]]
key = "lure"
title = "lure"
[scenario.settings]
ppo = { steps = 20 }
[[scenario]]
key = "room"
title = "room"
[[arm]]
key = "deceptive"
title = "deceptive agent"
role = "reference"
[[arm]]
key = "tuned"
title = "tuned"
role = "treatment"
needs = ["deceptive"]
settings = { soo = { coef = 1.0, layers = ["a", "b"] } }
[arm.per_scenario.room]
soo = { layers = ["c"] }
episodes = 5
"""


def by_id(suite: Suite) -> dict[str, RunSpec]:
    return {spec.id: spec for spec in suite.runs()}


def test_a_file_becomes_runs_with_merged_settings(tmp_path: Path):
    path = tmp_path / "demo.toml"
    path.write_text(TOML)
    specs = by_id(Suite.load(path))
    assert len(specs) == 2 * 2 * 2
    ppo = {"lr": 1e-3, "steps": 20}
    assert specs["lure/deceptive/seed1"].settings == {"episodes": 2000, "ppo": ppo}
    assert specs["lure/tuned/seed0"].settings == {
        "episodes": 2000,
        "ppo": ppo,
        "soo": {"coef": 1.0, "layers": ["a", "b"]},
    }
    room = specs["room/tuned/seed1"]
    assert room.settings == {
        "episodes": 5,
        "ppo": {"lr": 1e-3, "steps": 10},
        "soo": {"coef": 1.0, "layers": ["c"]},
    }
    assert room.needs == ("room/deceptive/seed1",)
    assert (room.suite, room.role, room.job) == ("demo", "treatment", "feint.bench.rl:run")


def test_runs_come_after_what_they_need():
    ids = [spec.id for spec in tiny().runs()]
    assert ids == [
        f"{scenario}/{arm}/seed{seed}"
        for scenario in ("hill", "dale")
        for arm in ("sly", "tuned", "masked")
        for seed in (0, 1)
    ]


def test_merging_leaves_the_suite_alone():
    suite = tiny(defaults={"soo": {"layers": ["a"]}})
    suite.runs()[0].settings["soo"]["layers"].append("b")
    assert all(spec.settings["soo"]["layers"] == ["a"] for spec in suite.runs())


def test_a_spec_survives_json():
    for spec in tiny(defaults={"lr": 3e-4, "nested": {"list": [1, None, True]}}).runs():
        twin = RunSpec.from_json(spec.to_json())
        assert twin == spec and twin.hash == spec.hash


def edited(**changes: Any) -> dict[str, RunSpec]:
    """The tiny suite's runs, with these keys of `tuned` changed."""
    data = table()
    data["arm"][0] |= changes
    return by_id(Suite.from_dict(data))


def test_hash_changes_when_what_the_run_or_its_needs_are_given_changes(monkeypatch):
    before = by_id(tiny())
    assert len({spec.hash for spec in before.values()}) == len(before)

    after = edited(settings={"coef": 2})
    changed = {run for run in before if before[run].hash != after[run].hash}
    assert changed == {run for run in before if "/tuned/" in run or "/masked/" in run}

    after = edited(per_scenario={"dale": {"coef": 2}})
    changed = {run for run in before if before[run].hash != after[run].hash}
    assert changed == {run for run in before if run.startswith(("dale/tuned", "dale/masked"))}

    for other in (
        tiny(defaults={"scale": 2.0}),
        tiny(job="other:run"),
        tiny(name="other"),
    ):
        assert all(before[run].hash != spec.hash for run, spec in by_id(other).items())
    assert edited(role="sham")["hill/tuned/seed0"].hash != before["hill/tuned/seed0"].hash

    monkeypatch.setattr(suite_module, "RESULT_SCHEMA", 1)
    assert all(before[run].hash != spec.hash for run, spec in by_id(tiny()).items())
    monkeypatch.undo()
    monkeypatch.setattr("feint.__version__", "99")
    assert all(before[run].hash != spec.hash for run, spec in by_id(tiny()).items())


def test_hash_stays_when_anything_else_changes():
    before = by_id(tiny())
    data = table(seeds=[1, 7, 0])
    data["scenario"].reverse()
    data["arm"].reverse()
    data["arm"][0]["title"] = "another title"
    data["arm"].append({"key": "new", "title": "new", "role": "sham"})
    after = by_id(Suite.from_dict(data))
    assert all(after[run].hash == spec.hash for run, spec in before.items())
    part = by_id(tiny().select(scenarios=["dale"], arms=["tuned"]))
    assert all(before[run].hash == spec.hash for run, spec in part.items())


def test_select_pulls_in_what_is_needed():
    part = tiny().select(scenarios=["dale"], arms=["tuned"])
    assert {(spec.scenario, spec.arm) for spec in part.runs()} == {
        ("dale", "sly"),
        ("dale", "tuned"),
    }
    assert [arm.key for arm in tiny().select(arms=["masked"]).arms] == ["tuned", "sly", "masked"]
    with pytest.raises(ValueError, match=r"arms: got 'slyest'; there are: tuned, sly, masked"):
        tiny().select(arms=["slyest"])
    with pytest.raises(ValueError, match=r"scenarios: got 'moor'; there are: hill, dale"):
        tiny().select(scenarios=["moor"])


def test_select_drops_what_runs_elsewhere():
    data = table()
    data["arm"][2] |= {"scenarios": ["hill"], "per_scenario": {"hill": {"x": 1}}}
    part = Suite.from_dict(data).select(scenarios=["dale"])
    assert [arm.key for arm in part.arms] == ["tuned", "sly"]


def test_with_seeds():
    assert {spec.seed for spec in tiny().with_seeds(range(5, 8)).runs()} == {5, 6, 7}
    with pytest.raises(ValueError, match=r"suite tiny: seeds: got 1 twice"):
        tiny().with_seeds([1, 1])


def change(path: str, value: Any) -> dict[str, Any]:
    data: Any = copy.deepcopy(table())
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    target = data
    for part in parents:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", None, "the key name is missing"),
        ("name", "../up", "name: got '../up'; string should match"),
        ("job", "no_function", "job: got 'no_function'; string should match"),
        ("seeds", [], "seeds: got none; takes at least one"),
        ("seeds", [0, 0], "seeds: got 0 twice"),
        ("seeds", [0, -1], r"seeds\[1\]: got -1; input should be greater than or equal to 0"),
        ("seeds", [True], r"seeds\[0\]: got True; input should be a valid integer"),
        (
            "sceneario",
            [],
            "unknown key sceneario; there are: name, job, seeds, dev_seeds, defaults",
        ),
        ("arm.0.needz", [], r"unknown key arm\[tuned\].needz; there are: key, title, role, needs"),
        ("scenario.1.colour", 1, r"unknown key scenario\[dale\].colour; there are: key, title"),
        ("arm.0.role", "boss", r"arm\[tuned\].role: got 'boss'; input should be 'reference'"),
        ("arm.0.key", "Big One", r"arm\[Big One\].key: got 'Big One'"),
        ("arm.0.key", "sly", "arm: got 'sly' twice"),
        ("scenario.0.key", "dale", "scenario: got 'dale' twice"),
        ("arm.0.title", None, r"the key arm\[tuned\].title is missing"),
        ("arm.0.needs", ["slyest"], r"arm\[tuned\].needs on hill: got 'slyest'; there are: tuned"),
        ("arm.1.scenarios", ["dale"], r"arm\[tuned\].needs on hill: got 'sly'; there are"),
        ("arm.1.scenarios", ["moor"], r"arm\[sly\].scenarios: got 'moor'; there are: hill, dale"),
        ("arm.1.per_scenario", {"moor": {}}, r"arm\[sly\].per_scenario: got 'moor'"),
        ("arm.1.needs", ["masked"], "circle on hill: .*sly.* <- .*; take one of these needs away"),
        ("arm.1.settings", {"a": [1.0, float("inf")]}, r"arm\[sly\].settings.a\[1\] is inf"),
        ("defaults", {"b": {"c": object()}}, r"defaults.b.c is a builtins.object, which JSON"),
        ("defaults", 3, "defaults: got 3; input should be a valid dictionary"),
    ],
)
def test_mistakes_are_named(path: str, value: Any, message: str):
    with pytest.raises(ValueError, match=f"^my.toml: .*{message}") as caught:
        Suite.from_dict(change(path, value), "my.toml")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"there is no suite 'nonsense'; there are: "):
        Suite.load("nonsense")
    with pytest.raises(ValueError, match=r"there is no suite file .*nonsense.toml"):
        Suite.load(tmp_path / "nonsense.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(ValueError, match=r"broken.toml is not TOML: Invalid value"):
        Suite.load(str(broken))


def test_suites_survive_their_own_table():
    data = table()
    data["arm"][0] |= {"scenarios": ["hill"], "per_scenario": {"hill": {"x": 1}}}
    data["arm"][2]["scenarios"] = ["hill"]
    suite = Suite.from_dict(data)
    assert Suite.from_dict(suite.to_dict()) == suite


def test_an_arm_stands_for_itself_at_several_doses():
    data = table()
    data["arm"][2] |= {"key": "sham", "doses": [0.1, 1, 10], "settings": {"soo": {"sham": "l2"}}}
    suite = Suite.from_dict(data)
    arms = {arm.key: arm for arm in suite.arms}
    assert list(arms) == ["tuned", "sly", "sham_x0_1", "sham", "sham_x10"]
    assert {arms[key].family for key in list(arms)[2:]} == {"sham"}
    assert arms["sham_x0_1"].title == "masked, 0.1x dose" and arms["tuned"].family == "tuned"
    settings = by_id(suite)["hill/sham_x10/seed0"].settings
    assert settings == {"scale": 1.0, "soo": {"sham": "l2"}, "dose_factor": 10.0}
    assert Suite.from_dict(suite.to_dict()).runs() == suite.runs()


def test_an_arm_that_is_run_once_stands_in_for_all_seeds():
    data: dict[str, Any] = tomllib.loads(TOML) | {"seeds": [3, 4]}
    data["arm"][0]["once"] = True
    runs = by_id(Suite.from_dict(data))
    assert "lure/deceptive/seed3" in runs and "lure/deceptive/seed4" not in runs
    assert runs["lure/tuned/seed4"].needs == ("lure/deceptive/seed3",)


@pytest.mark.parametrize("doses", [[], [1, 1], [0], ["1"], 3, [True], [float("inf")]])
def test_doses_that_are_none_are_named(doses):
    data = table()
    data["arm"][0]["doses"] = doses
    with pytest.raises(ValueError, match=r"^suite: arm\[tuned\].doses: got .*; takes different"):
        Suite.from_dict(data)


def test_development_seeds_are_kept_apart_from_the_others():
    suite = tiny(dev_seeds=[100, 101])
    assert [spec.seed for spec in suite.with_dev_seeds().select(["hill"], ["sly"]).runs()] == [
        100,
        101,
    ]
    assert suite.with_seeds([100]).dev_seeds == (101,)
    with pytest.raises(ValueError, match="seed 1 is in seeds and in dev_seeds"):
        tiny(dev_seeds=[1])
    with pytest.raises(ValueError, match="suite tiny names no dev_seeds"):
        tiny().with_dev_seeds()
