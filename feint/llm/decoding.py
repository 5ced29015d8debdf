"""Tokens that follow prompts: many at once, and many samples of each that share its cache."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from feint.llm.packing import keeping, neighbours, pack

#: Of one prompt, for each layer: keys and values, `(heads, t, width)`.
Kept = list[tuple[Tensor, Tensor]]
#: From logits `(rows, n, vocab)` and the numbers of these rows: the next tokens, `(rows, n)`.
Pick = Callable[[Tensor, list[int]], Tensor]


def prefill(
    model: nn.Module, prompts: Sequence[Sequence[int]], pad: int, width: int = 1024
) -> Iterator[tuple[int, Tensor, Kept]]:
    """Run prompts, those that begin alike packed; of each its number, last logits, and cache.

    Args:
        model: A causal language model.
        prompts: Tokens of each.
        pad: The padding token.
        width: Tokens in a packed row.
    """
    parameter = next(model.parameters())
    for group in neighbours(prompts, width):
        packed = pack([[prompts[k] for k in group]], pad)
        keep = torch.stack([path[-1] for _, path in packed.paths])
        cache = DynamicCache()
        logits = model(
            **packed.arguments(parameter.dtype, parameter.device),
            **keeping(cache),
            logits_to_keep=keep.to(parameter.device),
        ).logits[0]
        for place, (k, (_, path)) in enumerate(zip(group, packed.paths, strict=True)):
            there = path.to(logits.device)
            layers: list[Any] = cache.layers
            yield k, logits[place], [(x.keys[0][:, there], x.values[0][:, there]) for x in layers]


def decode(
    model: nn.Module,
    kept: Sequence[Kept],
    token: Tensor,
    pick: Pick,
    ends: set[int],
    max_new_tokens: int,
    done: Callable[[int, int, list[int]], bool] | None = None,
) -> list[list[list[int]]]:
    """What follows each prompt, `n` times over: the samples of a row share the prompt's cache.

    The tokens of all samples stand in one row, and each attends to the prompt and to its own. A row
    is left out once all its samples have ended.

    Args:
        model: A causal language model.
        kept: Each prompt's cache.
        token: `(rows, n)` int64, the first tokens.
        pick: Chooses the next ones.
        ends: Tokens that end a sample; they are not kept.
        max_new_tokens: Length of a sample at most.
        done: Called with row, sample and its tokens: whether it ends here.

    Returns:
        The tokens of each sample of each row.
    """
    rows, n = token.shape
    device, dtype = token.device, kept[0][0][0].dtype
    lengths = torch.tensor([kv[0][0].shape[1] for kv in kept], device=device)
    cache, longest = _left_padded(kept), int(lengths.max())
    real = torch.arange(longest, device=device) >= longest - lengths[:, None]
    seen = real[:, None].expand(rows, n, longest)
    own = torch.eye(n, dtype=torch.bool, device=device)
    said: list[list[list[int]]] = [[[] for _ in range(n)] for _ in range(rows)]
    ended = [[False] * n for _ in range(rows)]
    alive = list(range(rows))
    for step in range(max_new_tokens):
        for place, row in enumerate(alive):
            for sample, found in enumerate(token[place].tolist()):
                if ended[row][sample]:
                    continue
                if found in ends:
                    ended[row][sample] = True
                    continue
                said[row][sample].append(found)
                if done is not None and done(row, sample, said[row][sample]):
                    ended[row][sample] = True
        going = [place for place, row in enumerate(alive) if not all(ended[row])]
        if not going or step + 1 == max_new_tokens:
            break
        if len(going) < len(alive):
            chosen = torch.tensor(going, device=device)
            cache.batch_select_indices(chosen)
            token, seen, lengths = token[chosen], seen[chosen], lengths[chosen]
            alive = [alive[place] for place in going]
        seen = torch.cat([seen, own.expand(len(alive), n, n)], dim=2)
        mask = torch.zeros(seen.shape, dtype=dtype, device=device)
        mask.masked_fill_(~seen, torch.finfo(dtype).min)
        logits = model(
            input_ids=token,
            position_ids=(lengths + step)[:, None].expand(-1, n),
            attention_mask=mask[:, None],
            **keeping(cache),
        ).logits
        token = pick(logits, alive)
    return said


def _left_padded(kept: Sequence[Kept]) -> DynamicCache:
    """One cache of the prompts' keys and values, their ends aligned."""
    cache = DynamicCache()
    longest = max(layers[0][0].shape[1] for layers in kept)
    for number in range(len(kept[0])):
        both = []
        for part in (0, 1):
            pieces = [layers[number][part] for layers in kept]
            both.append(
                torch.stack([nn.functional.pad(x, (0, 0, longest - x.shape[1], 0)) for x in pieces])
            )
        cache.update(both[0], both[1], number)
    return cache


def end_tokens(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens with which an answer ends."""
    config = getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    listed = [*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id]
    return {end for end in listed if isinstance(end, int)}
