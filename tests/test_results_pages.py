"""The tables in docs/results are those that the stored results give."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def make_results():
    spec = importlib.util.spec_from_file_location("make_results", DOCS / "make_results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "row", "times"),
    [
        ("results/soo_rl.md", "| deceptive agent |", 6),
        ("results/soo_rl_recurrent.md", "| deceptive agent |", 1),
        ("results/soo_rl_sweep.md", "| deceptive agent |", 5),
        ("reasons.md", "| declines harmless |", 1),
        ("results/selfmodel_rl.md", "| lying pays, self-modeling 10 |", 1),
        ("self_modeling.md", "| 64 | self-modeling |", 10),
    ],
)
def test_a_page_shows_the_tables_of_what_is_stored(page, row, times):
    made = make_results().filled(page)
    assert (DOCS / page).read_text(encoding="utf-8") == made, "run `make results`"
    assert made.count(row) >= times


@pytest.mark.parametrize("page", ["performance.md", "README.md"])
def test_a_page_shows_the_timings_that_are_stored(page):
    module = make_results()
    (path,) = [path for path in module.TIMED if path.name == page]
    made = module.timed(path)
    assert path.read_text(encoding="utf-8") == made, "run `make results`"
    assert "| mpe2 | " in made


def test_every_timing_is_on_a_page_and_a_mark_that_is_missing_is_named(tmp_path):
    module = make_results()
    text = module.TIMED[0].read_text(encoding="utf-8")
    assert all(f"<!-- {name}: begin -->" in text for name in module.TIMINGS)
    (page := tmp_path / "page.md").write_text("<!-- llm: begin -->\n")
    with pytest.raises(ValueError, match=r"page.md lacks <!-- llm: begin --> and <!-- llm"):
        module.timed(page)


def test_every_page_is_tested():
    tested = test_a_page_shows_the_tables_of_what_is_stored.pytestmark[0].args[1]
    assert set(make_results().PAGES) == {page for page, *_ in tested}
