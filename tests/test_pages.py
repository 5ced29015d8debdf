"""docs/scenarios is what docs/make_pages.py writes from the classes of today."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from feint.envs import SCENARIOS, scenario_class

DOCS = Path(__file__).parent.parent / "docs"
PAGES = DOCS / "scenarios"


def make_pages():
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts():
    return make_pages().texts()


def test_the_pages_are_up_to_date(texts):
    stale = [
        name
        for name, text in texts.items()
        if not (PAGES / name).exists() or (PAGES / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run `make pages`; out of date: {', '.join(stale)}"


def test_there_is_nothing_else_and_no_picture_is_missing_or_large():
    module = make_pages()
    pages = {f"{entry.snake}.md" for entry in SCENARIOS} | {"README.md", module.FILMS.name}
    pictures = {f"{entry.snake}.png" for entry in SCENARIOS}
    films = {f"{entry.snake}.gif" for entry in module.filmed()}
    assert {path.name for path in PAGES.iterdir()} == pages | pictures | films
    for name in pictures | films:
        data = (PAGES / name).read_bytes()
        assert data.startswith(b"\x89PNG" if name in pictures else b"GIF89a"), name
        assert len(data) <= (module.LIMIT if name in pictures else 300_000), name


def test_every_film_has_three_players_and_a_liar_who_can_be_told_from_the_honest_agent():
    module = make_pages()
    found = json.loads(module.FILMS.read_text(encoding="utf-8"))
    assert found.keys() == {entry.snake for entry in module.filmed()}
    for snake, record in found.items():
        assert list(record["rates"]) == ["scripted liar", "scripted honest agent", "trained agent"]
        liar, honest, _ = (float(rate.split()[0]) for rate in record["rates"].values())
        assert liar - honest >= 0.3, snake
        assert record["episodes"] >= 1000 and record["verdict"].startswith("This agent "), snake


def test_scenarios_in_words_have_a_transcript_in_place_of_a_film(texts):
    text = texts["burglar_text.md"]
    assert "feint play BurglarText --policy deceptive --condition present" in text
    assert "The same episode" in text and ".gif)" not in text


def test_every_link_in_a_page_leads_somewhere(texts):
    for name, text in texts.items():
        links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
        assert links, f"{name} has not even a picture"
        assert all((PAGES / link).exists() for link in links), name


@pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)
def test_a_page_lists_what_the_class_declares(entry, texts):
    cls, text = scenario_class(entry.id), texts[f"{entry.snake}.md"]
    assert text.count("\n# ") == 1
    for name in (*cls.metrics, *cls.conditions, *cls.presets, *cls.pair_kinds, *cls.policies):
        assert f"`{name}`" in text, name


def test_a_picture_that_cannot_be_small_is_refused():
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="more than 60000"):
        make_pages().small_png(noise)
