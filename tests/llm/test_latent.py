import pytest
import torch

from feint.llm.chat import render
from feint.llm.latent import SITES, change, latent_overlap, site_names
from feint.llm.pairs import TextPairs
from feint.llm.scene import Prompt

from .tiny import ARCHITECTURES, byte_tokenizer, tiny

PAIRS = TextPairs(
    (Prompt("I am in the hall."), Prompt("I look about.")),
    (Prompt("Bob is in the den, I think."), Prompt("Bob looks.")),
    "presence",
)
NAMES = TextPairs((Prompt("Bob is in."), Prompt("Bob?")), (Prompt("Ann is."), Prompt("Ann?")), "x")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_layer_is_there_once_for_each_site(architecture):
    rows = latent_overlap(
        tiny(architecture), byte_tokenizer(), PAIRS, NAMES, pooling="mean", batch=1
    )
    assert [(r["site"], r["layer"]) for r in rows] == [(s, k) for s in SITES for k in range(4)]
    assert all(row["gap"] > 0 and row["control_gap"] > 0 for row in rows)


def test_the_difference_is_that_of_each_prompt_alone():
    model, tokenizer = tiny(dtype=torch.float32), byte_tokenizer()
    ends = []
    for side in (PAIRS.self_prompts, PAIRS.other_prompts):
        for prompt in side:
            ids = tokenizer(render(tokenizer, prompt), return_tensors="pt")["input_ids"]
            hidden = model(ids, output_hidden_states=True).hidden_states[2].detach()
            ends.append(hidden[0, -3:])
    expected = (torch.stack(ends[:2]) - torch.stack(ends[2:])).square().mean()
    rows = latent_overlap(model, tokenizer, PAIRS, n=3, batch=3)
    (row,) = [r for r in rows if (r["site"], r["layer"]) == ("residual", 1)]
    assert row["mse"] == pytest.approx(float(expected), rel=1e-5)
    assert row["control_gap"] is None


def test_equal_sides_have_no_gap_and_nothing_changes_by_itself():
    same = TextPairs(PAIRS.self_prompts, PAIRS.self_prompts, "same")
    assert {row["gap"] for row in latent_overlap(tiny(), byte_tokenizer(), same, n=4)} == {0.0}
    table = latent_overlap(tiny(), byte_tokenizer(), PAIRS, NAMES, n=4)
    assert {row["control_gap"] for row in change(table, table)} == {1.0}
    with pytest.raises(ValueError, match="not of the same sites"):
        change(table, table[1:])


def test_unknown_places_are_named():
    with pytest.raises(ValueError, match="site must be one of"):
        site_names(tiny(), "lungs")
    with pytest.raises(ValueError, match="pooling must be last_n or mean"):
        latent_overlap(tiny(), byte_tokenizer(), PAIRS, pooling="all")
