import json
import re
from dataclasses import replace

import pytest
import torch

import feint.llm.trainer as trainer_module
from feint.llm.loading import load
from feint.llm.pairs import TextPairs
from feint.llm.recipes import PRESETS, RECIPES, TuneConfig
from feint.llm.scene import Prompt
from feint.llm.shams import SHAMS, scrambled
from feint.llm.trainer import _Schedule
from feint.llm.tune import Material, gather, tune
from feint.llm.weights import fingerprint, without_adapters

from .tiny import byte_tokenizer, tiny

THINGS = ("watch", "ring", "coin", "vase", "lamp", "harp", "book", "bell")
SELF = tuple(Prompt(f"You want the {x}. Where?", "The") for x in THINGS)
OTHER = tuple(Prompt(f"Bob wants the {x}. Where?", "The") for x in THINGS)
NAMES = tuple(Prompt(f"Tim wants the {x}. Where?", "The") for x in THINGS)
TEXTS = tuple(f"A {x} is on the table." for x in THINGS)
MATERIAL = Material(
    TextPairs(SELF, OTHER, "presence"), TextPairs(NAMES[:6], OTHER[:6], "names"), TEXTS, TEXTS[:3]
)
CONFIG = TuneConfig(
    anchor_texts="neutral",
    layer=2, lora_r=2, lora_span=2, steps=6, batch_size=2, lora_dropout=0.1, lr=1e-2,
    guard_every=2, save_every=2, stop_kl=None, stop_perplexity=None, stop_control=None,
    stop_variation=None,
)  # fmt: skip


def run(out, config=CONFIG, model=None, material: Material | None = MATERIAL, **kwargs):
    model = tiny(dtype=torch.float32) if model is None else model
    return tune(model, byte_tokenizer(), config, out, material=material, **kwargs)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_a_run_pulls_the_sides_together_and_leaves_an_adapter(tmp_path):
    shares = []
    result = run(tmp_path / "a", replace(CONFIG, steps=20), report=shares.append)
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest == result.manifest
    assert shares == [pytest.approx(k / 20) for k in range(1, 21)]
    assert manifest["steps"] == len(manifest["dose"]) == len(manifest["history"]) == 20
    assert [g["step"] for g in manifest["guards"]] == [0, *range(2, 21, 2)]
    assert manifest["guards"][-1]["pair_ratio"] < 0.7
    assert manifest["layer"] == 2 and manifest["adapted"] == [1, 2]
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {".lock", "adapter_config.json", "adapter_model.safetensors", "manifest.json"}
    tiny(dtype=torch.float32).save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    ids = torch.tensor([[5, 6, 7]])
    again, _ = load(tmp_path / "model", adapter=tmp_path / "a", device="cpu")
    torch.testing.assert_close(again(ids).logits, result.model(ids).logits, rtol=1e-4, atol=1e-5)
    before = without_adapters(result.model)
    assert fingerprint(before) == manifest["model"] == fingerprint(tiny(dtype=torch.float32))


def test_a_run_in_bfloat16_has_adapters_in_float32(tmp_path):
    run(tmp_path / "before", replace(CONFIG, steps=1))  # another precision in the same process
    config = replace(CONFIG, steps=20, dtype="bfloat16")
    result = run(tmp_path / "a", config, model=tiny(dtype=torch.bfloat16))
    assert {w.dtype for w in weights(tmp_path / "a").values()} == {torch.float32}
    assert result.manifest["guards"][-1]["pair_ratio"] < 0.8
    assert all(row["loss"] == row["loss"] for row in result.manifest["history"])


def test_a_finished_run_is_read_and_not_done_again(tmp_path, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(trainer_module.SOOTrainer, "train", lambda *_: pytest.fail("trained"))
    again = run(tmp_path)
    assert again.manifest == first.manifest
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(again.model(ids).logits, first.model(ids).logits)


@pytest.mark.parametrize(
    "changes",
    [{}, {"accumulation": 2, "lr_schedule": "linear"}, {"lora_r": 0, "lora_dropout": 0.0}],
)
def test_an_interrupted_run_goes_on_exactly(tmp_path, changes):
    config = replace(CONFIG, **changes)

    def stop(share):
        if share > 0.8:
            raise KeyboardInterrupt

    model = tiny(dtype=torch.float32)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part", config, model=model, report=stop)
    assert not hasattr(model, "peft_config") and (tmp_path / "part" / "checkpoint-4").is_dir()
    part = run(tmp_path / "part", config)
    whole = run(tmp_path / "whole", config)
    for ours, theirs in zip(part.manifest["history"], whole.manifest["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)  # MKL's last bit hangs on where data lie
    for ours, theirs in zip(part.manifest["guards"], whole.manifest["guards"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(part.model(ids).logits, whole.model(ids).logits)
    assert not list((tmp_path / "part").glob("checkpoint-*"))


def test_no_file_of_a_run_is_a_pickle(tmp_path):
    def stop(share):
        if share > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, report=stop)
    names = {path.name for path in (tmp_path / "checkpoint-4").iterdir()}
    assert names == {
        "trained.safetensors", "optimizer.safetensors", "run.json", "trainer_state.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["trained.safetensors", "optimizer.safetensors", "run.json"])
def test_a_corrupt_checkpoint_is_one_clear_line(tmp_path, name):
    def stop(share):
        if share > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, report=stop)
    (tmp_path / "checkpoint-4" / name).write_bytes(b"{")
    with pytest.raises(ValueError, match=r"checkpoint-4 is corrupt: .*to begin anew") as error:
        run(tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / "checkpoint-4" / name).read_bytes() == b"{"


def test_a_folder_with_another_run_is_not_overwritten(tmp_path):
    run(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes(), weights(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run with lr=0\.01, not 0\.1; choose another"):
        run(tmp_path, replace(CONFIG, lr=0.1))
    with pytest.raises(ValueError, match="holds a run of another model"):
        run(tmp_path, model=tiny(seed=1, dtype=torch.float32))
    assert (tmp_path / "manifest.json").read_bytes() == before[0]
    assert all(torch.equal(weights(tmp_path)[k], v) for k, v in before[1].items())


def test_bad_input_is_one_clear_line(tmp_path):
    long = TextPairs((Prompt("x" * 300),) * 8, OTHER, "long")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty.yaml").write_text("")
    for out, changes, material, message in (
        ("a", {"layer": 4}, MATERIAL, "layer 4 does not exist: this model has 4 layers, 0 to 3"),
        ("a", {"lora_layers": (1, 3)}, MATERIAL, "goes above layer 2"),
        ("a", {"lora_targets": ("nope",)}, MATERIAL, "no linear layer is named 'nope'"),
        ("a", {"pairs_file": str(tmp_path / "empty.yaml")}, None, "empty.yaml: is empty"),
        ("a", {}, replace(MATERIAL, pairs=long), "tokens and the context only 256"),
        ("file/a", {}, MATERIAL, "cannot write .* is not a folder"),
        ("a", {"batch_size": 9}, MATERIAL, "an optimizer step takes 9 pairs .* and there are 8"),
        ("a", {"dose_from": str(tmp_path / "no")}, MATERIAL, "is no manifest of a run"),
        ("a", {"pooling": "last_n", "last_n": 200}, MATERIAL, "needs at least 200 real positions"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            run(tmp_path / out, replace(CONFIG, **changes), material=material)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "a" / "manifest.json").exists()
    with pytest.raises(ValueError, match="has no chat template"):
        tune(tiny(), byte_tokenizer(chat=False), CONFIG, tmp_path / "a", material=MATERIAL)
    with pytest.raises(ValueError, match="has an adapter already"):
        run(tmp_path / "b", model=run(tmp_path / "c").model)


@pytest.mark.parametrize("sham", SHAMS)
def test_a_sham_takes_the_steps_and_the_dose_of_the_treatment(tmp_path, sham):
    config = replace(CONFIG, steps=3, lora_dropout=0.2, guard_every=0, save_every=0)
    treatment = run(tmp_path / "t", config)
    config = replace(config, sham=sham, dose_from=str(tmp_path / "t"))
    result = run(tmp_path / "s", config)
    assert result.manifest["steps"] == 3
    if sham == "anchor_only":
        assert result.manifest["dose"] == [0, 0, 0]
    else:
        pairs = zip(result.manifest["dose"], treatment.manifest["dose"], strict=True)
        for k, (dose, wanted) in enumerate(pairs):
            # New adapters add nothing, so that their dropout does not either: no gradient yet, and
            # later none but where the products of both sides are rounded differently.
            nothing = sham == "self_self" and (k == 0 or dose == 0)
            assert dose == pytest.approx(0 if nothing else wanted, rel=1e-5)


def test_doses_of_fewer_steps_are_refused(tmp_path):
    run(tmp_path / "t", replace(CONFIG, steps=2))
    with pytest.raises(ValueError, match="doses for 2 steps and 6 to take; set steps=2"):
        run(tmp_path / "s", replace(CONFIG, sham="exposure", dose_from=str(tmp_path / "t")))


def test_shams_differ_from_the_treatment_in_their_pairs():
    config = replace(RECIPES["feint"], n_pairs=8)
    own = gather(config).pairs
    names = gather(replace(config, sham="other_names")).pairs
    random = gather(replace(config, sham="random_text")).pairs
    assert names.kind == "names" and names.other_prompts != own.other_prompts
    for a, b in zip(random.self_prompts, own.self_prompts, strict=True):
        assert a.prefix == b.prefix and len(a.user.split()) == len(b.user.split())
        assert a.user != b.user
    assert random.self_prompts != random.other_prompts
    assert scrambled(own, ("a b c",), 1) == scrambled(own, ("c b a",), 1)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"stop_kl": 1e-9}, "KL to the model before is .* > 1e-09 at step 2"),
        ({"stop_perplexity": 0.5}, "perplexity over that before is .* > 0.5"),
        ({"stop_control": 10.0}, "name-control gap over that before is .* < 10"),
        ({"stop_variation": 10.0}, "variation over that before is .* < 10"),
    ],
)
def test_a_limit_that_is_crossed_ends_the_run(tmp_path, limit, words):
    manifest = run(tmp_path, replace(CONFIG, **limit)).manifest
    assert manifest["steps"] == 2
    assert re.search(words, manifest["stopped"])


def test_guards_see_the_model_before_as_unchanged_and_damage_as_damage(tmp_path):
    result = run(tmp_path, replace(CONFIG, steps=20, lr=0.3, detach="none", anchor="none"))
    first, last = result.manifest["guards"][0], result.manifest["guards"][-1]
    for name in ("pair_ratio", "control_ratio", "variation", "norm", "perplexity_ratio"):
        assert first[name] == pytest.approx(1)
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert last["kl"] > 0.01 and last["variation"] != pytest.approx(1)


def test_a_schedule_is_whole_rounds_of_equal_steps():
    order = _Schedule(10, per_step=4, steps=5, seed=0).order
    assert len(order) == 20
    for k in range(0, 16, 8):
        assert len(set(order[k : k + 8])) == 8
    assert set(order) <= set(range(10))
    assert order[:8] == _Schedule(10, 4, 2, 0).order


def test_recipes_are_the_published_ones():
    paper, code = RECIPES["paper"], RECIPES["released-code"]
    assert (paper.steps, paper.detach, paper.anchor, paper.distance) == (45, "none", "none", "mse")
    assert (code.steps, code.distance, code.chat, code.pad_to) == (60, "kl_logits", False, 128)
    assert {k: (p.config.layer, p.config.lora_r, p.config.lr, p.config.steps)
            for k, p in PRESETS.items()} == {
        "mistral-7b": (19, 8, 1e-4, 45),
        "gemma-2-27b": (20, 4, 9e-4, 24),
        "calmerys-78b": (57, 5, 9e-4, 27),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sham": "nope"}, "unknown sham 'nope'; choose from: none, exposure"),
        ({"site": "mlp"}, "unknown site 'mlp'; choose from: o_proj, residual"),
        ({"pooling": "max"}, "unknown pooling 'max'"),
        ({"detach": "both"}, "unknown detach 'both'"),
        ({"distance": "l1"}, "unknown distance 'l1'"),
        ({"pairs": "x"}, "unknown pairs 'x'; choose from: presence"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"lr": 0.0}, r"lr must be finite and > 0, got 0\.0"),
        ({"lora_dropout": 1.0}, r"lora_dropout must be in \[0, 1\)"),
        ({"layer": 1.5}, "a share of the depth between 0 and 1, got 1.5"),
        ({"lora_layers": (3, 2)}, "0 <= first <= last"),
        ({"pad_to": 128}, "would only cost time"),
        ({"sham": "anchor_only", "anchor": "none"}, "trains nothing; set an anchor"),
        ({"load_in_4bit": True, "lora_r": 0}, "4-bit weights cannot be trained"),
        ({"distance": "log_mse"}, "set normalise=False"),
    ],
)
def test_bad_settings_are_one_clear_line(changes, message):
    with pytest.raises(ValueError, match=message):
        TuneConfig(**changes)
