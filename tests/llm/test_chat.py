import pytest
import torch

from feint.llm.chat import encode, render
from feint.llm.scene import Prompt

from .tiny import byte_tokenizer

PROMPTS = [
    Prompt("Which room?", "The"),
    Prompt("Where is it, do you think?"),
    Prompt("Hm", "", "S"),
]


def test_a_chat_prompt_ends_in_its_prefix():
    text = render(byte_tokenizer(), Prompt("Which room?", "I would", "Be brief."))
    assert text == "<s>system: Be brief.</s><s>user: Which room?</s><s>assistant: I would"


def test_a_raw_prompt_needs_no_template():
    text = render(byte_tokenizer(chat=False), Prompt("Which room?", "I would", "Hm."), chat=False)
    assert text == "Hm. Which room? I would"


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_real_positions_hold_the_rendered_text(side):
    tokenizer = byte_tokenizer()
    batch = encode(tokenizer, PROMPTS, side=side, pad_to=100)
    assert batch.ids.shape == batch.mask.shape == (3, 100)
    assert batch.ids.dtype == torch.int64
    for row, mask, prompt in zip(batch.ids, batch.mask, PROMPTS, strict=True):
        assert tokenizer.decode(row[mask]) == render(tokenizer, prompt)
        assert all(token == tokenizer.pad_token_id for token in row[~mask].tolist())
        assert mask[0 if side == "right" else -1]


def test_a_batch_is_as_wide_as_its_longest_prompt():
    tokenizer = byte_tokenizer()
    alone = [encode(tokenizer, [prompt]).ids.shape[1] for prompt in PROMPTS]
    assert encode(tokenizer, PROMPTS).ids.shape[1] == max(alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "no prompt to encode"),
        ({"side": "top"}, "unknown padding side 'top'; choose from: right, left"),
        ({"max_length": 20}, "tokens and the context only 20"),
        ({"pad_to": 20}, "pad_to is 20; raise pad_to"),
        ({"prompts": [Prompt("long " * 60)]}, r"and the context only 256: 'long .*\.\.\.'"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        encode(byte_tokenizer(), **{"prompts": PROMPTS, **arguments})


def test_a_tokenizer_without_a_template_is_refused():
    with pytest.raises(ValueError, match="has no chat template; give chat=False"):
        encode(byte_tokenizer(chat=False), PROMPTS)
