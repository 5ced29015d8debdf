"""One run of a language model: make an organism or tune one, then ask it everything.

The job of the suite `llm-burglar`. The organism's run leaves an adapter, with which all other runs
of its scenario begin; theirs goes on top of it.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.bench.llm_report import section, show
from feint.bench.settings import check_settings
from feint.bench.suite import RunSpec
from feint.llm.baselines import (
    HonestConfig,
    ask_for_honesty,
    mean_difference,
    steered,
    teach_honesty,
)
from feint.llm.capability import capability
from feint.llm.evaluate import EvalConfig, evaluate
from feint.llm.latent import latent_overlap
from feint.llm.loading import load
from feint.llm.organism import OrganismConfig, make_organism
from feint.llm.pairs import make_pairs
from feint.llm.prefix import PrefixStates
from feint.llm.recipes import RECIPES, TuneConfig
from feint.llm.tune import MANIFEST, guarded, tune
from feint.products import fast_products

__all__ = ["Settings", "run", "section", "show"]

ADAPTER = "adapter"  # where in its folder a run leaves what it has trained
KINDS = ("organism", "plain", "tune", "ask", "honesty_prompt", "sft", "steering")
RATES = ("facts", "open_facts", "leakage")  # what is kept of `capability`, beside perplexity


@dataclass(frozen=True)
class Settings:
    """One run, as the suite describes it.

    Attributes:
        kind: a name in `KINDS`; "plain" asks the organism itself, "ask" a tuned model, once more.
        model: what `feint.llm.loading.load` takes.
        organism: settings of `OrganismConfig`.
        tune: settings of `TuneConfig`, with `recipe` for those that it leaves out.
        sft: settings of `HonestConfig`, for the baseline that trains on honest answers.
        steering: `layer` and `strength` of the baseline that adds a vector.
        start: of kind "ask": arm whose tuned model is asked more.
        dose_from: arm whose gradient norms this one's are matched to.
        evaluation: tables of `EvalConfig`, asked one after another.
        capability: arguments of `capability`.
        latent: of how many pairs the overlap of every layer is measured; 0 for none.
        prefix: block from which on models may differ from the organism; what goes into it is
            computed once for all that do not differ below it. 0 for none.
    """

    kind: str
    model: str = "smollm2"
    organism: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, Any] = field(default_factory=dict)
    sft: dict[str, Any] = field(default_factory=dict)
    steering: dict[str, Any] = field(default_factory=dict)
    start: str | None = None
    dose_from: str | None = None
    evaluation: tuple[dict[str, Any], ...] = ()
    capability: dict[str, Any] = field(default_factory=dict)
    latent: int = 12
    prefix: int = 0

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        """From the suite's merged table.

        Raises:
            ValueError: for unknown or missing keys and an unknown kind.
        """
        check_settings(cls, settings, KINDS)
        return cls(**{**settings, "evaluation": tuple(settings.get("evaluation", ()))})

    @property
    def trains(self) -> bool:
        """Whether anything is learnt, and so an adapter left behind."""
        return self.kind in ("organism", "tune", "sft")

    @property
    def asked(self) -> list[EvalConfig]:
        """What is asked, one after another."""
        return [EvalConfig(**_tuples(table)) for table in self.evaluation]

    @property
    def rewrite(self) -> Any:
        """What is put over every scene; None for nothing."""
        return ask_for_honesty if self.kind == "honesty_prompt" else None

    def tuning(self, seed: int) -> TuneConfig:
        """How a run of kind "tune" is tuned, but for the dose that it is matched to."""
        table = _tuples(self.tune)
        return replace(RECIPES[table.pop("recipe", "feint")], **{"seed": seed, **table})


def run(
    spec: RunSpec, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Make or tune a model, leave its adapter in `folder`, and ask it everything.

    Returns:
        The payload: "cells", "family/cell" or "questions/kind" -> a row of `evaluate` without its
        single scenes; "capability"; "guards", the last reading of a tuned model's guards as shares
        of the first; "latent", the self/other gap of every layer; "train", what training took.
    """
    s = Settings.of(spec.settings)
    torch.set_num_threads(1)
    fast_products()
    trained = _train(s, spec, folder, needs, lambda done: report(0.4 * done))
    organism = folder if s.kind == "organism" else needs["organism"]
    adapters = [organism / ADAPTER]
    if s.kind in ("tune", "sft", "ask"):
        adapters.append((needs[s.start] if s.start else folder) / ADAPTER)
    prefix = None
    if s.prefix and trained.get("first", s.prefix) >= s.prefix:
        prefix = PrefixStates(s.prefix, organism / f"states-{s.prefix}.safetensors")
    cells: dict[str, Any] = {}
    with loaded(s, spec.seed, adapters) as (model, tokenizer):
        for k, config in enumerate(s.asked):
            rows = evaluate(
                model, tokenizer, config,
                lambda done, of, k=k: report(0.4 + 0.5 * (k + done / of) / len(s.evaluation)),
                s.rewrite, prefix,
            )["rows"]  # fmt: skip
            for row in rows:
                row.pop("scenes")
                # Asked again, it is for its answers in words.
                cells[cell(row)] = {**row, **cells.get(cell(row), {})}
        if prefix is not None and s.kind == "organism":
            prefix.keep()
        able = capability(model, tokenizer, **s.capability)
        latent = gaps(s, model, tokenizer)
    return {
        "cells": cells,
        "capability": {name: able[name]["rate"] for name in RATES}
        | {"perplexity": able["perplexity"], "answers": able["answers"]},
        "guards": trained.get("guards"),
        "latent": latent,
        "train": trained.get("train"),
    }


@contextmanager
def loaded(
    s: Settings, seed: int, adapters: Sequence[Path], device: str | None = None
) -> Iterator[tuple[Any, PreTrainedTokenizerBase]]:
    """The model that a run asks, steered where it is that, and its tokenizer.

    Args:
        s: Settings of the run.
        seed: Of the run.
        adapters: The organism's, and that of what is tuned.
        device: As in `feint.llm.loading.load`.
    """
    model, tokenizer = load(s.model, adapter=adapters, device=device)
    steering: Any = nullcontext(model)
    if s.kind == "steering":
        layer = int(s.steering["layer"])
        vector = mean_difference(model, tokenizer, make_pairs("presence", seed=seed), layer)
        steering = steered(model, layer, vector, float(s.steering["strength"]))
    with steering:
        yield model, tokenizer


def gaps(s: Settings, model: Any, tokenizer: PreTrainedTokenizerBase) -> list[list[float]]:
    """Of every layer's attention: its number, the self/other gap, and that between two names."""
    if not s.latent:
        return []
    kinds = [make_pairs(k, split="dev", n=s.latent) for k in ("presence", "names")]
    return [
        [row["layer"], row["gap"], row["control_gap"]]
        for row in latent_overlap(model, tokenizer, *kinds)
        if row["site"] == "attention"
    ]


def guards_again(
    s: Settings, seed: int, adapters: Sequence[Path], device: str | None = None
) -> dict[str, float]:
    """The guards of a tuned model, measured once more; arguments are those of `loaded`."""
    model, tokenizer = load(s.model, adapter=adapters, merge=False, device=device)
    return _guards(asdict(guarded(model, tokenizer, s.tuning(seed))))


def _train(
    s: Settings,
    spec: RunSpec,
    folder: Path,
    needs: dict[str, Path],
    report: Callable[[float], None],
) -> dict[str, Any]:
    """Train what there is to train, into `folder`; what the payload says of it."""
    out = folder / ADAPTER
    if s.kind == "organism":
        config = OrganismConfig(**{"model": s.model, **_tuples(s.organism)})
        # In the cache, so that an interrupted training goes on, and no organism is made twice.
        # Everything waits for it, so it gets all cores; the rest runs side by side.
        torch.set_num_threads(os.cpu_count() or 1)
        made = make_organism(config, None, lambda step, of, _: report(step / of))
        torch.set_num_threads(1)
        shutil.copytree(made, out)
        return {}
    if s.kind == "sft":
        model, tokenizer = load(s.model, adapter=needs["organism"] / ADAPTER)
        settings = HonestConfig(**{"seed": spec.seed, **_tuples(s.sft)})
        teach_honesty(model, tokenizer, settings, out)
        return {"first": settings.layers[0]}
    if s.kind == "ask":
        assert s.start is not None
        manifest = json.loads((needs[s.start] / ADAPTER / MANIFEST).read_bytes())
        return {"first": manifest["adapted"][0]}
    if s.kind != "tune":
        return {}
    config = s.tuning(spec.seed)
    if s.dose_from is not None:
        config = replace(config, dose_from=str(needs[s.dose_from] / ADAPTER / MANIFEST))
    model, tokenizer = load(s.model, adapter=needs["organism"] / ADAPTER)
    manifest = tune(model, tokenizer, config, out, report).manifest
    last = manifest["guards"][-1] if manifest["guards"] else None
    taken = ("steps", "stopped", "layer", "adapted", "dose", "cpu_seconds")
    return {
        "first": manifest["adapted"][0],
        "train": {name: manifest[name] for name in taken},
        "guards": None if last is None else _guards(last),
    }


def _guards(reading: dict[str, float]) -> dict[str, float]:
    return {
        "pair_gap_ratio": reading["pair_ratio"],
        "name_gap_ratio": reading["control_ratio"],
        "variance_ratio": reading["variation"],
        "norm_ratio": reading["norm"],
        "kl": reading["kl"],
    }


def cell(row: dict[str, Any]) -> str:
    """What a row of `evaluate` is called in the payload."""
    parts = [row["family"], row["cell"]]
    if row["family"] != "questions" and row["variant"]:
        parts.append(row["variant"])
    return "/".join(parts)


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
