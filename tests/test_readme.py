"""What README tells a reader to type, typed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


#: What would take long takes a little: flags in addition.
SHORTER = {
    "llm organism": ["--params", "steps:2", "items:1"],
    "llm tune": ["--params", "steps:2", "n_pairs:4"],
    "llm eval": ["--n", "2"],
    "llm reasons": ["--wordings", "1", "--samples", "1", "--arms", "rebuttal"],
    "bench run": ["--scenarios", "kuhn_poker", "--seeds", "1"],
}


def blocks(language):
    fenced = README.split("```")[1::2]
    return [text.partition("\n")[2] for text in fenced if text.partition("\n")[0] == language]


def commands():
    text = "".join(blocks("")).replace("\\\n", "")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line for line in lines if line and line[0] == "feint"]


def test_the_main_commands_stand_first():
    assert [line.split("#")[0].strip() for line in blocks("")[0].splitlines()] == [
        "make demo",
        "make llm-demo",
        "make test",
    ]


def test_every_file_that_it_links_is_there():
    root = Path(__file__).parent.parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links and all((root / link).exists() for link in links)


@pytest.mark.slow
def test_its_commands_and_its_code_run_as_written(tmp_path):
    for command in commands():
        shorter = [] if "agreement" in command else SHORTER.get(" ".join(command[1:3]), [])
        done = subprocess.run(
            [sys.executable, "-m", "feint.cli", *command[1:], *shorter],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
    # The liar of the example comes from the demo; here a short training stands in for it.
    liar = tmp_path / "runs/demo/runs/physical_deception/deceptive/seed1/agent.safetensors"
    train = "train --env PhysicalDeception --env-kwargs attention:True -n 300000 --no-progress"
    made = subprocess.run(
        [sys.executable, "-m", "feint.cli", *train.split(), "--out", str(liar)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    code = "\n".join(blocks("python"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "'present': 0." in done.stdout
