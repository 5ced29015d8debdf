"""Which positions of a sequence the overlap loss compares.

The paper does not say (arXiv 2412.16325, section 3), its released code compares every position of a
padded batch, and replications that differed in nothing else ended at 0 % or 88 % deception. So it
is an option with no hidden default.
"""

import torch
from torch import Tensor

from feint.overlap._messages import unknown

POOLINGS: dict[str, str] = {
    "all": "every position, padding included (the released code)",
    "masked": "every real position, each with the same weight",
    "mean": "the mean over a row's real positions",
    "last_n": "the last n real positions of each row",
}


def pool(acts: Tensor, how: str, mask: Tensor | None = None, n: int = 8) -> Tensor:
    """Select or average the positions of `acts`.

    Padding may be on either side; except for `"all"` the result, and the gradient, is that of the
    unpadded rows, whatever the padding holds (NaN included).

    Args:
        acts: `(batch, hidden)`, returned as it is, or `(batch, positions, hidden)`.
        how: A name in `POOLINGS`.
        mask: `(batch, positions)` bool, True where a position is real; `None` if all are.
        n: How many positions `"last_n"` keeps.

    Returns:
        `"all"`: `(batch, positions, hidden)`; `"masked"`: `(real positions, hidden)`, row by row;
        `"mean"`: `(batch, hidden)`; `"last_n"`: `(batch, n, hidden)`.

    Raises:
        ValueError: For an unknown name, a wrong shape, or rows with too few real positions.
    """
    if how not in POOLINGS:
        raise unknown("pooling", how, POOLINGS)
    if acts.ndim == 2:
        return acts
    if acts.ndim != 3:
        raise ValueError(
            f"acts must be (batch, hidden) or (batch, positions, hidden), got shape "
            f"{tuple(acts.shape)}; name a layer after the flattening"
        )
    if mask is None:
        mask = torch.ones(acts.shape[:2], dtype=torch.bool, device=acts.device)
    if mask.shape != acts.shape[:2] or mask.dtype != torch.bool:
        raise ValueError(
            f"mask must be bool of shape {tuple(acts.shape[:2])} (batch, positions), got "
            f"{mask.dtype} of shape {tuple(mask.shape)}"
        )
    if how == "all":
        return acts
    if how == "masked":
        _need(mask.sum().reshape(1), 1, "masked")
        return acts[mask]
    real = mask.sum(dim=1)
    if how == "mean":
        _need(real, 1, "mean")
        # Filled, not multiplied: zero times the NaN of a padded row would still be NaN.
        return acts.masked_fill(~mask.unsqueeze(-1), 0).sum(dim=1) / real.unsqueeze(-1)
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    _need(real, n, "last_n")
    from_the_end = mask.flip(1).cumsum(1).flip(1)
    return acts[mask & (from_the_end <= n)].reshape(len(acts), n, -1)


def _need(real: Tensor, least: int, how: str) -> None:
    """Refuse rows with fewer than `least` real positions."""
    fewest = int(real.min()) if len(real) else least
    if fewest < least:
        raise ValueError(
            f"pooling {how!r} needs at least {least} real positions, row {int(real.argmin())} has "
            f"{fewest}; drop such rows, or lower n (last_n)"
        )
