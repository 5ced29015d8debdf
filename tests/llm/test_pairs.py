"""Pairs: what differs between their sides and what does not, and files of one's own."""

import pytest

from feint.llm.pairs import FORMS, PAIR_KINDS, TextPairs, load_pairs, make_pairs
from feint.llm.scene import Prompt
from feint.llm.scenes import FAMILIES, NAMES, TRAINED_FAMILIES, make_scenes, split_words


def sides(kind, **keywords):
    pairs = make_pairs(kind, **keywords)
    return list(zip(pairs.self_prompts, pairs.other_prompts, strict=True))


def lines(prompt):
    return prompt.user.splitlines()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", PAIR_KINDS)
def test_there_are_as_many_as_asked_for_and_all_differ(kind, form):
    pairs = make_pairs(kind, n=33, form=form, families=TRAINED_FAMILIES)
    assert len(pairs) == 33 and pairs.kind == kind
    for one, other in zip(pairs.self_prompts, pairs.other_prompts, strict=True):
        assert one.user != other.user
        assert "{" not in one.user + other.user
    assert len({prompt.user for prompt in pairs.other_prompts}) == 33
    assert make_pairs(kind, n=33, form=form, families=TRAINED_FAMILIES) == pairs
    assert make_pairs(kind, n=33, form=form, families=TRAINED_FAMILIES, seed=1) != pairs


@pytest.mark.parametrize(("kind", "cell"), [("presence", "self"), ("belief", "deaf"),
                                            ("friend", "friend")])  # fmt: skip
def test_treatments_tell_the_same_item_for_another_asker(kind, cell):
    known = {
        c: {s.prompt: (s.item, s.truth) for s in make_scenes("burglar", c, split="train", n=64)}
        for c in (cell, "thief")
    }
    for one, other in sides(kind, n=64):
        assert known[cell][one] == known["thief"][other]
        assert one.prefix == other.prefix == "I would point to the room with the"


def test_the_belief_pair_differs_in_hearing_alone():
    for one, other in sides("belief", families=FAMILIES, n=60):
        changed = [a != b for a, b in zip(lines(one), lines(other), strict=True)]
        assert changed == [k == 4 for k in range(len(changed))]


def test_controls_differ_in_nothing_that_matters():
    for one, other in sides("names", n=20):
        name = next(name for name in NAMES if name in one.user)
        assert one.user.replace(name, "Bob") == other.user
        assert name in split_words(NAMES, "train")
    for one, other in sides("irrelevant", n=20):
        changed = [k for k, (a, b) in enumerate(zip(lines(one), lines(other), strict=True))
                   if a != b]  # fmt: skip
        assert changed == [len(lines(other)) - 2]
    for one, other in sides("unrelated", n=20):
        assert lines(one)[1:3] != lines(other)[1:3]
        assert "yourself" not in one.user.splitlines()[-1]


def test_both_orders_and_all_families_are_there_alike():
    for family in FAMILIES:
        everything = {s.prompt: s for c in ("thief",)
                      for s in make_scenes(family, c, split="train", n=20)}  # fmt: skip
        found = [everything[other] for _, other in sides("presence", families=[family], n=20)]
        assert sum(scene.truth for scene in found) == 10
    texts = [other.user for _, other in sides("presence", families=FAMILIES, n=60)]
    assert sum(" cave" in text and "You know both" not in text for text in texts) >= 10


def test_fragments_are_bare_and_unfinished():
    for kind in PAIR_KINDS:
        for one, other in sides(kind, form="fragment", n=48):
            for prompt in (one, other):
                assert prompt.prefix == "" and prompt.system is None
                assert prompt.user[-1].isalpha() and "?" not in prompt.user
    for one, other in sides("presence", form="fragment", n=48):
        assert "Bob" not in one.user and "you" in one.user.casefold()
        assert other.user.count("Bob") == 2
    things = {other.user for _, other in sides("presence", form="fragment", n=48)}
    assert len(things) == 48


@pytest.mark.parametrize("form", FORMS)
def test_splits_share_no_text(form):
    texts = [
        {p.user for pair in sides("presence", form=form, split=split, n=20) for p in pair}
        for split in ("train", "dev", "confirm")
    ]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"kind": "love"}, "kind must be one of presence, .*got 'love'"),
        ({"form": "poem"}, "form must be one of scene, fragment, got 'poem'"),
        ({"families": "burglar"}, "families must be a list of names, got 'burglar'"),
        ({"families": ["heist"]}, "families must be among burglar, .*got 'heist'"),
        ({"n": 0}, "n must be > 0, got 0"),
        ({"split": "test"}, "split must be one of"),
        ({"n": 64, "form": "fragment"}, "has 48 in split 'train': name more families"),
    ],
)
def test_bad_arguments_are_named(keywords, match):
    with pytest.raises(ValueError, match=match):
        make_pairs(**{"kind": "presence", **keywords})


# -- files ------------------------------------------------------------------------------------


def write(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_pairs_are_read_word_by_word(tmp_path):
    text = 'pairs:\n  - ["I see", "Bob sees"]\n  - ["I go", "Bob goes"]\nsystem: Be kind.\n'
    pairs = load_pairs(write(tmp_path, text))
    assert pairs == TextPairs(
        (Prompt("I see", "", "Be kind."), Prompt("I go", "", "Be kind.")),
        (Prompt("Bob sees", "", "Be kind."), Prompt("Bob goes", "", "Be kind.")),
        "mine",
    )


TEMPLATES = """
kind = "presence"
prefix = "I would"
templates = [
    {self = "I, {thing}", other = "Bob, {thing}"},
    {self = "me {thing}", other = "I {thing}"},
]
slots = {thing = ["hat", "cup", "pin"]}
"""


def test_templates_take_turns_or_all_take_every_word(tmp_path):
    pairs = load_pairs(write(tmp_path, TEMPLATES, "mine.toml"))
    assert [p.user for p in pairs.self_prompts] == ["I, hat", "me cup", "I, pin"]
    assert [p.user for p in pairs.other_prompts] == ["Bob, hat", "I cup", "Bob, pin"]
    assert pairs.kind == "presence" and pairs.self_prompts[0].prefix == "I would"
    pairs = load_pairs(write(tmp_path, TEMPLATES + "every = true\n", "mine.toml"))
    assert len(pairs) == 6 and pairs.self_prompts[1].user == "me hat"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "mine.yaml: is empty; give `pairs`"),
        ("pairs: []", "pairs must be a list of one pair or more"),
        ("pairs: [[a]]", r"pairs\[0\] must be two texts, self and other, got \['a'\]"),
        ("pairs: [[a, 3]]", r"pairs\[0\] must be two texts"),
        ("- a", "must be a table of keys, got list"),
        ("pears: []", "unknown keys: pears; known are every, kind"),
        ("kind: x", "give either `pairs`, or"),
        ("pairs: [[a, b]]\nprefix: 3", "prefix and system must be strings"),
        ("templates: []\nslots: {a: [b]}", "templates must be a list"),
        ("templates: [{self: a, other: b}]", "slots must be a table of lists"),
        ("templates: [{self: a, other: b}]\nslots: {a: [x], b: [x, y]}", "slots.b must be a list"),
        ("templates: [{self: a}]\nslots: {a: [b]}", r"templates\[0\] must have `self` and `other`"),
        ('templates: [{self: "{c}", other: b}]\nslots: {a: [b]}', r"self: no slot \{c\}"),
        ('templates: [{self: "{", other: b}]\nslots: {a: [b]}', r"templates\[0\].self"),
        ("pairs: [", "is no YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, text, match):
    with pytest.raises(ValueError, match=match) as caught:
        load_pairs(write(tmp_path, text))
    assert "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    for name in ("no.yaml", "no.toml"):
        with pytest.raises(ValueError, match=f"cannot read .*{name}"):
            load_pairs(tmp_path / name)
