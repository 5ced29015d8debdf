"""Where replies come from: a model at hand, or a server. Both continue conversations.

A conversation is continued by seed: the same seed gives the same reply, whatever else is asked
for beside it (up to rounding on a model at hand; as far as the server keeps to it).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.chat import render_messages
from feint.llm.decoding import Kept, decode, end_tokens, prefill
from feint.llm.reading import pad_token
from feint.llm.reasons.turns import Message
from feint.overlap import evaluating


@dataclass(frozen=True)
class Sampling:
    """How replies are drawn.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: Only the likeliest tokens that make up this share.
        max_new_tokens: A reply's length at most.

    Raises:
        ValueError: Naming the setting, what it got and what it may be.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 120

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature must be >= 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


@dataclass(frozen=True)
class Sampled:
    """One reply.

    Attributes:
        text: What was said; native reasoning in think tags.
        finished: Whether it came to an end by itself.
    """

    text: str
    finished: bool


class Backend(Protocol):
    """Continues conversations, and counts tokens."""

    @property
    def name(self) -> str:
        """For files and reports."""
        ...

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        ...

    def sample(
        self, conversations: Sequence[Sequence[Message]], seeds: Sequence[int], how: Sampling
    ) -> Iterator[tuple[int, Sampled]]:
        """One reply to each conversation, with its index, as they come."""
        ...


class Local:
    """A model of transformers.

    Args:
        model: A causal language model.
        tokenizer: The model's, with a chat template. Where that knows no system message, the system
            prompt goes before the first message.
        name: For files and reports.
        together: Samples drawn at once.
        share: Samples of one conversation that share its cache in one row.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        name: str = "local",
        together: int = 40,
        share: int = 8,
    ):
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.together, self.share = together, share

    def count(self, text: str) -> int:
        """How many tokens a text has, without special ones."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def sample(
        self, conversations: Sequence[Sequence[Message]], seeds: Sequence[int], how: Sampling
    ) -> Iterator[tuple[int, Sampled]]:
        """One reply to each conversation; equal ones are run once and sampled together.

        Raises:
            ValueError: If a conversation is longer than the context.
        """
        texts = [self._render(messages) for messages in conversations]
        alike: dict[str, list[int]] = {}
        for k, text in enumerate(texts):
            alike.setdefault(text, []).append(k)
        # Rows of one batch have the same number of samples, so that none is drawn in vain.
        rows = [
            (text, members[at : at + self.share])
            for text, members in alike.items()
            for at in range(0, len(members), self.share)
        ]
        for n in sorted({len(members) for _, members in rows}, reverse=True):
            yield from self._rows([row for row in rows if len(row[1]) == n], seeds, how)

    def _rows(
        self, rows: list[tuple[str, list[int]]], seeds: Sequence[int], how: Sampling
    ) -> Iterator[tuple[int, Sampled]]:
        n = len(rows[0][1])
        at_once = max(1, self.together // n)
        tokens = self.tokenizer([text for text, _ in rows], add_special_tokens=False)["input_ids"]
        limit = getattr(self.model.config, "max_position_embeddings", None)  # type: ignore[union-attr]
        longest = max(map(len, tokens)) + how.max_new_tokens
        if limit is not None and longest > limit:
            raise ValueError(
                f"a conversation with its reply takes {longest} tokens, and the model's context is "
                f"{limit}; lower max_new_tokens, or take shorter texts"
            )
        for start in range(0, len(rows), at_once):
            some, ids = rows[start : start + at_once], tokens[start : start + at_once]
            with torch.inference_mode(), evaluating(self.model):
                found = sorted(prefill(self.model, ids, pad_token(self.tokenizer)))
                said = self._decode(
                    [members for _, members in some],
                    torch.stack([logits for _, logits, _ in found]),
                    [kept for _, _, kept in found],
                    seeds,
                    how,
                )
            for (_, members), samples in zip(some, said, strict=True):
                for k, sample in zip(members, samples, strict=True):
                    text = str(self.tokenizer.decode(sample, skip_special_tokens=True)).strip()
                    yield k, Sampled(text, len(sample) < how.max_new_tokens)

    def _decode(
        self,
        members: list[list[int]],
        logits: Tensor,
        kept: list[Kept],
        seeds: Sequence[int],
        how: Sampling,
    ) -> list[list[list[int]]]:
        # Each sample has its own stream of luck: what else is drawn does not change it.
        luck = [
            torch.stack([_stream(seeds[k], how.max_new_tokens) for k in row]).to(logits.device)
            for row in members
        ]
        step = 0

        def pick(logits: Tensor, rows: list[int]) -> Tensor:
            nonlocal step
            drawn = torch.stack([luck[row][:, step] for row in rows])
            step += 1
            return _choose(logits.float(), drawn, how)

        n = len(members[0])
        first = pick(logits[:, None].expand(-1, n, -1), list(range(len(members))))
        ends = end_tokens(self.model, self.tokenizer)
        return decode(self.model, kept, first, pick, ends, how.max_new_tokens)

    def _render(self, messages: Sequence[Message]) -> str:
        try:
            return render_messages(self.tokenizer, messages)
        except ValueError:
            if messages[0]["role"] != "system" or len(messages) < 2:
                raise
        joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        return render_messages(self.tokenizer, [{**messages[1], "content": joined}, *messages[2:]])


def _stream(seed: int, length: int) -> Tensor:
    """`(length,)` numbers in [0, 1)."""
    return torch.rand(length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _choose(logits: Tensor, drawn: Tensor, how: Sampling) -> Tensor:
    """The tokens that `drawn`, `(rows, n)` in [0, 1), picks from `(rows, n, vocab)` logits."""
    if how.temperature == 0:
        return logits.argmax(-1)
    shares = (logits / how.temperature).softmax(-1)
    if how.top_p < 1:
        ordered, places = shares.sort(-1, descending=True)
        kept = ordered.cumsum(-1) - ordered < how.top_p
        shares = torch.zeros_like(shares).scatter(-1, places, ordered * kept)
    reached = shares.cumsum(-1)
    aim = drawn[..., None].to(reached) * reached[..., -1:]
    return torch.searchsorted(reached, aim, right=True)[..., 0].clamp(max=logits.shape[-1] - 1)


def words(text: str) -> int:
    """Words and marks of a text: stands in for tokens where no tokenizer is at hand."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def describe(how: Sampling) -> dict[str, Any]:
    """The settings as plain values."""
    return {
        "temperature": how.temperature,
        "top_p": how.top_p,
        "max_new_tokens": how.max_new_tokens,
    }
