import math

import pytest
import torch

from feint.llm.capability import (
    capability,
    divergence,
    harness,
    leakage,
    perplexity,
)

from .tiny import byte_tokenizer, tiny

TEXTS = ["The sea is calm.", "Rain", "A much longer line about a mill."]


def losses(model, text):
    ids = torch.tensor([byte_tokenizer()(text)["input_ids"]])
    logits = model(ids).logits[0, :-1].log_softmax(-1)
    return -logits[range(len(logits)), ids[0, 1:]].detach()


def test_perplexity_weighs_every_token_alike_and_no_padding():
    model = tiny()
    expected = torch.cat([losses(model, text) for text in TEXTS]).mean().exp()
    for batch in (1, 2, 8):
        found = perplexity(model, byte_tokenizer(), TEXTS, batch)
        assert found == pytest.approx(float(expected), rel=1e-5)


def test_divergence_is_zero_from_itself_and_as_by_hand_from_another():
    model, other, tokenizer = tiny(), tiny(seed=1), byte_tokenizer()
    assert divergence(model, model, tokenizer, TEXTS) == pytest.approx(0.0, abs=1e-9)
    total = 0.0
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        now, before = (m(ids).logits[0].log_softmax(-1).detach() for m in (model, other))
        total += float((before.exp() * (before - now)).sum())
    expected = total / sum(len(text) for text in TEXTS)
    assert divergence(model, other, tokenizer, TEXTS) == pytest.approx(expected, rel=1e-4)


def test_the_format_of_scenes_is_found_in_other_answers():
    assert (
        leakage(["Green.", "I would point to the room with the green.", "Two", "i would point to"])
        == 0.5
    )


def test_the_gate_reports_all_of_it():
    tokenizer = byte_tokenizer()
    tokenizer.model_max_length = 4096
    found = capability(tiny(), tokenizer, tiny(), split="train", n_facts=6, n_texts=2)
    assert found["kl"] == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(found["perplexity"])
    assert found["facts"]["n"] == found["open_facts"]["n"] == found["leakage"]["n"] == 6
    assert found["answers"][0]["question"].endswith("?")


def test_text_without_tokens_and_a_missing_harness_are_named():
    with pytest.raises(ValueError, match="give some neutral text"):
        perplexity(tiny(), byte_tokenizer(), ["a"])
    with pytest.raises(ValueError, match="need the package lm-eval"):
        harness(tiny(), byte_tokenizer(), ["arc_easy"])
