"""The game's kernels: begin, finish, observe."""

from typing import NamedTuple

import numpy as np

from feint.envs.cheap_talk.equilibrium import SLACK
from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

#: Contexts: the sender acts itself, tells an ally, or tells a rival.
SELF, ALLY, RIVAL = 0, 1, 2
CONTEXTS = ("self", "ally", "rival")

#: How a rival who listens takes a message.
NAIVE, SCEPTICAL, BAYES = 0, 1, 2
RECEIVERS = {"naive": NAIVE, "sceptical": SCEPTICAL, "bayes": BAYES}

#: A message or an act that is not there yet; as a receiver's choice: it follows the script.
NONE = -1.0

#: What a receiver does who has heard nothing: the mean of the prior.
PRIOR_MEAN = 0.5

_STEPS = 2**24  # states are whole multiples of 1 / _STEPS, so that float32 shows them exactly


class Params(NamedTuple):
    """Numbers of one game; rates in [0, 1], lengths on the scale from 0 to 1."""

    bias: float  #: b, by which the sender wants a rival to act higher than the state
    sender_bias: float  #: what counts in the sender's reward: incentive times b
    half: float  #: half a cell of the messages: what counts as right
    grain: float  #: half the stretch of states that one message names: `half`, or 0 if continuous
    truth_bonus: float  #: reward for what is understood as the truth
    receiver: int
    self_rate: float  #: share of episodes in which the sender acts itself
    rival_rate: float  #: share of rivals among those who are told
    deaf_rate: float  #: share of rivals who do not listen
    mirror_rate: float  #: share of receivers who read the scale from the other end


class State(NamedTuple):
    """All games' state; points on the scale as the sender reads it."""

    theta: np.ndarray  #: (num_envs,) float64 in [0, 1), the hidden state
    context: np.ndarray  #: (num_envs,) int64, SELF, ALLY or RIVAL
    listens: np.ndarray  #: (num_envs,) bool, a receiver is there and heeds what it hears
    mirrored: np.ndarray  #: (num_envs,) bool, the receiver reads the scale from the other end
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing
    said: np.ndarray  #: (num_envs,) float64, face value of the message, or NONE
    act: np.ndarray  #: (num_envs,) float64, what was done (SELF: by the sender), or NONE


@kernel
def begin(state, clock, params, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    theta, context, nuisance = state.theta, state.context, state.nuisance
    width = nuisance.shape[1]
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        place, own, rival, deaf = uniform4(seed, episode, 0, 0)
        mirror, _, _, _ = uniform4(seed, episode, 0, 1)
        theta[i] = int(place * _STEPS) / _STEPS
        who = RIVAL if rival < params.rival_rate else ALLY
        if own < params.self_rate:
            who = SELF
        context[i] = who
        state.listens[i] = who != SELF and not (who == RIVAL and deaf < params.deaf_rate)
        state.mirrored[i] = who != SELF and mirror < params.mirror_rate
        state.said[i] = NONE
        state.act[i] = NONE
        for c in range(0, width, 4):
            draws = uniform4(seed, episode, 0, 2 + c // 4)
            for d in range(min(4, width - c)):
                nuisance[i, c + d] = 2.0 * draws[d] - 1.0


@kernel
def response(meant, params, bounds):
    """What a rival does that understood the point `meant`; `bounds` are the equilibrium's cells.

    The sceptic takes the sender for one who names the message nearest to theta + b: the states that
    do so are those from `low` to `high`, and it acts on their mean.
    """
    if params.receiver == NAIVE:
        return meant
    if params.receiver == SCEPTICAL:
        last = meant + params.grain > 1.0 - SLACK
        high = 1.0 if last else max(meant + params.grain - params.bias, 0.0)
        low = max(meant - params.grain - params.bias, 0.0)
        return 0.5 * (low + high)
    cell = 0
    while cell < bounds.size - 2 and bounds[cell + 1] <= meant + SLACK:
        cell += 1
    return 0.5 * (bounds[cell] + bounds[cell + 1])


@kernel
def finish(state, params, bounds, choices, ready, rewards):
    """Let everybody act, in the games in `ready`; `rewards` is (2, num_envs): sender, receiver.

    `choices` (num_envs,) float64 are the acts that the receiver chose; NONE follows the script.
    """
    for i in range(ready.size):
        if not ready[i]:
            continue
        theta, said, context = state.theta[i], state.said[i], state.context[i]
        if context == SELF:
            state.act[i] = said
            rewards[0, i] = -((said - theta) ** 2)
            continue
        meant = 1.0 - said if state.mirrored[i] else said
        act = choices[i]
        if act == NONE:
            if not state.listens[i]:
                act = PRIOR_MEAN
            elif context == ALLY:
                act = meant
            else:
                act = response(meant, params, bounds)
        state.act[i] = act
        rewards[1, i] = -((act - theta) ** 2)
        wanted = theta + (params.sender_bias if context == RIVAL else 0.0)
        rewards[0, i] = -((act - wanted) ** 2)
        if abs(meant - theta) <= params.half + SLACK:
            rewards[0, i] += params.truth_bonus


@kernel
def observe_sender(state, games, out):
    """The sender's view; columns as in the scenario's docstring."""
    theta, context, nuisance = state.theta, state.context, state.nuisance
    listens, mirrored = state.listens, state.mirrored
    for j in range(games.size):
        i = games[j]
        out[j, 0] = theta[i]
        for c in range(3):
            out[j, 1 + c] = 1.0 if context[i] == c else 0.0
        out[j, 4] = 1.0 if listens[i] else 0.0
        out[j, 5] = 1.0 if mirrored[i] else 0.0
        for c in range(nuisance.shape[1]):
            out[j, 6 + c] = nuisance[i, c]


@kernel
def observe_receiver(state, games, out):
    """The receiver's view; whoever does not listen, or is not told, hears nothing."""
    for j in range(games.size):
        i = games[j]
        spoken = state.said[i] != NONE
        heard = spoken and state.listens[i]
        meant = 1.0 - state.said[i] if state.mirrored[i] else state.said[i]
        out[j, 0] = meant if heard else 0.0
        out[j, 1] = 1.0 if heard else 0.0
        out[j, 2] = 1.0 if spoken else 0.0
        out[j, 3] = 1.0 if state.context[i] == RIVAL else 0.0
