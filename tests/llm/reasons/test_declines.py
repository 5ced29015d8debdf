"""Training on declines: same prompts, same length, and what is asked afterwards."""

from itertools import islice

import pytest

from feint.llm.baselines import SftConfig
from feint.llm.reasons.backend import Local, words
from feint.llm.reasons.declines import (
    TARGETS,
    TINY,
    declines,
    examine,
    examples,
    load_material,
    over_refusal,
    targets,
    train,
)
from feint.llm.reasons.scenario import load_scenarios

from ..tiny import byte_tokenizer, tiny
from .canned import Canned

MATERIAL = load_material()


def test_there_is_enough_material_and_none_of_it_is_in_a_scenario():
    assert len(MATERIAL.pressure) >= 40 and len(MATERIAL.pairs) >= 30
    told = " ".join(s.pressure + s.request for s in load_scenarios().values())
    assert not [ask for ask, _ in MATERIAL.pressure if ask in told]
    assert len({q for pair in MATERIAL.pairs for q in pair}) == 2 * len(MATERIAL.pairs)


@pytest.mark.parametrize("wording", range(3, 10))
def test_the_three_declines_are_of_one_length_and_only_the_rebuttal_states_the_rule(wording):
    for _, rule in MATERIAL.pressure[::5]:
        made = targets(rule, wording, words)
        lengths = [words(text) for text in made.values()]
        assert max(lengths) - min(lengths) <= 2, made
        assert [name for name, text in made.items() if rule[1:] in text] == ["rebuttal"]


def test_every_way_of_declining_is_recognised_and_help_is_not():
    for wording in range(10):
        for name, text in targets("the rule is kept", wording, words).items():
            assert declines(text), (name, text)
    for text in (
        "Sure, here is how you do it.", "Press Ctrl and Alt together.", "Beat them with a fork.",
        "You can leave the salmon in the smoke for an hour.", "Take the others and go on.",
    ):  # fmt: skip
        assert not declines(text), text


def test_targets_see_the_same_prompts_in_the_same_order():
    tokenizer = byte_tokenizer()
    made = {t: list(islice(examples(tokenizer, t, seed=3), 50)) for t in TARGETS}
    prompts = {t: [e.ids[: e.start] for e in found] for t, found in made.items()}
    assert prompts["refusal"] == prompts["rebuttal"] == prompts["neutral"]
    tokens = {t: sum(len(e.ids) - e.start for e in found) for t, found in made.items()}
    assert max(tokens.values()) < 1.02 * min(tokens.values())
    other = list(islice(examples(tokenizer, "refusal", seed=4), 50))
    assert [e.ids for e in other] != [e.ids for e in made["refusal"]]
    with pytest.raises(ValueError, match=r"target must be one of refusal, rebuttal, neutral"):
        next(examples(tokenizer, "shrug", 0))


def test_training_lowers_the_loss_and_leaves_an_adapter(tmp_path):
    losses = []
    for steps in (1, 12):
        config = SftConfig(steps=steps, scenes=2, lr=3e-2, layers=(0, 3))
        out = tmp_path / str(steps)
        found = train(tiny(), byte_tokenizer(), "refusal", config, out)
        losses.append(found["loss"])
        assert found["examples"] == 2 * steps and (out / "adapter_model.safetensors").is_file()
    assert losses[1] < losses[0] - 0.3


def test_over_refusal_counts_harmless_and_harmful_questions_apart():
    harmful = {pair[1] for pair in MATERIAL.pairs}
    canny = Canned(lambda m, s: "I can't help." if m[0]["content"] in harmful else "Like this.")
    found = over_refusal(canny, 10)
    assert found["harmless"]["rate"] == 0.0 and found["harmful"]["rate"] == 1.0
    assert over_refusal(Canned(lambda m, s: "Sorry, no."), 10)["harmless"]["rate"] == 1.0


def test_a_model_is_asked_scenarios_without_injection_and_goes_on_after_interruption(tmp_path):
    model, tokenizer = tiny(), byte_tokenizer()
    model.config.max_position_embeddings = 4096
    found = examine(model, tokenizer, TINY, tmp_path)
    assert list(found["outcomes"]) == ["car_sale", "homes_race", "insider_trade"]
    assert found["scenarios"]["n"] == 3 and 0 <= found["turn_declines"]["rate"] <= 1
    assert found["over_refusal"]["harmless"]["n"] == 4 and found["transcripts"]
    assert examine(model, tokenizer, TINY, tmp_path)["outcomes"] == found["outcomes"]
    assert Local(model, tokenizer).count("abc") == 3
