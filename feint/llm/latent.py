"""How far apart self and other are inside of a model, at every layer, from one pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.chat import encode
from feint.llm.loading import blocks, name_of, o_proj_name
from feint.llm.pairs import TextPairs
from feint.llm.scene import Prompt
from feint.overlap import capture, control_gap, evaluating, normalised_gap, pool

#: Where a layer is looked at: what attention writes, what the MLP writes, and their sum so far.
SITES = ("attention", "mlp", "residual")


def site_names(model: nn.Module, site: str) -> list[str]:
    """The dotted names of a site's modules, from the first layer to the last.

    Raises:
        ValueError: For an unknown site.
    """
    if site not in SITES:
        raise ValueError(f"site must be one of {', '.join(SITES)}, got {site!r}")
    layers = blocks(model)
    if site == "attention":
        return [o_proj_name(model, k) for k in range(len(layers))]
    found: list[Any] = [block if site == "residual" else block.mlp for block in layers]
    return [name_of(model, module) for module in found]


def latent_overlap(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    pairs: TextPairs,
    control: TextPairs | None = None,
    *,
    pooling: str = "last_n",
    n: int = 8,
    chat: bool = True,
    batch: int = 8,
) -> list[dict[str, Any]]:
    """The gap between the two sides of pairs, at every layer and site, from one pass over each.

    Example:
        >>> pairs = make_pairs("presence"), make_pairs("names")  # doctest: +SKIP
        >>> table = latent_overlap(model, tokenizer, *pairs)  # doctest: +SKIP
        >>> print([row["gap"] for row in table if row["site"] == "attention"])  # doctest: +SKIP

    Args:
        model: A causal language model.
        tokenizer: The model's.
        pairs: Self and other.
        control: Pairs whose gap is to stay, such as two names.
        pooling: "last_n", "mean": positions that two prompts of unequal length have in common.
        n: Of "last_n".
        chat: Through the chat template.
        batch: Prompts run at once.

    Returns:
        JSON rows with `site`, `layer`, `mse` (the mean squared difference, as published numbers
        are), `gap` (over the variance: 0 for equal, 2 for unrelated), and for the control pairs
        `control_mse` and `control_gap`, or None.

    Raises:
        ValueError: For another pooling, or prompts shorter than `n` tokens.
    """
    if pooling not in ("last_n", "mean"):
        raise ValueError(f"pooling must be last_n or mean, got {pooling!r}")
    names = {(site, k): name for site in SITES for k, name in enumerate(site_names(model, site))}
    given = [pairs] if control is None else [pairs, control]
    sides = [side for both in given for side in (both.self_prompts, both.other_prompts)]
    prompts = [prompt for side in sides for prompt in side]
    acts = _activations(
        model,
        tokenizer,
        prompts,
        list(names.values()),
        pooling=pooling,
        n=n,
        chat=chat,
        batch=batch,
    )
    rows = []
    for (site, layer), name in names.items():
        parts = acts[name].split([len(side) for side in sides])
        row: dict[str, Any] = {"site": site, "layer": layer}
        row |= {"mse": _mse(parts[0], parts[1]), "gap": normalised_gap(parts[0], parts[1])}
        there = control is not None
        row["control_mse"] = _mse(parts[2], parts[3]) if there else None
        row["control_gap"] = control_gap(parts[2], parts[3]) if there else None
        rows.append(row)
    return rows


def change(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How much of each gap is left: rows with `site`, `layer`, `gap`, `control_gap` as ratios.

    A self/other gap that closes while the control gap stays is overlap; if both close, the model
    has stopped telling anything apart.

    Raises:
        ValueError: If the tables are not of the same layers.
    """
    if [(r["site"], r["layer"]) for r in before] != [(r["site"], r["layer"]) for r in after]:
        raise ValueError("the two tables are not of the same sites and layers")
    keys = ("mse", "gap", "control_mse", "control_gap")
    return [
        {"site": a["site"], "layer": a["layer"]}
        | {key: None if a[key] is None or not a[key] else b[key] / a[key] for key in keys}
        for a, b in zip(before, after, strict=True)
    ]


def _activations(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    names: list[str],
    *,
    pooling: str,
    n: int,
    chat: bool,
    batch: int,
) -> dict[str, Tensor]:
    """Pooled activations of every named module, `(prompts, ..., hidden)` float32."""
    device = next(model.parameters()).device
    sizes = encode(tokenizer, prompts, chat=chat).mask.sum(1)
    order = torch.argsort(sizes).tolist()  # texts of like length together need little padding
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    with torch.inference_mode(), evaluating(model):
        for at in range(0, len(order), batch):
            few = [prompts[k] for k in order[at : at + batch]]
            encoded = encode(tokenizer, few, chat=chat).to(device)
            with capture(model, names, stop=True) as acts:
                model(input_ids=encoded.ids, attention_mask=encoded.mask.long(), use_cache=False)
            for name in names:
                found[name].append(pool(acts[name].float(), pooling, encoded.mask, n).cpu())
    back = torch.argsort(torch.tensor(order))
    return {name: torch.cat(parts)[back] for name, parts in found.items()}


def _mse(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean())
