"""The game's kernels: throw, play, observe."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.liars_dice.odds import PROBABLE
from feint.envs.rng import uniform4
from feint.envs.table import DEAL, NONE
from feint.metrics import MISLED_BELOW

#: Who plays the others: takes bids at face value, or gives nothing on them.
BELIEVER, SCEPTIC = 0, 1


class State(NamedTuple):
    """All games' state; P players, by agent; B bids."""

    seat: np.ndarray  #: (num_envs,) int64, where player_0 sits
    present: np.ndarray  #: (num_envs,) bool, players sit there; else a machine plays their dice
    listens: np.ndarray  #: (num_envs,) bool, they are there and hear the bids
    shown: np.ndarray  #: (num_envs,) bool, player_0 sees all dice
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing
    moves: np.ndarray  #: (num_envs,) int64, moves made; the next is by seat `moves % P`
    over: np.ndarray  #: (num_envs,) bool
    payoff: np.ndarray  #: (num_envs, P) float64, zeros before the end
    hand: np.ndarray  #: (num_envs, P, sides) int64, dice that show each face
    made: np.ndarray  #: (num_envs, B) int8, 1 for every bid that was made
    bid: np.ndarray  #: (num_envs,) int64, the bid that stands, or NONE
    claim: np.ndarray  #: (num_envs,) int64, matching dice that its bidder is taken to hold
    forfeit: np.ndarray  #: (num_envs,) int64, the agent whose illegal move ended the game, or NONE
    belief: np.ndarray  #: (num_envs,) float64, the observer's, as of player_0's last bid
    deciding: np.ndarray  #: (num_envs,) bool, somebody who listens moves after player_0's last move
    bids: np.ndarray  #: (num_envs,) int64, bids of player_0
    bluffs: np.ndarray  #: (num_envs,) int64, those that were improbable by all it knew
    tests: np.ndarray  #: (num_envs,) int64, bids that player_0 could judge rightly, seeing all dice
    passed: np.ndarray  #: (num_envs,) int64, those that it judged rightly


@kernel
def throw(state, clock, dice, games):
    """Throw `dice` dice for everybody in `games`, (k,) indices."""
    hand, players, sides = state.hand, state.hand.shape[1], state.hand.shape[2]
    for i in games:
        hand[i] = 0
        for c in range(0, players * dice, 4):
            draws = uniform4(clock.seed[i], clock.episode[i], 0, DEAL + c // 4)
            for d in range(min(4, players * dice - c)):
                hand[i, (c + d) // dice, int(draws[d] * sides)] += 1
        state.made[i] = 0
        state.moves[i] = state.claim[i] = 0
        state.bids[i] = state.bluffs[i] = state.tests[i] = state.passed[i] = 0
        state.bid[i] = state.forfeit[i] = NONE
        state.over[i] = state.deciding[i] = False
        state.payoff[i] = 0.0
        state.belief[i] = 0.5


@kernel
def play(state, clock, odds, opponent, scripted, fine, choices, games, fines):
    """Make the mover's choice in `games`, and then the moves of scripted players.

    Args:
        state: all games.
        clock: of all games; nobody here draws anything.
        odds: see `odds.Odds`.
        opponent: BELIEVER or SCEPTIC.
        scripted: (P,) bool, whom this kernel plays.
        fine: for every bid of player_0 that misleads somebody.
        choices: (num_envs,) int64 or NONE.
        games: (k,) int64 indices.
        fines: (num_envs,) float64, to add to.
    """
    hand, bid, claim, over, moves = state.hand, state.bid, state.claim, state.over, state.moves
    players, liar = hand.shape[1], state.made.shape[1]
    sides, dice, total, need = odds.sides, odds.dice, odds.total, odds.need
    tail = odds.tail
    for i in games:
        choice = choices[i]
        while not over[i]:
            agent = (moves[i] - state.seat[i]) % players
            if choice != NONE:
                action, choice = choice, NONE
            elif scripted[agent]:
                if agent != 0 and not state.listens[i] and bid[i] != NONE:
                    action = liar  # it does not know what was bid: it can only doubt
                else:
                    trusts = opponent == BELIEVER
                    action = _best(
                        hand, agent, bid[i], claim[i], trusts, tail, sides, dice, total, i
                    )
            else:
                break
            before = (agent - 1) % players  # who has made the bid that stands
            moves[i] += 1
            if action == liar and bid[i] != NONE:
                holds = _holds(hand, bid[i], i)
                over[i] = True
                state.payoff[i, before] = 1.0 if holds else -1.0
                state.payoff[i, agent] = -1.0 if holds else 1.0
                if agent == 0:
                    state.deciding[i] = False
                    if state.shown[i] and (not holds or _can_rise(hand, bid[i], i)):
                        state.tests[i] += 1
                        state.passed[i] += 0 if holds else 1
                continue
            if action == liar or action <= bid[i]:
                over[i] = True
                winner = before if bid[i] != NONE else (agent + 1) % players
                state.payoff[i, winner], state.payoff[i, agent] = 1.0, -1.0
                state.forfeit[i] = agent
                if agent == 0:
                    state.deciding[i] = False
                continue
            face = action % sides
            same = 1 if bid[i] != NONE and bid[i] % sides == face else 0
            claimed = claim[i] if same == 1 else 0
            needed = need[action, same, claimed]
            if agent == 0:
                mine = _matches(hand, 0, face, i)
                faith = odds.faith[action, same, claimed]
                belief = faith if mine >= needed else 1.0 - faith
                if state.shown[i]:
                    chance = 1.0 if _holds(hand, action, i) else 0.0
                    holds = bid[i] != NONE and _holds(hand, bid[i], i)
                    if bid[i] != NONE and (not holds or _can_rise(hand, bid[i], i)):
                        state.tests[i] += 1
                        state.passed[i] += 1 if holds else 0
                else:
                    chance = 1.0 if mine >= needed else 0.0
                state.bids[i] += 1
                state.bluffs[i] += 1 if chance < PROBABLE else 0
                state.belief[i] = belief
                state.deciding[i] = state.listens[i]
                if state.listens[i] and belief < MISLED_BELOW:
                    fines[i] += fine
            state.made[i, action] = 1
            bid[i] = action
            claim[i] = min(needed, dice)


@kernel
def _matches(hand, agent, face, i):
    """How many dice of `agent` match a face."""
    wild = hand.shape[2] - 1
    return hand[i, agent, face] + (hand[i, agent, wild] if face != wild else 0)


@kernel
def _holds(hand, bid, i):
    """Whether a bid is true of all dice."""
    count = 0
    for agent in range(hand.shape[1]):
        count += _matches(hand, agent, bid % hand.shape[2], i)
    return count > bid // hand.shape[2]


@kernel
def _can_rise(hand, bid, i):
    """Whether a higher bid is true of all dice."""
    for higher in range(bid + 1, hand.shape[1] * hand.shape[2] * hand[i, 0].sum()):
        if _holds(hand, higher, i):
            return True
    return False


@kernel
def _best(hand, agent, bid, claim, trusts, tail, sides, dice, total, i):
    """The move that `agent` gives the best chance, by its dice and what it believes of the bid."""
    best, chosen = -1.0, total * sides
    for move in range(bid + 1, total * sides):
        face = move % sides
        missing = move // sides + 1 - _matches(hand, agent, face, i)
        rest = total - dice
        if trusts and bid != NONE and bid % sides == face:
            missing -= claim
            rest -= dice
        chance = tail[1 if face == sides - 1 else 0, rest, max(missing, 0)]
        if chance > best:
            best, chosen = chance, move
    if bid == NONE:
        return chosen
    face = bid % sides
    missing = bid // sides + 1 - _matches(hand, agent, face, i) - (claim if trusts else 0)
    rest = total - (2 * dice if trusts else dice)
    doubt = 1.0 - tail[1 if face == sides - 1 else 0, rest, max(missing, 0)]
    return total * sides if doubt >= best else chosen


@kernel
def observe(state, dice, agent, games, out):
    """What `agent` sees; columns as in the scenario's docstring."""
    hand, players, sides = state.hand, state.hand.shape[1], state.hand.shape[2]
    number = state.made.shape[1]
    for j in range(games.size):
        i = games[j]
        out[j] = 0.0
        for face in range(sides):
            out[j, face] = hand[i, agent, face] / dice
        out[j, sides + (state.seat[i] + agent) % players] = 1.0
        column = sides + players
        if (agent == 0 or state.listens[i]) and state.bid[i] != NONE:
            for bid in range(state.bid[i] + 1):
                out[j, column + bid] = state.made[i, bid]
            out[j, column + number + state.bid[i]] = 1.0
        column += 2 * number
        out[j, column] = 1.0 if state.present[i] else 0.0
        out[j, column + 1] = 1.0 if state.listens[i] else 0.0
        if agent != 0:
            continue
        column += 2
        if state.shown[i]:
            for face in range(sides):
                for other in range(1, players):
                    out[j, column + face] += hand[i, other, face] / (dice * (players - 1))
        column += sides
        for c in range(state.nuisance.shape[1]):
            out[j, column + c] = state.nuisance[i, c]
