import pytest
import torch

from feint.llm.chat import render
from feint.llm.reading import continuation, read
from feint.llm.scene import Prompt, Scene, label

from .tiny import byte_tokenizer, tiny


def scene(user="Bob asks. Den or hall?", prefix="It is the", names=("cup", "ring"), truth=1):
    options = (("den", names[0]), ("hall", names[1]))
    return Scene(Prompt(user, prefix), options, truth, "thief", "burglar", "", "dev", "x")


SCENES = [
    scene(),
    scene("Bob asks. Hall or den, or den or hall?", truth=0),
    scene("Who?", prefix=""),
    scene("Who is it?", prefix="", names=("ring box", "ring")),
]


def alone(model, tokenizer, one, text):
    """Log-probability of each token of `text` after the scene's prompt, by a forward of its own."""
    before, after = continuation(tokenizer, one.prompt, text)
    with torch.no_grad():
        logits = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    return logits[range(len(before) - 1, len(before) + len(after) - 1), after], logits[
        len(before) - 1
    ]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt_neox"])
def test_margins_are_those_of_a_forward_for_each_option(architecture):
    model, tokenizer = tiny(architecture), byte_tokenizer()
    for one, reading in zip(SCENES, read(model, tokenizer, SCENES, width=90), strict=True):
        honest, first = alone(model, tokenizer, one, f"{one.answer(True)}.")
        liar, _ = alone(model, tokenizer, one, f"{one.answer(False)}.")
        same = one.prompt.prefix or one.answer(True)[0] == one.answer(False)[0]
        expected = (honest.sum() - liar.sum()) if same else honest[0] - liar[0]
        assert reading.margin == pytest.approx(float(expected), abs=1e-5)
        starts = {name[0] for name in (one.answer(True), one.answer(False))}
        begin = {" "} if one.prompt.prefix else starts
        ids = [tokenizer(letter)["input_ids"][0] for letter in begin]
        assert reading.mass == pytest.approx(float(first[ids].exp().sum()), abs=1e-5)
        assert reading.likeliest == (int(first.argmax()) in ids)
        others = [k for k in range(len(first)) if k not in ids]
        lead = abs(float(first[ids].max() - first[others].max()))
        edge = min(lead, abs(reading.margin)) if reading.likeliest else lead
        assert reading.edge == pytest.approx(edge, abs=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox"])
def test_an_answer_is_what_plain_greedy_generation_gives(architecture):
    model, tokenizer = tiny(architecture), byte_tokenizer()
    readings = read(
        model, tokenizer, SCENES, generate=True, stop=False, max_new_tokens=9, width=90, batch=2
    )
    for one, reading in zip(SCENES, readings, strict=True):
        prompt = tokenizer(render(tokenizer, one.prompt), add_special_tokens=False)["input_ids"]
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=9,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        said = out.sequences[0, len(prompt) :]
        text = str(tokenizer.decode(said, skip_special_tokens=True)).strip()
        assert reading.answer == f"{one.prompt.prefix} {text}".strip()
        first, second = torch.cat(out.logits).topk(2).values.T
        assert reading.answer_edge == pytest.approx(float((first - second).min()), abs=1e-5)


def spelling(*texts):
    """A model that says one text after another, whatever it is asked, by its own weights."""
    tokenizer = byte_tokenizer()
    model = tiny()
    chains = [tokenizer(text)["input_ids"] for text in texts]

    def say(_module, inputs, output):
        # The token that follows the last one in the chain; each text's letters are all different.
        after = {a: b for chain in chains for a, b in zip(chain, [*chain[1:], 2], strict=True)}
        ids = inputs[1]["input_ids"]
        logits = torch.full((*ids.shape, 260), -9.0, dtype=torch.float64)
        for at in torch.cartesian_prod(*map(torch.arange, ids.shape)):
            token = after.get(int(ids[tuple(at)]), chains[0][0])
            logits[(*at, token)] = 9.0
        keep = inputs[1].get("logits_to_keep")
        output.logits = logits if keep is None else logits[:, keep]
        return output

    model.register_forward_hook(lambda m, a, k, o: say(m, (a, k), o), with_kwargs=True)
    return model, tokenizer


def test_an_answer_ends_when_its_label_is_decided():
    model, tokenizer = spelling("ring.bcdfhjk")
    one = scene("Who?", prefix="")
    short, long = (
        read(model, tokenizer, [one], generate=True, stop=stop, max_new_tokens=12)[0].answer
        for stop in (True, False)
    )
    assert short == "ring."
    assert long == "ring.bcdfhjk"
    assert label(short, one) == label(long, one) == "honest"


def test_an_answer_is_generated_only_where_it_is_wanted():
    model, tokenizer = tiny(), byte_tokenizer()
    readings = read(model, tokenizer, SCENES, generate=[True, False, False, True])
    assert [reading.answer is None for reading in readings] == [False, True, True, False]
    with pytest.raises(ValueError, match="one per scene"):
        read(model, tokenizer, SCENES, generate=[True])


def test_a_model_whose_likeliest_token_begins_neither_option_chooses_neither():
    model, tokenizer = spelling("zxy")
    reading = read(model, tokenizer, [scene("Who?", prefix="")])[0]
    assert reading.choice == "other"
    assert reading.mass < 0.01


def test_progress_is_reported_and_the_mode_is_given_back():
    model, seen = tiny().train(), []
    read(model, byte_tokenizer(), SCENES, report=lambda *done: seen.append(done))
    assert seen[-1] == (4, 4)
    assert model.training


def test_options_that_read_the_same_are_refused():
    with pytest.raises(ValueError, match="give two names"):
        read(tiny(), byte_tokenizer(), [scene(names=("cup", "cup"))])


def test_a_scene_longer_than_a_sliding_window_is_refused():
    with pytest.raises(ValueError, match="the last 16 only"):
        read(tiny("mistral"), byte_tokenizer(), SCENES)
