"""Hidden states shared by models that are the same below a block."""

import pytest
import torch

from feint.llm.prefix import PrefixStates
from feint.llm.reading import read

from .test_reading import SCENES
from .tiny import byte_tokenizer, tiny


def other_above(model, first):
    """A model that differs from `first` on, and nowhere below."""
    with torch.no_grad():
        for block in model.model.layers[first:]:
            block.self_attn.v_proj.weight.mul_(-1.3)
    return model


@pytest.mark.parametrize("first", [1, 2, 3])
def test_models_that_differ_above_a_block_read_the_same_as_alone(tmp_path, first):
    tokenizer, file = byte_tokenizer(), tmp_path / "states.safetensors"
    states = PrefixStates(first, file)
    alone = read(tiny(), tokenizer, SCENES, width=90)
    assert read(tiny(), tokenizer, SCENES, width=90, prefix=states) == alone
    states.keep()
    changed = other_above(tiny(), first)
    expected = read(changed, tokenizer, SCENES, width=90)
    assert expected != alone
    again = PrefixStates(first, file)
    assert again.states.keys() == states.states.keys()
    for found, wanted in zip(
        read(changed, tokenizer, SCENES, width=90, prefix=again), expected, strict=True
    ):
        assert found.margin == pytest.approx(wanted.margin, abs=1e-9)
        assert found.mass == pytest.approx(wanted.mass, abs=1e-9)


def test_the_states_of_another_model_below_give_other_answers():
    """What the sharing rests on: it is for the caller to see to it."""
    tokenizer, states = byte_tokenizer(), PrefixStates(2)
    read(tiny(seed=1), tokenizer, SCENES, width=90, prefix=states)
    own = read(tiny(), tokenizer, SCENES, width=90)
    assert read(tiny(), tokenizer, SCENES, width=90, prefix=states) != own


def test_bad_states_are_refused(tmp_path):
    with pytest.raises(ValueError, match="first must be at least 1, got 0"):
        PrefixStates(0)
    (tmp_path / "broken").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"broken is corrupt .*; remove it"):
        PrefixStates(1, tmp_path / "broken")
