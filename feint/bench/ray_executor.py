"""Runs on a Ray cluster: each in a process of its own on some node, retried where a node dies.

What a run needs travels to its node in pieces, and what it says and leaves comes back on the stream
of its Ray task: no node needs a disk in common with this machine. It does need Feint, in the same
version, and the job's module.
"""

import math
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feint.bench.executors import Event
from feint.bench.pieces import Piece, pieces
from feint.bench.ray_cluster import check_address, is_stale, ray_module
from feint.bench.ray_node import Word, run_on_a_node
from feint.bench.suite import RunSpec
from feint.bench.worker import Ended, Progress, part_of

_AHEAD = 8  # pieces that a node may send before they are taken


@dataclass
class _Away:
    """A run on the cluster, seen from here."""

    spec: RunSpec
    folder: Path
    needs: dict[str, Path]
    log: Path
    stream: Any = None
    lost: int = 0


class RayExecutor:
    """Runs on a Ray cluster of which this machine is part.

    Args:
        address: "host:port" of the cluster's head, or "auto". If None: $RAY_ADDRESS, else the
            cluster that runs on this machine, else one of its own, on this machine's cores.
        workers: runs at once; if None, as many as the nodes that are there have room for.
        num_cpus: cores kept for each run, which computes on one thread however many they are.
        num_gpus: GPUs kept for each run; a fraction shares one.
        max_retries: how often a run is started again because its worker or node died.

    Raises:
        ValueError: if Ray is not installed, the address cannot be reached, or no node can ever
            give what a run asks for.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        num_cpus: float = 1.0,
        num_gpus: float = 0.0,
        max_retries: int = 3,
    ):
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ValueError(f"workers must be a whole number, 1 or more; got {workers!r}")
        if not 0 < num_cpus < math.inf:
            raise ValueError(f"num_cpus must be above 0, got {num_cpus!r}")
        if not 0 <= num_gpus < math.inf:
            raise ValueError(f"num_gpus must be 0 or more, got {num_gpus!r}")
        if type(max_retries) is not int or max_retries < 0:
            raise ValueError(f"max_retries must be a whole number, 0 or more; got {max_retries!r}")
        self._address, self._workers, self._max_retries = address, workers, max_retries
        self._num_cpus, self._num_gpus = num_cpus, num_gpus
        self._away: list[_Away] = []
        self._sent: dict[Path, list[Any]] = {}  # folders in Ray's store, as references to pieces
        self._ours = False  # the connection, hence ours to close
        self._room, self._looked = 0, -math.inf
        self._connect()
        if not self._look():
            self.stop()
            gpus = f" and {num_gpus:g} GPUs" if num_gpus else ""
            raise ValueError(
                f"no node of the Ray cluster has {num_cpus:g} cores{gpus} for a run; ask for less, "
                "or start a node that has them"
            )

    @property
    def slots(self) -> int:
        """Runs at once; follows the nodes that come and go."""
        if self._workers is not None:
            return self._workers
        return max(self._look(), 1)  # with no node left, one run waits for the next

    def submit(self, spec: RunSpec, folder: Path, needs: dict[str, Path], log: Path) -> None:
        """Hand a run to Ray, which starts it when a node has room."""
        self._connect()
        run = _Away(spec, folder, needs, log)
        self._away.append(run)
        self._start(run)

    def poll(self) -> list[Event]:
        """What the runs have said; what they have sent is put down on the way.

        Raises:
            RuntimeError: if the cluster is gone.
        """
        ray = ray_module()
        if not self._away:
            time.sleep(0.05)
            return []
        streams = {run.stream: run for run in self._away}
        try:
            ready, _ = ray.wait(list(streams), timeout=0.2, fetch_local=False)
            if ready:
                ready, _ = ray.wait(
                    list(streams), num_returns=len(streams), timeout=0, fetch_local=False
                )
        except (ray.exceptions.RaySystemError, ConnectionError) as error:
            raise RuntimeError(
                f"the Ray cluster is gone ({_line(error)}); finished runs are kept, and the same "
                "command goes on from there"
            ) from error
        heard = [self._hear(streams[stream]) for stream in ready]
        return [event for event in heard if event is not None]

    def stop(self) -> None:
        """Cancel what runs, wait for it to end, and let go of the cluster."""
        if self._away:
            ray = ray_module()
            ends = [run.stream.completed() for run in self._away]
            for force in (False, True):  # politely, so that nodes tidy up; then with a kill
                for run in self._away:
                    with suppress(ray.exceptions.RayError, ValueError):
                        ray.cancel(run.stream, force=force)
                if not ray.wait(ends, num_returns=len(ends), timeout=5, fetch_local=False)[1]:
                    break
            self._away.clear()
        self._sent.clear()
        if self._ours:
            ray_module().shutdown()
            self._ours = False

    def _connect(self) -> None:
        """Join the cluster, unless the program has done so itself."""
        ray = ray_module()
        if ray.is_initialized():
            return
        address = self._address or os.environ.get("RAY_ADDRESS")
        if address is None and is_stale(Path(os.environ.get("RAY_TMPDIR", "/tmp"))):
            address = "local"
        if address is not None:
            check_address(address)
        try:
            ray.init(
                address=address,
                include_dashboard=False if address in (None, "local") else None,
                configure_logging=False,
                log_to_driver=False,
            )
        except Exception as error:  # it raises all sorts, plain Exception among them
            where = "on this machine" if address in (None, "local") else f"at {address}"
            raise ValueError(
                f"cannot use Ray {where}: {_line(error)} (`ray status` says whether a cluster runs "
                "here, `ray start --head` starts one, and `ray stop` forgets it)"
            ) from error
        self._ours = True

    def _look(self) -> int:
        """How many runs the living nodes can hold, as of a few seconds ago."""
        if time.monotonic() - self._looked > 5:
            self._connect()
            self._looked = time.monotonic()
            self._room = 0
            for node in ray_module().nodes():
                if node["Alive"]:
                    has = node["Resources"]
                    room = has.get("CPU", 0) / self._num_cpus
                    if self._num_gpus:
                        room = min(room, has.get("GPU", 0) / self._num_gpus)
                    self._room += math.floor(room)
        return self._room

    def _start(self, run: _Away) -> None:
        ray = ray_module()
        for folder in run.needs.values():
            if folder not in self._sent:
                self._sent[folder] = [ray.put(piece) for piece in pieces(folder)]
        run.stream = (
            ray.remote(run_on_a_node)
            .options(
                name=f"feint {run.spec.id}",
                num_cpus=self._num_cpus,
                num_gpus=self._num_gpus,
                max_retries=0,  # a stream that has begun cannot be gone on with; we start anew
                num_returns="streaming",
                _generator_backpressure_num_objects=_AHEAD,
            )
            .remote(
                run.spec.to_json(),
                {arm: self._sent[folder] for arm, folder in run.needs.items()},
                sys.path,
            )
        )

    def _hear(self, run: _Away) -> Event | None:
        """Take in the next that a run has said."""
        ray = ray_module()
        try:
            word: Word = ray.get(next(run.stream))
        except ray.exceptions.RayTaskError as error:  # of what surrounds the job, not of the job
            return self._end(run, _line(error.cause or error))
        except (ray.exceptions.RayError, StopIteration) as error:
            return self._lose(run, type(error).__name__)
        try:
            match word:
                case bytes():
                    _write(run.log, word)
                case Piece():
                    word.put_down(part_of(run.folder))
                case Progress():
                    return word
                case Ended(error=error):
                    return self._end(run, error)
        except (OSError, ValueError) as error:  # no room on this disk, say
            with suppress(ray.exceptions.RayError, ValueError):
                ray.cancel(run.stream, force=True)
            return self._end(run, f"cannot keep what it sent: {_line(error)}")

    def _end(self, run: _Away, error: str) -> Ended:
        part = part_of(run.folder)
        if not error:
            part.rename(run.folder)
        shutil.rmtree(part, ignore_errors=True)
        self._away.remove(run)
        used = {folder for other in self._away for folder in other.needs.values()}
        self._sent = {folder: sent for folder, sent in self._sent.items() if folder in used}
        return Ended(run.spec.id, error)

    def _lose(self, run: _Away, how: str) -> Event | None:
        """A worker or its node died: start the run again, or give it up."""
        run.lost += 1
        shutil.rmtree(part_of(run.folder), ignore_errors=True)
        if run.lost > self._max_retries:
            return self._end(run, f"lost its worker or node {run.lost} times ({how})")
        _write(run.log, f"=== lost its worker or node ({how}); started again\n".encode())
        self._start(run)
        return Progress(run.spec.id, 0.0)


def _write(log: Path, text: bytes) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        file.write(text)


def _line(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")
