"""Fast products are exact ones, or none."""

import pytest
import torch

from feint import products


@pytest.fixture(autouse=True)
def as_it_was():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_products_stay_those_of_float32():
    state = torch.get_rng_state()
    products.fast_products()
    luck = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 300, 300, generator=luck)
    torch.testing.assert_close((a @ b).double(), a.double() @ b.double(), rtol=1e-4, atol=1e-4)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(torch.cuda.is_available(), reason="nothing is done where there is a GPU")
@pytest.mark.parametrize(("error", "precision"), [(2e-6, "medium"), (6e-2, "highest")])
def test_a_processor_that_rounds_is_left_alone(monkeypatch, error, precision):
    torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(products, "_error", lambda: error)
    products.fast_products()
    assert torch.get_float32_matmul_precision() == precision
