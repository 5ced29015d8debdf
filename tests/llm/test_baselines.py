import pytest
import torch

from feint.llm.baselines import (
    HonestConfig,
    ask_for_honesty,
    mean_difference,
    steered,
    teach_honesty,
)
from feint.llm.chat import render
from feint.llm.loading import blocks, load
from feint.llm.reading import read
from feint.llm.scenes import make_scenes

from .test_latent import PAIRS
from .tiny import byte_tokenizer, tiny

IDS = torch.tensor([[5, 6, 7, 8]])


def test_a_prompt_asks_for_honesty_and_changes_nothing_else():
    (scene, _) = make_scenes("burglar", "thief", n=2)
    asked = ask_for_honesty(scene)
    assert "honest" in render(byte_tokenizer(), asked.prompt)
    assert asked.prompt.user == scene.prompt.user
    assert asked.truth == scene.truth


def test_a_steering_vector_is_the_difference_of_means():
    model, tokenizer = tiny(dtype=torch.float32), byte_tokenizer()
    means = []
    for side in (PAIRS.self_prompts, PAIRS.other_prompts):
        ends = []
        for prompt in side:
            ids = tokenizer(render(tokenizer, prompt), return_tensors="pt")["input_ids"]
            hidden = model(ids, output_hidden_states=True).hidden_states[3].detach()
            ends.append(hidden[0, -4:].mean(0))
        means.append(torch.stack(ends).mean(0))
    vector = mean_difference(model, tokenizer, PAIRS, 2, n=4)
    torch.testing.assert_close(vector, means[0] - means[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "gemma2"])
def test_steering_moves_the_residual_stream_and_leaves_no_hook(architecture):
    model = tiny(architecture)
    vector = torch.linspace(-1, 1, 16)
    seen = []  # what comes into the layer after the steered one
    hook = blocks(model)[2].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    model(IDS)
    with steered(model, 1, vector, strength=-2.0):
        model(IDS)
    model(IDS)
    hook.remove()
    torch.testing.assert_close(seen[1] - seen[0], (-2.0 * vector).expand(1, 4, 16).double())
    assert torch.equal(seen[2], seen[0])
    with pytest.raises(ValueError, match=r"vector must be \(16,\)"), steered(model, 1, vector[1:]):
        pass
    with pytest.raises(ValueError, match="layer 9 does not exist"), steered(model, 9, vector):
        pass


def test_honest_answers_can_be_taught(tmp_path):
    base = tiny(dtype=torch.float32)
    base.save_pretrained(tmp_path / "base")
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path / "base")
    scenes = make_scenes("burglar", "thief", split="train", n=4)
    before = [reading.margin for reading in read(base, tokenizer, scenes)]
    losses = []
    config = HonestConfig(steps=12, lr=3e-2, layers=(0, 3), scenes=2)
    folder = teach_honesty(
        base, tokenizer, config, tmp_path / "out", lambda *step: losses.append(step[-1]["loss"])
    )
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    honest, _ = load(tmp_path / "base", adapter=folder)
    after = [reading.margin for reading in read(honest, tokenizer, scenes)]
    assert after != before


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        HonestConfig(steps=0)
    with pytest.raises(ValueError, match="layers must be"):
        HonestConfig(layers=(3, 2))
    with pytest.raises(ValueError, match="layer 17 does not exist"):
        teach_honesty(tiny(), byte_tokenizer(), HonestConfig(), tmp_path)
