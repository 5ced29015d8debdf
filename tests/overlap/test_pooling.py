import pytest
import torch

from feint.overlap import POOLINGS, pool

from .nets import normal

LENGTHS = (5, 3, 4)


def padded(side: str, filler: float):
    """Rows of LENGTHS positions, padded to 6 on one side, and the unpadded rows."""
    trimmed = [normal(n, 2, seed=n).requires_grad_() for n in LENGTHS]
    acts, masks = [], []
    for row in trimmed:
        fill = torch.full((6 - len(row), 2), filler, dtype=row.dtype)
        real, pad = torch.ones(len(row)), torch.zeros(len(fill))
        left = side == "left"
        acts.append(torch.cat([fill, row] if left else [row, fill]))
        masks.append(torch.cat([pad, real] if left else [real, pad]).bool())
    return torch.stack(acts), torch.stack(masks), trimmed


def expected(how: str, trimmed):
    if how == "masked":
        return torch.cat(trimmed)
    if how == "mean":
        return torch.stack([row.mean(0) for row in trimmed])
    return torch.stack([row[-2:] for row in trimmed])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("filler", [7.0, float("nan")])
@pytest.mark.parametrize("how", ["masked", "mean", "last_n"])
def test_pooling_padded_rows_equals_pooling_trimmed_ones(side, filler, how):
    acts, mask, trimmed = padded(side, filler)
    pooled, wanted = pool(acts, how, mask, n=2), expected(how, trimmed)
    assert torch.allclose(pooled, wanted, rtol=1e-15, atol=0)
    gradients = [torch.autograd.grad(x.square().sum(), trimmed) for x in (pooled, wanted)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-14, atol=0)


def test_all_keeps_padded_positions():
    acts, mask, _ = padded("left", 7.0)
    assert torch.equal(pool(acts, "all", mask), acts)


@pytest.mark.parametrize("how", POOLINGS)
def test_activations_without_positions_pass_through(how):
    acts = normal(4, 3)
    assert pool(acts, how) is acts


def test_without_a_mask_every_position_is_real():
    acts = normal(4, 6, 3)
    assert torch.equal(pool(acts, "masked"), acts.flatten(0, 1))
    assert torch.allclose(pool(acts, "mean"), acts.mean(1))
    assert torch.equal(pool(acts, "last_n", n=2), acts[:, -2:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"how": "maen"}, r"unknown pooling 'maen'; did you mean 'mean'\? choose from: all, "),
        ({"acts": normal(3, 6, 2, 2)}, r"got shape \(3, 6, 2, 2\); name a layer after"),
        ({"mask": torch.ones(3, 5).bool()}, r"bool of shape \(3, 6\).*shape \(3, 5\)"),
        ({"mask": torch.ones(3, 6)}, r"must be bool .* got torch.float32"),
        ({"how": "last_n", "n": 4}, r"'last_n' needs at least 4 real positions, row 1 has 3; "),
        ({"how": "last_n", "n": 0}, r"n must be at least 1, got 0"),
        ({"how": "mean", "mask": torch.tensor([[True], [True], [False]]).expand(3, 6)},
         r"'mean' needs at least 1 real positions, row 2 has 0"),
        ({"mask": torch.zeros(3, 6).bool()}, r"'masked' needs at least 1 real positions"),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_is_said(change, message):
    acts, mask, _ = padded("left", 0.0)
    with pytest.raises(ValueError, match=message):
        pool(**({"acts": acts, "how": "masked", "mask": mask} | change))
