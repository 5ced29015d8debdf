"""A suite as SLURM job arrays, for a cluster whose nodes share a disk.

out/slurm/level0.txt      ids of the runs that need no other, one a line; level1.txt: those that
                          need these; and so on
out/slurm/task.sbatch     one task of an array: some runs of a level
out/slurm/submit.sh       submits an array per level, each after the one before, then the report
out/slurm/<job>_<n>.log   what task n said
"""

import re
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from feint.bench.suite import RunSpec, Suite
from feint.files import write_atomically

_DIRECTIVE = re.compile(r"[a-z][a-z-]*(=[^\s]+)?")

_TASK = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --cpus-per-task=1
#SBATCH --requeue
{directives}
# Task of an array: of the list $1 every $2-th line, from its own on. What is finished is skipped,
# so that the same array can be submitted again.
set -euo pipefail
mapfile -t runs < <(awk -v first="$SLURM_ARRAY_TASK_ID" -v step="$2" \\
  '(NR - 1) % step == first' "$1")
cd {here}
{before}exec {run} --workers "${{SLURM_CPUS_PER_TASK:-1}}" --runs "${{runs[@]}}"
"""

_SUBMIT = """\
#!/bin/bash
# Submits suite {name}: {count} runs. Each level waits for the end of the one before, however that
# ended; runs whose needs are missing then say so, and the others go on.
set -euo pipefail
folder={folder}
submit() {{ sbatch --parsable --output="$folder/%A_%a.log" "$@"; }}
{arrays}
report=$(sbatch --parsable --output="$folder/report.log" --dependency=afterany:"$job" \\
  --job-name={name}-report --wrap {report})
echo "submitted; the last job, ${{report%%;*}}, writes $(dirname "$folder")/report.html"
"""


def levels(suite: Suite, leave_out: Collection[str] = ()) -> list[list[RunSpec]]:
    """The runs, by how long the longest chain of others is that each needs.

    Args:
        suite: what to run.
        leave_out: ids of runs that are finished; they count for nothing.
    """
    depth: dict[str, int] = {}
    found: list[list[RunSpec]] = []
    for spec in suite.runs():
        if spec.id in leave_out:
            continue
        depth[spec.id] = 1 + max((depth[need] for need in spec.needs if need in depth), default=-1)
        if depth[spec.id] == len(found):
            found.append([])
        found[depth[spec.id]].append(spec)
    return found


def write_scripts(
    suite: Suite,
    out: Path,
    run: list[str],
    report: list[str],
    *,
    done: Collection[str] = (),
    array_size: int = 1000,
    directives: Iterable[str] = (),
    before: str = "",
) -> Path:
    """Write the scripts into `out`/slurm, and return the one that submits them.

    Args:
        suite: what to run.
        out: folder of the suite's runs, on a disk that all nodes see.
        run: the command that runs what is named by `--runs` after it.
        report: the command that reports on all.
        done: ids of runs that are finished.
        array_size: most tasks of an array; a task then has several runs, one after the other.
        directives: for `#SBATCH --`, such as "partition=cpu" or "time=02:00:00".
        before: a line of shell that each task begins with, such as "module load python".

    Raises:
        ValueError: for a size under 1, what is no directive, or if nothing is missing.
    """
    if array_size < 1:
        raise ValueError(f"array_size must be 1 or more, got {array_size}")
    for directive in directives:
        if not _DIRECTIVE.fullmatch(directive):
            raise ValueError(
                f"got the directive {directive!r}; takes what stands behind #SBATCH --, without "
                "spaces, such as partition=cpu or time=02:00:00"
            )
    if "\n" in before:
        raise ValueError("`before` must be one line; join commands by && or put them into a file")
    found = levels(suite, done)
    if not found:
        raise ValueError(f"all runs of suite {suite.name} are finished in {out}")
    out = out.absolute()
    folder = out / "slurm"
    arrays = []
    for number, specs in enumerate(found):
        name = f"level{number}.txt"
        write_atomically(folder / name, "".join(f"{spec.id}\n" for spec in specs))
        after = ' --dependency=afterany:"$job"' if number else ""
        tasks = min(len(specs), array_size)
        arrays.append(
            f'job=$(submit --array=0-{tasks - 1}{after} "$folder/task.sbatch" '
            f'"$folder/{name}" {tasks}); job=${{job%%;*}}'
        )
    head = f"{before}\n" if before else ""
    task = _TASK.format(
        name=suite.name,
        directives="".join(f"#SBATCH --{directive}\n" for directive in directives),
        here=shlex.quote(str(Path.cwd())),
        before=head,
        run=shlex.join(run),
    )
    text = _SUBMIT.format(
        name=suite.name,
        count=sum(map(len, found)),
        folder=shlex.quote(str(folder)),
        arrays="\n".join(arrays),
        report=shlex.quote(f"cd {shlex.quote(str(Path.cwd()))} && {head}{shlex.join(report)}"),
    )
    write_atomically(folder / "task.sbatch", task)
    write_atomically(folder / "submit.sh", text)
    return folder / "submit.sh"
