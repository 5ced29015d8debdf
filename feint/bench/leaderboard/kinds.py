"""What verification knows of the runs of one job: an interface, with one implementation per job.

`feint.bench.leaderboard.entries.KINDS` names them. Torch is imported only where it is used.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from feint.bench.leaderboard.untrusted import MOST_MODEL, read_bytes
from feint.bench.results import RunResult


@dataclass(frozen=True)
class Judged:
    """What came of holding a claim against what was measured again.

    Attributes:
        refused: which numbers did not come out again, and by how much, a sentence each.
        exact: how many came out to the last digit, and of how many.
        kept: what else is put on record: "fresh", "held_out", and whether "gaps" were measured.
    """

    refused: list[str]
    exact: tuple[int, int]
    kept: dict[str, Any] = field(default_factory=dict)


class Kind(ABC):
    """Runs of one job: what must be in them, what they leave, and how they are done again.

    Attributes:
        model: what a run's model is called in the run's folder.
        seconds: that a run may take to be done again, unless whoever verifies says otherwise.
    """

    model: ClassVar[str]
    seconds: ClassVar[float] = 600.0

    @abstractmethod
    def check(self, result: RunResult, specs: Mapping[str, dict[str, Any]]) -> None:
        """Refuse a run that was judged otherwise than the suite does, or lacks its numbers.

        Args:
            result: of the run; if of an arm of the suite, it has the settings of that.
            specs: the settings of the suite's arms on this scenario.

        Raises:
            ValueError: naming the run and what is wrong.
        """

    @abstractmethod
    def trains(self, result: RunResult) -> bool:
        """Whether the run leaves a model of its own."""

    @abstractmethod
    def needs(self, result: RunResult, runs: Collection[str]) -> tuple[str, ...]:
        """Ids of the runs without whose models it cannot be done again; its own first.

        Args:
            result: of the run.
            runs: those that are there.
        """

    def uses(self, result: RunResult, runs: Collection[str]) -> tuple[str, ...]:
        """The same, with those that only part of it needs."""
        return self.needs(result, runs)

    def read_model(self, path: Path) -> bytes:
        """The file that a submission holds of a model, whole.

        Raises:
            ValueError: if it cannot be read, or is too large.
        """
        return read_bytes(path, MOST_MODEL)

    @abstractmethod
    def check_model(self, path: Path, result: RunResult) -> None:
        """Refuse a model that is unsafe, oversized, or not of this run.

        Raises:
            ValueError: naming the file.
        """

    def prepare(self, result: RunResult) -> None:  # noqa: B027 - most need nothing
        """See that what no submission holds is on this machine.

        Raises:
            ValueError: in one line that says how to get it.
        """

    @abstractmethod
    def reevaluate(
        self, result: RunResult, models: Mapping[str, Path], seed: int, factor: int
    ) -> dict[str, Any]:
        """Measure a run's model again; only ever called in a process of its own.

        Args:
            result: of the run, checked.
            models: run id -> model, of `needs`, and of `uses` where they are there.
            seed: of what is measured freshly.
            factor: of that so many times as much as is claimed.

        Returns:
            JSON, for `judge`.
        """

    @abstractmethod
    def tests(self, result: RunResult) -> int:
        """How many statistical tests `judge` makes of a run."""

    @abstractmethod
    def judge(self, result: RunResult, found: Mapping[str, Any], tests: int) -> Judged:
        """Hold a run's claims against what `reevaluate` found.

        Args:
            result: of the run.
            found: what it returned.
            tests: in the whole verification.
        """


def of_arm(result: RunResult, arm: str, runs: Collection[str]) -> str:
    """Id of the run of an arm that this one was made from: of its seed, or the only one there is.

    Args:
        result: of the run; the other one is of its scenario.
        arm: key.
        runs: ids of those that are there.
    """
    own = f"{result.scenario}/{arm}/seed{result.seed}"
    others = sorted(run for run in runs if run.startswith(f"{result.scenario}/{arm}/seed"))
    return own if own in runs or len(others) != 1 else others[0]
