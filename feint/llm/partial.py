"""Running only those blocks of a language model that a loss needs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from feint.llm.loading import decoder, name_of, o_proj, unwrapped
from feint.overlap import capture

#: A token row is padded with this, so that one tensor says both what is run and what is real.
PAD = -1


class _Replay(nn.Module):
    """Stands for a block: whatever comes in, this goes out."""

    def __init__(self, hidden: Tensor):
        super().__init__()
        self.hidden = hidden

    def forward(self, *_args: Any, **_kwargs: Any) -> Tensor:
        return self.hidden


class _Pass(nn.Module):
    """Stands for a block, or an MLP: what comes in goes out."""

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        return hidden_states


@contextmanager
def only_blocks(
    model: nn.Module, last: int | None = None, attention_only: bool = False,
    first: int = 0, hidden: Tensor | None = None,
) -> Iterator[None]:  # fmt: skip
    """Leave out blocks of a model while the body of the `with` runs; weights are not touched.

    Blocks keep their place, so that per-layer masks and windows are those of the whole model. The
    forward ends in the usual way and not by an exception: wrappers such as FSDP need that.

    Args:
        model: A causal language model, wrapped or not.
        last: The last block that runs; `None` for all.
        attention_only: Of the last block leave out the MLP: its output is then of no use, its
            attention's is as ever.
        first: The first block that runs.
        hidden: `(batch, positions, width)`, what goes into it, if it is not block 0.
    """
    inner = decoder(model)
    layers: Any = inner.layers
    kept = list(layers[: None if last is None else last + 1])
    if first > 0:
        assert hidden is not None
        kept[:first] = [_Replay(hidden), *(_Pass() for _ in range(first - 1))]
    with ExitStack() as undo:
        undo.callback(setattr, inner, "layers", layers)
        inner.layers = nn.ModuleList(kept)
        if attention_only:
            _leave_by_the_attention(kept[-1], undo)
        yield


def _leave_by_the_attention(block: nn.Module, undo: ExitStack) -> None:
    """Leave out a block's MLP, and let FSDP see that it is its attention that is used.

    FSDP gathers a block's weights for the backward pass when a gradient comes to its output. So its
    hook is shown the attention's output as a part of the block's, between two hooks of ours.
    """
    if hasattr(block, "mlp"):
        undo.callback(setattr, block, "mlp", block.mlp)
        block.mlp = _Pass()
    found: list[Any] = []
    hooks = [
        o_proj(block).register_forward_hook(lambda _m, _a, out: found.append(out)),
        block.register_forward_hook(lambda _m, _a, out: (out, found.pop()), prepend=True),
        block.register_forward_hook(lambda _m, _a, out: out[0]),
    ]
    for hook in hooks:
        undo.callback(hook.remove)


class TextForward:
    """Runs a causal language model on rows of tokens: a `Forward` of `feint.overlap`.

    Rows are `(batch, positions)` int64 with `PAD` where there is no token. Behind the last real
    position of a row padding changes nothing before it, so that it needs no mask; with
    `exact_padding` it gets one, as a plain call of the model would give it.

    The prefix cache holds what goes into block `first`, row by row, for as long as no weight below
    it changes: the saved part is exact.

    Args:
        logits: Return the logits; else the last hidden states, if anything is made of them at all.
        last: The last block that runs; `None` for all.
        attention_only: Leave out the last block's MLP.
        first: The first block with weights that change; 0 switches the cache off.
        exact_padding: Mask all padding, also behind the text.
    """

    def __init__(
        self,
        logits: bool = False,
        last: int | None = None,
        attention_only: bool = False,
        first: int = 0,
        exact_padding: bool = False,
        cache: dict[bytes, Tensor] | None = None,
    ):
        self.logits, self.last, self.attention_only = logits, last, attention_only
        self.first, self.exact_padding = (0 if exact_padding else first), exact_padding
        self.cache = {} if cache is None else cache

    def __call__(self, module: nn.Module, rows: Tensor) -> Tensor:
        """Run the rows; `(batch, positions, vocabulary or width)`."""
        hidden = self._prefix(module, rows) if self.first else None
        with only_blocks(module, self.last, self.attention_only, self.first, hidden):
            return self._run(module, rows)

    def _run(self, module: nn.Module, rows: Tensor) -> Tensor:
        mask = rows != PAD
        kwargs: dict[str, Any] = {"input_ids": rows.clamp_min(0), "use_cache": False}
        if self.exact_padding:
            kwargs["attention_mask"] = mask
        elif not bool(mask[:, 0].all()):  # padding on the left
            kwargs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
            kwargs["attention_mask"] = mask
        if self.logits:
            return unwrapped(module)(**kwargs).logits
        return decoder(module)(**kwargs).last_hidden_state

    @torch.no_grad()
    def _prefix(self, module: nn.Module, rows: Tensor) -> Tensor:
        """What goes into block `first`, zero at padding."""
        mask = rows != PAD
        keys = [row[real].cpu().numpy().tobytes() for row, real in zip(rows, mask, strict=True)]
        new = [k for k, key in enumerate(keys) if key not in self.cache]
        if new:
            name = name_of(module, decoder(module).layers[self.first - 1])  # type: ignore[index]
            with only_blocks(module, self.first - 1), capture(module, [name]) as acts:
                self._run(module, rows[new])
            for k, row in zip(new, acts[name], strict=True):
                self.cache[keys[k]] = row[mask[k]].clone()
        found = [self.cache[key] for key in keys]
        hidden = found[0].new_zeros(*rows.shape, found[0].shape[-1])
        hidden[mask] = torch.cat(found)
        return hidden


def tokens(ids: Tensor, mask: Tensor) -> Tensor:
    """Rows for `TextForward`: token ids `(batch, positions)`, `PAD` where the mask is False."""
    return ids.masked_fill(~mask, PAD)
