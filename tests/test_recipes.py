"""What the recipes tell a reader to type, typed."""

import re
import shutil

import pytest

from feint.cli import main
from tests.reading import ROOT, Reader, blocks, lines, not_in, words

RECIPES = ROOT / "docs/recipes"


def texts(page, language):
    return [block.text for block in blocks(RECIPES / page, language)]


def test_the_code_for_roles_runs_and_says_what_stands_there(tmp_path):
    said = Reader(tmp_path).runs("python", "-c", "\n".join(texts("roles.md", "python")))
    assert not_in("\n".join(texts("roles.md", "text")), said) is None


@pytest.mark.slow
@pytest.mark.parametrize(("incentive", "lies"), [("1", True), ("0", False)])
def test_the_single_file_trainer_learns_to_lie_only_where_it_pays(incentive, lies, tmp_path):
    (command,) = texts("single_file_ppo.md", "sh")
    assert "--incentive 1" in command
    script = str(ROOT / words(command)[1])
    said = Reader(tmp_path).runs("python", script, "--incentive", incentive)
    rate = float(re.search(r"present lie ([\d.]+)", said).group(1))  # pyright: ignore
    assert rate > 0.9 if lies else rate < 0.1


@pytest.mark.slow
def test_rl_zoo3_trains_our_ids_by_the_commands_of_its_page(tmp_path):
    settings = tmp_path / "feint/agents/hyperparams"
    settings.mkdir(parents=True)
    shutil.copy(ROOT / "feint/agents/hyperparams/ppo.yml", settings)
    assert "200 Episodes" in Reader(tmp_path).follows(RECIPES / "rl_zoo3.md")


def test_slurm_is_given_the_scripts_that_the_page_submits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slurm, submit = lines(texts("slurm.md", "sh")[0])
    with pytest.raises(SystemExit, match=r"^0$"):
        main(list(words(slurm)[1:]))
    assert words(submit)[0] == "bash" and (tmp_path / words(submit)[1]).exists()
