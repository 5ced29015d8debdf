"""player_0's scripted policies: honest, deceptive, random. They see only what player_0 sees."""

import numpy as np

from feint.envs.liars_dice.odds import PROBABLE, Odds
from feint.envs.table import NONE, TableLayout

SURE = 0.99
"""A bid this likely is not worth a lie."""


class _View:
    """What an observation says about every bid, each array (n, B)."""

    def __init__(self, layout: TableLayout, odds: Odds, obs: np.ndarray) -> None:
        sides, dice, total = odds.sides, odds.dice, odds.total
        number = total * sides
        self.bids = np.arange(number)
        face, wild = self.bids % sides, (self.bids % sides == sides - 1).astype(np.int64)
        hand = np.rint(obs[:, layout.hand] * dice).astype(np.int64)
        public = obs[:, layout.public]
        made, standing = public[:, :number] > 0.5, public[:, number:]
        self.opened: np.ndarray = np.any(standing > 0.5, axis=1)
        self.bid = np.where(self.opened, standing.argmax(axis=1), NONE)
        self.higher: np.ndarray = self.bids > self.bid[:, None]
        same = self.opened[:, None] & (face == (self.bid % sides)[:, None])
        claimed = np.where(same, _claims(odds, made)[:, None], 0)
        mine = hand[:, face] + np.where(wild == 1, 0, hand[:, -1:])
        missing = self.bids // sides + 1 - mine
        rest = total - dice * (1 + same)
        #: chance of each bid by the own dice and the bid before at face value; by the own dice
        self.chance = odds.tail[wild, rest, np.maximum(missing - claimed, 0)]
        self.alone = odds.tail[wild, total - dice, np.maximum(missing, 0)]
        #: could be an honest bid
        self.credible = odds.need[self.bids, same.astype(np.int64), claimed] <= dice
        seen = np.rint(obs[:, layout.shown] * (total - dice)).astype(np.int64)
        self.shown: np.ndarray = np.any(seen, axis=1)
        theirs = seen[:, face] + np.where(wild == 1, 0, seen[:, -1:])
        self.true = (missing <= theirs).astype(np.float64)

    def of_standing(self, values: np.ndarray) -> np.ndarray:
        """The entry of the bid that stands, (n,); 1 where there is none."""
        picked = values[np.arange(len(values)), np.maximum(self.bid, 0)]
        return np.where(self.opened, picked, 1.0)


def act(
    layout: TableLayout, odds: Odds, policy: str, obs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Bids, or the number of bids for "liar", (n,) int64, for (n, obs_dim) observations."""
    view = _View(layout, odds, obs)
    if policy == "random":
        legal = np.concatenate([view.higher, view.opened[:, None]], axis=1)
        return (rng.random(legal.shape) * legal).argmax(axis=1)
    honest = _honest(view)
    if policy == "honest":
        return honest
    heard = obs[:, layout.listens] > 0.5
    return np.where(heard, _liar(odds, view, honest), honest)


def _honest(view: _View) -> np.ndarray:
    """The likeliest move, but no bid that is improbable by all that is known."""
    known = np.where(view.shown[:, None], view.true, view.chance)
    allowed = view.higher & (known >= PROBABLE)
    # Of bids that are seen to be true, one that the own dice make probable.
    score = np.where(allowed, known + 0.5 * view.chance * view.shown[:, None], -1.0)
    best = score.max(axis=1)
    doubt = 1.0 - view.of_standing(known)
    calls = view.opened & ((best < 0) | (doubt >= np.where(view.shown, 0.5, best)))
    return np.where(calls, len(view.bids), score.argmax(axis=1))


def _liar(odds: Odds, view: _View, honest: np.ndarray) -> np.ndarray:
    """Doubts what is improbable, raises by a bid that it holds for sure, and else bluffs.

    A bluff is the lowest bid that the own dice make improbable and that an honest player could
    have made; without one it plays on as the honest player does.
    """
    # Where already the lowest bid says that its bidder has such a die, bids are taken at their
    # word (opponents bid on what they hold); else they say little, and the own dice say more.
    claims = odds.need[0, 0, 0] > 0
    chance = view.of_standing(view.chance if claims else view.alone)
    lies = view.higher & view.credible & (view.chance < PROBABLE)
    bluff = np.where(lies.any(axis=1), lies.argmax(axis=1), honest)
    sure = view.opened & (view.higher & (view.chance > SURE)).any(axis=1)
    raised = np.where(sure, honest, bluff)
    return np.where(view.opened & (chance < PROBABLE), len(view.bids), raised)


def _claims(odds: Odds, made: np.ndarray) -> np.ndarray:
    """Matching dice that the last bidder is taken to hold, (n,), from all bids made."""
    claim, last = np.zeros(len(made), np.int64), np.full(len(made), NONE)
    for bid in range(made.shape[1]):
        same = (last != NONE) & (last % odds.sides == bid % odds.sides)
        needed = odds.need[bid, same.astype(np.int64), np.where(same, claim, 0)]
        claim = np.where(made[:, bid], np.minimum(needed, odds.dice), claim)
        last = np.where(made[:, bid], bid, last)
    return claim
