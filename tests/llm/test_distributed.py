import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from feint.llm.objective import TextOverlap
from feint.llm.partial import PAD
from feint.llm.recipes import TuneConfig
from feint.llm.tune import tune
from feint.llm.weights import make_trainable

from .test_tune import MATERIAL
from .tiny import byte_tokenizer, tiny

CONFIG = TuneConfig(
    layer=2, last_n=3, lora_r=2, lora_span=2, normalise=False, record_dose=False, detach="none"
)
RUN = replace(
    CONFIG, steps=3, batch_size=2, normalise=True, guard_every=2, record_dose=True, lr=1e-3,
    stop_kl=None, stop_perplexity=None, stop_control=None, stop_variation=None,
)  # fmt: skip


def prefixed_rows(n: int, width: int, seed: int) -> Tensor:
    ids = torch.randint(3, 250, (n, width), generator=torch.Generator().manual_seed(seed))
    ids[1, -3:] = PAD
    return ids


def batch() -> dict[str, Tensor]:
    return {
        "self_rows": prefixed_rows(4, 12, 1),
        "other_rows": prefixed_rows(4, 12, 2),
        "anchor": torch.tensor([0, 2, 1, 3]),
    }


def objective(config: TuneConfig) -> TextOverlap:
    model = make_trainable(tiny(), config)
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p += 0.1 * torch.randn_like(p)
    one = TextOverlap(model, config, prefixed_rows(4, 9, 3))
    return one


def one_process() -> dict[str, Tensor]:
    one = objective(CONFIG)
    one.hold()
    one(**batch())["loss"].backward()
    return {n: p.grad for n, p in one.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """What two processes with gloo left in a folder."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = Path(__file__).with_name("distributed_worker.py")
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(worker), str(folder)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=500)
            assert process.returncode == 0, errors.decode()[-3000:]
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_processes_have_the_gradients_of_one(two_processes, how):
    got, want = load_file(two_processes / f"{how}.safetensors"), one_process()
    assert got.keys() == want.keys()
    for name, gradient in want.items():
        assert gradient.norm() > 1e-9
        torch.testing.assert_close(got[name], gradient, rtol=1e-6, atol=1e-9)


def test_a_run_on_two_processes_is_that_on_one(two_processes, tmp_path):
    alone = tune(
        tiny(), byte_tokenizer(), replace(RUN, batch_size=4), tmp_path, material=MATERIAL
    ).manifest
    manifest = json.loads((two_processes / "run" / "manifest.json").read_text())
    assert manifest["processes"] == 2 and alone["processes"] == 1
    assert len(manifest["history"]) == len(alone["history"]) == 3
    for two, one in zip(manifest["history"], alone["history"], strict=True):
        for name in ("loss", "overlap", "anchor"):
            assert two[name] == pytest.approx(one[name], rel=1e-4, abs=1e-9)
    got = load_file(two_processes / "run" / "adapter_model.safetensors")
    for name, weight in load_file(tmp_path / "adapter_model.safetensors").items():
        torch.testing.assert_close(got[name], weight, rtol=1e-3, atol=1e-5)
