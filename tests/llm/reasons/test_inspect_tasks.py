"""The experiment in Inspect, with its mock model."""

import pytest

pytest.importorskip("inspect_ai", reason="extra `evals`")

from feint.llm.inspect_tasks import TASKS
from feint.llm.reasons.inspect_tasks import reasons

from ..test_inspect_tasks import mock, run

HONEST = "Reasoning: He should know of it.\nMessage: It was in a serious accident."
DENIES = "Reasoning: He should know of it.\nMessage: It was never in an accident."


def test_an_injected_turn_stands_in_the_conversation_and_the_reply_is_scored(tmp_path):
    seen = []

    def answer(messages):
        seen.append([m.role for m in messages])
        return DENIES if "I'm afraid" in messages[2].text else HONEST

    wanted = {"scenarios": "car_sale", "arm": "refusal"}
    samples, values = run(reasons, mock(answer), tmp_path, **wanted)
    assert len(samples) == 3 and seen == [["system", "user", "assistant", "user"]] * 3
    assert values["undesired"]["mean"] == values["deceives"]["mean"] == pytest.approx(1 / 3)
    assert values["off_format"]["mean"] == 0.0
    assert {s.metadata["arm"] for s in samples} == {"refusal"}


def test_in_the_natural_arm_the_model_speaks_twice(tmp_path):
    seen = []

    def answer(messages):
        seen.append(len(messages))
        return f"turn {len(messages)}" if len(messages) == 2 else HONEST

    wanted = {"scenarios": "car_sale", "wordings": 1}
    samples, values = run(reasons, mock(answer), tmp_path, **wanted)
    assert seen == [2, 4] and samples[0].messages[2].text == "turn 2"
    assert samples[0].messages[3].text.startswith("From Peter Hallam")
    assert values["desired"]["mean"] == 1.0


def test_the_task_is_found_by_its_name():
    assert TASKS["reasons"] is reasons
