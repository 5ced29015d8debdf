"""A model at hand: a reply hangs on its conversation and seed, and on nothing beside it."""

import pytest
import torch

from feint.llm.reasons.backend import Local, Sampling, _choose, words

from ..tiny import byte_tokenizer, tiny

HOW = Sampling(temperature=1.0, max_new_tokens=8)
ASKED = [
    [{"role": "user", "content": text}] for text in ("one", "two", "one", "a third one", "one")
]


def local(**changes):
    return Local(tiny(), byte_tokenizer(), **changes)


def test_replies_are_the_same_alone_and_among_others():
    together = dict(local().sample(ASKED, [1, 2, 3, 4, 5], HOW))
    assert sorted(together) == [0, 1, 2, 3, 4]
    for k, (messages, seed) in enumerate(zip(ASKED, [1, 2, 3, 4, 5], strict=True)):
        assert dict(local().sample([messages], [seed], HOW)) == {0: together[k]}
    narrow = dict(local(together=2, share=1).sample(ASKED, [1, 2, 3, 4, 5], HOW))
    assert narrow == together
    assert len({together[k].text for k in (0, 2, 4)}) > 1  # one conversation, three seeds


def test_temperature_zero_takes_the_likeliest_token():
    model, tokenizer = tiny(), byte_tokenizer()
    (reply,) = dict(local().sample(ASKED[:1], [1], Sampling(0.0, max_new_tokens=6))).values()
    ids = tokenizer("<s>user: one</s><s>assistant: ", add_special_tokens=False)["input_ids"]
    for _ in range(6):
        token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        if token == 2:
            break
        ids.append(token)
    assert str(tokenizer.decode(ids, skip_special_tokens=True)).endswith(reply.text)


def test_tokens_are_drawn_in_proportion_and_top_p_leaves_the_tail_out():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).expand(1, 3000, 3)
    drawn = (torch.arange(3000) + 0.5)[None].double() / 3000
    counts = torch.bincount(_choose(logits, drawn, Sampling(1.0))[0], minlength=3)
    assert counts.tolist() == [1500, 900, 600]
    cut = torch.bincount(_choose(logits, drawn, Sampling(1.0, top_p=0.7))[0], minlength=3)
    assert cut.tolist() == [1875, 1125, 0]


def test_what_does_not_fit_the_context_is_named():
    with pytest.raises(ValueError, match=r"takes .* tokens, and the model's context is 256"):
        list(local().sample([[{"role": "user", "content": "x" * 300}]], [0], HOW))


def test_a_template_without_system_messages_gets_the_system_prompt_first():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + str(tokenizer.chat_template)
    )
    backend = Local(tiny(), tokenizer)
    shown = backend._render(
        [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    )
    assert shown == "<s>user: be kind\n\nhi</s><s>assistant: "


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature must be >= 0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\]"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


def test_words_stand_in_for_tokens():
    assert words("It's late, isn't it?") == 10
