"""Questions about self and other, plain ones, and neutral text."""

import re

import pytest

from feint.envs.text import parse
from feint.llm.questions import NEUTRAL, QUESTION_KINDS, QUESTIONS, make_questions
from feint.llm.scene import label, speaks_of_deceit
from feint.llm.scenes import SPLITS

ABOUT_SOMEBODY = [kind for kind in QUESTION_KINDS if kind != "facts"]


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_questions_are_whole_mirrored_and_labelled(kind):
    scenes = make_questions(kind, split="confirm", n=30)
    assert len({scene.prompt.user for scene in scenes}) == 30
    for first, last in zip(scenes[::2], scenes[1::2], strict=True):
        assert (first.truth, last.truth) == (0, 1) and first.item == last.item
        assert first.options == last.options[::-1] and first.variant == last.variant
        assert first.answer() == last.answer() and first.prompt.prefix == last.prompt.prefix
    for scene in scenes:
        assert scene.cell == kind and scene.family == "questions"
        for line in scene.prompt.user.splitlines():
            assert re.fullmatch(r"[A-Z][^{}]*[.?]", line)
        names = [option[-1] for option in scene.options]
        ask = scene.prompt.user.splitlines()[-1].casefold()
        assert ask.index(names[0].casefold()) < ask.rindex(names[1].casefold())
        for honest, expected in ((True, "honest"), (False, "deceptive")):
            assert label(f"{scene.prompt.prefix} {scene.answer(honest)}.", scene) == expected


@pytest.mark.parametrize("kind", ABOUT_SOMEBODY)
def test_the_answer_is_the_room_or_thing_of_whom_it_is_about(kind):
    scenes = make_questions(kind, n=40)
    assert [scene.variant for scene in scenes[::2]] == ["other", "self"] * 10
    for scene in scenes:
        mine, theirs = scene.item.split("|")
        assert scene.answer() == (theirs if scene.variant == "other" else mine)
        told = scene.prompt.user.splitlines()
        at = [next(k for k, line in enumerate(told) if room in line) for room in (mine, theirs)]
        assert sorted(at) == [0, 1]
        owner = re.match(r"(?:While Bob was out, |Before, )?(You|you|Bob)\b", told[at[1]])
        assert owner is not None and owner[1] == "Bob"
        first = scene.options[0][0]
        assert first in told[0]  # told first, asked first


@pytest.mark.parametrize("kind", ABOUT_SOMEBODY)
def test_no_fixed_choice_does_better_than_chance(kind):
    scenes = make_questions(kind, n=40)
    assert sum(scene.truth for scene in scenes) == 20
    mine = [scene.item.split("|")[0] == scene.answer() for scene in scenes]
    assert sum(mine) == 20


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_splits_share_no_answer(kind):
    answers = [
        {s.item for s in make_questions(kind, split=split, n=2 * n)}
        for split, n in zip(SPLITS, (36, 18, 18), strict=True)
    ]
    assert not answers[0] & answers[1] and not answers[0] & answers[2]
    assert not answers[1] & answers[2]


def test_the_other_may_have_another_name():
    texts = [scene.prompt.user for scene in make_questions("wants", n=20, names=("Ann", "Ben"))]
    assert any("Ann" in text for text in texts) and any("Ben" in text for text in texts)
    assert not any("Bob" in text for text in texts)


def test_facts_have_one_right_answer_and_no_wrong_one_is_accepted():
    assert len(QUESTIONS) >= 60 and len({question for question, _ in QUESTIONS}) == len(QUESTIONS)
    for question, accepted in QUESTIONS:
        assert question.endswith("?") and accepted
        assert all(parse(f"It is {answer}.", accepted) >= 0 for answer in accepted)
    for scene in make_questions("facts", split="all", n=2 * len(QUESTIONS)):
        right, wrong = scene.options[scene.truth], scene.options[1 - scene.truth]
        assert len({*right, *wrong}) == len(right) + len(wrong)
        assert dict(QUESTIONS)[f"{scene.item}?"][0] == scene.answer()


def test_neutral_text_is_plain_plentiful_and_different_in_every_split():
    assert set(NEUTRAL) == set(SPLITS)
    assert len(NEUTRAL["train"]) >= 40 and len(NEUTRAL["confirm"]) >= 40
    everything = [text for split in SPLITS for text in NEUTRAL[split]]
    assert len(set(everything)) == len(everything)
    for text in everything:
        assert 15 <= len(text.split()) <= 60 and text.endswith(".") and "\n" not in text
        assert not speaks_of_deceit(text) and "?" not in text and "Bob" not in text


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"kind": "riddles"}, "kind must be one of perspectives, .*got 'riddles'"),
        ({"n": 5}, "n must be an even number"),
        ({"split": "test"}, "split must be one of train, dev, confirm or all, got 'test'"),
        ({"n": 10**6}, "n must be at most"),
        ({"kind": "facts", "n": 200}, "n must be at most 36 in split 'dev', got 200"),
    ],
)
def test_bad_arguments_are_named(keywords, match):
    with pytest.raises(ValueError, match=match):
        make_questions(**{"kind": "wants", **keywords})
