"""Checkpoints of a run in safetensors and JSON: whole folders, from which it goes on exactly."""

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from feint.files import write_atomically
from feint.llm.weights import read_tensors, restore_weights, trained_weights, write_tensors

_WEIGHTS, _OPTIMIZER, _STATE = "trained.safetensors", "optimizer.safetensors", "run.json"
_RNG = "rng"


def newest(folder: Path) -> Path | None:
    """The last checkpoint in a folder, if there is one."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.split("-")[-1].isdigit()]
    return max(found, key=lambda path: int(path.name.split("-")[-1]), default=None)


def write_checkpoint(
    target: Path, model: nn.Module, optimizer: Any, state: dict[str, Any], trainer_state: str
) -> None:
    """Write a checkpoint; its folder appears when it is whole, and older ones beside it go.

    Args:
        target: The folder, `checkpoint-<steps>`.
        model: Its trained weights are written.
        optimizer: Its state is.
        state: What else the run needs, as JSON.
        trainer_state: The state of `transformers.Trainer`, as JSON text.

    Raises:
        ValueError: If it cannot be written.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    saved = optimizer.state_dict()
    tensors = {
        f"{k}.{name}": value.detach().cpu().contiguous()
        for k, values in saved["state"].items()
        for name, value in values.items()
    }
    try:
        write_tensors(part / _WEIGHTS, trained_weights(model))
        write_tensors(part / _OPTIMIZER, tensors | {_RNG: torch.get_rng_state()} | _cuda_rng())
        write_atomically(
            part / _STATE, json.dumps(state | {"param_groups": saved["param_groups"]}, default=list)
        )
        write_atomically(part / "trainer_state.json", trainer_state)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for old in target.parent.glob("checkpoint-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any]:
    """What `write_checkpoint` got as `state`.

    Raises:
        ValueError: If it is missing or corrupt.
    """
    try:
        state = json.loads((folder / _STATE).read_text())
        json.loads((folder / "trainer_state.json").read_text())
        if not isinstance(state, dict):
            raise ValueError("no table of keys")
        return state
    except (OSError, ValueError) as error:
        raise ValueError(_corrupt(folder, error)) from error


def read_weights(folder: Path, model: nn.Module) -> None:
    """Set the trained weights to those of a checkpoint.

    Raises:
        ValueError: If they are missing, corrupt, or those of another model.
    """
    try:
        restore_weights(model, read_tensors(folder / _WEIGHTS), folder)
    except ValueError as error:
        raise ValueError(_corrupt(folder, error)) from error


def read_optimizer(folder: Path, optimizer: Any) -> None:
    """Set an optimizer to the state of a checkpoint.

    Raises:
        ValueError: If it is missing, corrupt, or that of another optimizer.
    """
    try:
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in read_tensors(folder / _OPTIMIZER).items():
            if "." in key:
                k, name = key.split(".", 1)
                state.setdefault(int(k), {})[name] = value
        groups = read_state(folder)["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError, RuntimeError) as error:
        raise ValueError(_corrupt(folder, error)) from error


def read_rng(folder: Path) -> None:
    """Set torch's random states to those of a checkpoint."""
    tensors = read_tensors(folder / _OPTIMIZER)
    torch.set_rng_state(tensors[_RNG])
    if f"{_RNG}_cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[f"{_RNG}_cuda"])


def _cuda_rng() -> dict[str, Tensor]:
    return {f"{_RNG}_cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}


def _corrupt(folder: Path, error: Exception) -> str:
    return f"the checkpoint {folder} is corrupt: {error}; remove that folder to begin anew"
