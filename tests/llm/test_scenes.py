"""Scenes: whole sentences, both orders, the same items in every cell, disjoint splits."""

import re
from itertools import combinations, product

import numpy as np
import pytest

from feint.envs.text import OTHER, parse
from feint.envs.text.burglar_text import BurglarText
from feint.envs.text.escape_room_text import EscapeRoomText
from feint.envs.text.treasure_hunt_text import TreasureHuntText
from feint.envs.text.wording import Wording
from feint.llm.scene import label
from feint.llm.scenes import (
    CELLS,
    FAMILIES,
    FOLDER,
    HELD_OUT_FAMILY,
    NAMES,
    SPLITS,
    TRAINED_FAMILIES,
    VARIANTS,
    bare,
    load_wording,
    make_scenes,
    split_words,
)


def texts(family, cell, **keywords):
    return [scene.prompt.user for scene in make_scenes(family, cell, **keywords)]


# -- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "cell"), list(product(FAMILIES, CELLS)))
def test_every_scene_is_made_of_whole_sentences(family, cell):
    for split in SPLITS:
        for text in texts(family, cell, split=split, n=40):
            assert not re.search(r"[{}]|  |\ba a|\bthe (?:a|an|the)\b|\.\.|\bNone\b", text)
            for line in text.splitlines():
                assert re.fullmatch(r"[A-Z].*[.?]", line), line
                assert not re.search(r"[.?:] (?!{)[a-z]", line.replace(": ", " ")), line
                for article, noun in re.findall(r"\b(an?) (\w+)", line, re.I):
                    vowel = re.match("(?!uni|one)[aeiou]|heir|hon", noun, re.I) is not None
                    assert (article.casefold() == "an") == vowel, line
            assert text.endswith("?") and text.count("?") == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_there_are_many_words_and_no_two_can_be_mixed_up(family):
    wording = load_wording(family)
    things = [bare(thing) for thing in (*wording.cheap, *wording.costly)]
    assert min(len(wording.rooms), len(wording.cheap), len(wording.costly)) >= 24
    names = (*wording.rooms, *things)
    for k, name in enumerate(names):
        assert parse(f"I would point to the {wording.place} with the {name}.", names) == k


@pytest.mark.parametrize("family", FAMILIES)
def test_the_two_things_begin_with_different_words(family):
    for scene in make_scenes(family, "thief", split="all", n=1000):
        cheap, costly = scene.answer(honest=False), scene.answer()
        assert cheap.split()[0].casefold() != costly.split()[0].casefold()


@pytest.mark.parametrize("family", FAMILIES)
def test_splits_share_no_room_no_thing_and_no_phrasing(family):
    wording = load_wording(family)
    for one, other in combinations(SPLITS, 2):
        for words in (wording.rooms, wording.cheap, wording.costly, NAMES):
            assert not {*split_words(words, one)} & {*split_words(words, other)}
    used = {
        split: [{*scene.options[0], *scene.options[1]} for scene in make_scenes(
            family, "thief", split=split, n=400
        )]
        for split in SPLITS
    }  # fmt: skip
    for one, other in combinations(SPLITS, 2):
        assert not set.union(*used[one]) & set.union(*used[other])
    assert len(wording.phrasings) >= 4
    openings = [
        {text.splitlines()[0] for text in texts(family, "thief", split=split, n=400)}
        for split in SPLITS
    ]
    assert not any(one & other for one, other in combinations(openings, 2))


def test_the_words_of_the_games_draw_what_they_drew():
    for env in (BurglarText, EscapeRoomText, TreasureHuntText):
        base, ours = Wording.load(env.story), load_wording(env.story)
        for words in ("rooms", "cheap", "costly", "phrasings"):
            old, new = getattr(base, words), getattr(ours, words)
            assert new[: len(old)] == old and len(new) > len(old)


@pytest.mark.parametrize("env", [BurglarText, EscapeRoomText, TreasureHuntText])
@pytest.mark.parametrize("cell", ["thief", "deaf", "friend", "self", "hurts"])
def test_the_games_can_read_our_scenes(env, cell):
    game = env(1, wording=FOLDER / f"{env.story}.toml", welfare=True)
    scenes = make_scenes(env.story, cell, split="all", n=40, seed=3)
    prompts = np.array([scene.prompt.user for scene in scenes], object)
    rows = game.prompts.read(prompts)
    assert list(game.prompts.write(rows)) == list(prompts)


# -- orders and cells -------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_neighbours_are_the_two_orders_of_one_item(family):
    for cell in CELLS:
        scenes = make_scenes(family, cell, n=40)
        for first, last in zip(scenes[::2], scenes[1::2], strict=True):
            assert (first.truth, last.truth) == (0, 1)
            assert (first.order, last.order) == ("truth_first", "truth_last")
            assert first.item == last.item and first.options == last.options[::-1]
            assert first.answer() == last.answer() != first.answer(honest=False)
            a, b = first.prompt.user.splitlines(), last.prompt.user.splitlines()
            assert a[1:3] == b[2:0:-1] and a[0] == b[0] and a[3:-1] == b[3:-1]
            for scene, lines in ((first, a), (last, b)):
                for k, (room, thing) in enumerate(scene.options):
                    assert room in lines[1 + k] and thing in lines[1 + k]
                asked = [lines[-1].index(f"the {room}") for room, _ in scene.options]
                assert asked == sorted(asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_cells_are_about_the_same_items(family):
    thief = make_scenes(family, "thief", n=20)
    for cell in CELLS:
        scenes = make_scenes(family, cell, n=20)
        assert [s.item for s in scenes] == [s.item for s in thief]
        assert [s.options for s in scenes] == [s.options for s in thief]
        assert all(s.cell == cell and s.family == family for s in scenes)
    deaf = make_scenes(family, "deaf", n=20)
    for hears, cannot in zip(thief, deaf, strict=True):
        a, b = hears.prompt.user.splitlines(), cannot.prompt.user.splitlines()
        assert [k for k, (x, y) in enumerate(zip(a, b, strict=True)) if x != y] == [4]


def test_items_are_distinct_and_fewer_are_the_first_of_more():
    for family in FAMILIES:
        many = make_scenes(family, "thief", split="confirm", n=400, seed=1)
        assert len({scene.item for scene in many}) == 200
        assert len({scene.prompt.user for scene in many}) == 400
        assert make_scenes(family, "thief", split="confirm", n=20, seed=1) == many[:20]
        assert make_scenes(family, "thief", split="confirm", n=20, seed=2) != many[:20]


def test_honest_and_deceptive_answers_are_labelled_as_such():
    for family, cell in product(FAMILIES, CELLS):
        for scene in make_scenes(family, cell, n=10):
            for honest, expected in ((True, "honest"), (False, "deceptive")):
                assert label(f"{scene.prompt.prefix} {scene.answer(honest)}.", scene) == expected


def test_the_truth_hurts_only_where_it_is_told_so():
    scene = make_scenes("burglar", "hurts", n=2)[0]
    room = scene.options[scene.truth][0]
    assert f"the floor gives way in the {room}" in scene.prompt.user
    assert "gives way" not in texts("burglar", "friend", n=2)[0]


# -- variants, names, wordings ----------------------------------------------------------------


def test_variants_edit_the_burglar_and_leave_the_item():
    plain = make_scenes("burglar", "thief", n=4)
    assert len(VARIANTS) == 7
    for variant in VARIANTS:
        scenes = make_scenes("burglar", "thief", n=4, variant=variant)
        assert [s.item for s in scenes] == [s.item for s in plain]
        for scene in scenes:
            text = scene.prompt.user
            assert scene.variant == variant
            assert ("Oliver" in text, "Bob" in text) == ("name" in variant, "name" not in variant)
            assert ("get hold of" in text) == ("objective" in variant)
            assert ("recommend" in text) == ("action" not in variant)


def test_names_are_drawn_for_every_item():
    names = split_words(NAMES, "train")
    seen = {name for text in texts("burglar", "thief", n=80, names=names) for name in names
            if f"{name} " in text}  # fmt: skip
    assert len(seen) > 5
    assert not any("Bob" in text for text in texts("burglar", "thief", n=80, names=names))


def test_a_detail_can_be_left_out():
    with_it, without = (make_scenes("burglar", "self", n=6, details=d) for d in (True, False))
    for one, other in zip(with_it, without, strict=True):
        lines = one.prompt.user.splitlines()
        assert other.prompt.user.splitlines() == lines[:-2] + lines[-1:]


def test_a_wording_of_ones_own_may_be_toml_or_yaml(tmp_path):
    toml = tmp_path / "mine.toml"
    toml.write_text('base = "burglar"\nplace = "chamber"\n[ears]\nrival = "{name} is all ears."\n')
    yaml = tmp_path / "mine.yaml"
    yaml.write_text('base: burglar\nplace: chamber\nears:\n  rival: "{name} is all ears."\n')
    one, other = (make_scenes("burglar", "thief", n=4, wording=path) for path in (toml, yaml))
    assert one == other
    assert "Bob is all ears." in one[0].prompt.user
    assert one[0].prompt.prefix == "I would point to the chamber with the"
    with pytest.raises(ValueError, match=r"no sentences for cell 'owner': add \[asker.owner\]"):
        make_scenes("burglar", "owner", n=4, wording=toml)


@pytest.mark.parametrize("story", ["smugglers", "auction", "library"])
def test_the_new_stories_can_be_played(story):
    game = BurglarText(4, wording=story)
    game.reset(seed=0)
    assert parse("nothing at all", game.wording.rooms) == OTHER


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"family": "heist"}, "family must be one of burglar, .*got 'heist'"),
        ({"cell": "foe"}, "cell must be one of thief, .*got 'foe'"),
        ({"split": "test"}, "split must be one of train, dev, confirm or all, got 'test'"),
        ({"n": 3}, "n must be an even number"),
        ({"n": 10**7}, "n must be at most"),
        ({"variant": "tone"}, "edits must be among name, objective, action, got 'tone'"),
        ({"family": "auction", "variant": "action"}, "edits must be among name, got 'action'"),
        ({"wording": "nowhere.toml"}, "cannot read 'nowhere.toml'"),
        ({"wording": "nowhere.yaml"}, "cannot read 'nowhere.yaml'"),
        ({"wording": "perspectives"}, "split 'dev' has 0 of cheap, and needs 1"),
    ],
)
def test_bad_arguments_are_named(keywords, match):
    with pytest.raises(ValueError, match=match):
        make_scenes(**{"family": "burglar", "cell": "thief", **keywords})


def test_a_base_that_leads_back_to_itself_is_refused(tmp_path):
    path = tmp_path / "loop.toml"
    path.write_text(f'base = "{path}"\n')
    with pytest.raises(ValueError, match="is its own base"):
        load_wording(path)


def test_the_held_out_family_is_not_trained_on():
    assert HELD_OUT_FAMILY not in TRAINED_FAMILIES and HELD_OUT_FAMILY in FAMILIES
