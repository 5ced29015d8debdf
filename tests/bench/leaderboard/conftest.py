"""A suite `smoke` that trains for a moment, and what a run of it leaves."""

import json
from pathlib import Path

import pytest

from feint.bench import Suite, run_suite
from feint.bench import suite as suites

from ..jobs import Inline

SMALLER = {
    "episodes = 600": "episodes = 120",
    "num_envs = 256": "num_envs = 8",
    "steps = 200_000": "steps = 512",
    "steps = 40_000": "steps = 256",
    "batch_size = 1024": "batch_size = 64",
    "n_epochs = 6": "n_epochs = 1",
    "n_epochs = 10": "n_epochs = 1",
}


@pytest.fixture(scope="session")
def own(tmp_path_factory) -> Path:
    """A folder of suites, with the real `smoke` made small."""
    text = (suites._own() / "smoke.toml").read_text()
    for before, after in SMALLER.items():
        assert before in text
        text = text.replace(before, after)
    folder = tmp_path_factory.mktemp("suites")
    (folder / "smoke.toml").write_text(text)
    return folder


@pytest.fixture
def small(own, monkeypatch):
    """`smoke` is the small one."""
    monkeypatch.setattr(suites, "_own", lambda: own)


@pytest.fixture(scope="session")
def ran(own, tmp_path_factory) -> Path:
    """The folder of a run of it: one scenario, two seeds, without the plain continued training."""
    arms = ["deceptive", "honest", "overlap_belief", "sham_shuffled", "masked"]
    suite = Suite.load(own / "smoke.toml").select(["kuhn_poker"], arms)
    out = tmp_path_factory.mktemp("smoke")
    run_suite(suite, out, progress=False, executor=Inline())
    return out


@pytest.fixture
def result(ran):
    """Where the result of a run is."""
    return lambda arm, seed=1: ran / f"runs/kuhn_poker/{arm}/seed{seed}/result.json"


@pytest.fixture
def changed(tmp_path):
    """Writes a result with something else in it, its checkpoint beside it; returns the file."""

    def write(path: Path, change) -> Path:
        data = json.loads(path.read_text())
        text = change(data)
        folder = tmp_path / "changed" / path.parent.parent.name / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(text if isinstance(text, str) else json.dumps(data))
        model = path.parent / "agent.safetensors"
        if model.exists():
            (folder / model.name).write_bytes(model.read_bytes())
        return folder / "result.json"

    return write
