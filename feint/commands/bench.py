"""`feint bench`: run suites, and report on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

if TYPE_CHECKING:
    from feint.bench import Suite

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

    suite: _Name
    """The suite that was run."""
    out: Path | None = None
    """Folder in which it ran, and to which the report goes; runs/NAME by default."""
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
        suite = chosen(self.suite, self.seeds, self.scenarios, self.arms, self.dev)
        report(suite, self.out or default_out(suite), self.markdown)
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

    suite = Suite.load(name)
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


def report(suite: "Suite", out: Path, markdown: bool) -> None:
    """Write the report on what is in `out`, and print its tables."""
    from rich.console import Console

    from feint.bench import finished
    from feint.bench.analysis import analyse
    from feint.bench.report import as_markdown, print_report, write_report

    results, missing = finished(suite, out)
    study = analyse(suite, results)
    page = write_report(suite, results, study, out)
    if markdown:
        print(as_markdown(study))
    else:
        console = Console()
        console = console if console.is_terminal else Console(width=200)
        print_report(study, console)
    if missing:
        print(f"{len(missing)} of {len(missing) + len(results)} runs are missing")
    print(f"results, plots, films and the report are in {out}; open {page}")
