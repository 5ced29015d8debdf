"""The leaderboard: what rows say, which gates they passed, and where they stand."""

from feint.bench.leaderboard.board import Board, Column, Gate, Number, Part, Plot, Row

__all__ = ["Board", "Column", "Gate", "Number", "Part", "Plot", "Row"]
