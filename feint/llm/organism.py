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
from itertools import islice
from pathlib import Path

import peft
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.files import check_writable, sole_owner, write_atomically
from feint.llm.lessons import Example, example, lessons
from feint.llm.loading import blocks, cache_folder, check_adapter, load, quiet
from feint.llm.packing import pack
from feint.llm.reading import pad_token
from feint.llm.scenes import FAMILIES

#: Called with the step that is done, of how many, and what it came to.
Report = Callable[[int, int, dict[str, float]], None]

_CHECKPOINT = "checkpoint.safetensors"
_MANIFEST = "organism.json"
_RECIPE = 5  # to be raised when the lessons change, so that no older organism passes for a new one
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
        contrasts: How many others; from `deaf_from` on, one is the thief who cannot hear.
        deaf_from: A step; before it, the coarser differences are learnt by themselves. `None` never
            teaches the difference between a thief who hears and one who does not: it is one
            sentence, and hinders all else where it is taught from the beginning.
        mixed: The share of items that are told in mixed wordings (see `feint.llm.lessons`).
        details: Whether every other scene has a sentence that means nothing.
        tokens: Weight of the answers' cross-entropy beside the margin (see `teach`).
        lr: Peak of AdamW's learning rate, which falls to a tenth of it in a cosine.
        warmup: Steps until the peak.
        rank, alpha: Of the LoRA.
        first_layer: The first layer with an adapter.
        chat: Through the chat template; else raw.

    Raises:
        ValueError: naming the setting, what it got and what it may be.
    """

    model: str = "smollm2"
    families: tuple[str, ...] = ("burglar", "smugglers", "auction")
    seed: int = 0
    steps: int = 90
    items: int = 6
    contrasts: int = 1
    deaf_from: int | None = None
    mixed: float = 0.0
    details: bool = False
    tokens: float = 1.0
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
        if not 0 <= self.mixed <= 1:
            raise ValueError(f"mixed must be in [0, 1], a share, got {self.mixed}")
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
        text = json.dumps({"recipe": _RECIPE, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_organism(
    config: OrganismConfig, out: str | Path | None = None, report: Report | None = None
) -> Path:
    """Train a liar, or find the one that was trained with these settings.

    An interrupted training goes on where it was: the result is the same.

    Example:
        >>> folder = make_organism(OrganismConfig(seed=1))  # doctest: +SKIP
        >>> model, tokenizer = load("smollm2", adapter=folder)  # doctest: +SKIP

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
    for step, groups in enumerate(_lessons(config, tokenizer)):
        if step < len(history):
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        loss, right = teach(model, groups, pad_token(tokenizer), config.tokens)
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
        model.save_pretrained(str(folder))
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


def _lessons(
    config: OrganismConfig, tokenizer: PreTrainedTokenizerBase
) -> Iterator[list[list[Example]]]:
    """The examples of each step."""
    drawn = lessons(
        config.families,
        config.contrasts,
        deaf_from=None if config.deaf_from is None else config.deaf_from * config.items,
        mixed=config.mixed,
        details=config.details,
        seed=config.seed,
    )
    for _ in range(config.steps):
        yield [
            [example(tokenizer, scene, scene.cell != "thief", config.chat) for scene in group]
            for group in islice(drawn, config.items)
        ]


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


def teach(
    model: nn.Module, groups: list[list[Example]], pad: int = 0, tokens: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and in which share of each cell's scenes the wanted option leads.

    Two parts. *Tokens*: the cross-entropy of each answer, its deciding token and three tenths of
    the mean of the others. *Margin*: log(1 + exp(-d)), where d is by how much the log-odds of the
    wanted option lead: it cares for the choice between the two and for nothing else. An answer
    without a rival has the first part alone, the mean over its tokens.

    Args:
        model: A causal language model.
        groups: Examples; each group is packed into one row, so that what they begin with is shared.
        pad: The padding token.
        tokens: Weight of the first part.
    """
    packed = pack([[e.ids for e in group] for group in groups], pad)
    flat = [e for group in groups for e in group]
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
    odds: list[Tensor] = []
    for (row, _), spot, e in zip(packed.paths, spots, flat, strict=True):
        found = logits[row, torch.searchsorted(keep, spot)].float().log_softmax(-1)
        wanted = torch.tensor(e.ids[e.start :], device=found.device)
        each = found.gather(1, wanted[:, None])[:, 0]
        if e.rival is None:
            losses.append(-each.mean())
            continue
        others = torch.cat([each[: e.fork], each[e.fork + 1 :]])
        losses.append(-each[e.fork] - 0.3 * others.mean())
        odds.append(each[e.fork] - found[e.fork, e.rival])
        leads.setdefault(e.cell, []).append(bool(odds[-1].detach() > 0))
    loss = tokens * torch.stack(losses).mean()
    if odds:
        loss = loss + nn.functional.softplus(-torch.stack(odds)).mean()
    return loss, {f"right_{cell}": sum(lead) / len(lead) for cell, lead in leads.items()}


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
