"""The tutorials, followed from top to bottom in a fresh folder, with smaller sizes (`SHORTER`)."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.reading import ROOT, Reader

TUTORIALS = ROOT / "docs" / "tutorials"

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def follow(reader: Reader, page: str) -> str:
    return reader.follows(TUTORIALS / page)


def number(said: str, before: str) -> float:
    """The first number behind some words."""
    found = re.search(re.escape(before) + r"\D*?(-?[\d.]+)", said)
    assert found is not None, said
    return float(found[1])


def test_a_liar_is_trained_and_unmasked(reader: Reader) -> None:
    said = follow(reader, "train_and_unmask.md")
    after = said.partition("overlap:")[2]
    assert number(said, "liar:\n    lies to a rival") > 0.9 > 0.2 > number(after, "lies to a rival")
    assert number(said, "liar deceives in") > 0.8 > 0.1 > number(said, "overlap deceives in")


def test_overlap_on_an_environment_of_ones_own(reader: Reader) -> None:
    said = follow(reader, "own_environment.md")
    lies = {name: number(said, f"\n{name:20} lies") for name in ("liar", "overlap")}
    assert lies["liar"] > 0.9 and lies["overlap"] < 0.1


def my_model(reader: Reader) -> None:
    """A tiny model with random weights, where the page has a link to a real one."""
    pytest.importorskip("transformers", reason="extra `llm`")
    from tests.llm.tiny import saved_model

    saved_model(reader.folder / "my-model", 1024)


def test_a_language_model_is_tuned(reader: Reader) -> None:
    my_model(reader)
    assert "honest" in follow(reader, "language_model.md")
    assert (reader.folder / "honest-model" / "model.safetensors").exists()


def test_a_language_model_is_scored_by_inspect(reader: Reader) -> None:
    pytest.importorskip("inspect_ai", reason="extra `evals`")
    my_model(reader)
    follow(reader, "inspect.md")
    assert len(list((reader.folder / "logs").iterdir())) == 3


def test_a_submission_is_made_verified_and_shown(reader: Reader) -> None:
    said = follow(reader, "leaderboard.md")
    assert re.search(r"([1-9]\d*) of \1 runs verified", said)
    page = reader.folder / "board" / "method" / "both_sides.html"
    assert "Ada Lovelace: both sides" in page.read_text(encoding="utf-8")


def test_a_suite_runs_on_ray(reader: Reader) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'feint[ray]'")
    follow(reader, "ray.md")
    assert list((reader.folder / "runs" / "ray" / "runs").rglob("result.json"))


def test_every_tutorial_is_followed() -> None:
    tested = set(re.findall(r'"(\w+\.md)"', Path(__file__).read_text(encoding="utf-8")))
    assert {page.name for page in TUTORIALS.glob("*.md")} == tested | {"README.md"}
