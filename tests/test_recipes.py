"""What the recipes tell a reader to type, typed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from feint.bench import Suite

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "docs/recipes"


def blocks(page, language):
    fenced = (RECIPES / page).read_text().split("```")[1::2]
    return [text.partition("\n")[2] for text in fenced if text.partition("\n")[0] == language]


def ran(command, folder):
    """What a command says; it finds this checkout's Feint, whatever is installed."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("page", ["own_environment.md", "roles.md"])
def test_the_code_of_a_page_runs_and_says_what_stands_there(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    said = ran([sys.executable, "-c", code], tmp_path).splitlines()
    shown = "\n".join(blocks(page, "text"))
    for line in said:  # numbers differ from machine to machine; words and forms do not
        assert re.sub(r"[-\d.]+", "#", line) in re.sub(r"[-\d.]+", "#", shown)


def test_the_columns_that_a_recipe_names_are_the_adversarys():
    from mpe2 import simple_adversary_v3

    env = simple_adversary_v3.parallel_env()
    seen, _ = env.reset(seed=0)
    adversary, *agents = env.unwrapped.world.agents
    for agent in agents:
        np.testing.assert_allclose(
            seen[agent.name][6:8], adversary.state.p_pos - agent.state.p_pos, rtol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize(("incentive", "lies"), [("1", True), ("0", False)])
def test_the_single_file_trainer_learns_to_lie_only_where_it_pays(incentive, lies, tmp_path):
    (command,) = blocks("single_file_ppo.md", "sh")
    assert "--incentive 1" in command
    script = shlex.split(command)[1]
    said = ran([sys.executable, ROOT / script, "--incentive", incentive], tmp_path)
    rate = float(re.search(r"present lie ([\d.]+)", said).group(1))  # pyright: ignore
    assert rate > 0.9 if lies else rate < 0.1


@pytest.mark.slow
def test_rl_zoo3_trains_our_ids_by_the_commands_of_its_page(tmp_path):
    settings = tmp_path / "feint/agents/hyperparams"
    settings.mkdir(parents=True)
    shutil.copy(ROOT / "feint/agents/hyperparams/ppo.yml", settings)
    commands = [line for block in blocks("rl_zoo3.md", "sh") for line in block.splitlines()]
    assert len(commands) == 3
    for command in commands:
        said = ran([sys.executable, *shlex.split(command)[1:]], tmp_path)
    assert "200 Episodes" in said  # pyright: ignore[reportPossiblyUnboundVariable]


def test_the_commands_for_clusters_are_understood(tmp_path, monkeypatch):
    from feint.cli import _parse

    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("cluster.md", "sh") for line in block.splitlines()]
    ours = [words for line in lines if (words := shlex.split(line, comments=True))[0] == "feint"]
    assert len(ours) == 5
    for words in ours:
        command = _parse(words[1:]).command
        if type(command).__name__ == "BenchSlurm":
            assert command.run() == 0
            assert words[words.index("--out") + 1] + "/slurm/submit.sh" in "\n".join(lines)
            assert (tmp_path / "runs/soo-rl/slurm/submit.sh").exists()
        else:
            suite = Suite.load(command.suite)
            assert set(command.runs or ()) <= {spec.id for spec in suite.runs()}
