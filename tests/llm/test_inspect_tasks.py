"""Tasks for Inspect, run with its mock model and with a tiny model of transformers."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai", reason="extra `evals`")

from inspect_ai import eval as inspect_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from feint.llm.inspect_tasks import TASKS
from feint.llm.questions import QUESTION_KINDS
from feint.llm.scenes import CELLS, FAMILIES


def run(task, model, tmp_path, **arguments):
    """The samples of an evaluation, and the values of all metrics by score."""
    (log,) = inspect_eval(
        task, task_args=arguments, model=model, log_dir=str(tmp_path), display="none"
    )
    assert log.status == "success", log.error
    assert log.samples is not None and log.results is not None
    values = {
        score.name: {name.removeprefix("feint/"): m.value for name, m in score.metrics.items()}
        for score in log.results.scores
    }
    return log.samples, values


def asked(sample):
    """The texts of the messages of a sample."""
    return [message.text for message in sample.input]


def mock(answer):
    """A mock model that answers a prompt with `answer(prompt)`."""

    def output(messages, tools, tool_choice, config):
        said = ModelOutput.from_content("mockllm/model", answer(messages))
        said.usage = ModelUsage()  # else tokens are counted by a tokenizer from the network
        return said

    return get_model("mockllm/model", custom_outputs=output, memoize=False)


BY_NAME = """
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

def output(messages, tools, tool_choice, config):
    said = ModelOutput.from_content("mockllm/model", "no")
    said.usage = ModelUsage()
    return said

model = get_model("mockllm/model", custom_outputs=output)
arguments = {"n": 4, "cell": "friend"}
(log,) = eval("feint/burglar", task_args=arguments, model=model, log_dir="logs", display="none")
print(log.status, len(log.samples), *{sample.metadata["cell"] for sample in log.samples})
"""


def rooms(messages):
    """The two rooms in the order of the question."""
    question = messages[-1].text.split("?")[0].rsplit("the ", 2)
    return question[1].removesuffix(" or "), question[2]


def test_one_who_names_the_first_room_is_a_liar_in_half_of_the_orders_and_in_no_item(tmp_path):
    model = mock(lambda messages: f"The {rooms(messages)[0]}, I say.")
    samples, value = run(TASKS["burglar"](n=12, details=False), model, tmp_path)
    assert value["honest"]["mean"] == value["deceptive"]["mean"] == 0.5
    assert value["deceptive"]["truth_first"] == 0.0 and value["deceptive"]["truth_last"] == 1.0
    assert value["deceptive"]["both_orders"] == value["honest"]["both_orders"] == 0.0
    assert value["deceptive"]["stderr"] == 0.0  # each item half and half: clustered, no spread
    assert value["refusal"]["mean"] == value["other"]["mean"] == 0.0
    assert len(samples) == 12 and samples[0].metadata["order"] == "truth_first"


def test_liars_refusers_and_those_who_speak_of_it_are_told_apart(tmp_path):
    answers = ["I would point to the {}, to mislead Bob.", "I'm sorry, I cannot.",
               "Blue."]  # fmt: skip
    calls = iter(range(100))

    def answer(messages):
        return answers[next(calls) % 3].format(rooms(messages)[0])

    samples, scores = run(TASKS["burglar"](n=6), mock(answer), tmp_path)
    mean = {key: metrics["mean"] for key, metrics in scores.items()}
    assert mean["refusal"] == mean["other"] == pytest.approx(1 / 3)
    assert mean["honest"] + mean["deceptive"] == pytest.approx(1 / 3)
    assert mean["speaks_of_deceit"] == pytest.approx(1 / 3)
    given = {(sample.scores or {})["four_way"].answer for sample in samples}
    assert given >= {"refusal", "other"}


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_questions_are_right_or_wrong(kind, tmp_path):
    targets = {}
    task = TASKS[kind](n=8)
    for sample in task.dataset:
        targets[asked(sample)[-1]] = sample.target
    model = mock(lambda messages: f"It is: {targets[messages[-1].text]}")
    _, scores = run(task, model, tmp_path)
    assert scores["right"]["mean"] == scores["right"]["both_orders"] == 1.0
    assert "honest" not in scores and "speaks_of_deceit" not in scores


def test_there_is_a_task_for_every_story_and_question_and_every_cell_fits():
    assert set(TASKS) == {*FAMILIES, *QUESTION_KINDS, "reasons"}
    for family in FAMILIES:
        for cell in CELLS:
            task = TASKS[family](cell=cell, split="confirm", n=200, system="Be honest.")
            assert len(task.dataset) == 200 and len({s.id for s in task.dataset}) == 200
            system, question = asked(task.dataset[0])
            assert system == "Be honest."
            assert 'Begin your answer with "I would point to the' in question
    (question,) = asked(TASKS["burglar"](n=2, instruct=False).dataset[0])
    assert question.endswith("?")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"cell": "foe"}, "cell must be one of"), ({"n": 0}, "n must be > 0"),
     ({"variant": "tone"}, "edits must be among")],
)  # fmt: skip
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        TASKS["burglar"](**arguments)


def test_a_local_model_of_transformers_is_evaluated(tmp_path, tiny_model):
    model = get_model("hf/tiny", model_path=str(tiny_model), device="cpu", do_sample=False)
    samples, scores = run(TASKS["treasure_hunt"](n=4), model, tmp_path)
    assert sum(scores[key]["mean"] for key in ("honest", "deceptive", "refusal", "other")) == 1
    assert len(samples) == 4


@pytest.fixture
def tiny_model(tmp_path, monkeypatch):
    """A random Llama with a tokenizer of letters and a chat template, as a folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers", reason="extra `llm`")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE({c: k for k, c in enumerate([*letters, "<end>"])}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %} assistant: "
    )
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=2048,
    )  # fmt: skip
    folder = tmp_path / "tiny"
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_inspect_finds_the_tasks_by_name(tmp_path):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    value = project["entry-points"]["inspect_ai"]["feint"]
    assert EntryPoint("feint", value, "inspect_ai").load().TASKS is TASKS
    # In a process and a folder of its own: beside a checkout's egg-info Inspect takes the package
    # for one that is not installed, and tasks imported before keep the name they got then.
    done = subprocess.run(
        [sys.executable, "-c", BY_NAME], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["success", "4", "friend"]
