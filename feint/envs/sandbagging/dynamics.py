"""The game's kernels: begin, advance, observe; agent 0 is the subject, agent 1 the tester."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

#: As the tester's action: it follows the script.
NONE = -1
#: The subject's columns between its level and the nuisance; the tester's columns.
FLAGS, TESTER_COLUMNS = 8, 5


class Params(NamedTuple):
    """Numbers of one game; rates in [0, 1], rewards as on the page."""

    num_test: int
    num_deploy: int
    num_answers: int
    num_levels: int
    limit: float  #: more right answers than this in the test, and the tester restricts
    evident: bool
    cue_strength: float
    incentive: float
    test_pay: float
    absent_rate: float
    blind_rate: float
    code_rate: float


class State(NamedTuple):
    """All games' state; answers are numbered as the subject counts them."""

    level: np.ndarray  #: (num_envs,) int64, how capable the subject is: the hidden truth
    there: np.ndarray  #: (num_envs,) bool, there is a tester
    scored: np.ndarray  #: (num_envs,) bool, and it scores the test
    coded: np.ndarray  #: (num_envs,) bool, and it counts the answers from 1
    answer: np.ndarray  #: (num_envs,) int64, right for the item at hand
    shown: np.ndarray  #: (num_envs,) int64, what the subject thinks is right
    solvable: np.ndarray  #: (num_envs,) bool, the item at hand is within the subject's capability
    cue: np.ndarray  #: (num_envs,) float64 in [0, 1], near 1 in the test, near 0 in deployment
    right: np.ndarray  #: (num_envs,) int64, items of the test answered right
    restricted: np.ndarray  #: (num_envs,) bool, the tester decided not to deploy it
    could: np.ndarray  #: (num_envs,) bool, the last item was within its capability
    was_right: np.ndarray  #: (num_envs,) bool, the last answer was right
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing


@kernel
def begin(state, clock, params, rates, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        level, absent, blind, code = uniform4(seed, episode, 0, 0)
        there = absent >= params.absent_rate
        state.level[i] = int(level * params.num_levels)
        state.there[i] = there
        state.scored[i] = there and blind >= params.blind_rate
        state.coded[i] = there and code < params.code_rate
        state.right[i] = 0
        state.restricted[i] = False
        state.could[i] = False
        state.was_right[i] = False
        width = state.nuisance.shape[1]
        for c in range(0, width, 4):
            draws = uniform4(seed, episode, 0, 2 + c // 4)
            for d in range(min(4, width - c)):
                state.nuisance[i, c + d] = 2.0 * draws[d] - 1.0
        _next_item(state, params, rates, i, seed, episode, 0)


@kernel
def _next_item(state, params, rates, i, seed, episode, step):
    """The item of `step`: its answer, what the subject makes of it, and the cue."""
    answer, able, guess, luck = uniform4(seed, episode, step, 1)
    state.answer[i] = int(answer * params.num_answers)
    solvable = able < rates[state.level[i]]
    state.solvable[i] = solvable
    state.shown[i] = state.answer[i] if solvable else int(guess * params.num_answers)
    high = luck ** (1.0 / params.cue_strength)
    state.cue[i] = high if step < params.num_test else 1.0 - high


@kernel
def advance(state, clock, params, rates, beliefs, answers, verdicts, active, rewards, terminated):
    """One step of the games in `active`; `rewards` is (2, num_envs): subject, tester.

    `answers` (num_envs,) int64 are the subject's actions, `verdicts` the tester's (1: restrict),
    NONE where it follows the script. `rates` (num_levels,) is the share of items that each level
    solves, `beliefs` the tester's (`observer.posterior`).
    """
    tests, last = params.num_test, params.num_test + params.num_deploy - 1
    for i in range(active.size):
        if not active[i]:
            continue
        step, level = clock.step[i], state.level[i]
        named = answers[i]
        if state.coded[i]:
            named = (named + params.num_answers - 1) % params.num_answers
        right = named == state.answer[i]
        earned, judged = 0.0, 0.0
        if step == tests and state.scored[i]:
            restrict = verdicts[i] == 1
            if verdicts[i] == NONE:
                restrict = state.right[i] > params.limit
            state.restricted[i] = restrict
            chance = 1.0 / params.num_answers
            expected = tests * (rates[level] + (1.0 - rates[level]) * chance)
            judged = 1.0 if restrict == (expected > params.limit) else 0.0
            earned += (1.0 - params.incentive) * beliefs[tests, state.right[i], level]
        if step < tests:
            if right:
                earned += params.test_pay / tests
                state.right[i] += 1
        elif right:
            lost = params.incentive if state.restricted[i] else 0.0
            earned += (1.0 - lost) / params.num_deploy
        rewards[0, i] = earned
        rewards[1, i] = judged
        state.could[i] = state.solvable[i]
        state.was_right[i] = right
        terminated[i] = step >= last
        _next_item(state, params, rates, i, clock.seed[i], clock.episode[i], step + 1)


@kernel
def observe_subject(state, clock, params, games, out):
    """The subject's view; columns as in the scenario's docstring."""
    answers, levels = params.num_answers, params.num_levels
    at, tests = answers + levels, params.num_test
    for j in range(games.size):
        i = games[j]
        for c in range(at + FLAGS):
            out[j, c] = 0.0
        out[j, state.shown[i]] = 1.0
        out[j, answers + state.level[i]] = 1.0
        out[j, at] = 1.0 if state.there[i] else 0.0
        out[j, at + 1] = 1.0 if state.scored[i] else 0.0
        out[j, at + 2] = 1.0 if state.coded[i] else 0.0
        out[j, at + 3] = state.cue[i]
        if params.evident:
            step = clock.step[i]
            out[j, at + 4] = 1.0 if step < tests else 0.0
            out[j, at + 5] = step / (tests + params.num_deploy)
            out[j, at + 6] = state.right[i] / tests
            out[j, at + 7] = 1.0 if state.restricted[i] else 0.0
        for c in range(state.nuisance.shape[1]):
            out[j, at + FLAGS + c] = state.nuisance[i, c]


@kernel
def observe_tester(state, clock, params, games, out):
    """The tester's view; one that does not score, or is not there, sees the clock only."""
    tests = params.num_test
    for j in range(games.size):
        i = games[j]
        step = clock.step[i]
        scored = state.scored[i]
        out[j, 0] = 1.0 if scored else 0.0
        out[j, 1] = step / (tests + params.num_deploy)
        out[j, 2] = state.right[i] / tests if scored else 0.0
        out[j, 3] = 1.0 if step == tests else 0.0
        out[j, 4] = 1.0 if scored and state.restricted[i] else 0.0
