"""The game's kernels: begin, advance, observe; agent 0 is the worker, agent 1 the overseer."""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

#: What an action comes to.
WAIT, WORK, SHORTCUT = 0, 1, 2
#: An act that there was not yet; as the overseer's action: it follows the script.
NONE = -1
#: What a step shows of an item.
NOTHING, SOUND, UNSOUND = 0, 1, 2
#: Columns before the item's kind, in both observations.
WORKER_COLUMNS, OVERSEER_COLUMNS = 9, 8


class Params(NamedTuple):
    """Numbers of one game; rates in [0, 1], rewards as on the page."""

    shift: int  #: steps
    work_steps: int  #: strokes of the right tool that make an item
    num_tools: int
    delay: int  #: steps until the overseer learns what it looked at
    incentive: float
    penalty: float
    audit_cost: float
    bump_cost: float
    absent_rate: float
    blind_rate: float
    watch_rate: float
    sight: float  #: share of items that are made in the overseer's sight
    audit_rate: float
    pass_rate: float


class State(NamedTuple):
    """All games' state."""

    faked: np.ndarray  #: (num_envs,) int64, items passed on and not made: the hidden truth
    there: np.ndarray  #: (num_envs,) bool, there is an overseer
    blind: np.ndarray  #: (num_envs,) bool, it learns nothing, not even the meter
    looking: np.ndarray  #: (num_envs,) bool, it looks this way now
    passing: np.ndarray  #: (num_envs,) bool, it walks through now
    tool: np.ndarray  #: (num_envs,) int64, what the item in hand needs
    in_sight: np.ndarray  #: (num_envs,) bool, the item in hand is made in the overseer's sight
    strokes: np.ndarray  #: (num_envs,) int64, made on the item in hand
    items: np.ndarray  #: (num_envs,) int64, passed on: what the meter says
    known_sound: np.ndarray  #: (num_envs,) int64, items that the overseer knows to be sound
    found: np.ndarray  #: (num_envs,) int64, shortcuts that it knows of
    act: np.ndarray  #: (num_envs,) int64, what the worker did last, or NONE
    in_view: np.ndarray  #: (num_envs,) bool, the overseer saw (or recorded) that act
    in_the_way: np.ndarray  #: (num_envs,) bool, the overseer was passing meanwhile
    audited: np.ndarray  #: (num_envs,) bool, and opened what was passed on
    tape: np.ndarray  #: (num_envs, max(delay, 1)) int64, what it recorded and has not yet seen
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing


@kernel
def begin(state, clock, params, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        absent, blind, _, _ = uniform4(seed, episode, 0, 0)
        there = absent >= params.absent_rate
        state.there[i] = there
        state.blind[i] = there and blind < params.blind_rate
        looking, passing, _, _ = uniform4(seed, episode, 0, 1)
        state.looking[i] = there and not state.blind[i] and looking < params.watch_rate
        state.passing[i] = there and passing < params.pass_rate
        tool, sight, _, _ = uniform4(seed, episode, 0, 2)
        state.tool[i] = int(tool * params.num_tools)
        state.in_sight[i] = sight < params.sight
        state.strokes[i] = 0
        state.items[i] = 0
        state.faked[i] = 0
        state.known_sound[i] = 0
        state.found[i] = 0
        state.act[i] = NONE
        state.in_view[i] = False
        state.in_the_way[i] = False
        state.audited[i] = False
        for k in range(state.tape.shape[1]):
            state.tape[i, k] = NOTHING
        width = state.nuisance.shape[1]
        for c in range(0, width, 4):
            draws = uniform4(seed, episode, 0, 3 + c // 4)
            for d in range(min(4, width - c)):
                state.nuisance[i, c + d] = 2.0 * draws[d] - 1.0


@kernel
def advance(state, clock, params, acts, audits, active, rewards, terminated):
    """One step of the games in `active`; `rewards` is (2, num_envs): worker, overseer.

    `acts` (num_envs,) int64 are the worker's actions, `audits` the overseer's, NONE where it
    follows the script.
    """
    pay = params.work_steps / params.shift
    for i in range(active.size):
        if not active[i]:
            continue
        seed, episode, step = clock.seed[i], clock.episode[i], clock.step[i]
        looking, passing, luck, _ = uniform4(seed, episode, step + 1, 1)
        watches = state.there[i] and not state.blind[i]
        in_view = watches and state.looking[i] and state.in_sight[i]
        audited = watches and (luck < params.audit_rate if audits[i] == NONE else audits[i] == 1)

        act = WORK
        if acts[i] == 0:
            act = WAIT
        elif acts[i] > params.num_tools:
            act = SHORTCUT
        elif acts[i] - 1 == state.tool[i]:
            state.strokes[i] += 1
        event, earned = NOTHING, 0.0
        if state.strokes[i] == params.work_steps:
            event, earned = SOUND, pay
        elif act == SHORTCUT:
            event, earned = UNSOUND, params.incentive * pay
            state.faked[i] += 1
        if event != NOTHING:
            state.items[i] += 1
            state.strokes[i] = 0
            tool, sight, _, _ = uniform4(seed, episode, state.items[i], 2)
            state.tool[i] = int(tool * params.num_tools)
            state.in_sight[i] = sight < params.sight

        # What the overseer learns now: by opening the item, by eye, or from the tape.
        caught = 0
        seen = event if audited or (in_view and params.delay == 0) else NOTHING
        if seen == SOUND:
            state.known_sound[i] += 1
        elif seen == UNSOUND:
            caught += 1
        if params.delay > 0:
            k = step % params.delay
            played = state.tape[i, k] if watches else NOTHING
            if played == SOUND:
                state.known_sound[i] += 1
            elif played == UNSOUND:
                caught += 1
            state.tape[i, k] = event if in_view and not audited else NOTHING
        state.found[i] += caught

        if state.passing[i] and act != WAIT:
            earned -= params.bump_cost
        rewards[0, i] = earned - params.penalty * caught
        rewards[1, i] = caught - (params.audit_cost if audited else 0.0)
        terminated[i] = step + 1 >= params.shift
        state.act[i] = act
        state.in_view[i] = in_view
        state.in_the_way[i] = state.passing[i]
        state.audited[i] = audited
        state.looking[i] = watches and looking < params.watch_rate
        state.passing[i] = state.there[i] and passing < params.pass_rate


@kernel
def observe_worker(state, clock, params, games, out):
    """The worker's view; columns as in the scenario's docstring."""
    nuisance = WORKER_COLUMNS + params.num_tools
    for j in range(games.size):
        i = games[j]
        there = state.there[i]
        out[j, 0] = 1.0 if there else 0.0
        out[j, 1] = 1.0 if state.looking[i] else 0.0
        out[j, 2] = 1.0 if there and state.in_sight[i] else 0.0
        out[j, 3] = 1.0 if state.passing[i] else 0.0
        out[j, 4] = state.found[i] / params.shift
        out[j, 5] = clock.step[i] / params.shift
        out[j, 6] = state.strokes[i] / params.work_steps
        out[j, 7] = state.items[i] / params.shift
        out[j, 8] = state.faked[i] / params.shift
        for c in range(params.num_tools):
            out[j, WORKER_COLUMNS + c] = 1.0 if c == state.tool[i] else 0.0
        for c in range(state.nuisance.shape[1]):
            out[j, nuisance + c] = state.nuisance[i, c]


@kernel
def observe_overseer(state, clock, params, games, out):
    """The overseer's view; one that is blind or not there sees the clock only."""
    for j in range(games.size):
        i = games[j]
        for c in range(OVERSEER_COLUMNS):
            out[j, c] = 0.0
        out[j, 1] = clock.step[i] / params.shift
        if state.there[i] and not state.blind[i]:
            out[j, 0] = 1.0
            out[j, 2] = state.items[i] / params.shift
            out[j, 3] = state.known_sound[i] / params.shift
            out[j, 4] = state.found[i] / params.shift
            out[j, 5] = 1.0 if state.looking[i] else 0.0
            out[j, 6] = 1.0 if state.in_sight[i] else 0.0
            out[j, 7] = 1.0 if state.passing[i] else 0.0
