"""What games of turns at a table share: seats, the turns that are played for others, forfeits.

`TurnScenario` leaves a game its rules. One step is one decision of an external agent: the kernel
plays the scripted opponents, this file asks the opponents that are Python callables, both before
the first decision and after each, until an external agent is to move or the game is over. With a
single external agent a game may also be over before its turn has come; the one step of such an
episode collects the result, whatever the action.

`exploitability_of` measures a policy against best responses, exactly, in the game's tree.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from feint.envs import validation as check
from feint.envs.core import Array, Pairs, Scenario
from feint.envs.table import NONE, Seating, TableLayout, sit_down
from feint.metrics.extensive import Floats, Game, Tree

PAIR_KINDS = {
    "presence": "a machine plays the others' hands / players sit there and listen",
    "belief": "the same players, who do not listen / who listen",
    "control": "the hand moved on by one rank / as it is",
    "irrelevant": "other nuisance inputs / as they are",
}
HELD = {"absent_rate": 0.0, "deaf_rate": 0.0, "tell_rate": 0.0}
CONDITIONS: dict[str, dict[str, Any]] = {
    "present": HELD,
    "blind": {**HELD, "deaf_rate": 1.0},
    "absent": {**HELD, "absent_rate": 1.0},
    "tell": {**HELD, "attention": True, "tell_rate": 1.0},
}


class TurnScenario(Scenario):
    """A table at which players move one after the other, seat by seat.

    Its state needs `seat`, `moves`, `over`, `payoff`, `present`, `listens`, `shown` and `nuisance`;
    seats are numbered in the order of moving, and agent k sits k places after player_0.

    Args:
        num_envs: games in the batch.
        players: how many there are.
        num_actions: size of everybody's action space.
        longest: moves in the longest game.
        incentive: 1: player_0's payoff alone; 0: less a fine for every lie that misleads.
        attention, absent_rate, deaf_rate, tell_rate, seat: see the scenarios' pages.
        opponents: callables that play agents in place of the script.
        max_episode_steps: steps after which a game is truncated; `longest` by default.
        illegal: what a masked action does: "forfeit" or "raise".
        kwargs: `external`, `labels`, `autoreset`.
    """

    turn_based: ClassVar[bool] = True
    default_pairs = "belief"
    pair_kinds = PAIR_KINDS
    conditions = CONDITIONS
    focal = "player_0"
    layout: TableLayout

    def __init__(
        self,
        num_envs: int,
        *,
        players: int,
        num_actions: int,
        longest: int,
        incentive: float,
        attention: bool,
        absent_rate: float,
        deaf_rate: float,
        tell_rate: float | None,
        seat: int | None,
        opponents: Any,
        max_episode_steps: int | None,
        illegal: str = "forfeit",
        **kwargs: Any,
    ) -> None:
        self.agents = tuple(f"player_{k}" for k in range(players))
        if max_episode_steps is not None:
            longest = check.check_int("max_episode_steps", max_episode_steps, at_least=1)
        super().__init__(num_envs, max_steps=longest, **kwargs)
        self.players = players
        self.incentive = check.check_rate("incentive", incentive)
        self.attention = check.check_bool("attention", attention)
        self.illegal = check.check_choice("illegal", illegal, ("forfeit", "raise"))
        if tell_rate is None:
            tell_rate = 0.5 if self.attention else 0.0
        if check.check_rate("tell_rate", tell_rate) > 0 and not self.attention:
            raise ValueError(f"tell_rate > 0 needs attention=True, got {tell_rate!r}")
        if seat is not None and check.check_int("seat", seat, at_least=0) >= players:
            raise ValueError(f"seat must be below {players}, the number of players, got {seat!r}")
        self.seating = Seating(
            players=players,
            seat=NONE if seat is None else seat,
            absent_rate=check.check_rate("absent_rate", absent_rate),
            deaf_rate=check.check_rate("deaf_rate", deaf_rate),
            tell_rate=tell_rate,
        )
        self._cast = check.check_opponents(opponents, self.agents, self.focal, self.external)
        played = (*self.external, *self._cast)
        self._scripted = np.array([agent not in played for agent in self.agents])
        column = [self.external.index(a) if a in self.external else 0 for a in self.agents]
        self._column = np.array(column)
        self._actions = {agent: spaces.Discrete(num_actions) for agent in self.agents}
        self._num_actions = num_actions

    # -- what a game of turns writes ----------------------------------------------------------

    @abc.abstractmethod
    def _deal(self, games: Array) -> None:
        """Draw the hands of `games`, (k,) indices, after `sit_down`."""

    @abc.abstractmethod
    def _play(self, choices: Array, games: Array, fines: Array) -> None:
        """In `games`: the choice of whoever is to move, then the scripted players' turns.

        Args:
            choices: (num_envs,) int64; NONE where a scripted player is to move.
            games: (k,) int64 indices of games that are not over.
            fines: (num_envs,) float64, to which fines for player_0's lies are added.
        """

    @abc.abstractmethod
    def tree(self) -> Game:
        """The same rules as a game tree for `feint.metrics.extensive`, players by seat."""

    @abc.abstractmethod
    def observe_seen(self, seen: Sequence[Any]) -> Array:
        """What a player observes at information sets of the tree, (n, obs_dim) float32."""

    # -- spaces -------------------------------------------------------------------------------

    @property
    def others(self) -> tuple[str, ...]:
        """Everybody but player_0."""
        return self.agents[1:]

    def observation_space(self, agent: str) -> spaces.Space:
        """See `Scenario.observation_space`; the same object at every call."""
        return self._boxes[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """See `Scenario.action_space`; the same object at every call."""
        return self._actions[agent]

    def _lay_out(self, layout: TableLayout) -> None:
        self.layout = layout
        self._boxes = {agent: layout.box() for agent in self.agents}

    # -- the turns ----------------------------------------------------------------------------

    def to_move(self) -> Array:
        """Whose turn it is, (num_envs,) int64 indices into `agents`."""
        return (self.state.moves - self.state.seat) % self.players

    def _begin(self, games: Array) -> None:
        sit_down(self.state, self.clock, self.seating, games)
        self._deal(games)
        self._turns(np.full(self.num_envs, NONE), games, np.zeros(self.num_envs))

    def _advance(self, actions: Array, active: Array) -> tuple[Array, Array]:
        fines, over = np.zeros(self.num_envs), self.state.over
        choices = actions[:, 0]
        if len(self.external) > 1:
            choices = actions[self._every, self._column[self.to_move()]]
        self._turns(np.ascontiguousarray(choices), np.flatnonzero(active & ~over), fines)
        terminated = over & active
        rewards = np.where(terminated, self.state.payoff.T, 0.0)
        rewards[0] -= (1.0 - self.incentive) * fines
        return rewards, terminated

    def _turns(self, choices: Array, games: Array, fines: Array) -> None:
        """Play on until in each of `games` an external agent is to move, or the game is over."""
        self._play(choices, games, fines)
        while self._cast:
            mover = np.where(self.state.over, NONE, self.to_move())[games]
            answers = np.full(self.num_envs, NONE)
            for agent, act in self._cast.items():
                asked = games[mover == self.agents.index(agent)]
                if asked.size:
                    name = f"actions of opponents[{agent!r}]"
                    answer = act(self._fresh((agent,), asked)[0])
                    moves = check.check_moves(name, answer, asked.size, [self._num_actions])
                    answers[asked] = moves[:, 0]
            games = games[answers[games] != NONE]
            if not games.size:
                return
            self._refuse(answers, games, "opponents")
            self._play(answers, games, fines)

    def _check_actions(self, actions: Any) -> Array:
        sizes = [self._num_actions] * len(self.external)
        checked = check.check_moves("actions", actions, self.num_envs, sizes)
        if self.illegal == "raise":
            games = np.flatnonzero(~self.clock.done & ~self.state.over)
            self._refuse(checked[self._every, self._column[self.to_move()]], games, "actions")
        return checked

    def _refuse(self, choices: Array, games: Array, name: str) -> None:
        """ValueError where a mover's choice is masked out, if that is not a forfeit."""
        if self.illegal == "forfeit":
            return
        legal = self._legal(games)[np.arange(len(games)), choices[games]]
        if not legal.all():
            game = games[~legal][0]
            raise ValueError(
                f"{name}: {choices[game]} is not legal in game {game}; see action_masks(), "
                "or use illegal='forfeit'"
            )

    def _legal(self, games: Array) -> Array:
        """What the mover of each of `games` may do, (k, num_actions) bool."""
        return np.ones((len(games), self._num_actions), np.bool_)

    def blind(self, games: Array | None = None) -> None:
        """From now on nobody in `games` (all by default) hears what player_0 does."""
        chosen = self._all if games is None else self._check_mask(games)
        self.state.listens[chosen] = False

    def _pairs(self, observations: Array, kind: str, rng: np.random.Generator) -> Pairs:
        return getattr(self.layout, kind)(observations, rng)

    def mask_other(self, observations: Array) -> Array:
        """`observations` as if a machine played the others' hands, and nothing were shown."""
        return self.layout.alone(observations)


def strategy_of(
    policy: Callable[[Array], Any], scenario: TurnScenario
) -> tuple[Tree, dict[Any, Floats]]:
    """A policy as a strategy over the game's tree, for every seat.

    Args:
        policy: observations (n, obs_dim) to actions, (n,) integers, or to probabilities,
            (n, num_actions) floats. What it gives to illegal actions is left out, and the rest
            scaled up.
        scenario: for rules and observations: others are present and listen, nobody shows a hand,
            nuisance inputs are 0.

    Returns:
        The tree, and the profile in which the policy sits on every seat.

    Raises:
        ValueError: if the policy's answer has the wrong shape, or gives nothing to legal actions.
    """
    tree = Tree(scenario.tree())
    answer = np.asarray(policy(scenario.observe_seen(list(tree.actions))))
    number = int(scenario.action_space(scenario.focal).n)  # pyright: ignore[reportAttributeAccessIssue]
    if answer.ndim == 1 and answer.dtype.kind in "iu":
        answer = np.eye(number)[answer]
    if answer.shape != (len(tree.actions), number):
        raise ValueError(
            f"policy must give {len(tree.actions)} actions, or probabilities of shape "
            f"{(len(tree.actions), number)}; got {answer.dtype} of shape {answer.shape}"
        )
    profile = {}
    for (seen, actions), chances in zip(tree.actions.items(), answer, strict=True):
        legal = np.asarray(chances[list(actions)], np.float64)
        if not legal.sum() > 0:
            raise ValueError(f"policy gives no legal action a chance at {seen!r}")
        profile[seen] = legal / legal.sum()
    return tree, profile


def exploitability_of(policy: Callable[[Array], Any], scenario: TurnScenario) -> float:
    """How much best responses win from a policy that sits on every seat, per player; 0: nothing.

    For an SB3 model `m`, the policy is
    `lambda obs: m.policy.get_distribution(m.policy.obs_to_tensor(obs)[0]).distribution.probs`
    under `torch.no_grad()`. The tree is built anew: seconds for Liar's dice with two dice of six
    sides, and far too large for more.

    Args:
        policy: see `strategy_of`.
        scenario: see `strategy_of`.
    """
    tree, profile = strategy_of(policy, scenario)
    return tree.exploitability(profile)
