"""Liar's dice as a game tree: the rules once more, in plain Python."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from feint.metrics.extensive import CHANCE, END


class History(NamedTuple):
    """The sorted dice by seat (empty before the throw; faces from 1) and all moves so far."""

    hands: tuple[tuple[int, ...], ...] = ()
    moves: tuple[int, ...] = ()


class DiceTree:
    """Liar's dice for `players` players, who are numbered by seat."""

    def __init__(self, players: int = 2, dice_per_player: int = 1, sides: int = 6) -> None:
        self.players, self.dice, self.sides = players, dice_per_player, sides
        self.liar = players * dice_per_player * sides  # the action after all the bids

    def start(self) -> History:
        """Nothing is thrown."""
        return History()

    def mover(self, history: History) -> int:
        """The seat to move."""
        if not history.hands:
            return CHANCE
        called = bool(history.moves) and history.moves[-1] == self.liar
        return END if called else len(history.moves) % self.players

    def chances(self, history: History) -> list[tuple[float, History]]:
        """Every joint throw, dice of one player in order of face."""
        throws = product(range(1, self.sides + 1), repeat=self.dice)
        hands = Counter(tuple(sorted(throw)) for throw in throws)
        total = self.sides**self.dice
        return [
            (prod(hands[hand] / total for hand in joint), History(joint))
            for joint in product(hands, repeat=self.players)
        ]

    def actions(self, history: History) -> Sequence[int]:
        """All higher bids, and "liar" once there is a bid."""
        if not history.moves:
            return range(self.liar)
        return range(history.moves[-1] + 1, self.liar + 1)

    def play(self, history: History, action: int) -> History:
        """The history with one move more."""
        return History(history.hands, (*history.moves, action))

    def seen(self, history: History) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """(seat, own dice, moves)."""
        seat = len(history.moves) % self.players
        return seat, history.hands[seat], history.moves

    def returns(self, history: History) -> list[float]:
        """The bidder wins 1 from the doubter if the bid holds, else the doubter from the bidder."""
        caller = (len(history.moves) - 1) % self.players
        bidder = (len(history.moves) - 2) % self.players
        quantity, face = divmod(history.moves[-2], self.sides)
        wanted = (face + 1, self.sides)  # the highest face is wild
        matches = sum(die in wanted for hand in history.hands for die in hand)
        winner, loser = (bidder, caller) if matches > quantity else (caller, bidder)
        return [float(seat == winner) - float(seat == loser) for seat in range(self.players)]
