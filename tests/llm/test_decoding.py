"""Samples that share a prompt's cache in one row are what each would be by itself."""

from itertools import chain

import pytest
import torch

from feint.llm.decoding import decode, prefill

from .tiny import ARCHITECTURES, tiny

PROMPTS = [[5, 9, 7, 30, 11], [5, 9, 7, 88], [61, 62, 63, 64, 65, 66, 67]]
FIRST = [[40, 41, 42], [43, 44, 45], [46, 47, 48]]


def greedy(logits, rows):
    return logits.argmax(-1)


def alone(model, prompt, first, length):
    """The greedy continuation, by whole forwards."""
    ids = [*prompt, first]
    while len(ids) < len(prompt) + length:
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"mistral", "gemma2"}))
@torch.inference_mode()
def test_samples_in_one_row_equal_single_ones(architecture):
    model = tiny(architecture)
    found = {k: (logits, kept) for k, logits, kept in prefill(model, PROMPTS, 0, width=12)}
    for k, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(found[k][0], model(torch.tensor([prompt])).logits[0, -1])
    kept = [found[k][1] for k in range(3)]
    said = decode(model, kept, torch.tensor(FIRST), greedy, set(), 6)
    for prompt, first, samples in zip(PROMPTS, FIRST, said, strict=True):
        assert samples == [alone(model, prompt, token, 6) for token in first]


@torch.inference_mode()
def test_ended_samples_stop_and_the_others_go_on_unchanged():
    model = tiny()
    kept = [kv for _, _, kv in sorted(prefill(model, PROMPTS[:2], 0), key=lambda f: f[0])]
    full = decode(model, kept, torch.tensor(FIRST[:2]), greedy, set(), 6)
    end = full[0][0][2]
    cut = decode(model, kept, torch.tensor(FIRST[:2]), greedy, {end}, 6)
    for whole, short in zip(chain(*full), chain(*cut), strict=True):
        stop = whole.index(end) if end in whole else len(whole)
        assert short == whole[:stop]
    assert any(len(s) == 6 for s in chain(*cut)), "all ended: this shows nothing"
