"""How opponents bet: tables of the chance to put a chip in, by situation and card."""

import numpy as np

from feint.metrics.extensive import Tree

#: Rows of a table: nobody has bet yet, on the first seat or a later one; somebody has, at the
#: player's first turn or its second; a player who hears nothing.
OPEN_FIRST, OPEN_LATER, FACE_FIRST, FACE_SECOND, DEAF = range(5)

OPPONENTS = ("believer", "equilibrium")


def table(opponent: str, players: int, bluff_rate: float = 0.0, alpha: float = 0.0) -> np.ndarray:
    """The (5, players + 1) float64 table of an opponent.

    Args:
        opponent: "believer": bets its top card, takes a bet for the top card, and so folds all
            others; "equilibrium": Kuhn's family of equilibria for two players.
        players: how many there are.
        bluff_rate: the believer's chance to open the betting with another card.
        alpha: which equilibrium: the chance to open with the lowest card, in [0, 1/3].
    """
    cards = np.arange(players + 1)
    out = np.zeros((5, players + 1))
    out[DEAF] = 2 * cards >= players  # it wins at least half of the showdowns against one other
    if opponent == "believer":
        out[[OPEN_FIRST, OPEN_LATER]] = bluff_rate
        out[:, players] = 1.0
        return out
    out[OPEN_FIRST] = alpha, 0.0, 3.0 * alpha
    out[OPEN_LATER] = 1.0 / 3.0, 0.0, 1.0
    out[FACE_FIRST] = 0.0, 1.0 / 3.0, 1.0
    out[FACE_SECOND] = 0.0, alpha + 1.0 / 3.0, 1.0
    return out


def profile(chances: np.ndarray, tree: Tree) -> dict:
    """A table as a strategy on every seat of Kuhn poker's tree (nobody is deaf)."""
    made = {}
    for seen in tree.actions:
        _, card, moves = seen  # pyright: ignore[reportGeneralTypeIssues]
        faces, later = 1 in moves, len(moves) >= tree.players
        row = (FACE_SECOND if later else FACE_FIRST) if faces else OPEN_FIRST + bool(moves)
        made[seen] = np.array([1.0 - chances[row, card], chances[row, card]])
    return made
