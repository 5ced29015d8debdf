"""Exact values, best responses and exploitability in small extensive-form games.

A game is anything that follows `Game`. `Tree(game)` lays it out once, level by level, so that each
question is a few passes over flat arrays: some hundred thousand nodes are no trouble. A strategy
profile maps every information set to the probabilities of its actions.

The measures are those of OpenSpiel (Lanctot et al. 2019, arXiv 1908.09453): NashConv is what all
players together could gain by best responses, each against the others as they are, and
exploitability is its mean over players. Both are 0 in a Nash equilibrium and nowhere else.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CHANCE, END = -1, -2
"""What `Game.mover` says where chance moves, and where the game is over."""

Floats = NDArray[np.float64]
Profile = Mapping[Any, Sequence[float] | Floats]
"""Information set -> probabilities of its actions, in the order of `Game.actions`."""


class Game(Protocol):
    """A finite game with perfect recall; a history is any value that fixes what has happened."""

    @property
    def players(self) -> int:
        """How many there are, numbered from 0."""
        ...

    def start(self) -> Any:
        """The empty history."""
        ...

    def mover(self, history: Any) -> int:
        """Whose move it is, or `CHANCE`, or `END`."""
        ...

    def chances(self, history: Any) -> Sequence[tuple[float, Any]]:
        """What chance may do: (probability, next history)."""
        ...

    def actions(self, history: Any) -> Sequence[int]:
        """Legal actions of the mover; the same in the whole information set."""
        ...

    def play(self, history: Any, action: int) -> Any:
        """The history after the mover's action."""
        ...

    def seen(self, history: Any) -> Hashable:
        """The mover's information set: its own number and all that it knows."""
        ...

    def returns(self, history: Any) -> Sequence[float]:
        """Every player's payoff at the end."""
        ...


class Tree:
    """A game laid out level by level.

    Args:
        game: the rules.

    Raises:
        ValueError: if histories of one information set differ in length, mover or actions.

    Attributes:
        players: how many there are.
        actions: information set -> its legal actions; the order of all profiles.
        owner: information set -> the player who moves there.
    """

    def __init__(self, game: Game) -> None:
        self.players = game.players
        self.actions: dict[Hashable, tuple[int, ...]] = {}
        self.owner: dict[Hashable, int] = {}
        self._first: dict[Hashable, int] = {}  # of an information set, in the flat profile
        self._slots = 0
        self._levels: list[_Level] = []
        depths: dict[Hashable, int] = {}
        histories = [game.start()]
        while histories:
            level = _Level(self.players, len(histories))
            following: list[Any] = []
            for node, history in enumerate(histories):
                mover = game.mover(history)
                level.mover[node] = mover
                if mover == END:
                    level.payoff[node] = game.returns(history)
                elif mover == CHANCE:
                    for chance, child in game.chances(history):
                        level.add(node, -1, chance)
                        following.append(child)
                else:
                    seen, actions = game.seen(history), tuple(game.actions(history))
                    first = self._enter(seen, mover, actions)
                    if depths.setdefault(seen, len(self._levels)) != len(self._levels):
                        raise ValueError(f"histories of different length look alike: {seen!r}")
                    for k, action in enumerate(actions):
                        level.add(node, first + k, 1.0)
                        following.append(game.play(history, action))
            level.close()
            self._levels.append(level)
            histories = following
        self._starts = np.fromiter(self._first.values(), np.int64, len(self._first))
        self._sizes = np.diff(np.append(self._starts, self._slots))
        self._owners = np.repeat([self.owner[seen] for seen in self._first], self._sizes)

    def _enter(self, seen: Hashable, mover: int, actions: tuple[int, ...]) -> int:
        """The first slot of an information set, new or known."""
        if seen not in self._first:
            self._first[seen], self.actions[seen], self.owner[seen] = self._slots, actions, mover
            self._slots += len(actions)
        elif (self.actions[seen], self.owner[seen]) != (actions, mover):
            raise ValueError(f"histories with other movers or actions look alike: {seen!r}")
        return self._first[seen]

    # -- profiles -----------------------------------------------------------------------------

    def uniform(self) -> dict[Hashable, Floats]:
        """The profile in which everybody takes each legal action with equal probability."""
        return {seen: np.full(len(acts), 1 / len(acts)) for seen, acts in self.actions.items()}

    def _flat(self, profile: Profile) -> Floats:
        flat = np.empty(self._slots)
        for seen, first in self._first.items():
            if seen not in profile:
                raise ValueError(f"the profile says nothing about the information set {seen!r}")
            chances = np.asarray(profile[seen], dtype=np.float64)
            wanted = len(self.actions[seen])
            if chances.shape != (wanted,) or chances.min() < 0 or abs(chances.sum() - 1) > 1e-6:
                raise ValueError(
                    f"at {seen!r} the profile needs {wanted} probabilities that sum to 1, "
                    f"one for each legal action; got {profile[seen]!r}"
                )
            flat[first : first + wanted] = chances
        return flat

    def _mapping(self, flat: Floats) -> dict[Hashable, Floats]:
        return {s: flat[k : k + len(self.actions[s])].copy() for s, k in self._first.items()}

    # -- what is asked ------------------------------------------------------------------------

    def values(self, profile: Profile) -> Floats:
        """Expected payoffs of a profile, (players,) float64."""
        flat = self._flat(profile)
        value = np.zeros((0, self.players))
        for level in reversed(self._levels):
            value = level.payoff + level.gather(level.chances(flat)[:, None] * value)
        return value[0]

    def best_response(self, profile: Profile, player: int) -> tuple[float, dict[Hashable, Floats]]:
        """What `player` can get at best while the others keep to the profile, and how.

        Returns:
            The expected payoff, and a pure strategy for the player's information sets.
        """
        flat = self._flat(profile)
        chosen = np.zeros(self._slots)
        value = np.zeros(0)
        for level, reach in zip(
            reversed(self._levels), reversed([*self._reaches(flat, player)]), strict=True
        ):
            mine = level.slot >= 0
            mine[mine] = self._owners[level.slot[mine]] == player
            slots = level.slot[mine]
            worth = np.bincount(slots, (reach * value)[mine], self._slots).astype(np.float64)
            best = self._best(worth)
            here = np.zeros(self._slots, np.bool_)
            here[slots] = True
            chosen[here] = best[here]
            value = level.payoff[:, player] + level.gather(
                np.where(mine, chosen[level.slot], level.chances(flat)) * value
            )
        strategy = self._mapping(chosen)
        return float(value[0]), {s: p for s, p in strategy.items() if self.owner[s] == player}

    def nash_conv(self, profile: Profile) -> float:
        """What all players together would gain by best responses; 0 in an equilibrium."""
        values = self.values(profile)
        return sum(self.best_response(profile, p)[0] - values[p] for p in range(self.players))

    def exploitability(self, profile: Profile) -> float:
        """NashConv per player."""
        return self.nash_conv(profile) / self.players

    def solve(self, iterations: int = 1000) -> dict[Hashable, Floats]:
        """The average profile of CFR+ (Tammelin 2014, arXiv 1407.5042), near an equilibrium.

        In zero-sum games of two players it converges; with more it is a heuristic.
        """
        regret, total = np.zeros(self._slots), np.zeros(self._slots)
        for t in range(1, iterations + 1):
            for player in range(self.players):
                flat = self._matched(regret)
                gain, own = self._regrets(flat, player)
                mine = self._owners == player
                regret[mine] = np.maximum(regret + gain, 0.0)[mine]
                total[mine] += (t * own * flat)[mine]
        return self._mapping(self._matched(total))

    # -- passes over the levels ---------------------------------------------------------------

    def _reaches(self, flat: Floats, player: int) -> Iterator[Floats]:
        """Of every level's edges: the chance that all but `player` play to their lower end."""
        reach = np.ones(1)
        for level in self._levels:
            owned = level.mover[level.parent] == player
            reach = reach[level.parent] * np.where(owned, 1.0, level.chances(flat))
            yield reach

    def _best(self, worth: Floats) -> Floats:
        """1 at the first best slot of every information set, else 0."""
        top = np.repeat(np.maximum.reduceat(worth, self._starts), self._sizes)
        ties = np.cumsum(worth == top)
        before = np.repeat((ties - (worth == top))[self._starts], self._sizes)
        return ((worth == top) & (ties == before + 1)).astype(np.float64)

    def _matched(self, weight: Floats) -> Floats:
        """Weights as probabilities; uniform where an information set has none."""
        sums = np.repeat(np.add.reduceat(weight, self._starts), self._sizes)
        even = 1.0 / np.repeat(self._sizes, self._sizes)
        return np.divide(weight, sums, out=even, where=sums > 0)

    def _regrets(self, flat: Floats, player: int) -> tuple[Floats, Floats]:
        """Counterfactual regrets of the player's slots, and its own reach of each."""
        worth, own = np.zeros(self._slots), np.zeros(self._slots)
        mine_reach = np.ones(1)
        for level in self._levels:
            owned = level.mover[level.parent] == player
            own[level.slot[owned]] = mine_reach[level.parent[owned]]
            mine_reach = mine_reach[level.parent] * np.where(owned, level.chances(flat), 1.0)
        value = np.zeros(0)
        for level, reach in zip(
            reversed(self._levels), reversed([*self._reaches(flat, player)]), strict=True
        ):
            owned = level.mover[level.parent] == player
            np.add.at(worth, level.slot[owned], (reach * value)[owned])
            value = level.payoff[:, player] + level.gather(level.chances(flat) * value)
        mean = np.repeat(np.add.reduceat(flat * worth, self._starts), self._sizes)
        return worth - mean, own


class _Level:
    """The nodes at one depth, and the edges that lead down from them."""

    def __init__(self, players: int, nodes: int) -> None:
        self.mover = np.empty(nodes, np.int64)
        self.payoff = np.zeros((nodes, players))
        self._edges: list[tuple[int, int, float]] = []

    def add(self, node: int, slot: int, chance: float) -> None:
        self._edges.append((node, slot, chance))

    def close(self) -> None:
        """Turn the edges into arrays; edge k leads to node k of the next level."""
        edges = self._edges
        self.parent = np.array([node for node, _, _ in edges], np.int64)
        self.slot = np.array([slot for _, slot, _ in edges], np.int64)  # -1: chance moves
        self._chance = np.array([chance for _, _, chance in edges], np.float64)
        self._edges = []

    def chances(self, flat: Floats) -> Floats:
        """Each edge's probability under a flat profile."""
        return np.where(self.slot >= 0, flat[self.slot], self._chance)

    def gather(self, edge_values: Floats) -> Floats:
        """Sums over each node's edges, (nodes, ...)."""
        out = np.zeros((len(self.mover), *edge_values.shape[1:]))
        np.add.at(out, self.parent, edge_values)
        return out
