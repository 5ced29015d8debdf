"""Which weights of a language model are trained, and how they are written and read."""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from feint.files import write_atomically
from feint.llm.loading import blocks, check_adapter, name_of, quiet, unwrapped
from feint.llm.recipes import TuneConfig

_SAMPLES = 64  # values of each weight that its fingerprint is made of


def make_trainable(model: Any, config: TuneConfig) -> Any:
    """Put adapters on the layers that the config names, or set those layers' own weights free.

    All else is frozen. No adapter is made that the loss cannot reach: none above the compared
    layer, nor behind its attention where that is what is compared.

    Returns:
        The model itself, or the `PeftModel` around it; `without_adapters` takes that off again.

    Raises:
        ValueError: If the model has an adapter already, or no linear layer of a target's name.
    """
    if hasattr(model, "peft_config"):
        raise ValueError("the model has an adapter already; merge it first (load(..., merge=True))")
    layers = config.adapted(len(blocks(model)))
    model.requires_grad_(False)
    if config.lora_r == 0:
        for layer in layers:
            for name, p in blocks(model)[layer].named_parameters():
                p.requires_grad_(_reached(config, layer == layers[-1], name))
        return model
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type] - any number will do
        lora_dropout=config.lora_dropout,
        target_modules=_targets(model, config, layers),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(config.seed)
        return get_peft_model(model, lora)


def without_adapters(model: Any) -> Any:
    """The model as it was before `make_trainable` put adapters on it."""
    return model.unload() if hasattr(model, "peft_config") else model


def _reached(config: TuneConfig, top: bool, name: str) -> bool:
    """Whether the loss depends on a weight of a block, by its name; `top`: of the compared one."""
    ends_in_attention = config.site == "o_proj" and config.distance != "kl_logits"
    part = name.split(".")[0]
    return not (top and ends_in_attention) or part in ("self_attn", "attention", "input_layernorm")


def _targets(model: nn.Module, config: TuneConfig, layers: range) -> list[str]:
    found, known = [], set()
    for layer in layers:
        for name, module in blocks(model)[layer].named_modules():
            if not isinstance(module, nn.Linear):  # 4-bit layers are that too
                continue
            known.add(name.split(".")[-1])
            wanted = name.split(".")[-1] in config.lora_targets
            if wanted and _reached(config, layer == layers[-1], name):
                found.append(name_of(model, module))
    if missing := [name for name in config.lora_targets if name not in known]:
        raise ValueError(
            f"no linear layer is named {missing[0]!r} in layers {layers[0]} to {layers[-1]}; "
            f"lora_targets may name: {', '.join(sorted(known))}"
        )
    if not found:
        raise ValueError(
            f"of lora_targets {config.lora_targets} none is below what is compared; raise layer, "
            f"or lower lora_layers"
        )
    return found


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, by name, whole, on the CPU; of FSDP all processes must ask."""
    found = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            whole: Any = p.detach()
            if hasattr(whole, "full_tensor"):
                whole = whole.full_tensor()
            found[name] = whole.cpu().contiguous()
    return found


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file, whole or not at all."""
    write_atomically(path, safetensors.torch.save(tensors, metadata={"format": "pt"}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ValueError: If it is missing or corrupt.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is missing or corrupt: {error}") from error


def restore_weights(model: nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Set the weights that are trained.

    Raises:
        ValueError: If names or shapes are not those of the model; nothing is changed then.
    """
    mine = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if mine.keys() != tensors.keys():
        name = sorted(mine.keys() ^ tensors.keys())[0]
        raise ValueError(f"{source} does not fit this model: they differ in {name!r}")
    for name, p in mine.items():
        if p.shape != tensors[name].shape:
            raise ValueError(f"{source} does not fit this model: {name!r} has another shape")
    with torch.no_grad():
        for name, p in mine.items():
            p.copy_(tensors[name])


def write_adapter(model: Any, folder: Path, weights: dict[str, Tensor]) -> None:
    """Write an adapter as peft reads it, in safetensors; or the whole model, if it has none.

    Args:
        model: The tuned model, maybe inside of distributed wrappers.
        folder: Where to.
        weights: `trained_weights(model)`.

    Raises:
        ValueError: If the folder cannot be written.
    """
    if not hasattr(model, "peft_config"):
        plain = unwrapped(model)
        plain.save_pretrained(folder)  # type: ignore[operator]
        return
    # In files peft names a weight without the name of its adapter.
    named = {name.replace(".default.", "."): value for name, value in weights.items()}
    config = model.peft_config["default"].to_dict()
    config["inference_mode"] = True
    config["target_modules"] = sorted(config["target_modules"])
    text = json.dumps(config, indent=2, sort_keys=True, default=_plain)
    write_tensors(folder / "adapter_model.safetensors", named)
    write_atomically(folder / "adapter_config.json", text)
    check_adapter(folder)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else getattr(value, "value", str(value))


def fingerprint(model: nn.Module) -> str:
    """A short hash of a model's weights as they are, from evenly spaced values of each.

    Empty where the weights are not here: under FSDP one process may hold them for all.
    """
    if any(p.is_meta for p in model.parameters()):
        return ""
    digest = hashlib.sha256()
    for name, p in unwrapped(model).named_parameters():
        flat: Any = p.detach()
        flat = (flat.full_tensor() if hasattr(flat, "full_tensor") else flat).reshape(-1)
        part = flat[:: max(1, flat.numel() // _SAMPLES)]
        digest.update(name.encode())
        digest.update(part.double().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
