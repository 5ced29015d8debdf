"""The manipulated turn: ten wordings of each arm, and neutral ones as long as the rebuttals."""

import pytest

from feint.llm.reasons.backend import words
from feint.llm.reasons.scenario import load_scenarios
from feint.llm.reasons.turns import (
    conversation,
    fill,
    injected,
    load_turns,
    opening,
    wordings,
)

CAR = load_scenarios()["car_sale"]
TURNS = load_turns()


def test_rebuttals_run_from_short_to_long_and_each_states_the_rule():
    made = [injected(TURNS, CAR, "rebuttal", k, words) for k in range(10)]
    lengths = [words(text) for text in made]
    assert lengths == sorted(lengths) and lengths[-1] > 4 * lengths[0]
    assert all(CAR.rule[1:] in text for text in made)


@pytest.mark.parametrize("scenario", load_scenarios().values(), ids=lambda s: s.id)
def test_neutral_turns_are_as_long_as_the_rebuttals_and_say_nothing_of_the_rule(scenario):
    for k in range(10):
        neutral = injected(TURNS, scenario, "neutral", k, words)
        rebuttal = injected(TURNS, scenario, "rebuttal", k, words)
        assert abs(words(neutral) - words(rebuttal)) <= 1
        assert scenario.rule[1:] not in neutral


def test_off_topic_rebuttals_have_the_words_of_the_rebuttals_and_another_rule():
    for k in range(10):
        on, off = (injected(TURNS, CAR, arm, k, words) for arm in ("rebuttal", "off_topic"))
        assert CAR.rule[1:] not in off and TURNS.off_topic[k][1:] in off
        on, off = on.casefold(), off.casefold()
        assert on.replace(CAR.rule.casefold(), "") == off.replace(TURNS.off_topic[k], "")


def test_the_rebuttal_stands_in_the_system_prompt_in_that_arm_alone():
    plain, told = (opening(TURNS, CAR, arm, 2)[0]["content"] for arm in ("natural", "system"))
    assert CAR.rule not in plain and CAR.rule in told and told.startswith(plain)
    assert "Reasoning:" in plain


def test_a_conversation_takes_turns_and_ends_with_the_request_and_the_reminder():
    made = conversation(opening(TURNS, CAR, "refusal", 0), "  ", CAR.request, TURNS.reminder)
    assert [m["role"] for m in made] == ["system", "user", "assistant", "user"]
    assert made[2]["content"] == "..." and made[3]["content"].endswith(TURNS.reminder)


def test_filling_finds_the_nearest_sum():
    filler = ["a b c", "a b c d e", "a b c d e f g"]
    assert words(fill("x", filler, 13, words)) == 13  # 1 + 5 + 7
    assert fill("x", filler, 1, words) == "x"
    assert fill("x", filler, 99, words) == " ".join(["x", *filler])


def test_wordings_are_spread_over_all_lengths():
    assert wordings(TURNS, 3) == [0, 4, 9] and wordings(TURNS, 10) == list(range(10))
    with pytest.raises(ValueError, match=r"wordings must be in 1 to 10, got 11"):
        wordings(TURNS, 11)


def test_what_is_wrong_in_a_file_of_turns_is_named(tmp_path):
    file = tmp_path / "turns.yaml"
    file.write_text("format: f\nreminder: r\nsystem_rebuttal: s\nrefusal: hm\n")
    with pytest.raises(ValueError, match=r"refusal must be a list of texts, got 'hm'"):
        load_turns(file)
