"""What a runner shows: bars on a terminal, a line per run elsewhere; all on standard error."""

from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Display(AbstractContextManager):
    """Shows `total` runs, of which `done` were there already.

    Args:
        name: of the suite.
        total: number of runs.
        done: number of runs that need not be run.
        progress: False shows only what `say` is given.
        console: where to; standard error if None.
    """

    def __init__(
        self, name: str, total: int, done: int, progress: bool, console: Console | None = None
    ):
        self.console = console or Console(stderr=True, soft_wrap=True)
        self._total, self._done = total, done
        self._bars = self._lines = False
        self._running: dict[str, tuple[TaskID, float]] = {}
        if progress:
            self._bars = self.console.is_terminal
            self._lines = not self._bars
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self._bars,
            speed_estimate_period=600,
        )
        self._overall = self._progress.add_task(name, total=total, completed=done, count="")

    def __enter__(self) -> Self:
        self._refresh()
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for task, _ in self._running.values():
            self._progress.remove_task(task)
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False, highlight=False)

    def started(self, run: str) -> None:
        """A run has begun, perhaps again."""
        self._drop(run)
        task = self._progress.add_task(f"  {run}", total=1.0, count="")
        self._running[run] = (task, 0.0)
        self._refresh()

    def advanced(self, run: str, fraction: float) -> None:
        """A run is so far."""
        if run in self._running:
            task, _ = self._running[run]
            self._running[run] = (task, fraction)
            self._progress.update(task, completed=fraction)
            self._refresh()

    def finished(self, run: str, seconds: float) -> None:
        """A run has a result."""
        self._drop(run)
        self._done += 1
        self._refresh()
        if self._lines:
            self.say(f"[{self._done}/{self._total}] {run} finished in {seconds:.1f} s")

    def failed(self, run: str) -> None:
        """A run is over, without a result."""
        self._drop(run)
        self._refresh()

    def _drop(self, run: str) -> None:
        if run in self._running:
            self._progress.remove_task(self._running.pop(run)[0])

    def _refresh(self) -> None:
        done = self._done + sum(fraction for _, fraction in self._running.values())
        count = f"{self._done}/{self._total} runs"
        self._progress.update(self._overall, completed=done, count=count)
