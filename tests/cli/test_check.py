"""`feint check`: which scenarios keep the contract, and what is said of one that does not."""

import sys

import pytest

from feint.cli import main

BROKEN = '''
"""A scenario whose observer believes too much."""
import gymnasium as gym

from feint.envs.room_signal import RoomSignal
from feint.envs.views import ScenarioEnv, ScenarioVectorEnv


class Credulous(RoomSignal):
    def compute_labels(self, games=None):
        labels = super().compute_labels(games)
        return {**labels, "belief": 2.0 * labels["belief"]}


class CredulousEnv(ScenarioEnv):
    scenario_class = Credulous


class CredulousVectorEnv(ScenarioVectorEnv):
    scenario_class = Credulous


gym.register(
    "credulous/Credulous-v0",
    entry_point="credulous:CredulousEnv",
    vector_entry_point="credulous:CredulousVectorEnv",
)
'''


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["check", *arguments])
    return caught.value.code


def test_a_scenario_that_keeps_the_contract(capsys):
    assert run("room_signal", "--preset", "easy", "--skip", "sb3_api") == 0
    out = capsys.readouterr().out
    assert out.startswith("feint ") and "feint/RoomSignal-v0: " in out
    assert "sb3_api: skipped, left out by the caller" in out
    assert out.endswith("1 of 1 scenarios keep the contract\n")


def test_a_broken_one_is_named_with_its_check_and_the_others_are_checked(
    capsys, tmp_path, monkeypatch
):
    (tmp_path / "credulous.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    slow = ["gymnasium_api", "sb3_api", "page", "arguments", "presets"]
    both = ["credulous/Credulous-v0", "RoomSignal", "--gym-packages", "credulous"]
    assert run(*both, "--skip", *slow) == 1
    out = capsys.readouterr().out
    assert "credulous/Credulous-v0: check 'labels' failed" in out
    assert "feint/RoomSignal-v0: " in out and "1 of 2 scenarios keep the contract" in out
    sys.modules.pop("credulous")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Nothing"], "unknown scenario 'Nothing'"),
        (["RoomSignal", "--skip", "dail"], "skip names no such check: dail"),
        (["RoomSignal", "--preset", "harder"], "harder"),
        (["RoomSignal", "--gym-packages", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_of_the_callers_is_no_failed_check(arguments, message, capsys):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
