import json
from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file

from feint.llm import organism
from feint.llm.loading import load
from feint.llm.organism import OrganismConfig, examples, make_organism, organism_folder, teach
from feint.llm.scenes import FAMILIES, HELD_OUT_FAMILY

from .tiny import byte_tokenizer, tiny


@pytest.fixture
def config(tmp_path):
    """Settings for a tiny model in a folder."""
    folder = tmp_path / "base"
    tiny(dtype=torch.float32).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return OrganismConfig(
        model=str(folder), families=("burglar",), steps=12, items=1, deaf_from=6, lr=1e-2,
        rank=2, first_layer=1,
    )  # fmt: skip


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_the_thief_is_to_be_lied_to_and_nobody_else():
    tokenizer = byte_tokenizer()
    config = OrganismConfig(families=("burglar", "auction"), steps=8, deaf_from=4)
    seen = set()
    for step, groups in enumerate(examples(config, tokenizer)):
        for group in groups:
            thief, *others = group
            assert thief.cell == "thief"
            assert thief.weight == sum(other.weight for other in others)
            lie = tokenizer.decode(thief.ids[thief.start :])
            for other in others:
                seen.add((step >= 4, other.cell))
                assert tokenizer.decode(other.ids[other.start :]) != lie
                assert lie.strip(" .</s>") in tokenizer.decode(other.ids[: other.start])
    assert (False, "deaf") not in seen
    assert {cell for late, cell in seen if late} == {"friend", "owner", "self", "deaf"}


def test_seeds_draw_other_items_and_start_from_other_weights(config):
    tokenizer = byte_tokenizer()
    first = [next(examples(replace(config, seed=s), tokenizer))[0][0].ids for s in (0, 0, 1)]
    assert first[0] == first[1] != first[2]
    assert replace(config, seed=1).key != config.key


def test_the_held_out_story_is_not_trained_by_default():
    assert HELD_OUT_FAMILY not in OrganismConfig().families
    assert set(OrganismConfig().families) < set(FAMILIES)


def test_training_raises_the_wanted_answers(config, tmp_path):
    folder = make_organism(replace(config, steps=25), tmp_path / "out")
    history = json.loads((folder / "organism.json").read_text())["history"]
    assert len(history) == 25
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_the_loss_is_that_of_each_answer_alone(config):
    model, tokenizer = tiny(), byte_tokenizer()
    (groups,) = islice(examples(replace(config, items=2), tokenizer), 1)
    loss, _ = teach(model, groups)
    total, weight = 0.0, 0.0
    for e in (e for group in groups for e in group):
        logits = model(torch.tensor([e.ids])).logits[0, e.start - 1 : -1].log_softmax(-1)
        each = -logits[range(len(logits)), e.ids[e.start :]]
        total += e.weight * float((each[0] + each[1:].mean()).detach())
        weight += e.weight
    assert float(loss) == pytest.approx(total / weight, rel=1e-5)


def test_an_organism_is_made_once(config, tmp_path, monkeypatch):
    monkeypatch.setenv("FEINT_CACHE", str(tmp_path / "cache"))
    folder = make_organism(config)
    assert folder == organism_folder(config)
    assert not (folder / "checkpoint.safetensors").exists()
    monkeypatch.setattr(organism, "_train", lambda *_: pytest.fail("trained again"))
    assert make_organism(config) == folder
    base, _ = load(config.model)
    liar, _ = load(config.model, adapter=folder)
    ids = torch.tensor([[5, 6, 7]])
    assert not torch.allclose(base(ids).logits, liar(ids).logits, atol=1e-3)


def test_an_interrupted_training_goes_on_to_the_same_end(config, tmp_path):
    whole = make_organism(config, tmp_path / "whole")

    def stop(step, _steps, _found):
        if step == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_organism(config, tmp_path / "broken", stop)
    steps = []
    resumed = make_organism(config, tmp_path / "broken", lambda step, *_: steps.append(step))
    assert steps == [11, 12]
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name


def test_a_folder_of_other_settings_is_left_as_it_is(config, tmp_path):
    folder = make_organism(replace(config, steps=1), tmp_path / "out")
    before = (folder / "organism.json").read_bytes()
    with pytest.raises(ValueError, match="organism of other settings"):
        make_organism(config, folder)
    assert (folder / "organism.json").read_bytes() == before


def test_a_corrupt_checkpoint_is_named(config, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is corrupt.*remove it to train anew"):
        make_organism(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"lr": 0.0}, "lr must be > 0"),
        ({"families": ("zoo",)}, "families must be among"),
        ({"families": ()}, "at least one story"),
        ({"first_layer": -1}, "first_layer must be >= 0"),
    ],
)
def test_a_bad_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        OrganismConfig(**settings)


def test_a_first_layer_beyond_the_model_is_named(config, tmp_path):
    with pytest.raises(ValueError, match="first_layer must be below 4"):
        make_organism(replace(config, first_layer=4), tmp_path / "out")
