"""`feint bench`: run suites, and report on them."""

import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

if TYPE_CHECKING:
    from feint.bench import Executor, RunResult, Suite

_Name = Annotated[Positional[str], arg(metavar="SUITE")]


@dataclass(frozen=True)
class BenchRun:
    """Run what is missing of a suite, and report on what is there.

    Interrupted, the same command goes on where it was. A run that is in the folder with the same
    settings is not run again, also when only part of the suite was asked for before.

    Examples:
      feint bench run demo --scenarios room_signal --seeds 1 2

      feint bench run my-suite.toml --out runs/mine --workers 2

      feint bench run soo-rl --ray head:6379
    """

    suite: _Name
    """One of `feint bench list`, or a .toml file of your own."""
    out: Path | None = None
    """Folder for everything it writes; runs/NAME by default."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    dev: bool = False
    """Run the seeds on which its settings were chosen, in place of its own."""
    scenarios: tuple[str, ...] | None = None
    """Only these scenarios."""
    arms: tuple[str, ...] | None = None
    """Only these arms, and those that they need."""
    runs: tuple[str, ...] | None = None
    """Only these runs, as in room_signal/honest/seed1, without what they need, and no report.
    Several such commands may share the folder."""
    workers: int | None = None
    """Runs at once; all cores by default."""
    ray: Annotated[tuple[str, ...] | None, arg(metavar="[ADDRESS]")] = None
    """Run on a Ray cluster: the address of its head (host:port); without one, the cluster that this
    machine is in, or else one of its own."""
    ray_cpus: float = 1.0
    """Cores that the cluster keeps for each run, which computes on one thread."""
    ray_gpus: float = 0.0
    """GPUs that it keeps for each run."""
    ray_retries: int = 3
    """How often a run is started again because its worker or node died."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Run the suite and report."""
        suite = chosen(self.suite, self.seeds, self.scenarios, self.arms, self.dev)
        out, workers, executor = self.out or default_out(suite), self.workers, None
        if self.ray is not None:
            from feint.bench.ray_executor import RayExecutor

            if len(self.ray) > 1:
                raise ValueError(f"--ray takes one address, got {' '.join(self.ray)}")
            address = self.ray[0] if self.ray else None
            asked = (self.ray_cpus, self.ray_gpus, self.ray_retries)
            workers, executor = None, RayExecutor(address, workers, *asked)
        else:
            check(suite)
        if self.runs is None:
            return run_and_report(suite, out, workers, self.markdown, executor)
        from feint.bench import run_suite

        results = run_suite(suite, out, workers, executor=executor, only=self.runs)
        print(f"{len(results)} runs are finished in {out}")
        return 0


@dataclass(frozen=True)
class BenchSlurm:
    """Write SLURM scripts that run what is missing of a suite: an array per level of needs.

    They go to OUT/slurm, and OUT must lie on a disk that all nodes see; `bash OUT/slurm/submit.sh`
    submits them. The tasks use this Python, and begin in this folder.

    Examples:
      feint bench slurm soo-rl --out runs/soo-rl --directives partition=cpu time=02:00:00
    """

    suite: _Name
    """One of `feint bench list`, or a .toml file of your own."""
    out: Path
    """Folder for everything that the runs write."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    dev: bool = False
    """Run the seeds on which its settings were chosen, in place of its own."""
    scenarios: tuple[str, ...] | None = None
    """Only these scenarios."""
    arms: tuple[str, ...] | None = None
    """Only these arms, and those that they need."""
    array_size: int = 1000
    """Most tasks in an array (MaxArraySize of most clusters is 1001); a task then has several
    runs."""
    directives: tuple[str, ...] = ()
    """What stands behind `#SBATCH --`, such as partition=cpu or mem=4G."""
    before: str = ""
    """A line of shell that each task begins with, such as "module load python"."""

    def run(self) -> int:
        """Write the scripts."""
        from feint.bench import finished, write_suite
        from feint.bench.slurm import write_scripts

        suite = chosen(self.suite, self.seeds, self.scenarios, self.arms, self.dev)
        out = self.out.absolute()
        same = [self.suite]
        for flag in ("seeds", "scenarios", "arms"):
            if given := getattr(self, flag):
                same += [f"--{flag}", *map(str, given)]
        same += ["--dev"] if self.dev else []
        feint = [sys.executable, "-m", "feint.cli", "bench"]
        results, missing = finished(suite, out)
        script = write_scripts(
            suite,
            out,
            run=[*feint, "run", *same, "--out", str(out)],
            report=[*feint, "report", *same, "--out", str(out)],
            done=[result.run for result in results],
            array_size=self.array_size,
            directives=self.directives,
            before=self.before,
        )
        write_suite(suite, out)
        print(f"{len(missing)} runs to do; submit them with: bash {script}")
        return 0


@dataclass(frozen=True)
class BenchReport:
    """Report on a suite, finished or not: tables, plots, films, report.html.

    Nothing is trained. What is missing is left out, and said to be.
    """

    suite: Annotated[Positional[str | None], arg(metavar="[SUITE]")] = None
    """The suite that was run; none with --stored."""
    out: Path | None = None
    """Folder in which it ran, and to which the report goes; runs/NAME by default. With --stored
    the report is only printed, unless a folder is given."""
    stored: Path | None = None
    """Report on what `feint bench export` wrote here, in place of a folder of runs."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    dev: bool = False
    """Report on the seeds on which its settings were chosen, in place of its own."""
    scenarios: tuple[str, ...] | None = None
    """Only these scenarios."""
    arms: tuple[str, ...] | None = None
    """Only these arms, and those that they need."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Write and print the report."""
        if (self.suite is None) == (self.stored is None):
            raise ValueError("name either a suite or, with --stored, a folder of stored results")
        if self.suite is not None:
            suite = chosen(self.suite, self.seeds, self.scenarios, self.arms, self.dev)
            report(suite, self.out or default_out(suite), self.markdown)
            return 0
        from feint.bench.store import load

        suite, results = load(self.stored or "")
        suite = part_of(suite, self.seeds, self.scenarios, self.arms, self.dev)
        wanted = {spec.id for spec in suite.runs()}
        show(suite, [r for r in results if r.run in wanted], self.out, self.markdown)
        return 0


@dataclass(frozen=True)
class BenchExport:
    """Store the results of a suite as one small JSON file per run, to be kept beside the code.

    Every table can be rebuilt from them alone: `feint bench report --stored FOLDER`.
    """

    suite: _Name
    """The suite that was run."""
    to: Path
    """Folder for the files."""
    out: Path | None = None
    """Folder in which it ran; runs/NAME by default."""

    def run(self) -> int:
        """Write the files."""
        suite = chosen(self.suite)
        keep(suite, self.out or default_out(suite), self.to)
        return 0


@dataclass(frozen=True)
class BenchList:
    """List the suites, with their scenarios, arms and seeds; or show the file of one.

    Example:
      feint bench list smoke > mine.toml
    """

    suite: Annotated[Positional[str | None], arg(metavar="[SUITE]")] = None
    """Print its file, with which one of your own may begin."""

    def run(self) -> int:
        """Print the list, or the file."""
        from feint.bench import Suite
        from feint.bench.suite import suite_names, suite_text

        if self.suite is not None:
            print(suite_text(self.suite), end="")
            return 0
        for name in suite_names():
            suite = Suite.load(name)
            print(f"{name}: {len(suite.runs())} runs by {suite.job}")
            print(f"  scenarios: {', '.join(s.key for s in suite.scenarios)}")
            print(f"  arms: {', '.join(arm.key for arm in suite.arms)}")
            print(f"  seeds: {', '.join(map(str, suite.seeds))}")
            if suite.dev_seeds:
                print(f"  settings were chosen on seeds: {', '.join(map(str, suite.dev_seeds))}")
        return 0


@dataclass(frozen=True)
class Bench:
    """Run suites (scenarios x arms x seeds, as data) and report on them."""

    command: OmitArgPrefixes[
        Annotated[BenchRun, subcommand("run", prefix_name=False)]
        | Annotated[BenchSlurm, subcommand("slurm", prefix_name=False)]
        | Annotated[BenchReport, subcommand("report", prefix_name=False)]
        | Annotated[BenchExport, subcommand("export", prefix_name=False)]
        | Annotated[BenchList, subcommand("list", prefix_name=False)]
    ]

    def run(self) -> int:
        """Run the subcommand."""
        return self.command.run()


def chosen(
    name: str,
    seeds: Iterable[int] | None = None,
    scenarios: Iterable[str] | None = None,
    arms: Iterable[str] | None = None,
    dev: bool = False,
) -> "Suite":
    """A suite, or the part of it that was asked for.

    Raises:
        ValueError: for what is not there, or both seeds and dev.
    """
    from feint.bench import Suite

    return part_of(Suite.load(name), seeds, scenarios, arms, dev)


def part_of(
    suite: "Suite",
    seeds: Iterable[int] | None,
    scenarios: Iterable[str] | None,
    arms: Iterable[str] | None,
    dev: bool,
) -> "Suite":
    """The part of a suite that was asked for; see `chosen`."""
    if dev and seeds:
        raise ValueError("--seeds and --dev exclude each other: name one")
    if scenarios or arms:
        suite = suite.select(scenarios or None, arms or None)
    if dev:
        return suite.with_dev_seeds()
    return suite.with_seeds(seeds) if seeds else suite


def check(suite: "Suite") -> None:
    """See whether all is here that the suite's runs need, as far as its job can tell.

    Raises:
        ValueError: if something is not.
    """
    suite.check_job()
    try:
        job = importlib.import_module(suite.job.partition(":")[0])
    except ImportError:  # each run says so in its log
        return
    getattr(job, "check", lambda _: None)(suite)


def default_out(suite: "Suite") -> Path:
    """Where a suite is run if nothing else is said."""
    return Path("runs") / suite.name


def run_and_report(
    suite: "Suite",
    out: Path,
    workers: int | None,
    markdown: bool,
    executor: "Executor | None" = None,
) -> int:
    """Run what is missing, and report on what is there, even where some runs failed.

    Where a report needs runs that were not asked for, a line says which.

    Raises:
        SuiteFailed: as `run_suite`, after the report.
    """
    from feint.bench import SuiteFailed, run_suite
    from feint.bench.results import Unfinished

    def tell(finished: int) -> None:
        try:
            report(suite, out, markdown)
        except Unfinished as lacking:
            print(f"{finished} runs are finished in {out}; no report yet: {lacking}")

    try:
        results = run_suite(suite, out, workers=workers, executor=executor)
    except SuiteFailed as failed:
        if failed.results:
            tell(len(failed.results))
        raise
    tell(len(results))
    return 0


def keep(suite: "Suite", out: Path, to: Path) -> None:
    """Store the finished runs in `out`, small, in `to`.

    Raises:
        ValueError: if there are none.
    """
    from feint.bench import finished
    from feint.bench.profiles import with_differences
    from feint.bench.store import export

    results, missing = finished(suite, out)
    if not results:
        raise ValueError(f"{out} holds no finished run of suite {suite.name}")
    count = export(suite, with_differences(results, out), to)
    print(f"stored {count} runs in {to}; {len(missing)} are missing")


def report(suite: "Suite", out: Path, markdown: bool) -> None:
    """Write the report on what is in `out`, and print its tables."""
    from feint.bench import finished
    from feint.bench.profiles import with_differences

    results, _ = finished(suite, out)
    show(suite, with_differences(results, out), out, markdown)


def show(suite: "Suite", results: "list[RunResult]", out: Path | None, markdown: bool) -> None:
    """Print the tables, and write the report into `out`, if given; as the suite's job has it."""
    from feint.bench.report import show as show_agents

    job = importlib.import_module(suite.job.partition(":")[0])
    getattr(job, "show", show_agents)(suite, results, out, markdown)
