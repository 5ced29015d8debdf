"""What happens on a node of a Ray cluster: a run, by a local executor in a folder of its own."""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from feint.bench.executors import LocalExecutor
from feint.bench.pieces import Piece, pieces
from feint.bench.ray_cluster import ray_module
from feint.bench.suite import RunSpec
from feint.bench.worker import Ended, Progress

Word = bytes | Piece | Progress | Ended
"""What a run says: some of its log, of what it left, how far it is, or how it ended."""

SPEAKS = 0.5  #: seconds between what a run says of itself


def run_on_a_node(spec: str, needs: dict[str, list[Any]], search: list[str]) -> Iterator[Word]:
    """A Ray task: one run, by a local executor; says how it goes, and then sends what it left."""
    ray = ray_module()
    sys.path += [entry for entry in search if entry not in sys.path]
    with _scratch() as scratch:
        folders = {arm: scratch / "needs" / arm for arm in needs}
        for arm, sent in needs.items():
            for reference in sent:
                ray.get(reference).put_down(folders[arm])
        log = scratch / "log"
        log.touch()
        local = _local_executor(spec)
        try:
            local.submit(RunSpec.from_json(spec), scratch / "run", folders, log)
            with open(log, "rb") as file:
                ended = progress = None
                said = time.monotonic()
                while ended is None:
                    for event in local.poll():
                        ended = event if isinstance(event, Ended) else ended
                        progress = event if isinstance(event, Progress) else progress
                    if ended is None and time.monotonic() - said < SPEAKS:
                        continue
                    said = time.monotonic()
                    if text := file.read():
                        yield text
                    if progress is not None:
                        yield progress
                        progress = None
            if not ended.error:
                yield from pieces(scratch / "run")
            yield ended
        except BaseException:  # cancelled, or the executor is broken
            local.stop()
            _kept.clear()
            raise


_kept: dict[tuple[str, str | None], LocalExecutor] = {}  # in a Ray worker: what it ran last with


def _local_executor(spec: str) -> LocalExecutor:
    """One that has imported the job already, if this Ray worker ran it before on the same GPUs."""
    module = RunSpec.from_json(spec).job.partition(":")[0]
    key = (module, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if key not in _kept:
        for other in _kept.values():
            other.stop()
        _kept.clear()
        _kept[key] = LocalExecutor(1)
    return _kept[key]


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the node; goes afterwards, and with it those of workers that were killed."""
    ours = f"feint-ray-{socket.gethostname()}-"
    for old in Path(tempfile.gettempdir()).glob(f"{ours}*-*"):
        with suppress(OSError, ValueError):
            try:
                os.kill(int(old.name.removeprefix(ours).split("-")[0]), 0)
            except ProcessLookupError:
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{ours}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
