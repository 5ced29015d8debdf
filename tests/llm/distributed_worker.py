"""One of two processes: the gradients of a batch under DDP and under FSDP, and a whole run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from feint.llm.guards import Guards
from feint.llm.loading import blocks
from feint.llm.tune import tune
from tests.llm.test_distributed import CONFIG, RUN, batch, guarded, objective
from tests.llm.test_tune import MATERIAL
from tests.llm.tiny import byte_tokenizer, tiny


def halved(rank: int) -> dict[str, torch.Tensor]:
    return {name: x[rank * len(x) // 2 : (rank + 1) * len(x) // 2] for name, x in batch().items()}


def ddp(rank: int) -> dict[str, torch.Tensor]:
    one = objective(CONFIG)
    one.hold()
    wrapped = torch.nn.parallel.DistributedDataParallel(one)
    wrapped(**halved(rank))["loss"].backward()
    return {n: p.grad for n, p in one.named_parameters() if p.grad is not None}


def fsdp(rank: int) -> dict[str, torch.Tensor]:
    one = objective(CONFIG)
    mesh = init_device_mesh("cpu", (2,))
    for block in blocks(one.model):
        fully_shard(block, mesh=mesh)
    fully_shard(one, mesh=mesh)
    assert isinstance(one, FSDPModule)
    assert all(isinstance(p, DTensor) for p in one.parameters())
    one(run=one.hold)
    guards = Guards(one, *guarded())
    guards.run = lambda measure: one(run=measure)
    guards.read(0)
    one(**halved(rank))["loss"].backward()
    found = {}
    for name, p in one.named_parameters():
        if p.grad is not None:
            assert isinstance(p.grad, DTensor)
            found[name] = p.grad.full_tensor()
    found["perplexity"] = torch.tensor(guards.history[0].perplexity)
    return found


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    for name, make in (("ddp", ddp), ("fsdp", fsdp)):
        found = make(rank)
        if rank == 0:
            save_file({n: g.contiguous() for n, g in found.items()}, folder / f"{name}.safetensors")
    tune(tiny(), byte_tokenizer(), RUN, folder / "run", material=MATERIAL)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
