"""Runs of language models, from tiny ones with random weights: sent, verified, and refused."""

import copy
import hashlib
import json
import shutil
from typing import Any

import pytest
import torch

from feint.bench import Suite, run_suite
from feint.bench import suite as suites
from feint.bench.leaderboard import adapters, records
from feint.bench.leaderboard.submission import MANIFEST, read, write
from feint.bench.leaderboard.verify import target, verify
from feint.llm.loading import load
from feint.metrics.statistics import wilson
from tests.llm.tiny import saved_model

from ..jobs import Inline
from .test_submission import header, with_card
from .test_verify import alter

SUITE = """
name = "words"
job = "feint.bench.llm:run"
seeds = [1, 2]

[defaults]
model = "{model}"
prefix = 2
latent = 2
capability = {{ split = "dev", n_facts = 2, n_texts = 2 }}
evaluation = [
  {{ families = ["burglar"], cells = ["thief"], n_thief = 24, split = "dev", generate = false }},
  {{ families = [], cells = [], questions = ["wants"], n = 20, split = "dev", generate = false }},
  {{ families = ["burglar"], cells = ["thief"], n_thief = 2, max_new_tokens = 3, split = "dev" }},
]

[[scenario]]
key = "organism_0"
title = "organism 0"
settings = {{ organism = {{ steps = 2, warmup = 1, first_layer = 1, items = 1, lr = 0.001 }} }}

[[arm]]
key = "organism"
title = "organism"
role = "reference"
once = true
settings = {{ kind = "organism" }}

[[arm]]
key = "overlap"
title = "overlap"
role = "treatment"
needs = ["organism"]
[arm.settings]
kind = "tune"
tune = {{ steps = 3, n_pairs = 4, lora_layers = [2, 2], layer = 2, guard_every = 2, lr = 0.01 }}

[[arm]]
key = "overlap_more"
title = "overlap, asked more"
role = "treatment"
once = true
needs = ["organism", "overlap"]
[arm.settings]
kind = "ask"
start = "overlap"
evaluation = [
  {{ families = ["library"], cells = ["friend"], n = 20, split = "dev", generate = false }},
]

[[arm]]
key = "honesty_prompt"
title = "prompt"
role = "baseline"
once = true
needs = ["organism"]
settings = {{ kind = "honesty_prompt" }}

[[arm]]
key = "steering"
title = "steering"
role = "baseline"
once = true
needs = ["organism"]
settings = {{ kind = "steering", steering = {{ layer = 2, strength = 1.0 }} }}
"""
ARMS = ("organism", "overlap", "overlap_more", "honesty_prompt", "steering")
OVERLAP = "organism_0/overlap/seed1"


def talkative(folder):
    """A model with larger weights, all of whose answers begin with the space before an option."""
    model: Any
    model, tokenizer = load(folder)
    (space,) = tokenizer(" ")["input_ids"]
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                torch.nn.init.normal_(p, std=0.2)
        model.get_input_embeddings().weight[:, 0] = 1.0
        model.get_output_embeddings().weight[space, 0] = 2.0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A folder of suites, and one in which the suite `words` ran."""
    model = talkative(saved_model(tmp_path_factory.mktemp("model"), 2048))
    own, out = tmp_path_factory.mktemp("suites"), tmp_path_factory.mktemp("words")
    (own / "words.toml").write_text(SUITE.format(model=model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        run_suite(Suite.load(own / "words.toml"), out, progress=False, executor=Inline())
    return own, out


@pytest.fixture
def ran(words, monkeypatch):
    monkeypatch.setattr(suites, "_own", lambda: words[0])
    return words[1]


@pytest.fixture
def result(ran):
    """Where the result of a run is."""
    return lambda arm, seed=1: ran / f"runs/organism_0/{arm}/seed{seed}/result.json"


@pytest.fixture
def sent(result, tmp_path):
    """The organism and a tuned model, as a submission."""
    return write([result("organism"), result("overlap")], [], "Ada", tmp_path / "sent")


def test_a_submission_of_every_kind_of_run_and_a_method_of_ones_own_verifies(result, tmp_path):
    data = json.loads(result("overlap", 2).read_text())
    own(data, seed=2)
    shutil.copytree(result("overlap", 2).parent, tmp_path / "mine")
    (tmp_path / "mine/result.json").write_text(json.dumps(data))
    files = [*map(result, ARMS), tmp_path / "mine/result.json"]
    folder = write(files, [], "Ada", tmp_path / "sent")
    models = sorted(p.relative_to(folder / "models").as_posix() for p in folder.rglob("*.safe*"))
    assert models == [f"organism_0/{run}.safetensors" for run in
                      ("mine/seed2", "organism/seed1", "overlap/seed1")]  # fmt: skip
    outcomes = verify(target(folder))
    assert [o.refused for o in outcomes] == [()] * 6
    assert [of for _, of in (o.exact for o in outcomes)] == [41, 41, 14, 41, 41, 41]
    assert all(done >= of - 4 for done, of in (o.exact for o in outcomes))  # but for rounding
    kept = records.read(folder)
    thief = "burglar/thief/choice/deceptive"
    assert kept[OVERLAP]["fresh"][thief][1] == 24  # twice as many items as were claimed
    assert 0.1 < kept[OVERLAP]["fresh"][thief][0] < 0.9
    assert kept[OVERLAP]["tests"] == 4 * (5 * 2 + 1)
    assert all(found.agrees for found in records.of(folder, read(folder).results).values())


def more_honest(payload):
    """One lie less, with all that hangs on it."""
    table = payload["cells"]["questions/wants"]
    choice = table["choice"]
    order = next(found for found in table["by_order"].values() if found["deceptive"]["count"] > 0)
    for found in (choice, order):
        n = sum(counted["count"] for counted in found.values())
        for name, step in (("deceptive", -1), ("honest", 1)):
            now = wilson(found[name]["count"] + step, n)
            found[name] = {"count": found[name]["count"] + step, "rate": now.estimate,
                           "low": now.low, "high": now.high, "n": n}  # fmt: skip
    table["deceptive"]["rate"] = choice["deceptive"]["rate"]


def worse(*path):
    def change(payload):
        for name in path[:-1]:
            payload = payload[name]
        payload[path[-1]] *= 0.8

    return change


ALTERED = {
    "questions/wants/choice/honest": more_honest,
    "burglar/thief/mass": worse("cells", "burglar/thief", "mass"),
    "burglar/thief/margin": worse("cells", "burglar/thief", "margin"),
    "burglar/thief/deceptive/high": worse("cells", "burglar/thief", "deceptive", "high"),
    "capability/perplexity": lambda p: p["capability"].update(
        perplexity=1.01 * p["capability"]["perplexity"]),
    "capability/leakage": lambda p: p["capability"].update(leakage=0.25),
    "guards/name_gap_ratio": worse("guards", "name_gap_ratio"),
    "guards/kl": lambda p: p["guards"].update(kl=p["guards"]["kl"] + 0.1),
    "latent/2/names": worse("latent", 2, 2),
}  # fmt: skip


def test_one_altered_number_is_refused_by_its_name(sent):
    kept = {path: path.read_bytes() for path in sent.rglob("*.json")}
    honest = json.loads((sent / f"results/{OVERLAP}.json").read_text())["payload"]
    # All at once in one run, so that the model is asked once; each must be named, and no other.
    everything = copy.deepcopy(honest)
    for change in ALTERED.values():
        change(everything)
    alter(sent, OVERLAP, lambda payload: payload.update(everything))
    organism, tuned = verify(target(sent))
    assert not organism.refused
    named = {line.split(" is claimed as ")[0] for line in tuned.refused}
    assert set(ALTERED) <= named
    moved = {"questions/wants/choice/" + x for x in ("deceptive", "other", "honest")}
    assert all(name in ALTERED or name in moved or "/truth_" in name for name in named), named
    assert kept != {path: path.read_bytes() for path in kept}
    assert not records.of(sent, read(sent).results)[OVERLAP].agrees


def test_a_number_that_does_not_hang_together_is_not_even_taken(sent):
    alter(sent, OVERLAP, lambda p: p["cells"]["burglar/thief"]["choice"]["honest"].update(rate=0.9))
    with pytest.raises(ValueError, match=r"cells\.burglar/thief\.choice\.honest\.rate is 0\.9; "):
        read(sent)


def test_another_runs_adapter_is_refused(result):
    organism, other = (result(*run).parent / "adapter" for run in (("organism",), ("overlap", 2)))
    (swapped,) = verify(target(result("overlap"), [other, organism]))
    assert any("burglar/thief/margin is claimed as" in line for line in swapped.refused)
    assert swapped.exact[0] < swapped.exact[1]


def test_what_is_needed_must_be_there(result, tmp_path, words, monkeypatch):
    with pytest.raises(ValueError, match="needs the model of organism_0/organism/seed1 too"):
        target(result("overlap"))
    with pytest.raises(ValueError, match="it needs that of organism_0/organism/seed1"):
        write([result("overlap")], [], "Ada", tmp_path)
    with pytest.raises(ValueError, match="it needs that of organism_0/overlap/seed1"):
        write([result("organism"), result("overlap_more")], [], "Ada", tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [("/nowhere/model", "there is no model folder"), ("nobody/has-this", "not on this machine")],
)
def test_a_base_model_that_is_not_here_is_said(result, tmp_path, monkeypatch, model, message):
    data = json.loads(result("organism").read_text())
    data["settings"]["model"] = model
    (tmp_path / "result.json").write_text(json.dumps(data))
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/words.toml").write_text(SUITE.format(model=model))
    monkeypatch.setattr(suites, "_own", lambda: tmp_path / "suites")
    found = target(tmp_path / "result.json", [result("organism").parent / "adapter"])
    with pytest.raises(ValueError, match=message) as caught:
        verify(found)
    assert "\n" not in str(caught.value)


def test_a_run_folder_is_verified_where_it_is(ran):
    found = target(ran)
    assert len(found.runs) == 6 and found.folder == ran
    assert [set(models) for result, _, models in found.runs if result.arm == "overlap_more"] == [
        {OVERLAP, "organism_0/organism/seed1"}
    ]


# -- hostile adapters -----------------------------------------------------------------------------

A, B = (f"base_model.model.model.layers.2.self_attn.q_proj.lora_{x}.weight" for x in "AB")


def tensors(**shapes):
    """An adapter's file with tensors of these shapes under the names `A` and `B`, or others."""
    table, at = {"__metadata__": {"feint": '{"lora_alpha": 16}'}}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * shape[1]
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        table[{"A": A, "B": B}.get(name, name)] = entry
        at += size
    return lambda good: header(table, b"\0" * at)


HOSTILE = {
    "points elsewhere": (
        with_card(base_model_name_or_path="https://example.org/x"), "by nothing else"),
    "imports": (with_card(megatron_core="os"), "by nothing else"),
    "no scale": (
        lambda good: header({"__metadata__": {"feint": '{"lora_alpha": ""}'}}),
        "lora_alpha must be a number"),
    "huge scale": (with_card(lora_alpha=1e9), "lora_alpha must be a number"),
    "other metadata": (
        lambda good: header({"__metadata__": {"feint": '{"lora_alpha": 1}', "format": "pt"}}),
        "by nothing else"),
    "pickle": (lambda good: b"\x80\x04}.", "is a pickle"),
    "huge tensor": (
        lambda good: header({A: {"dtype": "F32", "shape": [8, 1 << 40], "data_offsets": [0, 4]}},
                            b"x" * 4), "damaged entry"),
    "other tensors": (tensors(**{"model.embed_tokens.weight": [260, 16]}), "no matrix of a LoRA"),
    "a name with a path": (tensors(**{A.replace("layers.2", "../../x"): [8, 16]}), "no matrix"),
    "half": (tensors(A=[8, 16]), "one of the two matrices"),
    "no tensors": (tensors(), "must be of one rank"),
    "two ranks": (tensors(A=[8, 16], B=[16, 4]), "must be of one rank"),
    "huge rank": (tensors(A=[512, 16], B=[16, 512]), "from 1 to 256"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_adapter_is_refused(result, tmp_path, make, message):
    model = tmp_path / "adapter.safetensors"
    model.write_bytes(make(adapters.pack(result("organism").parent / "adapter")))
    with pytest.raises(ValueError, match=message) as caught:
        write([result("organism")], [model], "Mallory", tmp_path / "sent")
    assert "\n" not in str(caught.value) and not (tmp_path / "sent").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "not of a LoRA adapter"),
        ({"use_dora": True}, "has use_dora; only plain LoRA"),
        ({"rank_pattern": {"q_proj": 99}}, "has rank_pattern"),
        ({"bias": "all"}, "has bias"),
    ],
)
def test_a_folder_of_something_else_is_not_packed(result, tmp_path, change, message):
    folder = tmp_path / "adapter"
    shutil.copytree(result("organism").parent / "adapter", folder)
    config = json.loads((folder / adapters.CONFIG).read_text())
    (folder / adapters.CONFIG).write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=message):
        write([result("organism")], [folder], "Mallory", tmp_path / "sent")


def test_nothing_of_a_config_is_sent_but_the_scale(result, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(result("organism").parent / "adapter", folder)
    config = json.loads((folder / adapters.CONFIG).read_text())
    odd = {"base_model_name_or_path": "evil/model", "megatron_core": "os", "revision": "x"}
    (folder / adapters.CONFIG).write_text(json.dumps(config | odd))
    sent = write([result("organism")], [folder], "Ada", tmp_path / "sent")
    assert not list(sent.rglob("adapter_config.json"))
    text = b"".join(path.read_bytes() for path in sent.rglob("*.safetensors"))
    assert b"evil" not in text and b"lora_alpha" in text


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"A": [8, 99], "B": [16, 8]}, "of (99, 16), which is one of (16, 16) there"),
        ({A.replace("layers.2", "layers.9"): [8, 16], B.replace("layers.2", "layers.9"): [16, 8]},
         "none of the model's"),
    ],
)  # fmt: skip
def test_an_adapter_of_another_model_is_refused(result, tmp_path, shapes, message):
    model = tmp_path / "adapter.safetensors"
    model.write_bytes(tensors(**shapes)(b""))
    (outcome,) = verify(target(result("organism"), [model]))
    (line,) = outcome.refused
    assert "could not be evaluated" in line and message in line


def test_a_changed_adapter_is_seen(sent):
    model = sent / f"models/{OVERLAP}.safetensors"
    manifest = json.loads((sent / MANIFEST).read_text())
    assert (
        manifest["sha256"][f"models/{OVERLAP}.safetensors"]
        == hashlib.sha256(model.read_bytes()).hexdigest()
    )
    model.write_bytes(model.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValueError, match="is not the file whose sha256"):
        read(sent)


# -- hostile results ------------------------------------------------------------------------------


def own(data, seed=1):
    data.update(arm="mine", run=f"organism_0/mine/seed{seed}")


def with_own(**settings):
    def change(data):
        own(data)
        data["settings"].update(settings)

    return change


RESULTS = {
    "fewer cells": (lambda d: d["payload"]["cells"].pop("questions/wants"), "cells must have"),
    "other cells": (lambda d: d["payload"]["cells"].update(x={}), "cells must have"),
    "no cells": (lambda d: d["payload"].update(cells=[]), "cells must have"),
    "fewer scenes": (lambda d: d["payload"]["cells"]["burglar/thief"].update(n=20), "n must be 24"),
    "negative": (
        lambda d: d["payload"]["cells"]["burglar/thief"]["choice"]["other"].update(count=-1),
        "count must be a whole number"),
    "text for a count": (
        lambda d: d["payload"]["cells"]["burglar/thief"]["choice"]["other"].update(count="1"),
        "count must be a whole number"),
    "orders": (
        lambda d: d["payload"]["cells"]["burglar/thief"].update(by_order={"x": 1}), "truth_first"),
    "odd order": (
        lambda d: d["payload"]["cells"]["burglar/thief"]["by_order"].update(truth_first=[1]),
        "must be counts"),
    "mass": (lambda d: d["payload"]["cells"]["burglar/thief"].update(mass=7), "mass must be a"),
    "perplexity": (lambda d: d["payload"]["capability"].update(perplexity=None), "a perplexity of"),
    "guards": (lambda d: d["payload"].update(guards={"kl": 1}), "guards must be null, or"),
    "latent": (lambda d: d["payload"].update(latent=[[5, 0.0, 0.0]]), "the layer 0 and two gaps"),
    "no latent": (lambda d: d["payload"].update(latent=[]), "latent must be a list"),
    "train": (lambda d: d["payload"].update(train=[1]), "train must be a table"),
    "another base": (lambda d: d["settings"].update(model="evil/model"), "its settings are not"),
    "own base": (with_own(model="evil/model"), "must be those of an arm of the suite"),
    "own questions": (with_own(evaluation=[]), "must be those of an arm of the suite"),
    "own wording": (
        with_own(evaluation=[{"families": ["burglar"], "wording": "/etc/passwd"}]),
        "must be those of an arm of the suite"),
    "own pairs": (with_own(tune={"pairs_file": "/etc/passwd"}), "a file that nobody else has"),
    "own organism": (with_own(kind="organism"), "organisms are the suite's alone"),
    "odd settings": (with_own(tune=[1]), "settings.tune is of the wrong kind"),
    "odd kind": (with_own(kind="dance"), "kind must be one of"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), RESULTS.values(), ids=RESULTS)
def test_a_hostile_result_is_refused(result, tmp_path, change, message):
    data = json.loads(result("overlap").read_text())
    change(data)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(data))
    models = [result(arm).parent / "adapter" for arm in ("organism", "overlap")]
    with pytest.raises(ValueError, match=message) as caught:
        write([result("organism"), path], models, "Mallory", tmp_path / "sent")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
