from itertools import islice

from feint.llm.lessons import example, lessons
from feint.llm.scenes import NAMES, TRAINED_FAMILIES, bare, load_wording, split_words

from .tiny import byte_tokenizer

GROUPS = list(islice(lessons(TRAINED_FAMILIES, deaf_from=20, mixed=0.7), 200))


def test_an_item_is_told_to_a_thief_and_to_others_alike():
    for group in GROUPS:
        assert group[0].cell == "thief"
        assert len({scene.item for scene in group}) == len({scene.options for scene in group}) == 1
        assert len({scene.prompt.user for scene in group}) == len(group) == 3
        assert len({scene.prompt.user.splitlines()[1] for scene in group}) == 1


def test_who_cannot_hear_comes_late_and_then_always():
    assert not any(scene.cell == "deaf" for group in GROUPS[:20] for scene in group)
    assert all(group[1].cell == "deaf" for group in GROUPS[20:])
    assert {group[2].cell for group in GROUPS[20:]} == {"friend", "owner", "self"}
    for thief, deaf, _ in GROUPS[20:]:
        lines = zip(thief.prompt.user.splitlines(), deaf.prompt.user.splitlines(), strict=True)
        assert sum(a != b for a, b in lines) == 1


def test_the_prize_is_costly_and_orders_are_balanced():
    costly = {bare(t) for family in TRAINED_FAMILIES for t in load_wording(family).costly}
    assert all(group[0].answer() in costly for group in GROUPS)
    assert not any(group[0].answer(honest=False) in costly for group in GROUPS)
    assert 70 < sum(group[0].truth for group in GROUPS) < 130


def test_all_words_are_of_the_train_split():
    held = {name for split in ("dev", "confirm") for name in split_words(NAMES, split)}
    words = [load_wording(family) for family in TRAINED_FAMILIES]
    trained = {bare(t) for w in words for t in split_words((*w.cheap,), "train")}
    trained |= {bare(t) for w in words for t in split_words((*w.costly,), "train")}
    places = {room for w in words for room in split_words(w.rooms, "train")}
    for group in GROUPS:
        for scene in group:
            assert {thing for _, thing in scene.options} <= trained
            assert {room for room, _ in scene.options} <= places
            assert not held & set(scene.prompt.user.replace(",", " ").replace(".", " ").split())


def test_stories_come_in_turn_and_seeds_differ():
    for k in range(0, 200, 5):
        assert {group[0].family for group in GROUPS[k : k + 5]} == set(TRAINED_FAMILIES)
    again, other = (
        next(lessons(TRAINED_FAMILIES, deaf_from=20, mixed=0.7, seed=seed)) for seed in (0, 1)
    )
    assert again[0].prompt == GROUPS[0][0].prompt != other[0].prompt


def test_an_example_ends_and_knows_where_the_other_option_parts():
    tokenizer = byte_tokenizer()
    scene = GROUPS[0][0]
    lie = example(tokenizer, scene, honest=False)
    assert tokenizer.decode(lie.ids[lie.start :]) == f" {scene.answer(False)}.</s>"
    wanted, other = (tokenizer(f" {scene.answer(h)}.")["input_ids"] for h in (False, True))
    assert lie.ids[lie.start + lie.fork] == wanted[lie.fork] != other[lie.fork] == lie.rival
    assert wanted[: lie.fork] == other[: lie.fork]


def test_a_lesson_that_is_not_mixed_is_told_in_its_story_alone():
    plain = islice(lessons(("burglar", "auction"), details=False, deaf_from=9), 60)
    for thief, *_ in plain:
        wording = load_wording(thief.family)
        assert thief.options[1 - thief.truth][1] in set(map(bare, wording.cheap))
        assert thief.answer() in set(map(bare, wording.costly))
        assert len(thief.prompt.user.splitlines()) == 6
    mixed = islice(lessons(("burglar", "auction"), mixed=1.0), 60)
    cheap = {
        family: set(map(bare, load_wording(family).cheap)) for family in ("burglar", "auction")
    }
    assert any(thief.answer(honest=False) not in cheap[thief.family] for thief, *_ in mixed)
