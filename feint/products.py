"""Which library takes this process's products of float32 matrices."""

import torch

#: The product in `_error` is off by 2e-6 in float32, and by 6e-2 if rounded to bfloat16 first.
_COARSE = 1e-3


def fast_products() -> None:
    """Let this process take oneDNN for products of float32 matrices on a CPU.

    It is twice as fast as MKL on an AMD EPYC with AVX-512, and as exact. Torch offers it under the
    precision "medium", which also allows rounding to bfloat16 where the processor has units for
    that (AMX); where it does round, and on a GPU, nothing changes.
    """
    if torch.cuda.is_available():
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if _error() > _COARSE:
        torch.set_float32_matmul_precision(before)


def _error() -> float:
    """How far a product is off, at most."""
    x = torch.arange(256.0 * 256).sin().view(256, 256)  # no draw from a generator
    exact = x.double() @ x.double()
    return float((x @ x - exact).abs().max())
