"""`feint selfmodel`, as typed."""

import pytest

from feint.cli import main

pytest.importorskip("sklearn")
RUN = ["selfmodel", "run", "--seeds", "2", "--epochs", "3", "--hidden", "8", "--draws", "10"]


def feint(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code


def test_a_study_prints_a_table_and_goes_on_where_it_was(tmp_path, capsys):
    out = tmp_path / "study"
    shorter = [*RUN, "--weights", "1", "10", "--controls", "random", "--out", str(out)]
    assert feint(*shorter, "--markdown") == 0
    said = capsys.readouterr().out
    assert "| 8 | baseline | 0 |" in said and "another" not in said
    assert "| 8 | a random network's activations as target | 10 |" in said
    assert said.count("\n| 8 |") == 4 and str(out / "report.html") in said
    before = {p: p.stat().st_mtime_ns for p in (out / "runs").iterdir()}
    assert len(before) == 8
    assert feint(*shorter) == 0
    assert {p: p.stat().st_mtime_ns for p in (out / "runs").iterdir()} == before
    assert "SD x RMS" in capsys.readouterr().out


def test_without_weights_there_is_a_baseline_alone(tmp_path, capsys):
    assert feint(*RUN, "--weights", "0", "--out", str(tmp_path), "--markdown") == 0
    assert capsys.readouterr().out.count("\n| 8 |") == 1


def test_the_tasks_are_listed(capsys):
    assert feint("selfmodel", "tasks") == 0
    said = capsys.readouterr().out
    assert "paper_text_variant" in said and "layer4.1.activation_shortcut" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nope"], "unknown data set 'nope'; there are: mnist"),
        (["--config", "nope"], "unknown config 'nope'"),
        (["--seeds", "0"], "seeds must be"),
        (["--controls", "nope"], "unknown control 'nope'"),
        (["--weights", "-1"], "weights must be finite and >= 0"),
        (["--data", "mnist", "--data-dir", "/nowhere"], "name the folder of the four IDX files"),
        (["--out", "/proc/x"], "cannot write"),
    ],
)
def test_wrong_input_is_one_line_on_stderr(arguments, message, capsys):
    assert feint("selfmodel", "run", *arguments) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and said.startswith("feint: ")
