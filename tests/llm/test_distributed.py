import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import ClusterConfig
from safetensors.torch import load_file
from torch import Tensor

import feint.llm
from feint.llm.guards import Guards
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


def guarded() -> tuple:
    rows = batch()
    return (
        (rows["self_rows"], rows["other_rows"]),
        (rows["other_rows"], rows["self_rows"]),
        prefixed_rows(3, 9, 4),
    )


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
    guards = Guards(one, *guarded())
    guards.read(0)
    one(**batch())["loss"].backward()
    found = {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
    return found | {"perplexity": torch.tensor(guards.history[0].perplexity)}


WORKER = Path(__file__).with_name("distributed_worker.py")


def run_all(commands: list[list[str]], environments: list[dict[str, str]]) -> None:
    shared = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    processes = [
        subprocess.Popen(command, env=shared | more, stderr=subprocess.PIPE)
        for command, more in zip(commands, environments, strict=True)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=580)
            assert process.returncode == 0, errors.decode()[-3000:]
    finally:
        for process in processes:
            process.kill()


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """What two processes with gloo left in a folder."""
    folder = tmp_path_factory.mktemp("two")
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "true",
    }
    ranks = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    run_all([[sys.executable, "-W", "ignore", str(WORKER), str(folder)]] * 2, ranks)
    return folder


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_processes_have_the_gradients_of_one(two_processes, how):
    got, want = load_file(two_processes / f"{how}.safetensors"), one_process()
    if how == "ddp":  # there, guards need nothing of the wrapper
        want.pop("perplexity")
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


@pytest.mark.slow
def test_accelerate_launch_runs_it(tmp_path):
    # Its --cpu wants MPI for several processes; its launcher for GPUs is torchrun, and starts any.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    options = ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    port = ["--dynamo_backend", "no", "--main_process_port", free_port()]
    command = [*launch, *options, *port, str(WORKER), str(tmp_path)]
    run_all([command], [{"ACCELERATE_USE_CPU": "true"}])
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["processes"] == 2 and manifest["steps"] == 3


@pytest.mark.parametrize("name", ["one_gpu.yaml", "node_fsdp.yaml"])
def test_configs_are_what_accelerate_reads(name):
    path = Path(feint.llm.__file__).parent / "configs" / name
    config = ClusterConfig.from_yaml_file(str(path))
    assert config.mixed_precision == "bf16"
    if name == "node_fsdp.yaml":
        assert config.distributed_type == "FSDP"
        assert (config.fsdp_config or {})["fsdp_version"] == 2
