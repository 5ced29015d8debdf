"""`feint demo`: the main job."""

from dataclasses import dataclass
from pathlib import Path

from feint.commands.bench import chosen, run_and_report


@dataclass(frozen=True)
class Demo:
    """Run the main job: unmask a liar.

    On two scenarios and several seeds: train an agent that learns to deceive and one that is
    honest; tune the deceptive one with self-other overlap and, at the same dose, with shams; play
    all of them on held-out episodes; print a table with intervals and verdicts; write results,
    checkpoints, plots, films and report.html. Interrupted, the same command goes on where it was.
    """

    out: Path = Path("runs/demo")
    """Folder for everything it writes."""
    seeds: tuple[int, ...] | None = None
    """Training seeds; the suite's own by default."""
    scenarios: tuple[str, ...] | None = None
    """Only these scenarios: physical_deception, room_signal."""
    workers: int | None = None
    """Runs at once; all cores by default."""
    suite: str = "demo"
    """A built-in suite, or a .toml file of your own (job feint.bench.rl:run)."""
    markdown: bool = False
    """Print the tables in Markdown."""

    def run(self) -> int:
        """Run the suite and report."""
        suite = chosen(self.suite, self.seeds, self.scenarios)
        return run_and_report(suite, self.out, self.workers, self.markdown)
