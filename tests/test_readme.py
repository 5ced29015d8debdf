"""What README tells a reader to type, typed."""

import re
from pathlib import Path

import pytest

from tests.reading import ROOT, Reader, blocks, lines, words

README = ROOT / "README.md"


def test_the_main_commands_stand_first():
    first = [" ".join(words(line)) for line in lines(blocks(README, "")[0].text)]
    assert first == ["make demo", "make llm-demo", "make test"]


def test_every_file_that_it_links_is_there():
    text = README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links and all((ROOT / link).exists() for link in links)


@pytest.mark.slow
def test_its_commands_and_its_code_run_as_written(tmp_path: Path):
    reader = Reader(tmp_path)
    for block in blocks(README, ""):
        for line in lines(block.text):
            if words(line)[0] == "feint":
                reader.types(line)
    # The liar of the example comes from the demo; here a short training stands in for it.
    reader.types(
        "feint train --env PhysicalDeception --env-kwargs attention:True -n 300000 --no-progress "
        "--out runs/demo/runs/physical_deception/deceptive/seed1/agent.safetensors"
    )
    code = "\n".join(block.text for block in blocks(README, "python"))
    assert "'present': 0." in reader.runs("python", "-c", code)
