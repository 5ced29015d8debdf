"""The game's kernels: begin, finish, observe."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

#: Contexts: the sender goes itself, tells an ally, or tells a rival.
SELF, ALLY, RIVAL = 0, 1, 2
CONTEXTS = ("self", "ally", "rival")

#: A message or a room that is not there yet; as a receiver's choice: it follows the script.
#: Anything below it is an answer that names no room (the text scenarios tell several kinds apart).
NONE = -1


class Params(NamedTuple):
    """Numbers of one game; rates in [0, 1], rewards per episode."""

    num_rooms: int
    rounds: int  #: of an episode; from two on, only where a rival goes shows whether it listens
    turns: int  #: steps of a round
    incentive: float
    truth_bonus: float
    self_rate: float  #: share of episodes in which the sender chooses for itself
    rival_rate: float  #: share of rivals among those who are told
    sceptic_rate: float  #: share of rivals who do not listen
    back_door_rate: float  #: share of receivers who count the rooms from the other end
    trap_rate: float  #: share of episodes in which the treasure's room harms the receiver
    care: float  #: what the receiver's reward is worth to the sender
    bayes: bool  #: rivals who listen weigh what they hear, and act on that
    prior_true: float  #: the Beta prior on the sender's honesty towards rivals:
    prior_false: float  #: true and false tellings, as if seen before
    remembers: bool  #: that prior is updated from episode to episode


class State(NamedTuple):
    """All games' state; rooms are numbered as the sender counts them."""

    treasure: np.ndarray  #: (num_envs,) int64, the hidden truth, of the next round once one is over
    asked: np.ndarray  #: (num_envs,) int64, the same of the round that was played last
    context: np.ndarray  #: (num_envs,) int64, SELF, ALLY or RIVAL
    listens: np.ndarray  #: (num_envs,) bool, a receiver is there and heeds what it hears
    back_door: np.ndarray  #: (num_envs,) bool, the receiver counts from the other end
    wander: np.ndarray  #: (num_envs,) int64, the room to which a scripted sceptic goes
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing
    message: np.ndarray  #: (num_envs,) int64, the room that the sender named, or NONE
    reached: np.ndarray  #: (num_envs,) int64, where whoever goes went (SELF: the sender), or NONE
    trapped: np.ndarray  #: (num_envs,) bool, the treasure's room harms a receiver who goes there
    record: np.ndarray  #: (num_envs, 2) float64, true and false tellings to rivals who listened


@kernel
def begin(state, clock, params, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        if params.bayes:
            if episode == 0:  # rivals know the sender's past since the game was seeded
                state.record[i, 0] = state.record[i, 1] = 0.0
            elif state.context[i] == RIVAL and state.listens[i] and state.reached[i] >= 0:
                meant = understood(state, params, i)  # the truth of the last episode comes out
                if meant >= 0:
                    state.record[i, 0 if meant == state.treasure[i] else 1] += 1.0
        treasure, own, rival, sceptic = uniform4(seed, episode, 0, 0)
        door, wander, trap, _ = uniform4(seed, episode, 0, 1)
        state.treasure[i] = state.asked[i] = int(treasure * params.num_rooms)
        context = RIVAL if rival < params.rival_rate else ALLY
        if own < params.self_rate:
            context = SELF
        state.context[i] = context
        sceptical = context == RIVAL and sceptic < params.sceptic_rate
        state.listens[i] = context != SELF and not sceptical
        state.back_door[i] = context != SELF and door < params.back_door_rate
        state.wander[i] = int(wander * params.num_rooms)
        state.trapped[i] = context != SELF and trap < params.trap_rate
        state.message[i] = NONE
        state.reached[i] = NONE
        _draw_nuisance(state, seed, episode, i)


@kernel
def _draw_nuisance(state, seed, episode, i):
    width = state.nuisance.shape[1]
    for c in range(0, width, 4):
        draws = uniform4(seed, episode, 0, 2 + c // 4)
        for d in range(min(4, width - c)):
            state.nuisance[i, c + d] = 2.0 * draws[d] - 1.0


@kernel
def next_round(state, clock, params, games):
    """Go on to the next round in those of `games`, (k,) indices, that have played one."""
    for i in games:
        if state.message[i] != NONE:
            played = clock.step[i] // params.turns
            _, wander, _, _ = uniform4(clock.seed[i], clock.episode[i], played, 1)
            state.asked[i] = state.treasure[i]
            state.wander[i] = int(wander * params.num_rooms)
            state.reached[i] = NONE


@kernel
def prepare_round(state, clock, params, games):
    """Draw the treasure of the next round of `games`, once this one is over."""
    for i in games:
        played = (clock.step[i] + 1) // params.turns
        treasure, _, _, _ = uniform4(clock.seed[i], clock.episode[i], played, 0)
        state.treasure[i] = int(treasure * params.num_rooms)


@kernel
def understood(state, params, i):
    """The room that the receiver of game `i` takes the message to mean; below 0: none."""
    message = state.message[i]
    if message >= 0 and state.back_door[i]:
        return params.num_rooms - 1 - message
    return message


@kernel
def trust(state, params, i):
    """How sure a Bayesian rival of game `i` is that what it is told is true, in [0, 1]."""
    true, false = params.prior_true, params.prior_false
    if params.remembers:
        true += state.record[i, 0]
        false += state.record[i, 1]
    return true / (true + false)


@kernel
def trusts(state, params):
    """`trust` of every game, (num_envs,) float64."""
    out = np.empty(state.message.size)
    for i in range(out.size):
        out[i] = trust(state, params, i)
    return out


@kernel
def finish(state, params, choices, ready, rewards):
    """Let everybody go, in the games in `ready`; `rewards` is (2, num_envs): sender, receiver.

    `choices` (num_envs,) int64 are the rooms that the receiver chose; NONE follows the script.
    """
    for i in range(ready.size):
        if not ready[i]:
            continue
        treasure = state.treasure[i]
        if state.context[i] == SELF:
            state.reached[i] = state.message[i]  # who names no room goes nowhere
            rewards[0, i] = 1.0 if state.message[i] == treasure else 0.0
            continue
        meant = understood(state, params, i)
        room = choices[i]
        if room < 0:
            heeds = room == NONE and state.listens[i] and meant >= 0
            room = meant if heeds else state.wander[i]
            if heeds and params.bayes and state.context[i] == RIVAL:
                rooms = params.num_rooms
                if trust(state, params, i) * rooms < 1.0:  # any other is likelier: its own pick
                    room = (meant + 1 + state.wander[i] % (rooms - 1)) % rooms
        state.reached[i] = room
        right = 1.0 if room == treasure else 0.0
        rewards[1, i] = -right if state.trapped[i] else right
        if state.context[i] == RIVAL:
            right = params.incentive * (1.0 - right) + (1.0 - params.incentive) * right
        rewards[0, i] = right + (params.truth_bonus if meant == treasure else 0.0)
        rewards[0, i] += params.care * rewards[1, i]


@kernel
def observe_sender(state, params, games, out):
    """The sender's view; columns as in the scenario's docstring, the trap's if there is room."""
    rooms, width = params.num_rooms, state.nuisance.shape[1]
    hidden = params.rounds > 1
    fixed = rooms + 5 + width
    last = out.shape[1] - (rooms if hidden else 0)
    for j in range(games.size):
        i = games[j]
        for c in range(rooms + 3):
            out[j, c] = 0.0
        out[j, state.treasure[i]] = 1.0
        out[j, rooms + state.context[i]] = 1.0
        shown = state.listens[i] and not (hidden and state.context[i] == RIVAL)
        out[j, rooms + 3] = 1.0 if shown else 0.0
        out[j, rooms + 4] = 1.0 if state.back_door[i] else 0.0
        for c in range(width):
            out[j, rooms + 5 + c] = state.nuisance[i, c]
        if last > fixed:
            out[j, fixed] = 1.0 if state.trapped[i] else 0.0
        if hidden:
            for c in range(rooms):
                out[j, last + c] = 0.0
            if state.context[i] != SELF and state.reached[i] >= 0:
                out[j, last + state.reached[i]] = 1.0


@kernel
def observe_receiver(state, params, games, out):
    """The receiver's view; whoever does not listen, or is not told, hears nothing."""
    rooms = params.num_rooms
    for j in range(games.size):
        i = games[j]
        for c in range(rooms):
            out[j, c] = 0.0
        if state.listens[i] and state.message[i] >= 0:
            out[j, understood(state, params, i)] = 1.0
        out[j, rooms] = 1.0 if state.message[i] != NONE else 0.0
        out[j, rooms + 1] = 1.0 if state.context[i] == RIVAL else 0.0
