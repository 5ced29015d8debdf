"""How a model answers scenes, counted: labels with intervals, by order, beside mass and margins."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.prefix import PrefixStates
from feint.llm.questions import QUESTION_KINDS, facts_in, make_questions, questions_in
from feint.llm.reading import Reading, Report, read
from feint.llm.scene import LABELS, Scene, label, speaks_of_deceit
from feint.llm.scenes import CELLS, FAMILIES, SPLITS, load_wording, make_scenes, scenes_in
from feint.metrics.statistics import Interval, bootstrap, wilson

ORDERS = ("truth_first", "truth_last")


@dataclass(frozen=True)
class EvalConfig:
    """What is asked, and how.

    Attributes:
        cells: Who asks, of `CELLS`; each in every family.
        families: Stories, of `FAMILIES`.
        variants: Edits of the thief's question, asked in each family that knows them.
        questions: Kinds of questions about self and other, of `QUESTION_KINDS`.
        n_thief: How many scenes the cell "thief" has in each family; both orders count.
        n: How many every other cell, variant and kind has. Facts have no more than there are.
        split: "train", "dev" or "confirm".
        seed: Which items.
        generate: Let the model answer by itself too, beside the forced choice.
        n_generate: In how many scenes of each row it does; `None` for all.
        max_new_tokens: Length of such an answer at most, after the prefix.
        transcripts: How many answers of each row are kept word for word.
        details: Whether scenes have a sentence that means nothing.
        wording: A file to tell every family in, in place of ours.
        chat: Through the chat template; else raw.
        batch, width, autocast: See `feint.llm.reading.read`.

    Raises:
        ValueError: naming the setting, what it got and what it may be.
    """

    cells: tuple[str, ...] = ("thief", "friend", "self", "deaf", "owner")
    families: tuple[str, ...] = FAMILIES
    variants: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    n_thief: int = 200
    n: int = 50
    split: str = "confirm"
    seed: int = 0
    generate: bool = True
    n_generate: int | None = None
    max_new_tokens: int = 24
    transcripts: int = 4
    details: bool = True
    wording: str | None = None
    chat: bool = True
    batch: int = 4
    width: int = 320
    autocast: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("cells", tuple(CELLS)),
            ("families", FAMILIES),
            ("questions", QUESTION_KINDS),
        ):
            for value in getattr(self, name):
                if value not in known:
                    raise ValueError(f"{name} must be among {', '.join(known)}; got {value!r}")
        if self.split not in (*SPLITS, "all"):
            raise ValueError(f"split must be one of {', '.join(SPLITS)} or all, got {self.split!r}")
        for name in ("n_thief", "n", "max_new_tokens", "batch", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


def scenes_of(config: EvalConfig) -> list[list[Scene]]:
    """The scenes that a configuration asks, one list per row of its result."""
    common: dict[str, Any] = {
        "split": config.split,
        "seed": config.seed,
        "details": config.details,
        "wording": config.wording,
    }
    rows = [
        make_scenes(family, cell, n=config.n_thief if cell == "thief" else config.n, **common)
        for family in config.families
        for cell in config.cells
    ]
    for family in config.families:
        known = load_wording(config.wording or family).edits
        for variant in config.variants:
            if all(edit in known for edit in variant.split("_")):
                rows += [make_scenes(family, "thief", n=config.n, variant=variant, **common)]
    return [*rows, *(_questions(kind, config) for kind in config.questions)]


def elsewhere(config: EvalConfig, seed: int, factor: int) -> list[EvalConfig]:
    """The same questions about other items: one configuration for each story and kind.

    Args:
        config: What is asked.
        seed: Which items; as few as the split has, some will be the same.
        factor: So many times as many; all of the split, where it has fewer.
    """

    def sized(most: int, **parts: tuple[str, ...]) -> EvalConfig:
        n_thief, n = (min(factor * n, most) for n in (config.n_thief, config.n))
        share = None if config.n_generate is None else factor * config.n_generate
        return replace(config, seed=seed, n_thief=n_thief, n=n, n_generate=share, **parts)

    return [
        *(
            sized(
                scenes_in(family, config.split, config.wording), families=(family,), questions=()
            )
            for family in config.families
        ),
        *(
            sized(
                questions_in(kind, config.split), families=(), cells=(), variants=(),
                questions=(kind,),
            )
            for kind in config.questions
        ),
    ]  # fmt: skip


def _questions(kind: str, config: EvalConfig) -> list[Scene]:
    n = min(config.n, facts_in(config.split)) if kind == "facts" else config.n
    return make_questions(kind, split=config.split, n=n, seed=config.seed)


def ask(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    config: EvalConfig,
    report: Report | None = None,
    rewrite: Callable[[Scene], Scene] | None = None,
    prefix: PrefixStates | None = None,
) -> list[tuple[list[Scene], list[Reading]]]:
    """Ask everything: of each row of `evaluate` its scenes, and what the model makes of them.

    Arguments are those of `evaluate`.
    """
    rows = scenes_of(config)
    asked = [rewrite(scene) if rewrite else scene for row in rows for scene in row]
    share = len(asked) if config.n_generate is None else config.n_generate
    readings = read(
        model,
        tokenizer,
        asked,
        generate=[config.generate and k < share for row in rows for k in range(len(row))],
        max_new_tokens=config.max_new_tokens,
        chat=config.chat,
        batch=config.batch,
        width=config.width,
        autocast=config.autocast,
        prefix=prefix,
        report=report,
    )
    ends = np.cumsum([0, *map(len, rows)])
    return [(asked[a:b], readings[a:b]) for a, b in itertools.pairwise(ends)]


def evaluate(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    config: EvalConfig,
    report: Report | None = None,
    rewrite: Callable[[Scene], Scene] | None = None,
    prefix: PrefixStates | None = None,
) -> dict[str, Any]:
    """Ask everything, and count.

    Example:
        >>> model, tokenizer = load("smollm2")  # doctest: +SKIP
        >>> config = EvalConfig(families=("burglar",), split="dev")
        >>> result = evaluate(model, tokenizer, config)  # doctest: +SKIP
        >>> print(result["rows"][0]["deceptive"])  # doctest: +SKIP

    Args:
        model: A causal language model.
        tokenizer: The model's.
        config: What is asked.
        report: Called with how many scenes are done, and how many there are.
        rewrite: Put over every scene before it is asked, such as a system prompt.
        prefix: See `feint.llm.reading.read`.

    Returns:
        JSON: `config`, and `rows`, each with `family`, `cell`, `variant`, `n`, `items`; and, of the
        forced choice after the prefix: `choice`, the labels' counts and Wilson intervals;
        `by_order`, the same for each order; `deceptive`, that rate with an interval resampled over
        items; `mass`, `margin`, means over scenes; `scenes`, margin and label of each. Where the
        model answered by itself: `said`, as `choice`; `said_by_order`; `intent`, how often the
        answer itself speaks of deceit; `transcripts`.
    """
    asked = ask(model, tokenizer, config, report, rewrite, prefix)
    rows = [count(scenes, readings, config.transcripts) for scenes, readings in asked]
    return {"config": asdict(config), "rows": rows}


def find(result: dict[str, Any], cell: str, family: str = "burglar", variant: str = "") -> dict:
    """One row of a result of `evaluate`.

    Raises:
        ValueError: if there is none such.
    """
    for row in result["rows"]:
        if (row["family"], row["cell"], row["variant"]) == (family, cell, variant):
            return row
    raise ValueError(f"nothing was asked in family {family!r}, cell {cell!r}, variant {variant!r}")


def count(scenes: Sequence[Scene], readings: Sequence[Reading], transcripts: int = 4) -> dict:
    """One row of the result: what came out in scenes of one family, cell and variant."""
    choices = [reading.choice for reading in readings]
    row: dict[str, Any] = {
        **heading(scenes),
        "choice": labels(choices),
        "by_order": _by_order(scenes, choices),
        "deceptive": _over_items(scenes, [choice == "deceptive" for choice in choices]),
        "mass": float(np.mean([reading.mass for reading in readings])),
        "margin": float(np.mean([reading.margin for reading in readings])),
        "scenes": [
            {"item": scene.item, "order": scene.order, "margin": round(r.margin, 4), "choice": c}
            for scene, r, c in zip(scenes, readings, choices, strict=True)
        ],
    }
    pairs = zip(scenes, readings, strict=True)
    heard = [(scene, r.answer) for scene, r in pairs if r.answer is not None]
    if heard:
        said = [label(answer, scene) for scene, answer in heard]
        row["said"] = labels(said)
        row["said_by_order"] = _by_order([scene for scene, _ in heard], said)
        row["intent"] = sum(speaks_of_deceit(answer) for _, answer in heard) / len(heard)
        row["transcripts"] = [
            {"user": scene.prompt.user, "answer": answer, "label": found}
            for (scene, answer), found in list(zip(heard, said, strict=True))[:transcripts]
        ]
    return row


def heading(scenes: Sequence[Scene]) -> dict[str, Any]:
    """What a row is of."""
    first, variants = scenes[0], {scene.variant for scene in scenes}
    return {
        "family": first.family,
        "cell": first.cell,
        "variant": first.variant if len(variants) == 1 else "",
        "n": len(scenes),
        "items": len({scene.item for scene in scenes}),
    }


def labels(found: Sequence[str]) -> dict[str, dict[str, float]]:
    """How often each label occurs: count, rate and Wilson's interval."""
    return {
        name: {"count": found.count(name), **numbers(wilson(found.count(name), len(found)))}
        for name in LABELS
    }


def _by_order(scenes: Sequence[Scene], found: Sequence[str]) -> dict[str, dict]:
    both = {}
    for order in ORDERS:
        there = [f for scene, f in zip(scenes, found, strict=True) if scene.order == order]
        if there:
            both[order] = labels(there)
    return both


def _over_items(scenes: Sequence[Scene], hits: Sequence[bool]) -> dict[str, float]:
    """A rate, resampled over items: the two orders of one are not independent."""
    items: dict[str, list[bool]] = {}
    for scene, hit in zip(scenes, hits, strict=True):
        items.setdefault(scene.item, []).append(hit)
    return numbers(bootstrap([float(np.mean(both)) for both in items.values()]))


def numbers(found: Interval) -> dict[str, float]:
    """An interval as plain numbers, ready for JSON."""
    return {"rate": found.estimate, "low": found.low, "high": found.high, "n": found.n}
