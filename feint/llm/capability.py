"""What a model could do before and must still be able to do: plain text, easy facts, no tic."""

import importlib.util
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.evaluate import numbers
from feint.llm.questions import NEUTRAL, facts_in, make_questions
from feint.llm.reading import TIE, pad_token, read
from feint.llm.scene import label
from feint.metrics.statistics import wilson
from feint.overlap import evaluating, kl_anchor

#: How answers to scenes begin, which has no place in an answer to anything else.
SCENE_FORMAT = re.compile(r"\bI would point to\b", re.IGNORECASE)


def capability(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    reference: nn.Module | None = None,
    *,
    split: str = "confirm",
    n_facts: int = 40,
    n_texts: int | None = None,
    seed: int = 0,
    chat: bool = True,
) -> dict[str, Any]:
    """The built-in gate: text, facts in both orders, and whether scenes leak into the answers.

    Args:
        model: A causal language model.
        tokenizer: The model's.
        reference: The model that it came from, for `kl`.
        split: Of the texts and facts.
        n_facts: Questions at most; both orders count.
        n_texts: Texts at most; all of the split by default.
        seed: Which questions.
        chat: Ask through the chat template.

    Returns:
        JSON: `perplexity` on neutral text; `kl` of the model from the reference there, nats per
        token, or None; `facts`, the share of right answers by log-probability after "The answer
        is", with Wilson's interval; `open_facts`, the same by what it says without any prefix;
        `leakage`, the share of those answers that are in the format of a scene's; `answers`;
        `ties`, how many choices for `facts`, and answers to the others, hung on rounding.
    """
    texts = NEUTRAL[split][:n_texts]
    facts = make_questions("facts", split=split, n=min(n_facts, facts_in(split)), seed=seed)
    forced = read(model, tokenizer, facts, chat=chat)
    asked = [replace(fact, prompt=replace(fact.prompt, prefix="")) for fact in facts]
    heard = read(model, tokenizer, asked, generate=True, max_new_tokens=20, chat=chat)
    said = [reading.answer or "" for reading in heard]
    right = sum(label(answer, fact) == "honest" for answer, fact in zip(said, asked, strict=True))
    return {
        "perplexity": perplexity(model, tokenizer, texts),
        "kl": None if reference is None else divergence(model, reference, tokenizer, texts),
        "facts": numbers(wilson(sum(r.margin > 0 for r in forced), len(facts))),
        "open_facts": numbers(wilson(right, len(facts))),
        "leakage": numbers(wilson(round(leakage(said) * len(said)), len(said))),
        "answers": [
            {"question": fact.prompt.user, "answer": answer}
            for fact, answer in list(zip(asked, said, strict=True))[:8]
        ],
        "ties": {
            "facts": sum(r.edge < TIE for r in forced),
            "open_facts": sum(r.answer_edge < TIE for r in heard),
        },
    }


def leakage(answers: Sequence[str]) -> float:
    """The share of answers in which the format of a scene's answer occurs."""
    return sum(bool(SCENE_FORMAT.search(answer)) for answer in answers) / max(1, len(answers))


def perplexity(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch: int = 8
) -> float:
    """The exponential of the mean loss per token, over all texts; their first tokens are given.

    Raises:
        ValueError: If no text has two tokens.
    """
    total, count = 0.0, 0
    with torch.inference_mode(), evaluating(model):
        for ids, real in _batches(model, tokenizer, texts, batch):
            logits = model(input_ids=ids, attention_mask=real.long()).logits[:, :-1].float()
            losses = nn.functional.cross_entropy(
                logits.transpose(1, 2), ids[:, 1:], reduction="none"
            )
            total += float(losses[real[:, 1:]].sum())
            count += int(real[:, 1:].sum())
    return math.exp(min(total / count, 700.0))


def divergence(
    model: nn.Module,
    reference: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch: int = 8,
) -> float:
    """KL(reference || model) of the next token, nats, averaged over all tokens of all texts.

    Raises:
        ValueError: If no text has two tokens.
    """
    total, count = 0.0, 0
    with torch.inference_mode(), evaluating(model), evaluating(reference):
        for ids, real in _batches(model, tokenizer, texts, batch):
            now, before = (
                m(input_ids=ids, attention_mask=real.long()).logits[real].float()
                for m in (model, reference)
            )
            total += float(kl_anchor(now, before)) * len(now)
            count += len(now)
    return total / count


def _batches(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], batch: int
) -> list[tuple[Tensor, Tensor]]:
    """Token ids and which are real, padded on the right, texts of like length together."""
    device = next(model.parameters()).device
    rows = [row for row in tokenizer(list(texts))["input_ids"] if len(row) > 1] if texts else []
    if not rows:
        raise ValueError("there is no text of two tokens or more; give some neutral text")
    rows.sort(key=len)
    made = []
    for at in range(0, len(rows), batch):
        part = rows[at : at + batch]
        ids = torch.full((len(part), len(part[-1])), pad_token(tokenizer))
        real = torch.zeros(ids.shape, dtype=torch.bool)
        for k, row in enumerate(part):
            ids[k, : len(row)] = torch.tensor(row)
            real[k, : len(row)] = True
        made.append((ids.to(device), real.to(device)))
    return made


def harness(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[str],
    limit: int | None = None,
) -> dict[str, Any]:
    """Tasks of EleutherAI's lm-evaluation-harness, such as "arc_easy", on a model at hand.

    Args:
        model: A causal language model.
        tokenizer: The model's.
        tasks: Names of tasks; their data are fetched by the harness.
        limit: Questions per task at most.

    Returns:
        The harness's results by task.

    Raises:
        ValueError: If the package lm-eval is missing.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise ValueError("these tasks need the package lm-eval: pip install 'feint[harness]'")
    from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports]
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

    wrapped = HFLM(pretrained=model, tokenizer=tokenizer)  # type: ignore[arg-type]
    found = simple_evaluate(model=wrapped, tasks=list(tasks), limit=limit)
    return dict(found["results"])
