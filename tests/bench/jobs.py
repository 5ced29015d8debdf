"""Jobs and suites small enough to run by the dozen."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feint.bench import RunSpec, Suite
from feint.bench.worker import Ended, Progress, execute

IMPORTED_BY = os.getpid()


def run(
    spec: RunSpec, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Numbers drawn from the run's seed, plus those of the runs it needs; or trouble, on demand."""
    settings = spec.settings
    if journal := settings.get("journal"):
        with open(journal, "a") as file:
            imported = "before" if IMPORTED_BY == os.getppid() else "here"
            file.write(f"{spec.id} {os.getpid()} {imported}\n")
    report(0.5)
    if gate := settings.get("gate"):
        deadline = time.monotonic() + 60
        while not Path(gate).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    marker = Path(settings["once"]) if "once" in settings else None
    if marker is None or not marker.exists():
        if marker is not None and "trouble" in settings:
            marker.touch()
        match settings.get("trouble"):
            case "raise":
                (folder / "half.txt").touch()
                raise RuntimeError("the dice\nfell off")
            case "kill":
                (folder / "half.txt").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill server":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(300)
            case "nan":
                return {"curves": [{"loss": float("nan")}]}
    draw = random.Random(f"{spec.scenario}/{spec.arm}/{spec.seed}").random()
    base = sum(json.loads((path / "draw.json").read_text()) for path in needs.values())
    (folder / "draw.json").write_text(json.dumps(draw + base))
    report(1.0)
    return {
        "value": (draw + base) * settings.get("scale", 1.0),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def takes_apart(spec: RunSpec, folder: Path, needs: Any, report: Any) -> dict[str, Any]:
    return {"depth": spec.settings.pop("depth")}


def table(**changes: Any) -> dict[str, Any]:
    """A suite of two scenarios, three arms in a row and two seeds, as TOML would give it."""
    return {
        "name": "tiny",
        "job": f"{__name__}:run",
        "seeds": [0, 1],
        "defaults": {"scale": 1.0},
        "scenario": [
            {"key": "hill", "title": "the hill"},
            {"key": "dale", "title": "the dale", "settings": {"depth": 3}},
        ],
        "arm": [
            {"key": "tuned", "title": "tuned", "role": "treatment", "needs": ["sly"]},
            {"key": "sly", "title": "sly", "role": "reference"},
            {"key": "masked", "title": "masked", "role": "baseline", "needs": ["tuned", "sly"]},
        ],
    } | changes


def tiny(**changes: Any) -> Suite:
    return Suite.from_dict(table(**changes))


def small(**settings: Any) -> Suite:
    """One scenario, one seed, two arms in a row and one beside; `settings` are those of `sly`."""
    data = table(seeds=[0], scenario=[{"key": "hill", "title": "the hill"}])
    data["arm"][1]["settings"] = settings
    data["arm"][2]["needs"] = []
    return Suite.from_dict(data)


class Inline:
    """An executor without processes."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.ran: list[str] = []
        self.most = 0
        self._events: list[Progress | Ended] = []

    def submit(self, spec: RunSpec, folder: Path, needs: dict[str, Path], log: Path) -> None:
        self.ran.append(spec.id)
        try:
            execute(spec, folder, needs, lambda f: self._events.append(Progress(spec.id, f)))
        except Exception as error:
            self._events.append(Ended(spec.id, str(error)))
        else:
            self._events.append(Ended(spec.id))
        self.most = max(self.most, sum(isinstance(e, Ended) for e in self._events))

    def poll(self) -> list[Progress | Ended]:
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        self._events = []
