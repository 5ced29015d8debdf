"""SLURM scripts: what they submit, executed by stand-ins for SLURM's commands."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import feint
from feint.bench import Suite, SuiteFailed, run_suite
from feint.bench.slurm import levels, write_scripts
from feint.cli import main

from . import jobs
from .jobs import Inline, small, table, tiny

ROOT = Path(jobs.__file__).parents[jobs.__name__.count(".")]  # where `jobs` is imported from

#: Runs what it is given at once, one task after the other, and notes how it was called.
SBATCH = r"""#!/bin/bash
set -u
printf '%s\n' "$*" >> "$CALLS"
array= script= wrap= output=/dev/null
while [ $# -gt 0 ]; do
  case "$1" in
    --array=*) array="${1#--array=0-}" ;;
    --output=*) output="${1#--output=}" ;;
    --wrap) wrap="$2"; shift ;;
    --*) ;;
    *) script="$1"; shift; break ;;
  esac
  shift
done
number=$(wc -l < "$CALLS")
if [ -n "$wrap" ]; then bash -c "$wrap" > "$output" 2>&1; else
  for task in $(seq 0 "$array"); do
    SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "$script" "$@" \
      > "${output%%%A*}$task.log" 2>&1
  done
fi
echo "$number;a-cluster"
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in in the way; returns the file with its calls."""
    path = tmp_path / "bin/sbatch"
    path.parent.mkdir()
    path.write_text(SBATCH)
    path.chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    here = Path(feint.__file__).parents[1]  # this checkout's Feint, whatever is installed
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{here}")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.syspath_prepend(ROOT)
    return calls


def toml(suite: dict, path: Path) -> Path:
    """The few things that `table` has, as a file."""
    lines = [f'name = "{suite["name"]}"', f'job = "{suite["job"]}"', f"seeds = {suite['seeds']}"]
    for kind in ("scenario", "arm"):
        for entry in suite[kind]:
            lines += [f"[[{kind}]]", *(f"{key} = {value!r}" for key, value in entry.items())]
    path.write_text("\n".join(lines).replace("{'depth': 3}", "{ depth = 3 }"))
    return path


def slurm(*arguments: object) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", "slurm", *map(str, arguments)])
    assert caught.value.code == 0


def test_levels_follow_the_needs_and_leave_out_what_is_done():
    found = [[spec.arm for spec in level] for level in levels(tiny(seeds=[0]))]
    assert found == [["sly"] * 2, ["tuned"] * 2, ["masked"] * 2]
    done = {f"{key}/sly/seed0" for key in ("hill", "dale")}
    assert [[spec.arm for spec in level] for level in levels(tiny(seeds=[0]), done)] == [
        ["tuned"] * 2,
        ["masked"] * 2,
    ]


def test_the_scripts_run_the_suite(tmp_path: Path, sbatch: Path, monkeypatch, capsys):
    here = tmp_path / "a folder"  # with a space, as homes of some have
    here.mkdir()
    monkeypatch.chdir(here)
    data = table(scenario=[{"key": "hill", "title": "the hill"}])
    path = toml(data, here / "tiny.toml")
    slurm(path.name, "--out", "out", "--array-size", 1, "--directives", "partition=cpu", "mem=1G")
    folder = here / "out/slurm"
    assert f"6 runs to do; submit them with: bash {folder}/submit.sh" in capsys.readouterr().out
    for script in ("submit.sh", "task.sbatch"):
        assert subprocess.run(["bash", "-n", folder / script]).returncode == 0
    assert "\n#SBATCH --partition=cpu\n#SBATCH --mem=1G\n" in (folder / "task.sbatch").read_text()
    done = subprocess.run(
        ["bash", folder / "submit.sh"], cwd=tmp_path, capture_output=True, text=True
    )
    said = "\n".join(log.read_text() for log in sorted(folder.glob("*.log")))
    assert done.returncode == 0, done.stderr + said
    calls = sbatch.read_text().splitlines()
    assert len(calls) == 4
    for number, call in enumerate(calls[1:], 1):  # each waits for the one before
        assert f"--dependency=afterany:{number} " in call
    assert all("--array=0-0" in call for call in calls[:3])
    executor = Inline()
    suite = Suite.load(path)
    values = [r.payload["value"] for r in run_suite(suite, "out", executor=executor)]
    assert executor.ran == [], said
    clean = run_suite(suite, "clean", executor=Inline())
    assert values == [r.payload["value"] for r in clean]


def test_tasks_may_share_a_folder_and_each_does_its_own(tmp_path: Path):
    suite, out = tiny(seeds=[0]), tmp_path / "out"
    mine = ["hill/sly/seed0", "hill/tuned/seed0"]
    executor = Inline()
    results = run_suite(suite, out, executor=executor, only=mine)
    assert executor.ran == [result.run for result in results] == mine

    class Second(Inline):
        """While it runs, another task does other runs, and may not do these, nor all."""

        def submit(self, spec, folder, needs, log):
            half = folder.with_name(f".{folder.name}.part")
            half.mkdir(parents=True)
            run_suite(suite, out, executor=Inline(), only=["dale/sly/seed0"])
            assert half.exists()  # others sweep only their own
            with pytest.raises(ValueError, match="masked/seed0 is in use by another runner"):
                run_suite(suite, out, executor=Inline(), only=[spec.id])
            with pytest.raises(ValueError, match="out is in use by another runner"):
                run_suite(suite, out, executor=Inline())
            super().submit(spec, folder, needs, log)

    second = Second()
    run_suite(suite, out, executor=second, only=["hill/masked/seed0"])
    assert second.ran == ["hill/masked/seed0"]
    rest = Inline()
    run_suite(suite, out, executor=rest)
    assert rest.ran == ["dale/tuned/seed0", "dale/masked/seed0"]


def test_a_run_whose_needs_are_missing_says_so_and_the_others_go_on(tmp_path: Path):
    mine = ["hill/tuned/seed0", "hill/masked/seed0"]
    executor = Inline()
    with pytest.raises(SuiteFailed) as caught:
        run_suite(small(), tmp_path, executor=executor, only=mine)
    assert executor.ran == ["hill/masked/seed0"]
    assert str(caught.value).splitlines() == [
        "1 of 2 runs failed; the same command tries them again",
        "  hill/tuned/seed0: needs hill/sly/seed0, which has no result; run that first",
    ]
    with pytest.raises(ValueError, match="suite tiny has no run 'hill/x/seed0'; one is 'hill/"):
        run_suite(small(), tmp_path, executor=executor, only=["hill/x/seed0"])


def test_what_cannot_be_submitted_is_refused(tmp_path: Path):
    run_suite(small(), tmp_path / "done", executor=Inline())
    done = [spec.id for spec in small().runs()]
    refused: list[tuple[dict[str, Any], str]] = [
        ({"array_size": 0}, "array_size must be 1 or more, got 0"),
        ({"directives": ["--mem 4G"]}, "got the directive '--mem 4G'; takes what stands behind"),
        ({"before": "a\nb"}, "`before` must be one line"),
        ({"done": done}, "all runs of suite tiny are finished in"),
    ]
    for changes, message in refused:
        with pytest.raises(ValueError, match=message):
            write_scripts(small(), tmp_path / "out", ["run"], ["report"], **changes)
    assert not (tmp_path / "out").exists()
