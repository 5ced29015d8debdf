"""Runs a suite: what is done is kept, what is missing is run, and nothing finished is lost.

out/suite.json                                   the suite, and every run with its hash
out/runs/<scenario>/<arm>/seed<k>/result.json    beside it, whatever the job wrote
out/runs/<scenario>/<arm>/seed<k>.old-<n>/       what was there with other settings
out/logs/<scenario>/<arm>/seed<k>.log            output and tracebacks, of every attempt
out/claims/<scenario>/<arm>/seed<k>/             whose it is, where several commands share `out`
"""

import json
import shutil
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from feint.bench.executors import Ended, Executor, LocalExecutor
from feint.bench.progress import Display
from feint.bench.results import RunResult
from feint.bench.suite import RunSpec, Suite
from feint.bench.worker import part_of
from feint.files import sole_owner, write_atomically

ATTEMPTS = 2


class SuiteFailed(RuntimeError):
    """Some runs have no result; those that have are kept.

    Attributes:
        results: of the runs that are finished.
        failures: run id -> how it failed, in a line.
        skipped: run id -> the run it needed that has no result.
    """

    def __init__(self, message: str, results: list[RunResult], failures: dict, skipped: dict):
        super().__init__(message)
        self.results = results
        self.failures: dict[str, str] = failures
        self.skipped: dict[str, str] = skipped


def run_suite(
    suite: Suite,
    out: str | Path,
    workers: int | None = None,
    progress: bool = True,
    executor: Executor | None = None,
    only: Collection[str] | None = None,
) -> list[RunResult]:
    """Run what is missing in `out`, and return the results of all runs, in the suite's order.

    Args:
        suite: what to run.
        out: a folder; results there that belong to this suite are not run again.
        workers: runs at once on this machine; all cores if None.
        progress: show bars, or lines where there is no terminal.
        executor: where to run, instead of this machine's cores.
        only: ids of runs; only these are run and returned, and what they need must be finished.
            Other such calls may work in `out` at the same time, on other runs.

    Raises:
        SuiteFailed: when all is done that can be, if a run failed twice, or one of `only` needs
            what is not finished.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished runs are kept.
        ValueError: if `out` is in use or cannot be written, or there is no such job or run.
    """
    if executor is None:
        executor = LocalExecutor(workers)
    elif workers is not None:
        raise ValueError("give workers or an executor, not both; an executor has its own slots")
    suite.check_job()
    if only is not None:
        known = {spec.id for spec in suite.runs()}
        if unknown := [run for run in only if run not in known]:
            raise ValueError(f"suite {suite.name} has no run {unknown[0]!r}; one is {min(known)!r}")
    out = Path(out).absolute()
    with ExitStack() as held:
        held.enter_context(sole_owner(out, among_others=only is not None))
        for run in sorted(set(only or ())):
            held.enter_context(sole_owner(out / "claims" / run))
        stopped = held.enter_context(_stop_signals())
        return _Schedule(suite, out, executor, progress, only).run(stopped)


def finished(suite: Suite, out: str | Path) -> tuple[list[RunResult], list[str]]:
    """The results that are in `out` already, in the suite's order, and the ids of missing runs.

    Nothing is written, so it may be asked while the suite runs.
    """
    done, missing = [], []
    for spec in suite.runs():
        try:
            done.append(_read(spec, Path(out)))
        except ValueError:
            missing.append(spec.id)
    return done, missing


def suite_of(out: str | Path) -> Suite:
    """The suite that was last run in a folder, as far as it was asked for.

    Raises:
        ValueError: if there is none.
    """
    path = Path(out) / "suite.json"
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no suite")
    return Suite.from_dict({k: v for k, v in data.items() if k != "runs"}, str(path))


def _read(spec: RunSpec, out: Path) -> RunResult:
    result = RunResult.read(out / "runs" / spec.id / "result.json")
    if result.spec_hash != spec.hash:
        raise ValueError("its settings, its needs or Feint's version changed")
    return result


class _Schedule:
    """The state of one `run_suite`: each run waits, runs, is done, failed or skipped."""

    def __init__(
        self,
        suite: Suite,
        out: Path,
        executor: Executor,
        progress: bool,
        only: Collection[str] | None = None,
    ):
        self.suite, self.out, self.executor = suite, out, executor
        self.alone = only is None
        every = {spec.id: spec for spec in suite.runs()}
        self.specs = {run: spec for run, spec in every.items() if only is None or run in only}
        needed = {need for spec in self.specs.values() for need in spec.needs}
        self.others = {run: every[run] for run in needed if run not in self.specs}
        self.waiting: dict[str, RunSpec] = {}
        self.running: dict[str, RunSpec] = {}
        self.done: dict[str, RunResult] = {}
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.attempts = dict.fromkeys(self.specs, 0)
        if self.alone or not (out / "suite.json").exists():
            write_suite(suite, out)
        aside = self._take_stock()
        self.display = Display(suite.name, len(self.specs), len(self.done), progress)
        for line in aside:
            self.display.say(line)
        self._look_for_others()

    def run(self, stopped: Callable[[], bool]) -> list[RunResult]:
        """Run to the end, or until told to stop."""
        with self.display:
            try:
                while (self.waiting or self.running) and not stopped():
                    self._submit()
                    events = self.executor.poll()
                    if stopped():  # who stopped us may have stopped the workers too
                        break
                    for event in events:
                        if isinstance(event, Ended):
                            self._end(event)
                        else:
                            self.display.advanced(event.run, event.fraction)
            finally:
                self.executor.stop()
                self._sweep()
        if self.waiting or self.running:
            self._interrupted()
        results = [self.done[run] for run in self.specs if run in self.done]
        if self.failed:
            raise SuiteFailed(self._post_mortem(), results, self.failed, self.skipped)
        return results

    def folder(self, run: str) -> Path:
        return self.out / "runs" / run

    def log(self, run: str) -> Path:
        return self.out / "logs" / f"{run}.log"

    def _take_stock(self) -> list[str]:
        """See what is done already, and move aside what is in the way; a line for each of those."""
        lines = []
        for run, spec in self.specs.items():
            folder = self.folder(run)
            if not folder.exists():
                self.waiting[run] = spec
                continue
            try:
                self.done[run] = self._result(spec)
            except ValueError as error:
                old = _move_aside(folder)
                lines.append(f"{run} is run again ({error}); what was there is kept as {old.name}")
                self.waiting[run] = spec
        return lines

    def _look_for_others(self) -> None:
        """Give up what needs a run that is not ours to run, and has no result."""
        for need, spec in self.others.items():
            try:
                self._result(spec)
            except ValueError:
                for run, mine in list(self.waiting.items()):
                    if need in mine.needs and self.waiting.pop(run, None):
                        self._give_up(run, f"needs {need}, which has no result; run that first")

    def _result(self, spec: RunSpec) -> RunResult:
        return _read(spec, self.out)

    def _submit(self) -> None:
        """Start the first runs whose needs are met, as many as there are slots."""
        for run, spec in list(self.waiting.items()):
            if len(self.running) >= self.executor.slots:
                break
            if all(need in self.done or need in self.others for need in spec.needs):
                del self.waiting[run]
                self.running[run] = spec
                self.attempts[run] += 1
                self.display.started(run)
                every = self.specs | self.others
                needs = {every[need].arm: self.folder(need) for need in spec.needs}
                self.executor.submit(spec, self.folder(run), needs, self.log(run))

    def _end(self, event: Ended) -> None:
        """Note how a run ended: its file counts, not what was said of it."""
        spec = self.running.pop(event.run)
        try:
            result = self._result(spec)
        except ValueError as problem:
            self._fail(spec, event.error or f"the job ended without a result ({problem})")
        else:
            self.done[spec.id] = result
            self.display.finished(spec.id, result.wall_s)

    def _fail(self, spec: RunSpec, error: str) -> None:
        if self.attempts[spec.id] < ATTEMPTS:
            self.display.say(f"{spec.id} failed, and is tried again: {error}")
            self.waiting = {spec.id: spec} | self.waiting
            return
        self._give_up(spec.id, f"failed again: {error}", error)

    def _give_up(self, run: str, line: str, error: str = "") -> None:
        """No more of a run, nor of those that need it."""
        self.display.say(f"{run} {line}")
        self.display.failed(run)
        self.failed[run] = error or line
        for run, other in list(self.waiting.items()):  # in order, so those that need these follow
            lost = next((n for n in other.needs if n in self.failed or n in self.skipped), None)
            if lost is not None:
                del self.waiting[run]
                self.skipped[run] = lost

    def _interrupted(self) -> None:
        """Say how far it came, those included that finished while the others were being ended."""
        for spec in self.running.values():
            try:
                self.done[spec.id] = self._result(spec)
            except ValueError:
                continue
        self.display.say(
            f"interrupted: {len(self.done)} of {len(self.specs)} runs are finished; "
            "the same command goes on from there"
        )
        raise KeyboardInterrupt

    def _post_mortem(self) -> str:
        skipped = f", {len(self.skipped)} skipped that need one of them" if self.skipped else ""
        failed = f"{len(self.failed)} of {len(self.specs)} runs failed"
        head = f"{failed}{skipped}; the same command tries them again"
        lines = []
        for run, error in self.failed.items():
            log = self.log(run)
            lines.append(f"  {run}: {error}" + (f" (log: {log})" if log.exists() else ""))
        return "\n".join([head, *lines])

    def _sweep(self) -> None:
        """Remove what killed runs left half-done."""
        parts = (self.out / "runs").glob("*/*/" + part_of(Path("seed*")).name)
        for part in parts if self.alone else [part_of(self.folder(run)) for run in self.specs]:
            shutil.rmtree(part, ignore_errors=True)


def write_suite(suite: Suite, out: Path) -> None:
    """Write down in `out` what belongs there: the suite, and every run with its hash."""
    runs = [json.loads(spec.to_json()) | {"hash": spec.hash} for spec in suite.runs()]
    text = json.dumps(suite.to_dict() | {"runs": runs}, indent=1)
    write_atomically(out / "suite.json", text + "\n")


def _move_aside(folder: Path) -> Path:
    """Rename a folder to the first free `<name>.old-<n>`."""
    number = 1
    while (old := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return folder.rename(old)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a flag, so that they interrupt nothing half-way."""
    stop = threading.Event()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as for a job in the background
                before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
