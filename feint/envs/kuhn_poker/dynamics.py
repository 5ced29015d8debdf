"""The game's kernels: deal, play, observe."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.kuhn_poker.opponents import DEAF, FACE_FIRST, FACE_SECOND, OPEN_FIRST, OPEN_LATER
from feint.envs.rng import uniform4
from feint.envs.table import DEAL, NONE
from feint.metrics import MISLED_BELOW

PASS, BET = 0, 1


class State(NamedTuple):
    """All games' state; P players, by agent unless it says by seat or by move."""

    seat: np.ndarray  #: (num_envs,) int64, where player_0 sits
    present: np.ndarray  #: (num_envs,) bool, players sit there; else a machine plays their cards
    listens: np.ndarray  #: (num_envs,) bool, they are there and hear the bets
    shown: np.ndarray  #: (num_envs,) bool, player_0 sees the best of their cards
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing
    moves: np.ndarray  #: (num_envs,) int64, moves made; the next is by seat `moves % P`
    over: np.ndarray  #: (num_envs,) bool
    payoff: np.ndarray  #: (num_envs, P) float64, chips won; zeros before the end
    card: np.ndarray  #: (num_envs, P) int64, 0 to P, the higher the better
    played: np.ndarray  #: (num_envs, 2P - 1) int8, PASS or BET by move; NONE: not yet
    opener: np.ndarray  #: (num_envs,) int64, the move that opened the betting, or NONE
    belief: np.ndarray  #: (num_envs,) float64, the observer's, as of player_0's last move
    deciding: np.ndarray  #: (num_envs,) bool, somebody who listens moves after player_0's last move


@kernel
def deal(state, clock, prior, games):
    """Deal one of P + 1 cards to everybody in `games`; `prior` (2,): belief in a weak, top card."""
    card, players = state.card, state.card.shape[1]
    deck = np.empty(players + 1, np.int64)
    for i in games:
        draws = uniform4(clock.seed[i], clock.episode[i], 0, DEAL)
        for c in range(players + 1):
            deck[c] = c
        for k in range(players):
            pick = k + int(draws[k] * (players + 1 - k))
            card[i, k] = deck[pick]
            deck[pick] = deck[k]
        state.moves[i] = 0
        state.over[i] = False
        state.payoff[i] = 0.0
        state.played[i] = NONE
        state.opener[i] = NONE
        state.belief[i] = prior[1 if card[i, 0] == players else 0]
        state.deciding[i] = False


@kernel
def play(state, clock, table, scripted, strong, fine, choices, games, fines):
    """Make the mover's choice in `games`, and then the moves of scripted players.

    Args:
        state: all games.
        clock: of all games.
        table: (5, P + 1) float64, see `opponents`.
        scripted: (P,) bool, whom this kernel plays.
        strong: (5,) float64, the observer's belief in the top card by player_0's bets less passes,
            from -2.
        fine: chips, for every move of player_0 that misleads somebody.
        choices: (num_envs,) int64 or NONE.
        games: (k,) int64 indices.
        fines: (num_envs,) float64, to add to.
    """
    card, played, opener, moves = state.card, state.played, state.opener, state.moves
    players = card.shape[1]
    for i in games:
        seat, choice = state.seat[i], choices[i]
        while not state.over[i]:
            move = moves[i]
            agent = (move - seat) % players
            if choice != NONE:
                action = choice
                choice = NONE
            elif scripted[agent]:
                if opener[i] == NONE:
                    row = OPEN_FIRST if move == 0 else OPEN_LATER
                else:
                    row = FACE_FIRST if move < players else FACE_SECOND
                if agent != 0 and not state.listens[i]:
                    row = DEAF
                chance = table[row, card[i, agent]]
                draw = uniform4(clock.seed[i], clock.episode[i], 1 + move, 0)[0]
                action = BET if draw < chance else PASS
            else:
                break
            played[i, move] = action
            moves[i] = move + 1
            if action == BET and opener[i] == NONE:
                opener[i] = move
            last = players if opener[i] == NONE else opener[i] + players
            state.over[i] = move + 1 == last
            if agent == 0:
                top = strong[2 + _bets_less_passes(played, i, seat, players)]
                belief = top if card[i, 0] == players else 1.0 - top
                state.belief[i] = belief
                state.deciding[i] = state.listens[i] and not state.over[i]
                if state.deciding[i] and belief < MISLED_BELOW:
                    fines[i] += fine
        if state.over[i]:
            _settle(card, played, opener[i], seat, i, state.payoff)


@kernel
def _bets_less_passes(played, i, seat, players):
    count = 0
    for move in range(seat, played.shape[1], players):
        if played[i, move] != NONE:
            count += 1 if played[i, move] == BET else -1
    return count


@kernel
def _settle(card, played, opener, seat, i, payoff):
    """Pay the pot to the best card among those who paid the bet (among all without a bet)."""
    players = card.shape[1]
    pot, best, winner = 0.0, -1, 0
    for agent in range(players):
        paid = False
        for move in range((seat + agent) % players, played.shape[1], players):
            paid = paid or played[i, move] == BET
        stake = 2.0 if paid else 1.0
        payoff[i, agent] = -stake
        pot += stake
        if (paid or opener == NONE) and card[i, agent] > best:
            best, winner = card[i, agent], agent
    payoff[i, winner] += pot


@kernel
def observe(state, agent, games, out):
    """What `agent` sees; columns as in the scenario's docstring."""
    players, length = state.card.shape[1], state.played.shape[1]
    cards = players + 1
    for j in range(games.size):
        i = games[j]
        out[j] = 0.0
        out[j, state.card[i, agent]] = 1.0
        out[j, cards + (state.seat[i] + agent) % players] = 1.0
        column = cards + players
        listens = state.listens[i]
        if agent == 0 or listens:
            for move in range(state.moves[i]):
                out[j, column + 2 * move + state.played[i, move]] = 1.0
        column += 2 * length
        out[j, column] = 1.0 if state.present[i] else 0.0
        out[j, column + 1] = 1.0 if listens else 0.0
        if agent != 0:
            continue
        column += 2
        if state.shown[i]:
            best = 0
            for other in range(1, players):
                best = max(best, state.card[i, other])
            out[j, column + best] = 1.0
        column += cards
        for c in range(state.nuisance.shape[1]):
            out[j, column + c] = state.nuisance[i, c]
