"""`benchmarks/soo_rl_paper.py`: tables from results, into a page's marks."""

import sys
from pathlib import Path

import numpy as np
import pytest

from feint.bench import RunResult, Suite
from feint.bench.profiles import PROFILE

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import soo_rl_paper as figures  # pyright: ignore[reportMissingImports]


def store(out, spec, mse, records):
    """One result as the job leaves it, with this overlap and these profile records."""
    folder = out / "runs" / spec.id
    folder.mkdir(parents=True)
    np.savez(folder / PROFILE, records=records.astype(np.float32))
    metrics = {name: {"mean": mse, "sd": 0.1, "n": 8} for name in METRICS}
    measured = {"gap": mse, "mse": mse, "log_mse": np.log(mse), "pairs": 9, "chunks": [mse, None]}
    payload = {
        "train_s": 1.0,
        "evaluation": {"present": metrics, "absent": metrics},
        "guards": None,
        "detector": {"present": dict.fromkeys(figures.MEASURES, measured)},
        "profile": {"records": len(records)},
    }
    result = RunResult.of(spec, payload, started="2026-01-01T00:00:00Z", wall_s=1.0, cpu_s=1.0)
    result.write(folder / "result.json")


METRICS = ("misled", "red_at_fake", "own_goal")
LIAR = np.array([[0.9, -0.5]] * 8)
OVERLAPS = {("deceptive", 1): 0.4, ("deceptive", 2): 0.2, ("honest", 1): 0.1, ("honest", 2): 0.3}


@pytest.fixture
def runs(tmp_path):
    suite = Suite.load("soo-rl-paper").select(["follower"]).with_seeds([1, 2])
    for spec in suite.runs():
        if spec.arm in ("deceptive", "honest", "overlap_released"):
            mse = OVERLAPS.get((spec.arm, spec.seed), 0.05)
            store(tmp_path, spec, mse, LIAR if spec.arm == "deceptive" else 1.0 - LIAR)
    return tmp_path


def test_detectors_are_judged_over_pairs_of_training_seeds(runs):
    text = figures.figures(runs)
    row = next(line for line in text.splitlines() if line.startswith("| flag kept"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "0.500 ± 0.707"  # seed 1 is right, seed 2 is wrong
    assert cells[2:] == ["0.75", "0.75", "4"]  # .1 < both liars, .3 < one of them


def test_an_agent_with_the_honest_profile_closes_the_whole_difference(runs):
    text = figures.figures(runs)
    row = next(line for line in text.splitlines() if line.startswith("| overlap to honest"))
    assert row.endswith("| 0.000 ± 0.000 |")
    row = next(line for line in text.splitlines() if line.startswith("| overlap to deceptive"))
    assert row.endswith("| 1.000 ± 0.000 |")


def test_a_page_gets_the_figures_between_its_marks(runs, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    assert figures.main([str(runs), str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| deceptive agent | 2 |" in text
    assert figures.main([str(runs), str(page)]) == 0
    assert page.read_text() == text


def test_what_is_missing_is_said_in_one_line(tmp_path, runs, capsys):
    page = tmp_path / "page.md"
    page.write_text("no marks")
    assert figures.main([str(runs), str(page)]) == 1
    assert "the page needs the lines" in capsys.readouterr().err
    assert page.read_text() == "no marks"
    assert figures.main([str(tmp_path / "nowhere")]) == 1
    assert "run: feint bench run soo-rl-paper" in capsys.readouterr().err


def test_the_documentation_page_has_the_marks():
    page = Path(__file__).parents[2] / "docs" / "reproducing" / "soo_rl.md"
    assert "figures here" in figures.filled(page.read_text(encoding="utf-8"), "figures here")
