"""Kuhn poker as a game tree: the rules in plain Python, for `feint.metrics.extensive`."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

from feint.metrics.extensive import CHANCE, END

PASS, BET = 0, 1


class History(NamedTuple):
    """The cards by seat (empty before the deal) and all moves so far."""

    cards: tuple[int, ...] = ()
    moves: tuple[int, ...] = ()


class KuhnTree:
    """Kuhn poker for `players` players, who are numbered by seat."""

    def __init__(self, players: int = 2) -> None:
        self.players = players

    def start(self) -> History:
        """Nothing is dealt."""
        return History()

    def mover(self, history: History) -> int:
        """The seat to move."""
        if not history.cards:
            return CHANCE
        moves = history.moves
        answers = len(moves) - moves.index(BET) if BET in moves else len(moves)
        return END if answers == self.players else len(moves) % self.players

    def chances(self, history: History) -> list[tuple[float, History]]:
        """Every deal of one card each from players + 1 cards."""
        deals = list(permutations(range(self.players + 1), self.players))
        return [(1 / len(deals), History(deal)) for deal in deals]

    def actions(self, history: History) -> Sequence[int]:
        """Both, always."""
        return (PASS, BET)

    def play(self, history: History, action: int) -> History:
        """The history with one move more."""
        return History(history.cards, (*history.moves, action))

    def seen(self, history: History) -> tuple[int, int, tuple[int, ...]]:
        """(seat, own card, moves)."""
        seat = len(history.moves) % self.players
        return seat, history.cards[seat], history.moves

    def returns(self, history: History) -> list[float]:
        """Chips won or lost: the best card among those who paid the bet takes the pot."""
        seats = range(self.players)
        paid = [BET in history.moves[seat :: self.players] for seat in seats]
        stays = [seat for seat in seats if paid[seat] or BET not in history.moves]
        winner = max(stays, key=lambda seat: history.cards[seat])
        stakes = [1 + p for p in paid]
        return [float(sum(stakes) * (seat == winner) - stakes[seat]) for seat in seats]
