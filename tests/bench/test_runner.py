"""The runner: order, resuming, failures, interruptions."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from feint.bench import LocalExecutor, RunResult, Suite, SuiteFailed, run_suite
from feint.bench.progress import Display
from feint.bench.worker import Ended
from feint.files import sole_owner

from . import jobs
from .jobs import Inline, small, tiny

ROOT = Path(jobs.__file__).parents[jobs.__name__.count(".")]  # where `jobs` is imported from


@pytest.fixture(autouse=True)
def _jobs_can_be_imported_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def payloads(results: list[RunResult]) -> dict[str, object]:
    return {result.run: result.payload for result in results}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # a zombie is not alive
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 240  # a busy machine is slow to begin
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_results_come_in_the_suite_s_order_and_lie_where_they_should(tmp_path: Path):
    suite, executor = tiny(), Inline(slots=3)
    results = run_suite(suite, tmp_path, executor=executor)
    assert [r.run for r in results] == [spec.id for spec in suite.runs()]
    assert executor.most == 3
    seen: set[str] = set()
    for run in executor.ran:
        spec = next(spec for spec in suite.runs() if spec.id == run)
        assert seen.issuperset(spec.needs)
        seen.add(run)
    for result in results:
        assert RunResult.read(tmp_path / "runs" / result.run / "result.json") == result
        assert (tmp_path / "runs" / result.run / "draw.json").exists()
    expanded = json.loads((tmp_path / "suite.json").read_text())
    hashes = {f"{r['scenario']}/{r['arm']}/seed{r['seed']}": r["hash"] for r in expanded["runs"]}
    assert hashes == {result.run: result.spec_hash for result in results}
    del expanded["runs"]
    assert Suite.from_dict(expanded) == suite


def test_what_is_done_is_not_run_again(tmp_path: Path):
    first = run_suite(tiny(seeds=[0]), tmp_path, executor=Inline())
    executor = Inline()
    second = run_suite(tiny(seeds=[0]), tmp_path, executor=executor)
    assert executor.ran == [] and second == first
    run_suite(tiny(seeds=[0, 1]), tmp_path, executor=executor)
    assert len(executor.ran) == 6 and all(run.endswith("seed1") for run in executor.ran)


def test_changed_settings_run_again_and_keep_the_old(tmp_path: Path, capsys):
    first = payloads(run_suite(small(), tmp_path, executor=Inline()))
    for number in (1, 2):
        executor = Inline()
        results = payloads(run_suite(small(scale=1.0 + number), tmp_path, executor=executor))
        assert executor.ran == ["hill/sly/seed0", "hill/tuned/seed0"]
        assert results["hill/masked/seed0"] == first["hill/masked/seed0"]
        assert results["hill/sly/seed0"] != first["hill/sly/seed0"]
        assert f"kept as seed0.old-{number}" in capsys.readouterr().err
    old = RunResult.read(tmp_path / "runs/hill/sly/seed0.old-1/result.json")
    assert old.payload == first["hill/sly/seed0"]
    assert (tmp_path / "runs/hill/sly/seed0.old-1/draw.json").exists()


@pytest.mark.parametrize("damage", ["truncated", "removed", "other schema"])
def test_a_damaged_result_is_run_again(tmp_path: Path, damage: str, capsys):
    first = run_suite(small(), tmp_path, executor=Inline())
    path = tmp_path / "runs/hill/masked/seed0/result.json"
    text = path.read_text()
    if damage == "removed":
        path.unlink()
    else:
        path.write_text(text[:40] if damage == "truncated" else text.replace("1", "2", 1))
    executor = Inline()
    second = run_suite(small(), tmp_path, executor=executor)
    assert executor.ran == ["hill/masked/seed0"] and payloads(second) == payloads(first)
    assert "hill/masked/seed0 is run again" in capsys.readouterr().err


def test_half_done_folders_are_swept(tmp_path: Path):
    for arm in ("sly", "no_longer_there"):
        part = tmp_path / f"runs/hill/{arm}/.seed0.part"
        part.mkdir(parents=True)
        (part / "half.txt").touch()
    run_suite(small(), tmp_path, executor=Inline())
    assert not list(tmp_path.glob("runs/*/*/.*"))
    assert not (tmp_path / "runs/hill/sly/seed0/half.txt").exists()


def test_a_nan_in_the_payload_fails_the_run(tmp_path: Path):
    with pytest.raises(SuiteFailed, match=r"payload.curves\[0\].loss is nan"):
        run_suite(small(trouble="nan"), tmp_path, executor=Inline())
    assert not (tmp_path / "runs/hill/sly/seed0").exists()


def test_an_executor_s_word_is_not_enough(tmp_path: Path):
    class Liar(Inline):
        def submit(self, spec, folder, needs, log):
            self._events.append(Ended(spec.id))

    with pytest.raises(SuiteFailed, match="hill/sly/seed0: the job ended without a result"):
        run_suite(small(), tmp_path, executor=Liar())


def test_a_job_may_take_its_settings_apart(tmp_path: Path):
    data = small().to_dict() | {"job": f"{jobs.__name__}:takes_apart", "defaults": {"depth": 3}}
    results = run_suite(Suite.from_dict(data), tmp_path, executor=Inline())
    assert all(result.payload["depth"] == 3 == result.settings["depth"] for result in results)


def test_the_wrong_arguments_are_refused_and_leave_things_alone(tmp_path: Path):
    with sole_owner(tmp_path / "out"):
        with pytest.raises(ValueError, match="out is in use by another runner"):
            run_suite(small(), tmp_path / "out")
    with pytest.raises(ValueError, match="not both"):
        run_suite(small(), tmp_path / "out", workers=1, executor=Inline())
    for workers in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="workers must be a whole number"):
            run_suite(small(), tmp_path / "out", workers=workers)  # pyright: ignore[reportArgumentType]
    for module in ("no.such", "feint.bench.no_such"):
        with pytest.raises(ValueError, match=f"there is no module {module}"):
            run_suite(tiny(job=f"{module}:run"), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".lock"]
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot write .*: .*file is not a folder"):
        run_suite(small(), tmp_path / "file")


def test_numbers_do_not_depend_on_workers_or_the_way_they_start(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    journal = tmp_path / "journal"
    suite = tiny(defaults={"journal": str(journal)})
    one = run_suite(suite, tmp_path / "one", workers=1)
    two = run_suite(suite, tmp_path / "two", workers=2)
    assert payloads(one) == payloads(two) and len(one) == 12
    started = [line.split() for line in journal.read_text().splitlines()]
    assert len({pid for _, pid, _ in started}) == 24  # a process for each run
    assert {imported for *_, imported in started} == {"before"}
    part = suite.select(scenarios=["hill"], arms=["sly"])
    executor = LocalExecutor(2, method="spawn")
    spawned = run_suite(part, tmp_path / "spawn", executor=executor)
    assert payloads(spawned).items() <= payloads(one).items()
    assert {result.payload["threads"] for result in one + spawned} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert executor.poll() == []  # stopped, and knows it
    log = (tmp_path / "one/logs/hill/sly/seed0.log").read_text()
    assert log.startswith("=== hill/sly/seed0, process ")


def test_a_job_that_raises_is_tried_twice_and_costs_only_those_that_need_it(tmp_path: Path, capsys):
    journal = tmp_path / "journal"
    suite = small(trouble="raise", journal=str(journal))
    with pytest.raises(SuiteFailed) as caught:
        run_suite(suite, tmp_path / "out", workers=2)
    assert [line.split()[0] for line in journal.read_text().splitlines()] == ["hill/sly/seed0"] * 2
    log = tmp_path / "out/logs/hill/sly/seed0.log"
    assert str(caught.value).splitlines() == [
        "1 of 3 runs failed, 1 skipped that need one of them; the same command tries them again",
        f"  hill/sly/seed0: RuntimeError: the dice (log: {log})",
    ]
    assert caught.value.skipped == {"hill/tuned/seed0": "hill/sly/seed0"}
    assert [result.run for result in caught.value.results] == ["hill/masked/seed0"]
    assert log.read_text().count("Traceback") == 2 and "fell off" in log.read_text()
    assert not (tmp_path / "out/runs/hill/tuned").exists()
    assert [p.name for p in (tmp_path / "out/runs/hill/sly").iterdir()] == []
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("trouble", ["kill", "kill server"])
def test_a_killed_worker_is_started_again(tmp_path: Path, trouble: str, capfd):
    clean = payloads(run_suite(small(), tmp_path / "clean", executor=Inline()))
    journal = tmp_path / "journal"
    suite = small(trouble=trouble, once=str(tmp_path / "once"), journal=str(journal))
    capfd.readouterr()
    results = run_suite(suite, tmp_path / "out", workers=1, progress=False)
    values = {run: payload["value"] for run, payload in payloads(results).items()}  # pyright: ignore
    assert values == {run: payload["value"] for run, payload in clean.items()}  # pyright: ignore
    tried = [line.split() for line in journal.read_text().splitlines()]
    assert [run for run, *_ in tried] == ["hill/sly/seed0"] * 2
    wait_for(lambda: not alive(int(tried[0][1])), "the first attempt to be gone")
    how = "killed by SIGKILL" if trouble == "kill" else "server died (exit code -9)"
    shown = capfd.readouterr().err
    assert "hill/sly/seed0 failed, and is tried again: " in shown and how in shown
    assert shown.count("\n") == 1
    assert sorted(p.name for p in (tmp_path / "out/runs/hill/sly/seed0").iterdir()) == [
        "draw.json",
        "result.json",
    ]


def test_a_worker_that_is_always_killed_is_given_up(tmp_path: Path):
    with pytest.raises(SuiteFailed, match=r"hill/sly/seed0: killed by SIGKILL \(log: ") as caught:
        run_suite(small(trouble="kill"), tmp_path, workers=1)
    assert [result.run for result in caught.value.results] == ["hill/masked/seed0"]
    assert list((tmp_path / "runs/hill/sly").iterdir()) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_suite_goes_on_to_the_same_numbers(tmp_path: Path, name: str):
    out, gate, journal = tmp_path / "out", tmp_path / "gate", tmp_path / "journal"
    data = small(gate=str(gate), journal=str(journal)).to_dict()
    suite = Suite.from_dict(data)
    (tmp_path / "suite.json").write_text(json.dumps(data))
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import json, signal, sys
            sys.path.insert(0, {str(ROOT)!r})
            from feint.bench import Suite, run_suite

            if __name__ == "__main__":
                signal.signal(signal.SIGINT, signal.default_int_handler)
                with open({str(tmp_path / "suite.json")!r}) as file:
                    suite = Suite.from_dict(json.load(file))
                try:
                    run_suite(suite, {str(out)!r}, workers=2)
                except KeyboardInterrupt:
                    sys.exit(130)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    done = out / "runs/hill/masked/seed0/result.json"
    wait_for(lambda: done.exists() and journal.exists(), "one run to be done and one to wait")
    started = done.stat().st_mtime_ns
    with pytest.raises(ValueError, match=rf"in use by another runner \(process {process.pid}\)"):
        run_suite(suite, out, executor=Inline())
    if name == "SIGKILL":  # only the runner itself
        os.kill(process.pid, signal.SIGKILL)
    else:  # everything, as a terminal does
        os.killpg(process.pid, getattr(signal, name))
    _, shown = process.communicate(timeout=60)
    worker = int(journal.read_text().split()[1])
    wait_for(lambda: not alive(worker), "the worker to be gone")
    assert "Traceback" not in shown
    if name != "SIGKILL":
        assert process.returncode == 130
        assert shown.splitlines()[-1] == (
            "interrupted: 1 of 3 runs are finished; the same command goes on from there"
        )
        assert list((out / "runs/hill/sly").iterdir()) == []

    gate.touch()
    executor = Inline()
    resumed = run_suite(suite, out, executor=executor)
    assert executor.ran == ["hill/sly/seed0", "hill/tuned/seed0"]
    assert done.stat().st_mtime_ns == started
    fresh = run_suite(suite, tmp_path / "fresh", executor=Inline())
    values = [result.payload["value"] for result in fresh]
    assert [result.payload["value"] for result in resumed] == values


def test_what_finishes_while_the_rest_is_ended_counts(tmp_path: Path, capsys):
    class Interrupted(Inline):
        polls = 0

        def poll(self):
            os.kill(os.getpid(), signal.SIGINT)
            self.polls += 1
            assert self.polls < 100, "the signal was not heard"
            return []

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_suite(small(), tmp_path, executor=Interrupted(), progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == (
        "interrupted: 1 of 3 runs are finished; the same command goes on from there\n"
    )


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from {jobs.__name__} import small\nfrom feint.bench import run_suite\n"
        f"run_suite(small(), {str(tmp_path / 'out')!r})\n"
    )
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert process.returncode == 1
    assert "under `if __name__ == '__main__':`" in process.stderr
    assert process.stderr.splitlines()[-1] == (
        "RuntimeError: the workers' server could not start (exit code 1); it says why above"
    )
    assert not (tmp_path / "out/runs").exists()


def test_lines_where_there_is_no_terminal(tmp_path: Path, capsys):
    run_suite(small(), tmp_path, executor=Inline())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["[1/3]", "hill/sly/seed0", "finished"],
        ["[2/3]", "hill/masked/seed0", "finished"],
        ["[3/3]", "hill/tuned/seed0", "finished"],
    ]
    run_suite(small(), tmp_path / "quiet", executor=Inline(), progress=False)
    assert capsys.readouterr().err == ""


def test_bars_on_a_terminal(tmp_path: Path):
    with open(tmp_path / "screen", "w+") as screen:
        console = Console(file=screen, force_terminal=True, width=120)
        with Display("tiny", total=3, done=1, progress=True, console=console) as display:
            display.started("hill/sly/seed0")
            display.advanced("hill/sly/seed0", 0.25)
            display._progress.refresh()
            display.say("a line [not markup]")
            display.finished("hill/sly/seed0", 1.0)
        screen.seek(0)
        shown = screen.read()
    assert "hill/sly/seed0" in shown and "25%" in shown and "a line [not markup]" in shown
    last = shown.splitlines()[-2]  # the last one switches the cursor on
    assert "2/3 runs" in last and "hill/sly" not in last
