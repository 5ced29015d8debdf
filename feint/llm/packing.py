"""Sequences that begin alike, put into one row so that what they share is computed once.

The tokens of a row form a tree: each attends to its ancestors alone, at its own position. So every
sequence gets what it would get by itself; only the common beginnings are not computed again. A
rival that hears and one that does not share three quarters of a scene, and the edits of a question
nearly all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import Cache

_VERSION = tuple(int(part) for part in transformers.__version__.split(".")[:2])
#: What models call their cache.
_CACHE = "cache" if _VERSION >= (5, 24) else "past_key_values"


@dataclass(frozen=True)
class Packed:
    """Rows of packed sequences, as a causal language model takes them.

    Attributes:
        ids: `(rows, t)` int64.
        positions: `(rows, t)` int64, the place of each token in its own sequence.
        mask: `(rows, 1, t, t)` bool, what each token attends to; padding attends to itself.
        paths: For each sequence, in the order given, its row and the `(length,)` int64 indices of
            its tokens in there.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    paths: list[tuple[int, Tensor]]

    def arguments(self, dtype: torch.dtype, device: torch.device | str) -> dict[str, Tensor]:
        """Keyword arguments for the model; the mask is additive, as every attention takes it."""
        mask = torch.zeros(self.mask.shape, dtype=dtype)
        mask.masked_fill_(~self.mask, torch.finfo(dtype).min)
        named = {"input_ids": self.ids, "position_ids": self.positions, "attention_mask": mask}
        return {name: value.to(device) for name, value in named.items()}


def pack(groups: Sequence[Sequence[Sequence[int]]], pad: int = 0) -> Packed:
    """Put each group of token sequences into a row of its own.

    Args:
        groups: At least one group of at least one sequence, none of them empty.
        pad: The token that fills up the shorter rows.
    """
    trees = [_tree(group) for group in groups]
    width = max(len(tokens) for tokens, _, _ in trees)
    ids = torch.full((len(trees), width), pad, dtype=torch.int64)
    positions = torch.zeros(len(trees), width, dtype=torch.int64)
    mask = torch.eye(width, dtype=torch.bool).repeat(len(trees), 1, 1, 1)
    paths = []
    for row, (tokens, places, branches) in enumerate(trees):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        positions[row, : len(tokens)] = torch.tensor(places)
        for branch in branches:
            path = torch.tensor(branch)
            mask[row, 0, path[:, None], path] |= torch.ones(len(path), len(path)).tril().bool()
            paths.append((row, path))
    return Packed(ids, positions, mask, paths)


def _tree(group: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[list[int]]]:
    """Tokens, their depths, and for each sequence where its tokens are."""
    tokens: list[int] = []
    depths: list[int] = []
    branches = []
    children: dict[tuple[int, int], int] = {}
    for sequence in group:
        at, branch = -1, []
        for depth, token in enumerate(sequence):
            child = children.setdefault((at, token), len(tokens))
            if child == len(tokens):
                tokens.append(token)
                depths.append(depth)
            at = child
            branch.append(at)
        branches.append(branch)
    return tokens, depths, branches


def keeping(cache: Cache | None) -> dict[str, Any]:
    """Arguments with which a model reads a cache and adds to it, if there is one."""
    return {_CACHE: cache, "use_cache": cache is not None}


def neighbours(sequences: Sequence[Sequence[int]], width: int = 320) -> list[list[int]]:
    """Group sequences that begin alike: lists of indices, each of at most `width` distinct tokens.

    Sorted as words in a dictionary, those that share a beginning stand side by side. One that is
    longer than `width` gets a group of its own. Groups come longest first, so that those of one
    batch need little padding.
    """
    groups: list[list[int]] = []
    sizes: list[int] = []
    before: Sequence[int] = ()
    for k in sorted(range(len(sequences)), key=lambda k: tuple(sequences[k])):
        fresh = len(sequences[k]) - shared(before, sequences[k])
        if groups and sizes[-1] + fresh <= width:
            groups[-1].append(k)
            sizes[-1] += fresh
        else:
            groups.append([k])
            sizes.append(len(sequences[k]))
        before = sequences[k]
    return [groups[k] for k in sorted(range(len(groups)), key=lambda k: -sizes[k])]


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    return next(
        (k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
