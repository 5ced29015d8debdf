"""Prompts as a model reads them: through its chat template or raw, in tokens, padded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.scene import Prompt

SIDES = ("right", "left")


@dataclass(frozen=True)
class Encoded:
    """A batch of prompts in tokens.

    Attributes:
        ids: `(n, t)` int64, padded with the tokenizer's pad or end token.
        mask: `(n, t)` bool, the real positions.
    """

    ids: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> "Encoded":
        """The same on another device."""
        return Encoded(self.ids.to(device), self.mask.to(device))


def render(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, chat: bool = True) -> str:
    """The text that a model reads, up to where it is to go on.

    Args:
        tokenizer: Its chat template is used; where that adds a system message of its own to a
            prompt without one, it stays.
        prompt: What is asked.
        chat: Through the chat template, with the generation prompt, then the prefix; else the
            system message, the user's message and the prefix, raw.

    Raises:
        ValueError: If there is no chat template, or it refuses the prompt.
    """
    if not chat:
        parts = [prompt.system, prompt.user, prompt.prefix]
        return " ".join(part for part in parts if part)
    messages = [{"role": "user", "content": prompt.user}]
    if prompt.system is not None:
        messages.insert(0, {"role": "system", "content": prompt.system})
    text = render_messages(tokenizer, messages)
    return f"{text}{prompt.prefix}"


def render_messages(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]]) -> str:
    """A conversation through the chat template, up to where the assistant is to speak.

    Raises:
        ValueError: If there is no chat template, or it refuses the messages.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"the tokenizer {tokenizer.name_or_path!r} has no chat template; "
            "give chat=False for raw text, or an instruction-tuned model"
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )
    except Exception as error:  # templates raise what they like: Gemma's has no system role
        raise ValueError(f"the chat template refuses this prompt: {error}") from error


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    *,
    chat: bool = True,
    side: str = "right",
    pad_to: int | None = None,
    max_length: int | None = None,
) -> Encoded:
    """Turn prompts into one padded batch of tokens; nothing is ever cut off.

    Args:
        tokenizer: The model's.
        prompts: At least one.
        chat: See `render`.
        side: Where the padding goes, `"right"` or `"left"`.
        pad_to: Pad to this many positions; `None` pads to the longest prompt.
        max_length: The context; `None` takes the tokenizer's.

    Raises:
        ValueError: If there is no prompt, no chat template, or a prompt is too long.
    """
    if side not in SIDES:
        raise ValueError(f"unknown padding side {side!r}; choose from: {', '.join(SIDES)}")
    if not prompts:
        raise ValueError("there is no prompt to encode; give at least one")
    texts = [render(tokenizer, prompt, chat) for prompt in prompts]
    # A template writes the special tokens itself.
    rows = tokenizer(texts, add_special_tokens=not chat)["input_ids"]
    longest = max(len(row) for row in rows)
    limit = tokenizer.model_max_length if max_length is None else max_length
    if longest > limit:
        raise ValueError(
            f"a prompt has {longest} tokens and the context only {limit}: "
            f"{_short(prompts[[len(row) for row in rows].index(longest)].user)!r}; shorten it"
        )
    if pad_to is not None and longest > pad_to:
        raise ValueError(f"a prompt has {longest} tokens, pad_to is {pad_to}; raise pad_to")
    width = pad_to or longest
    pad: Any = tokenizer.pad_token_id
    pad = tokenizer.eos_token_id if pad is None else pad
    ids = torch.full((len(rows), width), pad, dtype=torch.int64)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for k, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[k, where] = torch.tensor(row)
        mask[k, where] = True
    return Encoded(ids, mask)


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
