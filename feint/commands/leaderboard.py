"""`feint leaderboard`: build the board; send results to it; verify what was sent."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

if TYPE_CHECKING:
    from feint.bench.leaderboard.verify import Outcome


@dataclass(frozen=True)
class Build:
    """Build the leaderboard, a static site, from all results that are there.

    Example:
      feint bench run smoke && feint leaderboard build
    """

    folders: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Submissions, folders in which suites ran, folders of stored results, or folders of such
    folders; benchmarks/results, runs and benchmarks/submissions by default."""
    to: Path = Path("runs/leaderboard")
    """Folder for the site."""

    def run(self) -> int:
        """Collect and build."""
        from feint.bench.leaderboard.collect import collect

        board = collect(self.folders or None, lambda line: print(line, file=sys.stderr))
        from feint.bench.leaderboard import site

        site.build(board, self.to)
        rows = [row for part in board.parts for row in part.rows]
        ranked = sum(row.ranked for row in rows)
        print(
            f"{len(rows)} rows of {len(board.parts)} suites, {ranked} of them ranked; open "
            f"{self.to / 'index.html'}, or serve it: python -m http.server -d {self.to}, then "
            "http://localhost:8000/"
        )
        return 0


@dataclass(frozen=True)
class Submit:
    """Check results and their checkpoints, and write them as a submission, for a pull request.

    Send the references and shams with a method: a row is judged against those that came with it.

    Example:
      feint leaderboard submit runs/smoke/runs/kuhn_poker/*/seed*/result.json --name "A. Turing"
    """

    results: Annotated[Positional[tuple[Path, ...]], arg(metavar="RESULT.json")]
    """Results, one per run."""
    name: str
    """Who sends it, and what; shown on the board."""
    model: tuple[Path, ...] = ()
    """Checkpoints, one for each of the runs that trained anything, in the same order; by default
    what lies beside each result: agent.safetensors, or the folder adapter."""
    to: Path = Path("benchmarks/submissions")
    """Folder in which the submission's own is made."""

    def run(self) -> int:
        """Check and write."""
        from feint.bench.leaderboard.submission import write

        folder = write(self.results, self.model, self.name, self.to)
        print(
            f"wrote {folder}; verify it with: feint leaderboard verify {folder}, then send it as a "
            "pull request"
        )
        return 0


@dataclass(frozen=True)
class Verify:
    """Evaluate checkpoints again, with fresh seeds, and refuse numbers that do not come out again.

    Exits 1 if a run is refused. What is found goes into verification.json in the folder; of a
    single result it is only printed. Only what a model does can be verified, not its training.
    """

    where: Annotated[Positional[Path], arg(metavar="SUBMISSION|RESULT")]
    """A submission, a folder in which a suite ran, a folder of stored results, or one result."""
    model: tuple[Path, ...] = ()
    """Of one result: its checkpoint (by default what lies beside it: agent.safetensors, or the
    folder adapter), then that of what it was tuned from, without which an agent's gaps cannot be
    measured, and a language model not be asked. Of stored results: the folder in which they were
    run."""
    arms: tuple[str, ...] = ()
    """Only runs of these arms."""
    again: bool = False
    """Also runs of this project that are on record as verified."""
    seed: int | None = None
    """Of the fresh games or items, to repeat a verification; drawn by default."""
    minutes: float | None = None
    """Time limit for each run; 10 by default, 60 for language models."""

    def run(self) -> int:
        """Verify, and say what was found."""
        from feint.bench.leaderboard.verify import target, verify

        found = target(self.where, self.model)
        todo = found.left(self.arms, self.again)
        seconds = None if self.minutes is None else 60 * self.minutes
        outcomes = verify(todo, self.seed, _tell, run_s=seconds)
        refused = sum(bool(outcome.refused) for outcome in outcomes)
        kept = f"; see {found.folder / 'verification.json'}" if found.folder else ""
        before = len(found.runs) - len(todo.runs)
        rest = f", {before} left out (verified before, or not asked for)" if before else ""
        print(f"{len(outcomes) - refused} of {len(outcomes)} runs verified{rest}{kept}")
        return 1 if refused else 0


def _tell(outcome: "Outcome") -> None:
    done, of = outcome.exact
    verdict = "refused" if outcome.refused else "verified"
    print(f"{outcome.run}: {verdict}; {done} of {of} numbers came out to the last digit")
    for line in outcome.refused[:5]:
        print(f"  {line}")
    if len(outcome.refused) > 5:
        print(f"  and {len(outcome.refused) - 5} more numbers")
    for name, row in outcome.held_out.get("opponents", {}).items():
        told = [f"{path} {_mean(found['mean'])}" for path, found in row.items()]
        print(f"  held-out opponent {name}: {', '.join(told)}")
    if observer := outcome.held_out.get("observer"):
        names = ("misled", "honest", "liar", "reads", "chance")
        mine, honest, liar, reads, chance = (f"{100 * observer[name]:.0f} %" for name in names)
        print(
            f"  held-out observer: misled in {mine} of moments (by the scripted honest agent "
            f"{honest}, liar {liar}); it reads honest play in {reads}, by chance {chance}"
        )


def _mean(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


@dataclass(frozen=True)
class Leaderboard:
    """Build the leaderboard, send results to it, and verify what was sent."""

    command: OmitArgPrefixes[
        Annotated[Build, subcommand("build", prefix_name=False)]
        | Annotated[Submit, subcommand("submit", prefix_name=False)]
        | Annotated[Verify, subcommand("verify", prefix_name=False)]
    ]

    def run(self) -> int:
        """Run the subcommand."""
        return self.command.run()
