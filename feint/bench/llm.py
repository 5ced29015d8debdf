"""One run of a language model: make an organism or tune one, then ask it everything.

The job of the suite `llm-burglar`. The organism's run leaves an adapter, which all other runs of its
scenario begin with; theirs goes on top of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from feint.bench.llm_report import show
from feint.bench.suite import RunSpec
from feint.llm.baselines import HONESTY, Steering, sft
from feint.llm.capability import capability
from feint.llm.evaluate import EvalConfig, evaluate
from feint.llm.latent import measure
from feint.llm.loading import load
from feint.llm.organism import OrganismConfig, make_organism
from feint.llm.recipes import RECIPES
from feint.llm.tune import tune

__all__ = ["Settings", "run", "show"]

ADAPTER = "adapter"  # where in its folder a run leaves what it has trained
KINDS = ("organism", "tune", "honesty_prompt", "sft", "steering")


@dataclass(frozen=True)
class Settings:
    """One run, as the suite describes it.

    Attributes:
        kind: a name in `KINDS`.
        model: what `feint.llm.loading.load` takes.
        organism: settings of `OrganismConfig`.
        tune: settings of `TuneConfig`, with `recipe` for those that it leaves out.
        sft: settings of the baseline that trains on honest answers.
        steering: settings of the baseline that adds a vector.
        dose_from: arm whose gradient norms this one's are matched to.
        evaluation: tables of `EvalConfig`, asked one after another.
        latent: whether the overlap of every layer is measured.
    """

    kind: str
    model: str = "smollm2"
    organism: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, Any] = field(default_factory=dict)
    sft: dict[str, Any] = field(default_factory=dict)
    steering: dict[str, Any] = field(default_factory=dict)
    dose_from: str | None = None
    evaluation: tuple[dict[str, Any], ...] = ()
    latent: bool = True

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        """From the suite's merged table.

        Raises:
            ValueError: for unknown or missing keys and an unknown kind.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(settings.keys() - known):
            raise ValueError(f"unknown settings {unknown}; there are: {', '.join(sorted(known))}")
        if settings.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {settings.get('kind')!r}")
        return cls(**{**settings, "evaluation": tuple(settings.get("evaluation", ()))})
