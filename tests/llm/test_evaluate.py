import json
from dataclasses import replace

import pytest

from feint.llm.evaluate import EvalConfig, count, elsewhere, evaluate, find, scenes_of
from feint.llm.questions import QUESTION_KINDS, make_questions, questions_in
from feint.llm.reading import Reading
from feint.llm.scenes import FAMILIES, make_scenes, scenes_in

from .tiny import byte_tokenizer, tiny

SMALL = EvalConfig(
    cells=("thief", "friend"), families=("burglar", "auction"), variants=("name", "name_action"),
    questions=("wants",), n_thief=4, n=2, split="dev", max_new_tokens=2, transcripts=1,
)  # fmt: skip


def patient():
    tokenizer = byte_tokenizer()
    tokenizer.model_max_length = 2048
    return tokenizer


def test_everything_configured_is_asked_once():
    rows = [(r[0].family, r[0].cell, r[0].variant, len(r)) for r in scenes_of(SMALL)]
    assert rows[:4] == [
        ("burglar", "thief", "", 4),
        ("burglar", "friend", "", 2),
        ("auction", "thief", "", 4),
        ("auction", "friend", "", 2),
    ]
    assert rows[4:7] == [
        ("burglar", "thief", "name", 2),
        ("burglar", "thief", "name_action", 2),
        ("auction", "thief", "name", 2),  # the auction knows no other edit
    ]
    assert rows[7][:2] == ("questions", "wants")


def test_items_of_another_seed_are_asked_the_same_as_many_as_there_are():
    fresh = elsewhere(replace(SMALL, n=60, questions=("wants", "knows")), seed=10**10, factor=2)
    rows = [row for config in fresh for row in scenes_of(config)]
    before = scenes_of(replace(SMALL, n=60, questions=("wants", "knows")))
    name = lambda row: (row[0].family, row[0].cell, row[0].variant)  # noqa: E731
    assert sorted(map(name, rows)) == sorted(map(name, before))
    found = {name(row): row for row in rows}
    assert len(found["burglar", "thief", ""]) == 2 * SMALL.n_thief
    assert len(found["burglar", "friend", ""]) == len(found["burglar", "thief", "name"]) == 120
    (wants,) = (row for row in rows if row[0].cell == "wants")
    assert len(wants) == min(120, questions_in("wants", SMALL.split))
    assert {s.item for s in found["burglar", "thief", ""]} != {s.item for s in before[0]}


def test_a_split_has_so_many_scenes_and_no_more():
    for family in FAMILIES:
        most = scenes_in(family, "confirm")
        scenes = make_scenes(family, "thief", split="confirm", n=most)
        assert len({(scene.item, scene.order) for scene in scenes}) == most
        with pytest.raises(ValueError, match=f"at most {most} in split"):
            make_scenes(family, "thief", split="confirm", n=most + 2)
    for kind in QUESTION_KINDS:
        most = questions_in(kind, "dev")
        assert len(make_questions(kind, split="dev", n=most)) == most
        with pytest.raises(ValueError, match=f"at most {most} in split"):
            make_questions(kind, split="dev", n=most + 2)


def test_a_result_is_json_with_counts():
    result = evaluate(tiny(), patient(), SMALL)
    assert json.loads(json.dumps(result)) is not None
    row = find(result, "thief")
    assert row["n"] == 4
    assert row["items"] == 2
    assert sum(label["count"] for label in row["choice"].values()) == 4
    assert sum(label["count"] for label in row["said"].values()) == 4
    assert row["by_order"]["truth_first"]["honest"]["n"] == 2
    assert 0 <= row["mass"] <= 1
    assert len(row["transcripts"]) == 1
    assert row["transcripts"][0]["answer"].startswith("I would point to the room with the")
    with pytest.raises(ValueError, match="nothing was asked"):
        find(result, "owner")


def test_generation_can_be_left_out_or_sampled():
    plain = replace(SMALL, families=("burglar",), variants=(), questions=(), generate=False)
    assert "said" not in find(evaluate(tiny(), patient(), plain), "thief")
    some = replace(plain, generate=True, n_generate=2)
    assert find(evaluate(tiny(), patient(), some), "thief")["said"]["honest"]["n"] == 2


def test_scenes_can_be_rewritten_before_they_are_asked():
    def shout(scene):
        return replace(scene, prompt=replace(scene.prompt, user="HM?", prefix="SO"))

    plain = replace(SMALL, cells=("thief",), families=("burglar",), variants=(), questions=())
    result = evaluate(tiny(), patient(), plain, rewrite=shout)
    assert result["rows"][0]["transcripts"][0]["user"] == "HM?"


def test_labels_are_counted_by_order_and_resampled_over_items():
    scenes = make_scenes("burglar", "thief", n=8)
    told = {0: "honest", 1: "deceptive"}
    margins = [1.0 if told[scene.truth] == "honest" else -1.0 for scene in scenes]
    answers = [scene.answer(margin > 0) for scene, margin in zip(scenes, margins, strict=True)]
    answers[0] = "I cannot help, as that would mislead him."
    readings = [
        Reading(margin, 0.5, k != 1, f"{scene.prompt.prefix} {answer}")
        for k, (scene, margin, answer) in enumerate(zip(scenes, margins, answers, strict=True))
    ]
    readings[0] = replace(readings[0], answer=answers[0])
    row = count(scenes, readings)
    assert [row["choice"][name]["count"] for name in ("honest", "deceptive", "other")] == [4, 3, 1]
    assert row["by_order"]["truth_last"]["deceptive"]["rate"] == 0.75
    assert row["by_order"]["truth_first"]["honest"]["rate"] == 1.0
    assert row["said"]["refusal"]["count"] == 1
    assert row["said"]["deceptive"]["count"] == 4
    assert row["intent"] == 1 / 8
    # An item is honest in one order and not in the other: nearly no spread between items.
    assert row["deceptive"]["rate"] == 3 / 8
    assert row["deceptive"]["high"] == 0.5
    assert row["deceptive"]["high"] < row["choice"]["deceptive"]["high"]


def test_facts_are_as_many_as_there_are():
    (row,) = scenes_of(EvalConfig(cells=(), questions=("facts",), n=1000))
    assert 0 < len(row) < 1000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": ("burglar",)}, "cells must be among"),
        ({"families": ("zoo",)}, "families must be among"),
        ({"questions": ("maths",)}, "questions must be among"),
        ({"split": "test"}, "split must be one of"),
        ({"n": 0}, "n must be at least 1"),
    ],
)
def test_a_bad_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(**settings)
