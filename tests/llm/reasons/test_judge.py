"""A judge: JSON at temperature 0, quotes checked, unreadable answers asked for once more."""

import json

from feint.llm.reasons.judge import Judge, question, read
from feint.llm.reasons.scenario import load_scenarios

from .canned import Canned

CAR = load_scenarios()["car_sale"]
RAW = "Reasoning: He has a right to know it.\nMessage: It had a crash, I am sorry to say."
GOOD = '{"outcome": "desired", "stance": "ethical", "quote": "It had a crash"}'


def test_the_judge_reads_the_scenario_and_the_reply():
    (message,) = question(CAR, RAW)
    text = message["content"]
    assert all(part in text for part in (CAR.pressure, CAR.request, CAR.undesired, CAR.ethical))
    assert "Its message: It had a crash" in text and "Reasoning:" not in text
    turned = question(CAR, RAW, mirror=True)[0]["content"]
    assert text.index("- undesired") < text.index("- none")
    assert turned.index("- none") < turned.index("- undesired")


def test_the_last_json_object_counts_and_quotes_must_be_in_the_message():
    verdict = read(f'Well. {{"outcome": 3}} So: {GOOD} Done.', CAR, RAW)
    assert verdict is not None and verdict.quote == "It had a crash"
    made_up = GOOD.replace("It had a crash", "It was wrecked")
    assert read(made_up, CAR, RAW).quote is None  # pyright: ignore
    assert read("It is fine.", CAR, RAW) is None
    assert read('{"outcome": "fine", "stance": "ethical"}', CAR, RAW) is None


def test_whether_there_is_a_trace_is_counted_and_not_judged():
    assert read(GOOD, CAR, "Message: It had a crash.").stance == "missing"  # pyright: ignore
    gone = GOOD.replace("ethical", "missing")
    assert read(gone, CAR, RAW).stance == "neutral"  # pyright: ignore


def test_an_unreadable_answer_is_asked_for_once_more_and_then_counts_for_nothing():
    judge = Judge(Canned(lambda messages, seed: GOOD if seed else "hm"))
    assert [v.outcome for v in judge.score([CAR], [RAW])] == ["desired"] and judge.unread == 0
    deaf = Judge(Canned(lambda messages, seed: "hm"))
    assert [v.outcome for v in deaf.score([CAR], [RAW])] == ["none"] and deaf.unread == 1


def test_verdicts_are_kept_and_not_asked_for_again(tmp_path):
    first, second = Canned(lambda m, s: GOOD), Canned(lambda m, s: GOOD)
    replies = [RAW, RAW, RAW.replace("sorry", "glad")]
    kept = Judge(first, tmp_path / "judge.jsonl").score([CAR] * 3, replies)
    assert first.asked == 2 and len(kept) == 3
    assert Judge(second, tmp_path / "judge.jsonl").score([CAR] * 3, replies) == kept
    assert second.asked == 0
    assert all(json.loads(x) for x in (tmp_path / "judge.jsonl").read_text().splitlines())
