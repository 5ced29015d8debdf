"""Runs on a Ray cluster of two nodes on this machine, of which some die."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import feint
from feint.bench import RunResult, Suite, SuiteFailed, run_suite
from feint.bench.ray_cluster import is_stale
from feint.bench.ray_executor import RayExecutor

from . import jobs
from .jobs import Inline, small, table, tiny

ROOT = Path(jobs.__file__).parents[jobs.__name__.count(".")]  # where `jobs` is imported from

if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed: pip install 'feint[ray]'", allow_module_level=True)

needs_a_cluster = pytest.mark.slow  # starting one takes many seconds


@pytest.fixture(autouse=True)
def _jobs_can_be_imported_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a node beside it, one core each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    started: Any = Cluster()
    started.add_node(**node())
    started.second = started.add_node(**node())
    yield started
    started.shutdown()


def node() -> dict[str, Any]:
    """How each is started: with as few processes as there can be, which find each other at once."""
    ports = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
    found = {name: one.getsockname()[1] for name, one in zip(ports, holders, strict=True)}
    for one in holders:
        one.close()
    few = {"include_dashboard": False, "include_log_monitor": False}
    return {"num_cpus": 1, "object_store_memory": 100 * 2**20, **few, **found}


def values(results: list[RunResult]) -> dict[str, float]:
    return {result.run: result.payload["value"] for result in results}


def expected(suite: Suite, folder: Path) -> dict[str, float]:
    """What the runs give without any cluster."""
    data = json.loads(json.dumps(suite.to_dict()))
    for settings in (data["defaults"], *(arm["settings"] for arm in data["arm"])):
        for trouble in ("gate", "journal", "trouble"):
            settings.pop(trouble, None)
    clean = Suite.from_dict(data)
    return values(run_suite(clean, folder, executor=Inline(), progress=False))


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent(pid: int, generations: int) -> int:
    for _ in range(generations):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def started(journal: Path) -> list[tuple[str, int]]:
    """Run and process of every start so far."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


class Meanwhile(threading.Thread):
    """Does something while the runner runs; what goes wrong in it is raised by `done`."""

    def __init__(self, what: Callable[[], None]):
        super().__init__(daemon=True)
        self._what, self._error = what, None
        self.start()

    def run(self) -> None:
        try:
            self._what()
        except BaseException as error:
            self._error = error

    def done(self) -> None:
        self.join()
        if self._error is not None:
            raise self._error


@needs_a_cluster
def test_a_cluster_gives_the_numbers_of_this_machine(cluster: Any, tmp_path: Path):
    executor = RayExecutor(cluster.address)
    assert executor.slots == 2
    results = run_suite(tiny(), tmp_path / "ray", executor=executor, progress=False)
    assert values(results) == expected(tiny(), tmp_path / "here")
    assert {result.payload["threads"] for result in results} == {"1"}
    for result in results:
        folder = tmp_path / "ray/runs" / result.run
        assert sorted(path.name for path in folder.iterdir()) == ["draw.json", "result.json"]
        here = tmp_path / "here/runs" / result.run / "draw.json"
        assert (folder / "draw.json").read_bytes() == here.read_bytes()
        log = (tmp_path / "ray/logs" / f"{result.run}.log").read_text()
        assert log.startswith(f"=== {result.run}, process ")
    import ray

    assert not ray.is_initialized()  # it let go of the cluster


@needs_a_cluster
def test_agents_trained_on_a_cluster_are_those_trained_here(cluster: Any, tmp_path: Path):
    data = Suite.load("smoke").select(["kuhn_poker"], ["overlap_belief"]).to_dict()
    short = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}
    data["seeds"] = [1]
    data["defaults"] |= {"episodes": 40, "num_envs": 8}
    data["scenario"][0]["settings"] |= {"steps": 512, "algo": short}
    data["scenario"][0]["settings"]["finetune"] |= {"steps": 256, "algo": {}}
    suite = Suite.from_dict(data)
    there = run_suite(
        suite, tmp_path / "ray", executor=RayExecutor(cluster.address), progress=False
    )
    here = run_suite(suite, tmp_path / "here", workers=1, progress=False)
    for one, other in zip(there, here, strict=True):
        took = {"train_s": None}
        assert one.payload | took == other.payload | took and len(one.payload) > 5
        for path in (tmp_path / "ray/runs" / one.run).iterdir():
            if path.name != "result.json":
                assert (
                    path.read_bytes() == (tmp_path / "here/runs" / one.run / path.name).read_bytes()
                )
    assert (tmp_path / "ray/runs/kuhn_poker/overlap_belief/seed1/agent.safetensors").exists()


@needs_a_cluster
def test_a_request_bounds_how_many_run(cluster: Any):
    half = RayExecutor(cluster.address, num_cpus=0.5)
    assert half.slots == 4
    half.stop()
    three = RayExecutor(cluster.address, workers=3)
    assert three.slots == 3
    three.stop()
    with pytest.raises(ValueError, match=r"no node .* has 1 cores and 1 GPUs for a run; ask for"):
        RayExecutor(cluster.address, num_gpus=1)
    with pytest.raises(ValueError, match="no node of the Ray cluster has 2 cores for a run"):
        RayExecutor(cluster.address, num_cpus=2)


@needs_a_cluster
def test_what_the_job_does_wrong_is_the_job_s_and_in_the_log(cluster: Any, tmp_path: Path):
    executor = RayExecutor(cluster.address)
    with pytest.raises(SuiteFailed, match="hill/sly/seed0: RuntimeError: the dice") as caught:
        run_suite(small(trouble="raise"), tmp_path, executor=executor, progress=False)
    assert [result.run for result in caught.value.results] == ["hill/masked/seed0"]
    log = (tmp_path / "logs/hill/sly/seed0.log").read_text()
    assert log.count("Traceback") == 2 and "fell off" in log
    assert not (tmp_path / "runs/hill/sly").exists()


@needs_a_cluster
@pytest.mark.parametrize("max_retries", [1, 0])
def test_a_worker_killed_in_the_middle_changes_nothing(
    cluster: Any, tmp_path: Path, max_retries: int, capsys
):
    gate, journal = tmp_path / "gate", tmp_path / "journal"
    suite = small(gate=str(gate), journal=str(journal))

    def kill() -> None:
        wait_for(lambda: started(journal), "the run to start")
        (_, job), *_ = started(journal)
        os.kill(parent(job, generations=2), signal.SIGKILL)  # over the server that forked it
        wait_for(lambda: not alive(job), "the run to go with its worker")
        wait_for(lambda: len(started(journal)) > 1, "the run to start again")
        gate.touch()

    killer = Meanwhile(kill)
    executor = RayExecutor(cluster.address, max_retries=max_retries)
    results = run_suite(suite, tmp_path / "ray", executor=executor, progress=False)
    killer.done()
    assert [run for run, _ in started(journal)] == ["hill/sly/seed0"] * 2
    assert values(results) == expected(suite, tmp_path / "here")
    log, shown = (tmp_path / "ray/logs/hill/sly/seed0.log").read_text(), capsys.readouterr().err
    if max_retries:
        assert "=== lost its worker or node (WorkerCrashedError); started again" in log
        assert shown == ""
    else:  # the runner has one more try
        assert "is tried again: lost its worker or node 1 times (WorkerCrashedError)" in shown
    parts = [path for path in (tmp_path / "ray/runs").rglob(".*")]
    assert not parts


@needs_a_cluster
def test_an_interrupted_command_ends_its_runs_and_goes_on(cluster: Any, tmp_path: Path):
    gate, journal, out = tmp_path / "gate", tmp_path / "journal", tmp_path / "out"
    data = table(seeds=[0], scenario=[{"key": "hill", "title": "the hill"}])
    data["arm"][1]["settings"] = {"gate": str(gate), "journal": str(journal)}
    data["arm"][2]["needs"] = []
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\n"
        "from feint.bench import Suite, run_suite\n"
        "from feint.bench.ray_executor import RayExecutor\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"executor = RayExecutor({cluster.address!r})\n"
        f"try:\n    run_suite(Suite.from_dict({data!r}), {str(out)!r}, executor=executor)\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    here = Path(feint.__file__).parents[1]  # this checkout's Feint, whatever is installed
    process = subprocess.Popen(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{here}"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    done = out / "runs/hill/masked/seed0/result.json"
    wait_for(
        lambda: process.poll() is not None or (done.exists() and started(journal)),
        "one run to be done and one to wait",
    )
    os.killpg(process.pid, signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert shown.splitlines()[-1] == (
        "interrupted: 1 of 3 runs are finished; the same command goes on from there"
    )
    ((_, job),) = started(journal)
    wait_for(lambda: not alive(job), "the run to be ended")
    gate.touch()
    executor = Inline()
    resumed = run_suite(Suite.from_dict(data), out, executor=executor, progress=False)
    assert executor.ran == ["hill/sly/seed0", "hill/tuned/seed0"]
    assert values(resumed) == expected(Suite.from_dict(data), tmp_path / "here")


@needs_a_cluster
def test_a_node_removed_in_the_middle_changes_nothing(cluster: Any, tmp_path: Path):
    gate, journal = tmp_path / "gate", tmp_path / "journal"
    stopped = {"gate": str(gate), "journal": str(journal)}
    suite = Suite.from_dict(small().to_dict() | {"defaults": {"scale": 1.0, **stopped}})
    raylet = cluster.second.all_processes["raylet"][0].process.pid

    def remove() -> None:
        wait_for(lambda: len(started(journal)) == 2, "a run on each node")
        (lost,) = [pid for _, pid in started(journal) if parent(pid, generations=3) == raylet]
        cluster.remove_node(cluster.second, allow_graceful=False)
        wait_for(lambda: not alive(lost), "the run to go with its node")
        gate.touch()

    remover = Meanwhile(remove)
    executor = RayExecutor(cluster.address)
    results = run_suite(suite, tmp_path / "ray", executor=executor, progress=False)
    remover.done()
    runs = [run for run, _ in started(journal)]
    assert len(runs) == 4 and len(set(runs)) == 3  # one of them twice
    assert values(results) == expected(suite, tmp_path / "here")


def test_a_cluster_that_ray_remembers_and_that_is_gone_is_not_waited_for(tmp_path: Path):
    assert not is_stale(tmp_path)
    (tmp_path / "ray").mkdir()
    remembered = tmp_path / "ray/ray_current_cluster"
    remembered.write_text("127.0.0.1:1")
    assert is_stale(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as there:
        remembered.write_text(f"127.0.0.1:{there.getsockname()[1]}")
        assert not is_stale(tmp_path)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"Ray is not installed; `pip install 'feint\[ray\]'`"):
        RayExecutor()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"no Ray cluster answers at 127.0.0.1:1 .*ray start --head --port=1"),
        ("somewhere", "got the Ray address 'somewhere'; takes host:port, or auto"),
        ("ray://head:10001", "run this on a machine of the cluster"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(address: str, message: str):
    with pytest.raises(ValueError, match=message):
        RayExecutor(address)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("workers", 0), ("workers", 1.5), ("num_cpus", 0), ("num_cpus", float("nan")),
        ("num_gpus", -1), ("max_retries", -1), ("max_retries", True),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused(argument: str, wrong: Any):
    with pytest.raises(ValueError, match=f"{argument} must be "):
        RayExecutor(**{argument: wrong})
