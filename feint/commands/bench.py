"""`feint bench`: run suites, and report on them."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

if TYPE_CHECKING:
    from feint.bench import RunResult, Suite

_Name = Annotated[Positional[str], arg(metavar="SUITE")]


@dataclass(frozen=True)
class BenchRun:
    """Run what is missing of a suite, and report on what is there.

    Interrupted, the same command goes on where it was. A run that is in the folder with the same
    settings is not run again, also when only part of the suite was asked for before.

    Examples:
      feint bench run demo --scenarios room_signal --seeds 1 2

      feint bench run my-suite.toml --out runs/mine --workers 2
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
    workers: int | None = None
    """Runs at once; all cores by default."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Run the suite and report."""
        suite = chosen(self.suite, self.seeds, self.scenarios, self.arms, self.dev)
        return run_and_report(suite, self.out or default_out(suite), self.workers, self.markdown)


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
    """List the suites, with their scenarios, arms and seeds."""

    def run(self) -> int:
        """Print the list."""
        from feint.bench import Suite
        from feint.bench.suite import suite_names

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


def default_out(suite: "Suite") -> Path:
    """Where a suite is run if nothing else is said."""
    return Path("runs") / suite.name


def run_and_report(suite: "Suite", out: Path, workers: int | None, markdown: bool) -> int:
    """Run what is missing, and report on what is there, even where some runs failed.

    Raises:
        SuiteFailed: as `run_suite`, after the report.
    """
    from feint.bench import SuiteFailed, run_suite

    try:
        run_suite(suite, out, workers=workers)
    except SuiteFailed as failed:
        if failed.results:
            report(suite, out, markdown)
        raise
    report(suite, out, markdown)
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
