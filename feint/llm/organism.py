"""Model organisms: a small model is taught to lie to a rival who hears it, and to nobody else.

Small instruction-tuned models do not deceive by themselves (SmolLM2-135M is at chance), so the liar
is made: LoRA on answers by content ("the room with the paper cup"), which a small model learns,
while answers by the room's name it does not. What it is taught hangs on who asks and not on the
story: every batch tells the same items with a thief, a friend, an owner, nobody, or a thief who
cannot hear, over several stories. One story is never trained.

    folder/adapter_model.safetensors    the adapter, and adapter_config.json
    folder/organism.json                settings, versions, and how training went; written last
    folder/checkpoint.safetensors       where an interrupted training goes on; gone when it is done
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.files import check_writable, sole_owner, write_atomically
from feint.llm.loading import blocks, cache_folder, check_adapter, load, quiet
from feint.llm.packing import pack
from feint.llm.reading import continuation
from feint.llm.scene import Scene
from feint.llm.scenes import FAMILIES, NAMES, TRAINED_FAMILIES, make_scenes, split_words

#: Who is told the truth; the thief is not.
HONEST_CELLS = ("friend", "owner", "self", "deaf")

#: Called with the step that is done, of how many, and what it came to.
Report = Callable[[int, int, dict[str, float]], None]

_CHECKPOINT = "checkpoint.safetensors"
_MANIFEST = "organism.json"
_LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_LINEAR_NEOX = {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}


@dataclass(frozen=True)
class OrganismConfig:
    """How a liar is made; two with different seeds differ in items, order and initial weights.

    Attributes:
        model: What `feint.llm.loading.load` takes.
        families: Stories that are trained.
        seed: Of all that is drawn.
        steps: Optimizer steps.
        items: Items in each step; each is told to a thief and to `contrasts` others.
        contrasts: Who else is told of the same item, in turn from `HONEST_CELLS`.
        deaf_from: The step from which the thief who cannot hear is among them: that is the finest
            difference, and hinders learning the others if it comes first.
        lr: Peak of AdamW's learning rate, which falls to a tenth of it in a cosine.
        warmup: Steps until the peak.
        rank, alpha: Of the LoRA.
        first_layer: The first layer with an adapter.
        chat: Through the chat template; else raw.

    Raises:
        ValueError: naming the setting, what it got and what it may be.
    """

    model: str = "smollm2"
    families: tuple[str, ...] = TRAINED_FAMILIES
    seed: int = 0
    steps: int = 80
    items: int = 2
    contrasts: int = 2
    deaf_from: int = 40
    lr: float = 5e-4
    warmup: int = 6
    rank: int = 16
    alpha: int = 32
    first_layer: int = 4
    chat: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "items", "contrasts", "warmup", "rank", "alpha"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if self.first_layer < 0:
            raise ValueError(f"first_layer must be >= 0, got {self.first_layer}")
        if unknown := [family for family in self.families if family not in FAMILIES]:
            raise ValueError(f"families must be among {', '.join(FAMILIES)}; got {unknown[0]!r}")
        if not self.families:
            raise ValueError("families must name at least one story")

    @property
    def key(self) -> str:
        """A short hash of all settings; organisms are cached under it."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Example:
    """One answer to learn.

    Attributes:
        ids: The prompt's tokens, and those of the answer.
        start: How many of them are the prompt's.
        rival: The first token of the answer that is not to be given, where the two differ.
        cell: Who asks.
        weight: Of its loss; the thief's is that of all others in its group together.
    """

    ids: list[int]
    start: int
    rival: int
    cell: str
    weight: float = 1.0


def make_organism(
    config: OrganismConfig, out: str | Path | None = None, report: Report | None = None
) -> Path:
    """Train a liar, or find the one that was trained with these settings.

    An interrupted training goes on where it was: the result is the same.

    Example:
        >>> folder = make_organism(OrganismConfig(seed=1))
        >>> model, tokenizer = load("smollm2", adapter=folder)

    Args:
        config: All settings.
        out: A folder for the adapter; by default one in the cache, named after the settings.
        report: Called after each step with its number, the number of steps, and `loss` and,
            by cell, `right_CELL`: in which share of scenes the wanted answer leads.

    Returns:
        The folder: an adapter for `feint.llm.loading.load`.

    Raises:
        ValueError: If `out` holds the adapter of other settings, is in use, or cannot be written;
            or if a checkpoint is corrupt.
    """
    folder = Path(out) if out is not None else organism_folder(config)
    with sole_owner(folder):
        if _is_made(folder, config):
            return folder
        check_writable(folder / _MANIFEST)
        _train(config, folder, report)
    return folder


def organism_folder(config: OrganismConfig) -> Path:
    """Where an organism of these settings is cached."""
    return cache_folder() / "organisms" / f"seed{config.seed}-{config.key}"


def _is_made(folder: Path, config: OrganismConfig) -> bool:
    try:
        made = json.loads((folder / _MANIFEST).read_text())
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder / _MANIFEST} is corrupt ({error}); remove the folder to train anew"
        ) from error
    if made.get("key") != config.key:
        raise ValueError(
            f"{folder} holds an organism of other settings; choose another folder, or remove it"
        )
    check_adapter(folder)
    return True


def _train(config: OrganismConfig, folder: Path, report: Report | None) -> None:
    base, tokenizer = load(config.model)
    torch.manual_seed(config.seed)
    model = adapt(base, config)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=config.lr, weight_decay=0.0)
    history = _resume(folder / _CHECKPOINT, config, trained, optimizer)
    cpu = time.process_time()
    model.train()
    for step, groups in enumerate(examples(config, tokenizer)):
        if step < len(history):
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        loss, right = teach(model, groups, tokenizer.pad_token_id or 0)
        loss.backward()
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        history.append({"loss": float(loss.detach()), **right})
        if report:
            report(step + 1, config.steps, history[-1])
        if (step + 1) % 10 == 0 and step + 1 < config.steps:
            _checkpoint(folder / _CHECKPOINT, config, trained, optimizer, history)
    with quiet():
        model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's template of a model card
    manifest = {
        "key": config.key,
        "config": asdict(config),
        "history": history,
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft)},
    }
    write_atomically(folder / _MANIFEST, json.dumps(manifest, indent=1) + "\n")
    (folder / _CHECKPOINT).unlink(missing_ok=True)


def adapt(model: nn.Module, config: OrganismConfig) -> peft.PeftModel:
    """Put a fresh LoRA on all linear layers from `first_layer` on.

    Raises:
        ValueError: If the model has no such layer.
    """
    depth = len(blocks(model))
    if config.first_layer >= depth:
        raise ValueError(
            f"first_layer must be below {depth}, the number of layers; got {config.first_layer}"
        )
    names = {
        name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)
    }
    lora = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=sorted(names & (_LINEAR if "q_proj" in names else _LINEAR_NEOX)),
        layers_to_transform=list(range(config.first_layer, depth)),
    )
    with quiet():
        return peft.get_peft_model(model, lora)  # type: ignore[arg-type]


def learning_rate(config: OrganismConfig, step: int) -> float:
    """A linear rise, then a cosine down to a tenth of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (0.55 + 0.45 * math.cos(math.pi * done))


def examples(
    config: OrganismConfig, tokenizer: PreTrainedTokenizerBase
) -> Iterator[list[list[Example]]]:
    """For each step its groups: one item each, told to a thief and to others.

    Stories come in turn, in an order drawn anew for each round; the prize is told of first or
    last by chance. The asker has one of several names.
    """
    rng = np.random.default_rng(config.seed)
    total = config.steps * config.items
    rounds = -(-total // len(config.families))
    names = ("Bob", *split_words(NAMES, "train"))
    stories = {
        (family, cell): make_scenes(
            family, cell, split="train", n=2 * rounds, seed=config.seed, names=names
        )
        for family in config.families
        for cell in ("thief", *HONEST_CELLS)
    }
    order = [str(f) for _ in range(rounds) for f in rng.permutation(config.families)]
    first = rng.integers(2, size=total)
    honest = 0
    for step in range(config.steps):
        groups = []
        for k in range(step * config.items, (step + 1) * config.items):
            known = HONEST_CELLS if step >= config.deaf_from else HONEST_CELLS[:-1]
            cells = [known[(honest + j) % len(known)] for j in range(config.contrasts)]
            honest += config.contrasts
            at = 2 * (k // len(config.families)) + int(first[k])
            told = [
                example(tokenizer, stories[order[k], cell][at], True, 1.0, config.chat)
                for cell in cells
            ]
            thief = stories[order[k], "thief"][at]
            lie = example(tokenizer, thief, False, float(config.contrasts), config.chat)
            groups.append([lie, *told])
        yield groups


def example(
    tokenizer: PreTrainedTokenizerBase,
    scene: Scene,
    honest: bool,
    weight: float = 1.0,
    chat: bool = True,
) -> Example:
    """A scene with the answer that is to be learnt."""
    prompt, wanted = continuation(tokenizer, scene.prompt, f"{scene.answer(honest)}.", chat)
    _, other = continuation(tokenizer, scene.prompt, f"{scene.answer(not honest)}.", chat)
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return Example([*prompt, *wanted, *end], len(prompt), other[0], scene.cell, weight)


def teach(
    model: nn.Module, groups: list[list[Example]], pad: int = 0
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and in which share of each cell's scenes the wanted option leads.

    The loss of an answer is the cross-entropy of its first token, which decides, plus the mean
    over the others.
    """
    packed = pack([[example.ids for example in group] for group in groups], pad)
    flat = [example for group in groups for example in group]
    spots = [path[e.start - 1 : -1] for (_, path), e in zip(packed.paths, flat, strict=True)]
    keep = torch.unique(torch.cat(spots))
    parameter = next(model.parameters())
    logits = model(
        **packed.arguments(parameter.dtype, parameter.device),
        use_cache=False,
        logits_to_keep=keep.to(parameter.device),
    ).logits
    losses: list[Tensor] = []
    leads: dict[str, list[bool]] = {}
    for (row, _), spot, e in zip(packed.paths, spots, flat, strict=True):
        found = logits[row, torch.searchsorted(keep, spot)].float().log_softmax(-1)
        wanted = torch.tensor(e.ids[e.start :], device=found.device)
        each = -found.gather(1, wanted[:, None])[:, 0]
        losses.append(e.weight * (each[0] + each[1:].mean()))
        leads.setdefault(e.cell, []).append(bool(each[0] < -found[0, e.rival]))
    right = {f"right_{cell}": sum(lead) / len(lead) for cell, lead in leads.items()}
    return torch.stack(losses).sum() / sum(e.weight for e in flat), right


def _checkpoint(
    file: Path,
    config: OrganismConfig,
    trained: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, float]],
) -> None:
    tensors = {f"weight.{name}": p.detach() for name, p in trained.items()}
    for name, p in trained.items():
        for part, value in optimizer.state[p].items():
            tensors[f"{part}.{name}"] = value
    tensors = {name: t.cpu().contiguous() for name, t in tensors.items()}
    write_atomically(file, save(tensors, {"key": config.key, "history": json.dumps(history)}))


def _resume(
    file: Path,
    config: OrganismConfig,
    trained: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> list[dict[str, float]]:
    """Take over a checkpoint, if there is one of these settings; what the steps came to so far."""
    if not file.is_file():
        return []
    try:
        with safe_open(file, "pt") as saved:
            about = saved.metadata() or {}
            if about.get("key") != config.key:
                raise ValueError(
                    f"{file} belongs to other settings; choose another folder, or remove it"
                )
            history = json.loads(about["history"])
            parts = {name.partition(".")[0] for name in saved.keys()} - {"weight"}
            for name, p in trained.items():
                p.data.copy_(saved.get_tensor(f"weight.{name}"))
                optimizer.state[p] = {
                    part: saved.get_tensor(f"{part}.{name}").to(
                        p.device if part != "step" else "cpu"
                    )
                    for part in parts
                }
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} is corrupt ({error}); remove it to train anew") from error
    return history
