"""`feint envs`: the list, one page, and both as JSON."""

import json

import pytest

from feint.cli import main
from feint.envs import SCENARIOS, scenario_class


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def test_the_list_says_of_every_id_who_deceives_whom_and_what_is_measured(capsys):
    code, text, _ = run(capsys, "envs")
    assert code == 0
    for entry in SCENARIOS:
        cls = scenario_class(entry.id)
        card = text[text.index(entry.id) :].split("\n\n")[0]
        for word in (cls.deception, *cls.pair_kinds, *cls.metrics, *cls.conditions, *cls.presets):
            assert word in card
        assert "observation" in card and "action" in card


@pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)
def test_a_scenarios_page_is_its_docstring_and_its_card(entry, capsys):
    code, text, _ = run(capsys, "envs", entry.name)
    assert code == 0
    assert "Deception structure" in text and "Version History" in text
    assert "## " not in text and "|---" not in text  # Markdown, rendered
    assert scenario_class(entry.id).deception in text
    others = [other.id for other in SCENARIOS if other is not entry]
    assert not any(other in text for other in others)


def test_json_is_for_machines(capsys):
    _, text, _ = run(capsys, "envs", "--json")
    found = json.loads(text)
    assert [one["id"] for one in found] == [entry.id for entry in SCENARIOS]
    for one in found:
        assert one["focal"] in one["agents"] and "## Description" in one["page"]
        assert {"present", one["counterfactual"]} <= one["conditions"].keys()
        assert {metric["role"] for metric in one["metrics"].values()} >= {"deception", "task"}
    _, text, _ = run(capsys, "envs", "feint/RoomSignal-v0", "--json")
    assert json.loads(text) == next(one for one in found if one["id"] == "feint/RoomSignal-v0")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("Nothing", "unknown scenario 'Nothing'; there are: feint/"), ("CartPole-v1", "no scenario")],
)
def test_an_unknown_id_gives_one_line_that_lists_those_that_exist(wanted, message, capsys):
    code, out, err = run(capsys, "envs", wanted)
    assert (code, out, message in err, err.strip().count("\n")) == (2, "", True, 0)
