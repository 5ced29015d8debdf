"""`feint report`: one page from results of any kind, and what is refused."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from feint.bench import RunResult, Suite
from feint.bench.store import export
from feint.cli import main

HOSTILE = "<script>alert(1)</script>"
STORED = Path(__file__).parents[2] / "benchmarks" / "results"


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        main(["report", *map(str, arguments)])
    return SimpleNamespace(code=caught.value.code, out=out.getvalue(), err=err.getvalue())


def suite() -> Suite:
    return Suite.from_dict(
        {
            "name": "mine",
            "job": "not_installed.at_all:run",
            "seeds": [1, 2, 3],
            "scenario": [{"key": "hill", "title": "the hill"}],
            "arm": [
                {"key": "liar", "title": "liar", "role": "reference"},
                {"key": "new", "title": HOSTILE, "role": "treatment"},
            ],
        }
    )


def results() -> list[RunResult]:
    found = []
    for spec in suite().runs():
        lies = (0.9 if spec.arm == "liar" else 0.1) + 0.01 * spec.seed
        payload = {
            "steps": 64,
            "evaluation": {"present": {"lie": {"mean": lies, "sd": 0.2, "n": 20}}},
            "choice": {"honest": {"count": 3, "rate": 0.3, "low": 0.1, "high": 0.6, "n": 10}},
            "note": HOSTILE,
            "nothing": None,
            "curve": {"steps": [0, 32, 64], "lie": [0.5, None, lies]},
        }
        found.append(RunResult.of(spec, payload, started="2026-01-01", wall_s=1.0, cpu_s=1.0))
    return found


@pytest.fixture
def stored(tmp_path) -> Path:
    export(suite(), results(), tmp_path / "stored")
    return tmp_path / "stored"


@pytest.fixture
def ran(tmp_path) -> Path:
    """A folder as `feint bench run` leaves it."""
    folder = tmp_path / "ran"
    for result in results():
        result.write(folder / "runs" / result.run / "result.json")
    specs = [json.loads(spec.to_json()) | {"hash": spec.hash} for spec in suite().runs()]
    (folder / "suite.json").write_text(json.dumps(suite().to_dict() | {"runs": specs}))
    return folder


def told(page: Path) -> str:
    """The page's words; it must be whole by itself, and names in it no more than names."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "<script" not in text and "<link" not in text and "@import" not in text
    words = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", words))


def test_stored_results_and_the_folder_that_they_are_of_give_the_same_page(stored, ran, tmp_path):
    pages = []
    for folder in (stored, ran):
        page = tmp_path / f"{folder.name}.html"
        done = run(folder, "--to", page)
        assert done.code == 0 and "the mine suite" in done.out and str(page) in done.out
        pages.append(told(page))
    assert pages[0] == pages[1]
    assert "evaluation / present / lie 0.92 [0.91, 0.93] 0.12 [0.11, 0.13]" in pages[0]
    assert "choice / honest 0.3 [0.3, 0.3]" in pages[0]
    assert "alert(1)" in pages[0]


def test_a_single_result_shows_all_its_numbers_and_its_curve(ran, tmp_path):
    file = ran / "runs" / "hill" / "new" / "seed2" / "result.json"
    for source in (file, file.parent):
        page = tmp_path / "one.html"
        assert run(source, "--to", page).code == 0
        text = told(page)
        assert "mine: hill/new/seed2" in text and "treatment of suite mine, seed 2" in text
        assert "present 0.12 ± 0.2 (n = 20)" in text and "0.300 [0.100, 0.600]" in text
        assert page.read_text().count("<svg") == 1


def test_several_give_one_page_with_a_section_each_and_a_table_of_contents(stored, ran, tmp_path):
    page = tmp_path / "all.html"
    file = ran / "runs" / "hill" / "liar" / "seed1" / "result.json"
    assert run(stored, ran, file, "--to", page).code == 0
    text = page.read_text()
    links = re.findall(r'<a href="#([^"]*)">([^<]*)</a>', text)
    assert [title for _, title in links] == ["the mine suite"] * 2 + ["mine: hill/liar/seed1"]
    assert [id for id, _ in links] == re.findall(r'<section id="([^"]*)">', text)
    told(page)


def test_results_of_agents_have_their_verdicts_and_plots(tmp_path):
    page = tmp_path / "agents.html"
    done = run(STORED / "soo-rl-recurrent", "--to", page)
    assert done.code == 0, done.err
    text = told(page)
    assert "gap closed" in text and "verdict" in text and "holds" in text
    assert page.read_text().count("<svg") >= 3


def test_what_cannot_be_reported_is_refused_in_one_line_and_leaves_the_page(ran, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("before")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.json").write_text('{"schema": 1}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "suite.json").write_text(json.dumps(suite().to_dict()))
    for source, said in {
        None: "name at least one",
        tmp_path / "nowhere": "there is no",
        tmp_path / "empty": "holds no suite.json, study.json or result.json",
        tmp_path / "other.json": "has result schema 1",
        tmp_path / "broken.json": "is not whole",
        tmp_path / "unfinished": "holds no finished run",
    }.items():
        done = run(*([] if source is None else [ran, source]), "--to", page)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1
        assert page.read_text() == "before"
    assert "is not a folder" in run(ran, "--to", page / "x.html").err
