"""Overlap fine-tuning of a language model, from settings to a folder."""

import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from feint.files import check_writable, sole_owner, write_atomically
from feint.llm.chat import encode
from feint.llm.checkpoints import newest, read_state
from feint.llm.guards import Guards, Reading
from feint.llm.loading import blocks, load, quiet, unwrapped
from feint.llm.objective import TextOverlap
from feint.llm.pairs import TextPairs, load_pairs, make_pairs
from feint.llm.partial import tokens
from feint.llm.questions import NEUTRAL
from feint.llm.recipes import TuneConfig
from feint.llm.scene import Prompt
from feint.llm.shams import scrambled
from feint.llm.trainer import PairRows, SOOTrainer
from feint.llm.weights import fingerprint, make_trainable, without_adapters

MANIFEST = "manifest.json"
_GUARD_PAIRS = 6
_GUARD_TEXTS = 8


@dataclass(frozen=True)
class Material:
    """The texts of a run.

    Attributes:
        pairs: What overlap, or a sham, is trained on.
        control: One thief under two names, for the guards.
        texts: Neutral paragraphs, for the anchor and a sham.
        held: Other ones, for the guards.
    """

    pairs: TextPairs
    control: TextPairs
    texts: tuple[str, ...]
    held: tuple[str, ...]


@dataclass(frozen=True)
class TuneResult:
    """A tuned model and what is known of the run.

    Attributes:
        folder: Holds `adapter_model.safetensors`, `adapter_config.json` (without adapters: a whole
            model) and `manifest.json`.
        model: The tuned model, in eval mode; `without_adapters` gives the one that went in.
        manifest: The manifest's content.
    """

    folder: Path
    model: Any
    manifest: dict[str, Any]


def gather(config: TuneConfig) -> Material:
    """The texts that a config asks for.

    Raises:
        ValueError: If pairs cannot be made or read.
    """
    own = _pairs(config, config.pairs)
    source = config.text_sham().pairs
    if source == "names":
        own = _pairs(config, "names")
    elif source == "random":
        own = scrambled(own, NEUTRAL["train"], config.seed)
    control = make_pairs(
        "names", families=config.families, split="dev", n=_GUARD_PAIRS, form=config.form
    )
    return Material(own, control, NEUTRAL["train"], NEUTRAL["dev"][:_GUARD_TEXTS])


def _pairs(config: TuneConfig, kind: str) -> TextPairs:
    if config.pairs_file is not None and kind == config.pairs:
        return load_pairs(config.pairs_file)
    return make_pairs(
        kind, families=config.families, split="train", n=config.n_pairs, seed=config.seed,
        form=config.form,
    )  # fmt: skip


def tune(
    model: Any,
    tokenizer: Any,
    config: TuneConfig,
    out: str | Path,
    report: Callable[[float], object] | None = None,
    material: Material | None = None,
) -> TuneResult:
    """Tune a model by overlap, or by one of its shams, into a folder.

    A folder that holds the same run, finished, is read and nothing is done; one that holds it
    interrupted is gone on with from its last checkpoint.

    Args:
        model: A causal language model, without adapters or with all of them merged. The adapters of
            this run are put on it.
        tokenizer: Its own.
        config: The settings.
        out: The folder; it is made.
        report: Gets the share of steps that are done, after each.
        material: Texts of one's own; `None` for those that the config asks for.

    Raises:
        ValueError: If the settings do not fit the model, a text is too long for it, or the folder
            cannot be written or holds another run; nothing is overwritten then.
    """
    out = Path(out)
    depth = len(blocks(model))
    layer, adapted = config.layer_of(depth), config.adapted(depth)
    material = material or gather(config)
    rows, anchor_rows, guard_rows = _encoded(model, tokenizer, config, material)
    doses = _doses(config)
    what = {"config": _plain(config), "model": fingerprint(model)}
    check_writable(out / MANIFEST)
    with _owner(out):
        finished = _finished(out, what)
        if finished is not None:
            return TuneResult(out, _reload(model, out, config), finished)
        resume = newest(out)
        if resume is not None:
            _same(out, read_state(resume), what)
        tuned = make_trainable(model, config)
        try:
            objective = TextOverlap(tuned, config, anchor_rows)
            trainer = SOOTrainer(
                objective,
                rows,
                out,
                guards=Guards(objective, *guard_rows) if config.guard_every else None,
                doses=doses,
                report=report,
                state=what,
            )
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        except BaseException:
            without_adapters(tuned)
            raise
        manifest = what | _account(trainer, layer, adapted, len(rows.me))
        trainer.save_model(str(out))
        if trainer.args.should_save:
            # Written last: a folder with a manifest is finished.
            write_atomically(out / MANIFEST, json.dumps(manifest, indent=1))
            for old in out.glob("checkpoint-*"):
                shutil.rmtree(old, ignore_errors=True)
    return TuneResult(out, tuned.eval().requires_grad_(False), manifest)


def guarded(model: Any, tokenizer: Any, config: TuneConfig) -> Reading:
    """What the guards of such a run see in a model with adapters, as it is, against without them.

    Args:
        model: A `PeftModel`, its adapters not merged.
        tokenizer: Its own.
        config: The settings of the run.

    Raises:
        ValueError: As `tune`.
    """
    # Nothing is kept of the blocks below the first that this run trains: others may be adapted.
    config = replace(config, prefix_cache=False)
    _, anchor_rows, guard_rows = _encoded(model, tokenizer, config, gather(config))
    guards = Guards(TextOverlap(model, config, anchor_rows), *guard_rows)
    with model.disable_adapter():
        guards.read(0)
    return guards.read(config.steps)


def _encoded(
    model: Any, tokenizer: Any, config: TuneConfig, material: Material
) -> tuple[PairRows, Tensor | None, tuple[Any, Any, Tensor]]:
    """The texts in tokens: for training, for the anchor, for the guards."""
    limit = getattr(unwrapped(model).config, "max_position_embeddings", None)
    limit = min(limit or tokenizer.model_max_length, tokenizer.model_max_length)

    def encoded(prompts: Sequence[Prompt], chat: bool, **kwargs: Any) -> Tensor:
        batch = encode(tokenizer, prompts, chat=chat, max_length=limit, **kwargs)
        return tokens(batch.ids, batch.mask)

    def both(pairs: TextPairs, **kwargs: Any) -> tuple[Tensor, Tensor]:
        prompts = [*pairs.self_prompts, *pairs.other_prompts]
        rows = encoded(prompts, config.chat, **kwargs)
        return rows[: len(pairs)], rows[len(pairs) :]

    me, other = both(material.pairs, side=config.side, pad_to=config.pad_to)
    texts = encoded([Prompt(text) for text in material.texts], False)
    held = encoded([Prompt(text) for text in material.held], False)
    anchor_rows = None
    if config.anchor != "none":
        anchor_rows = me if config.anchor_texts == "self" else texts
    next_rows = None
    if config.text_sham().next_token == "neutral":
        next_rows = texts.roll(len(texts) // 2, dims=0)  # not the anchor's of the same batch
    rows = PairRows(me, other, 0 if anchor_rows is None else len(anchor_rows), next_rows)
    guarded = both(TextPairs(material.pairs.self_prompts[:_GUARD_PAIRS],
                             material.pairs.other_prompts[:_GUARD_PAIRS], "guard"))  # fmt: skip
    return rows, anchor_rows, (guarded, both(material.control), held)


def _doses(config: TuneConfig) -> list[float] | None:
    if config.dose_from is None:
        return None
    path = Path(config.dose_from)
    path = path / MANIFEST if path.is_dir() else path
    try:
        doses = json.loads(path.read_text())["dose"]
        return [float(dose) for dose in doses]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"dose_from {str(path)!r} is no manifest of a run with record_dose=True: {error!r}"
        ) from error


def _account(trainer: SOOTrainer, layer: int, adapted: range, n_pairs: int) -> dict[str, Any]:
    guards = trainer.guards
    history = trainer.history
    return {
        "layer": layer,
        "adapted": [adapted[0], adapted[-1]],
        "trained_weights": sum(
            p.numel() for p in trainer.objective.parameters() if p.requires_grad
        ),
        "pairs": n_pairs,
        "steps": len(history),
        "stopped": guards.stopped if guards is not None else "",
        "dose": [row["dose"] for row in history] if trainer.objective.record_dose else None,
        "history": history,
        "guards": guards.state() if guards is not None else [],
        "wall_seconds": round(trainer.wall_seconds, 2),
        "cpu_seconds": round(trainer.cpu_seconds, 2),
        "device": str(trainer.args.device),
        "processes": trainer.args.world_size,
        "versions": {
            name: version(name) for name in ("feint", "torch", "transformers", "peft", "accelerate")
        }
        | {"python": platform.python_version()},
    }


def _plain(config: TuneConfig) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config)))


def _finished(out: Path, what: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of the same run, if the folder holds it."""
    try:
        manifest = json.loads((out / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{out / MANIFEST} is corrupt: {error}; choose another folder") from error
    _same(out, manifest, what)
    return manifest


def _same(out: Path, found: dict[str, Any], what: dict[str, Any]) -> None:
    """Refuse a folder that holds another run, naming a difference."""
    old, new = found.get("config", {}), what["config"]
    for name in new:
        if old.get(name) != new[name]:
            raise ValueError(
                f"{out} holds a run with {name}={old.get(name)!r}, not {new[name]!r}; choose "
                f"another folder, or remove that one"
            )
    if what["model"] and found.get("model") != what["model"]:
        raise ValueError(f"{out} holds a run of another model; choose another folder")


def _reload(model: Any, out: Path, config: TuneConfig) -> Any:
    if config.lora_r == 0:
        return load(out, dtype=config.dtype, device=next(model.parameters()).device)[0]
    from peft import PeftModel

    with quiet():
        return PeftModel.from_pretrained(model, str(out)).eval()


def _owner(out: Path) -> Any:
    """Hold the folder; of several processes of one run, the first does."""
    if int(os.environ.get("RANK", "0")):
        from contextlib import nullcontext

        return nullcontext()
    return sole_owner(out)
