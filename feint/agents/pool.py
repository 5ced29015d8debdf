"""Opponents: whoever plays an agent that is not being trained, alone or as a league."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Member = Callable[[np.ndarray], np.ndarray]
"""Observations (n, ...) of one agent in n environments, to its actions (n, ...)."""


class Pool:
    """A league of opponents, such as past selves: every episode of a copy meets one of them.

    Args:
        members: functions of observations; more may be added while training runs.
        newest: chance that the newest is met; the others share the rest alike.

    Raises:
        ValueError: without members, or for a chance outside [0, 1].
    """

    def __init__(self, members: Sequence[Member], newest: float = 0.5) -> None:
        if not members:
            raise ValueError("a pool needs at least one member")
        if not 0.0 <= newest <= 1.0:
            raise ValueError(f"newest must be in [0, 1], got {newest}")
        self.members, self.newest = list(members), newest
        self._met: dict[int, int] = {}

    def add(self, member: Member) -> None:
        """Let episodes that begin from now on meet `member`, too."""
        self.members.append(member)

    def reseed(self, seed: int) -> None:
        """Begin anew the draws of members that have some, such as `policy_of(model)`."""
        for k, member in enumerate(self.members):
            reseed(member, seed + k)

    def draw(self, copy: int, rng: np.random.Generator) -> None:
        """Choose whom this copy meets in the episode that begins."""
        last = len(self.members) - 1
        old = last > 0 and rng.random() >= self.newest
        self._met[copy] = int(rng.integers(last)) if old else last

    def act(
        self, observations: np.ndarray, copies: Sequence[int], masks: np.ndarray | None = None
    ) -> list[Any]:
        """Actions for the observations (n, ...) of these copies, by whom each one meets."""
        met = np.array([self._met[copy] for copy in copies])
        actions: list[Any] = [None] * len(copies)
        for member in np.unique(met):
            rows = np.flatnonzero(met == member)
            legal = None if masks is None else masks[rows]
            chosen = ask(self.members[member], observations[rows], legal)
            for row, action in zip(rows, chosen, strict=True):
                actions[row] = action
        return actions


def reseed(player: Any, seed: int) -> None:
    """Begin an opponent's draws anew, if it has any of its own."""
    if hasattr(player, "reseed"):
        player.reseed(seed)


def ask(member: Member, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """A member's actions; one that heeds masks, such as `policy_of(MaskablePPO(...))`, gets them.

    Args:
        member: who is asked.
        observations: (n, ...).
        masks: (n, num_actions) bool, what may be done; None where the environment says nothing.
    """
    if masks is not None and getattr(member, "masked", False):
        return member(observations, masks)  # pyright: ignore[reportCallIssue]
    return member(observations)


Opponent = Member | Pool
