"""The arithmetic of bids: how likely they hold, what an honest bidder must have, what is believed.

Bid b says that of all dice at least `b // sides + 1` match face `b % sides` (faces from 0; the
highest one is wild and matches every face).
"""

from math import comb
from typing import NamedTuple

import numpy as np

PROBABLE = 0.5
"""An honest player bids what is at least this likely, by its own dice and the bid before."""

RELIABILITY = 0.9
"""How often, to the observer, a bid is such a one."""


class Odds(NamedTuple):
    """Tables for one size of game; D dice per player, B bids."""

    sides: int
    dice: int  #: per player
    total: int  #: of all players
    #: (2, total + 1, total + 2): P(x or more of r dice match), face 0: plain, 1: wild
    tail: np.ndarray
    #: (B, 2, D + 1) int64: matching dice that an honest bidder holds; D + 1: impossible
    need: np.ndarray
    faith: np.ndarray  #: (B, 2, D + 1): the observer's belief that the bidder holds them


def odds(players: int, dice: int, sides: int) -> Odds:
    """The tables.

    The last two axes of `need` and `faith` are what went before: 1 if the bid raises one on the
    same face, and how many matching dice the bidder before is then taken to hold.
    """
    total = players * dice
    tail = np.array([_tails(min(1.0, 2.0 / sides), total), _tails(1.0 / sides, total)])
    need = np.zeros((total * sides, 2, dice + 1), np.int64)
    for bid in range(total * sides):
        wild = int(bid % sides == sides - 1)
        for same in (0, 1):
            for claimed in range(dice + 1):
                rest = total - dice * (1 + same)
                missing = bid // sides + 1 - claimed * same - np.arange(dice + 1)
                holds = tail[wild, rest, np.maximum(missing, 0)] >= PROBABLE
                need[bid, same, claimed] = holds.argmax() if holds.any() else dice + 1
    wild = (np.arange(total * sides) % sides == sides - 1).astype(np.int64)
    prior = tail[wild[:, None, None], dice, need]
    honest = RELIABILITY * prior
    faith = honest / (honest + (1.0 - RELIABILITY) * (1.0 - prior))
    return Odds(sides, dice, total, tail, need, faith)


def _tails(chance: float, total: int) -> np.ndarray:
    """P(x or more of r dice match), (total + 1, total + 2) by r and x, if each does by `chance`."""
    exact = [
        [comb(r, k) * chance**k * (1.0 - chance) ** max(r - k, 0) for k in range(total + 2)]
        for r in range(total + 1)
    ]
    return np.flip(np.flip(exact, axis=1).cumsum(axis=1), axis=1)
