import math

import pytest
import torch

from feint.overlap import DISTANCES, distance, kl_anchor, relative_mse, value_anchor

from .nets import normal

A, B = normal(4, 6), normal(4, 6, seed=1)


def test_mse_is_the_mean_over_rows_and_units():
    assert distance(A, B, "mse") == ((A - B) ** 2).sum() / 24
    assert distance(A, B, "action") == distance(A, B, "mse")


def test_log_mse_has_the_floor_of_the_released_code():
    assert torch.allclose(distance(A, B, "log_mse"), ((A - B) ** 2).mean().log())
    assert math.isclose(float(distance(A, A, "log_mse")), math.log(1e-25))


def test_cosine_is_blind_to_norms():
    by_hand = [1 - (a @ b) / a.norm() / b.norm() for a, b in zip(A, B, strict=True)]
    assert torch.allclose(distance(A, B, "cosine"), torch.stack(by_hand).mean())
    assert torch.allclose(distance(A, 3 * B, "cosine"), distance(A, B, "cosine"))


def test_kl_logits_is_that_of_other_against_self():
    p, q = A.softmax(-1), B.softmax(-1)
    wanted = (q * (q / p).log()).sum() / len(A)
    assert torch.allclose(distance(A, B, "kl_logits"), wanted)
    assert not torch.allclose(distance(B, A, "kl_logits"), wanted)


def test_kl_logits_of_sequences_sums_over_positions_as_in_the_released_code():
    a, b = normal(2, 3, 6), normal(2, 3, 6, seed=1)
    flat = distance(a.flatten(0, 1), b.flatten(0, 1), "kl_logits")
    assert torch.allclose(distance(a, b, "kl_logits"), 3 * flat)


@pytest.mark.parametrize("kind", sorted(DISTANCES))
def test_equal_sides_have_no_gradient(kind):
    a = A.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(a, A, kind), a)
    assert gradient.abs().max() < 1e-12


def test_half_precision_does_not_lose_small_differences():
    a, b = torch.full((2, 3), 1e-4).half(), torch.zeros(2, 3).half()  # 1e-8 underflows in float16
    assert math.isclose(float(distance(a, b, "mse")), 1e-8, rel_tol=1e-3)


def test_wrong_arguments_are_said():
    with pytest.raises(ValueError, match=r"unknown distance 'msee'; did you mean 'mse'\?"):
        distance(A, B, "msee")
    with pytest.raises(ValueError, match=r"one shape, got \(4, 6\) and \(3, 6\)"):
        distance(A, B[:3], "mse")


def test_anchors_are_relative_to_the_reference():
    p, q = A.softmax(-1), B.softmax(-1)
    assert torch.allclose(kl_anchor(A, B), (q * (q / p).log()).sum(-1).mean())
    error = ((A - B) ** 2).mean()
    assert torch.allclose(value_anchor(A, B), error / B.var(0, unbiased=False).mean())
    assert torch.allclose(relative_mse(A, B), error / (B**2).mean())
    for anchor in (value_anchor, relative_mse):
        assert torch.allclose(anchor(10 * A, 10 * B), anchor(A, B))


def test_the_value_anchor_of_a_single_row_stays_finite():
    a, b = A[:1], B[:1]
    assert torch.allclose(value_anchor(a, b), ((a - b) ** 2).mean() / (b**2).mean())
    assert value_anchor(torch.zeros(1, 2), torch.zeros(1, 2)) == 0
