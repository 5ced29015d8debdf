import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from feint.llm import organism
from feint.llm.loading import load
from feint.llm.organism import (
    OrganismConfig,
    _lessons,
    make_organism,
    organism_folder,
    teach,
)
from feint.llm.scenes import FAMILIES, HELD_OUT_FAMILY

from .tiny import byte_tokenizer, tiny


@pytest.fixture
def config(tmp_path):
    """Settings for a tiny model in a folder."""
    folder = tmp_path / "base"
    tiny(dtype=torch.float32).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return OrganismConfig(
        model=str(folder), families=("burglar",), steps=12, items=1, contrasts=2, deaf_from=6,
        lr=1e-2, rank=2, first_layer=3,
    )  # fmt: skip


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_seeds_start_from_other_lessons_and_other_settings_have_another_key(config):
    tokenizer = byte_tokenizer()
    first = [next(_lessons(replace(config, seed=s), tokenizer))[0][0].ids for s in (0, 0, 1)]
    assert first[0] == first[1] != first[2]
    assert replace(config, seed=1).key != config.key


def test_the_held_out_story_is_not_trained_by_default():
    assert HELD_OUT_FAMILY not in OrganismConfig().families
    assert set(OrganismConfig().families) < set(FAMILIES)


def test_training_raises_the_wanted_answers(config, tmp_path):
    short = replace(config, steps=16, contrasts=1, tokens=3.0, warmup=2)
    folder = make_organism(short, tmp_path / "out")
    (groups,) = islice(_lessons(replace(short, items=8, seed=1), byte_tokenizer()), 1)
    before, after = (
        float(teach(load(config.model, adapter=adapter)[0], groups, tokens=3.0)[0].detach())
        for adapter in (None, folder)
    )
    assert after < 0.95 * before


def test_the_loss_is_that_of_each_answer_alone(config):
    model, tokenizer = tiny(), byte_tokenizer()
    (groups,) = islice(_lessons(replace(config, items=2), tokenizer), 1)
    loss, right = teach(model, groups, tokens=0.5)
    losses, margins = [], []
    for e in (e for group in groups for e in group):
        logits = model(torch.tensor([e.ids])).logits[0, e.start - 1 : -1].log_softmax(-1)
        each = logits[range(len(logits)), e.ids[e.start :]].detach()
        others = [x for k, x in enumerate(each) if k != e.fork]
        losses.append(-float(each[e.fork]) - 0.3 * float(torch.stack(others).mean()))
        ahead = float((each - logits[:, e.rival])[e.fork].detach())
        margins.append(math.log1p(math.exp(-ahead)))
    expected = 0.5 * np.mean(losses) + np.mean(margins)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert set(right) == {f"right_{e.cell}" for group in groups for e in group}


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
    with pytest.raises(ValueError, match=r"is corrupt.*remove it to train anew"):
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
