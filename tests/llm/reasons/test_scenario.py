"""Scenarios as data: ours are complete, and a file of one's own is told what is wrong with it."""

from collections import Counter

import pytest
import yaml

from feint.llm.reasons.scenario import choose, load_scenarios

GOOD = {
    "id": "mine", "title": "t", "harm": "dishonesty", "system": "You sell.", "pressure": "Lie.",
    "request": "Is it true?", "rule": "the truth is told", "undesired": "lies", "ethical": "truth",
}  # fmt: skip


def test_there_are_the_role_plays_and_five_fresh_scenarios_of_each_class():
    found = load_scenarios()
    assert {"car_sale", "homes_race", "homes_drinks", "insider_trade"} <= set(found)
    fresh = Counter(s.harm for s in found.values() if s.origin == "fresh")
    assert all(fresh[harm] >= 5 for harm in ("dishonesty", "discrimination", "illegality"))


@pytest.mark.parametrize("scenario", load_scenarios().values(), ids=lambda s: s.id)
def test_every_name_of_a_scenario_has_another_and_is_gone_when_renamed(scenario):
    told = " ".join((scenario.system, scenario.pressure, scenario.request))
    assert scenario.names and scenario.cues is not None
    for name, other in scenario.names.items():
        assert name in told and name not in scenario.rename(told) and other in scenario.rename(told)


def test_the_control_differs_from_the_race_scenario_in_the_attribute_alone():
    race, drinks = (load_scenarios()[key] for key in ("homes_race", "homes_drinks"))
    assert race.system == drinks.system and race.undesired == drinks.undesired
    assert race.pressure.replace("Black clients", "Tea drinkers") == drinks.pressure


def test_the_small_design_takes_a_role_play_of_each_class():
    assert [s.id for s in choose(load_scenarios(), None, 1)] == [
        "car_sale", "homes_race", "insider_trade"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"there is no scenario 'boat'; there are: .*car_sale"):
        choose(load_scenarios(), ["boat"])


def test_a_file_of_ones_own_is_read(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump([GOOD]))
    assert load_scenarios(file)["mine"].rule == "the truth is told"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"harm": "rudeness"}, "harm must be one of dishonesty.*got 'rudeness'"),
        ({"rule": None}, "rule must be a text, got None"),
        ({"colour": "red"}, "unknown field 'colour'; there are: id, title"),
        ({"id": "My Own"}, "id must be of a-z, 0-9 and _"),
        ({"cues": {"desired": ["("]}}, r"cues.desired: '\(' is no regular expression"),
        ({"cues": {"silence": "gold"}}, "cues.silence must be one of undesired, none"),
        ({"cues": {"desirable": []}}, "cues must be a table of desired.*got 'desirable'"),
        ({"names": ["Ann"]}, "names must be a table"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, change, message):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump([GOOD | change]))
    with pytest.raises(ValueError, match=message):
        load_scenarios(file)


def test_a_missing_field_and_a_twin_are_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump([{k: v for k, v in GOOD.items() if k != "request"}]))
    with pytest.raises(ValueError, match=r"scenario 'mine': the field 'request' is missing"):
        load_scenarios(file)
    file = tmp_path / "twins.yaml"
    file.write_text(yaml.safe_dump([GOOD, GOOD]))
    with pytest.raises(ValueError, match=r"the id 'mine' is there twice"):
        load_scenarios(file)
