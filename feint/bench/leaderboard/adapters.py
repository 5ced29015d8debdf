"""Adapters that a stranger sends: one safetensors file each, with nothing in it to follow.

peft keeps an adapter in two files, of which `adapter_config.json` can name modules to be imported
and models to be fetched. A submission holds the tensors alone. All that a plain LoRA needs besides
is its scale, in the header; ranks and layers are in the tensors' shapes and names, from which a
config is written anew before anything is loaded.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from feint.bench.leaderboard.untrusted import parse_json, read_bytes, read_json, safetensors_header

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
#: Bytes of an adapter, its rank, and the size of its `lora_alpha`.
MOST_ADAPTER, MOST_RANK, MOST_ALPHA = 48 << 20, 256, 1e6

_NAME = re.compile(r"base_model\.model\.((?:\w{1,60}\.){1,12})lora_([AB])\.weight", re.ASCII)
#: With any of these an adapter is more than its tensors and a scale.
_PLAIN = (
    "use_rslora", "use_dora", "use_qalora", "fan_in_fan_out", "lora_bias", "modules_to_save",
    "rank_pattern", "alpha_pattern", "layer_replication", "trainable_token_indices",
    "target_parameters", "alora_invocation_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """What an adapter's file says.

    Attributes:
        rank: of all its matrices.
        alpha: they are applied `alpha / rank` times.
        sizes: inputs and outputs of the linear layers that it is on, by their dotted names.
    """

    rank: int
    alpha: float
    sizes: dict[str, tuple[int, int]]


def pack(folder: Path) -> bytes:
    """The one file that a submission holds of an adapter, from peft's folder.

    Raises:
        ValueError: if that is no plain LoRA in safetensors.
    """
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ValueError(f"{folder / CONFIG} is not of a LoRA adapter; only these can be verified")
    if odd := [name for name in _PLAIN if config.get(name)]:
        raise ValueError(f"{folder / CONFIG} has {odd[0]}; only plain LoRA can be verified")
    if config.get("bias", "none") != "none":
        raise ValueError(f"{folder / CONFIG} has bias; only plain LoRA can be verified")
    data = read_bytes(folder / TENSORS, MOST_ADAPTER)
    header = safetensors_header(folder / TENSORS, data)
    about = {"feint": json.dumps({"lora_alpha": config.get("lora_alpha")})}
    text = json.dumps({"__metadata__": about, **header.tensors}).encode()
    text += b" " * (-len(text) % 8)  # so that tensors begin where the format wants them to
    return len(text).to_bytes(8, "little") + text + data[8 + header.length :]


def check(path: Path, data: bytes) -> Adapter:
    """What is in an adapter's file, if it is one, and nothing else.

    Args:
        path: its name in errors.
        data: its content.

    Raises:
        ValueError: naming what is wrong.
    """
    header = safetensors_header(path, data)
    card = parse_json(str(header.about.get("feint", "")), f"the description in {path}")
    if not isinstance(card, dict) or set(card) != {"lora_alpha"} or len(header.about) > 1:
        raise ValueError(f"{path} must be described by lora_alpha, and by nothing else")
    alpha = card["lora_alpha"]
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha <= MOST_ALPHA:
        raise ValueError(f"{path}: lora_alpha must be a number above 0, at most {MOST_ALPHA:g}")
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for name, entry in header.tensors.items():
        match, shape = _NAME.fullmatch(name), entry["shape"]
        if match is None or entry["dtype"] not in ("F32", "F16", "BF16") or len(shape) != 2:
            raise ValueError(f"{path} has {name[:80]!a}, which is no matrix of a LoRA adapter")
        found.setdefault(match[1][:-1], {})[match[2]] = (shape[0], shape[1])
    ranks, sizes = set(), {}
    for name, both in found.items():
        if set(both) != {"A", "B"}:
            raise ValueError(f"{path} has one of the two matrices of {name[:80]} alone")
        (rank, inputs), (outputs, other) = both["A"], both["B"]
        ranks |= {rank, other}
        sizes[name] = (inputs, outputs)
    if len(ranks) != 1 or not 1 <= min(ranks) <= MOST_RANK:
        raise ValueError(f"{path}: the matrices must be of one rank, from 1 to {MOST_RANK}")
    return Adapter(ranks.pop(), alpha, sizes)


def unpack(path: Path, data: bytes, folder: Path, model: Path) -> Path:
    """Write an adapter's file as peft reads it, if it fits a model.

    Args:
        path: its name in errors.
        data: its content.
        folder: to be made.
        model: folder of the model that it is put on.

    Returns:
        The folder.

    Raises:
        ValueError: if it is no adapter, or is on layers that the model does not have.
    """
    adapter = check(path, data)
    there = _linear(model)
    for name, size in adapter.sizes.items():
        if there.get(name) != size:
            is_ = f"one of {there[name]} there" if name in there else "none of the model's"
            raise ValueError(f"{path} is on a linear layer {name[:80]} of {size}, which is {is_}")
    folder.mkdir()
    (folder / TENSORS).write_bytes(data)
    config = {
        "peft_type": "LORA",
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "target_modules": sorted(adapter.sizes),
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


def _linear(model: Path) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of a model's linear layers, by their dotted names; no weight is read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        made = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
    return {
        name: (module.in_features, module.out_features)
        for name, module in made.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
