"""One run of the training arm: an organism is taught to decline, or tuned, and asked scenarios.

The job of the suite `reasons`. The run "base" leaves an organism's adapter, with which all other
runs begin; theirs goes on top of it. Transcripts are in the run's folder.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from feint.bench.reasons_suite import show
from feint.bench.settings import check_settings
from feint.bench.suite import RunSpec
from feint.llm.baselines import SftConfig
from feint.llm.capability import capability
from feint.llm.loading import load
from feint.llm.organism import OrganismConfig, make_organism
from feint.llm.reasons.declines import TARGETS, TINY, EvalSize, examine, train
from feint.llm.recipes import RECIPES
from feint.llm.tune import tune
from feint.products import fast_products

__all__ = ["Settings", "run", "show"]

ADAPTER = "adapter"
KINDS = ("base", "overlap", *TARGETS)


@dataclass(frozen=True)
class Settings:
    """One run, as the suite describes it.

    Attributes:
        kind: "base" makes the organism; "overlap" tunes it; "refusal", "rebuttal" and "neutral"
            teach it to decline in that way.
        model: What `feint.llm.loading.load` takes.
        organism: Settings of `OrganismConfig`.
        sft: Settings of `SftConfig`.
        tune: Settings of `TuneConfig`, with `recipe` for those that it leaves out.
        examine: Settings of `EvalSize`.
        capability: Arguments of `capability`.
        small: Ask next to nothing: whether everything runs.
    """

    kind: str
    model: str = "smollm2"
    organism: dict[str, Any] = field(default_factory=dict)
    sft: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, Any] = field(default_factory=dict)
    examine: dict[str, Any] = field(default_factory=dict)
    capability: dict[str, Any] = field(default_factory=dict)
    small: bool = False

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        """From the suite's merged table.

        Raises:
            ValueError: For unknown keys and an unknown kind.
        """
        check_settings(cls, settings, KINDS)
        return cls(**settings)


def run(
    spec: RunSpec, folder: Path, needs: dict[str, Path], report: Callable[[float], None]
) -> dict[str, Any]:
    """Train what there is to train, leave its adapter in `folder`, and ask the model.

    Returns:
        The payload: what `feint.llm.reasons.declines.examine` returns; "capability"; "train", what
        training took.
    """
    s = Settings.of(spec.settings)
    fast_products()
    # Everything waits for the organism, so it gets all cores; the rest runs side by side.
    torch.set_num_threads((os.cpu_count() or 1) if s.kind == "base" else 1)
    trained = _train(s, spec, folder, needs, lambda done: report(0.3 * done))
    adapters = [(folder if s.kind == "base" else needs["base"]) / ADAPTER]
    if s.kind != "base":
        adapters.append(folder / ADAPTER)
    model, tokenizer = load(s.model, adapter=adapters)
    torch.set_num_threads(1)
    size = TINY if s.small else EvalSize(**s.examine)
    found = examine(
        model, tokenizer, size, folder / "asked", spec.seed, lambda done: report(0.3 + 0.6 * done)
    )
    limits = {"n_facts": 4, "n_texts": 2} if s.small else {}
    able = capability(model, tokenizer, **{**s.capability, **limits})
    return {
        **found,
        "capability": {
            "perplexity": able["perplexity"],
            "facts": able["facts"]["rate"],
            "open_facts": able["open_facts"]["rate"],
        },
        "train": trained,
    }


def _train(
    s: Settings,
    spec: RunSpec,
    folder: Path,
    needs: dict[str, Path],
    report: Callable[[float], None],
) -> dict[str, Any] | None:
    out = folder / ADAPTER
    if s.kind == "base":
        config = OrganismConfig(**{"model": s.model, **_tuples(s.organism)})
        made = make_organism(config, None, lambda step, of, _: report(step / of))
        shutil.copytree(made, out, dirs_exist_ok=True)
        return None
    model, tokenizer = load(s.model, adapter=needs["base"] / ADAPTER)
    if s.kind == "overlap":
        table = _tuples(s.tune)
        config = replace(RECIPES[table.pop("recipe", "feint")], **{"seed": spec.seed, **table})
        manifest = tune(model, tokenizer, config, out, report).manifest
        return {name: manifest[name] for name in ("steps", "stopped", "layer", "cpu_seconds")}
    settings = SftConfig(**{"seed": spec.seed, **_tuples(s.sft)})
    return train(model, tokenizer, s.kind, settings, out, report)


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
