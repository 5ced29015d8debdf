"""What may be done, and what the scripted players do: they see only what their seats see."""

from feint.envs.hidden_role.dynamics import (
    ACCUSE,
    AWAY,
    BREAK,
    CLAIM,
    EAST,
    NONE,
    NORTH,
    PLACE,
    SOUTH,
    STRIKE,
    TASKS,
    TOGETHER,
    USE,
    WEST,
    meets,
    near,
    phase_of,
    prey,
    station_here,
    touches,
)
from feint.envs.hidden_role.meeting import marginal
from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

SURE = 0.6  #: a scripted crew member accuses, and votes for, whom it suspects at least so much
STRAY = 0.1  #: share of random steps among those of the scripted players
ALIBI, BLAME = 0.5, 0.7  #: a scripted saboteur names a place, accuses, or else vouches for itself


@kernel
def allowed(state, params, phase, i, a, action):
    """Whether `action` does anything for agent `a`; whoever is out may do as it likes."""
    s, players = state.seat[i, a], state.seat.shape[1]
    if action == 0 or not state.alive[i, s]:
        return True
    if phase == CLAIM and action < ACCUSE:
        return True
    if phase != TASKS:
        if phase != CLAIM and action > players:
            return False
        named = (action - ACCUSE) % players if phase == CLAIM else action - 1
        # From behind the wall nobody can tell who else is still in the game.
        return state.alive[i, named] and (named == s or a != 0 or state.contact[i] != AWAY)
    apart = a == 0 and state.contact[i] != TOGETHER
    if action < USE:
        return state.stuck[i] != s
    side = 1 if apart else 0
    if action == USE:
        v = state.stuck[i]
        if v != NONE and v != s and not apart and touches(state.pos, i, s, v):
            return True
        return station_here(state, i, s, side, params.task_work) != NONE
    if a >= params.num_saboteurs:
        return False
    if action == STRIKE:
        return state.ready[i, s] and not apart and prey(state, i, s) != NONE
    if action == BREAK:
        k = station_here(state, i, s, side, params.task_work)
        return k != NONE and state.progress[i, side, k] > 0
    return False


@kernel
def masks(state, clock, params, a, out):
    """What agent `a` may do in every game, into `out` (num_envs, num_actions) bool."""
    for i in range(out.shape[0]):
        phase = phase_of(clock.step[i], params.round_steps)
        for action in range(out.shape[1]):
            out[i, action] = allowed(state, params, phase, i, a, action)


@kernel
def forbidden(state, clock, params, chosen, active):
    """The first (game, agent) in `active` whose action is masked out, or (-1, -1)."""
    for i in range(active.size):
        phase = phase_of(clock.step[i], params.round_steps)
        for a in range(chosen.shape[1]):
            if active[i] and not allowed(state, params, phase, i, a, chosen[i, a]):
                return i, a
    return -1, -1


@kernel
def cancel(state, clock, params, scripted, chosen, active):
    """Turn what is masked out into the null action; who is `scripted` chooses well by itself."""
    for i in range(active.size):
        if active[i]:
            phase = phase_of(clock.step[i], params.round_steps)
            for a in range(chosen.shape[1]):
                if not scripted[a] and not allowed(state, params, phase, i, a, chosen[i, a]):
                    chosen[i, a] = 0


@kernel
def script(state, clock, params, member, scripted, chosen, active):
    """Choose for the agents that are `scripted`, (P,) bool, into `chosen` (num_envs, P)."""
    # Whole states are slow to pass on in a hot loop: numba counts references to each array.
    pos, station, progress = state.pos, state.station, state.progress
    for i in range(active.size):
        if not active[i]:
            continue
        t = clock.step[i]
        phase = phase_of(t, params.round_steps)
        for a in range(scripted.size):
            s = state.seat[i, a]
            if not scripted[a] or not state.alive[i, s]:
                continue
            draws = uniform4(clock.seed[i], clock.episode[i], t + 1, a)
            if phase == TASKS:
                side = 1 if a == 0 and state.contact[i] != TOGETHER else 0
                act = _mischief(state, params, i, s, side) if a < params.num_saboteurs else 0
                if act == 0:
                    act = _labour(pos, station, progress, i, s, side, params.task_work, draws)
                chosen[i, a] = act
            elif a >= params.num_saboteurs:
                chosen[i, a] = _crew_says(state, member, phase, i, s)
            else:
                chosen[i, a] = _saboteur_says(state, phase, i, s, draws)


@kernel
def _mischief(state, params, i, s, side):
    """Strike a crew member whom nobody else of the crew sees; undo work unseen; else 0."""
    focal, onlookers = state.seat[i, 0], 0
    for v in range(state.seat.shape[1]):
        if state.alive[i, v] and not state.saboteur[i, v]:
            seen = meets(state.contact[i], focal, s, v)
            onlookers += seen and near(state.pos, i, s, v, params.sight)
    if side == 0 and state.ready[i, s] and onlookers == 1 and prey(state, i, s) != NONE:
        return STRIKE
    here = station_here(state, i, s, side, params.task_work)
    if onlookers == 0 and here != NONE and state.progress[i, side, here] > 0:
        return BREAK
    return 0


@kernel
def _labour(pos, station, progress, i, s, side, task_work, draws):
    """Work at the nearest unfinished station, or go there, sometimes astray."""
    if draws[0] < STRAY:
        return NORTH + int(4 * draws[1])
    best, goal, stations = 1_000_000, NONE, station.shape[1]
    for k in range(stations):
        if progress[i, side, k] >= task_work:
            continue
        dx, dy = station[i, k, 0] - pos[i, s, 0], station[i, k, 1] - pos[i, s, 1]
        far = abs(dx) + abs(dy) - (3 if k == s % stations else 0)  # so that they spread out
        if far < best:
            best, goal = far, k
    if goal == NONE:
        return 0
    dx, dy = station[i, goal, 0] - pos[i, s, 0], station[i, goal, 1] - pos[i, s, 1]
    if dx == 0 and dy == 0:
        return USE
    if abs(dx) > abs(dy):
        return EAST if dx > 0 else WEST
    return NORTH if dy > 0 else SOUTH


@kernel
def _crew_says(state, member, phase, i, s):
    """Accuse, and vote for, whom it is sure of; else say where it was, and skip the vote."""
    most, suspect = 0.0, NONE
    for j in range(member.shape[1]):
        if state.alive[i, j]:
            p = marginal(state.weight, member, i, s, j)
            if p > most:
                most, suspect = p, j
    if phase == CLAIM:
        return ACCUSE + suspect if most >= SURE else PLACE + state.noted[i, s]
    return 1 + suspect if most >= SURE else 0


@kernel
def _saboteur_says(state, phase, i, s, draws):
    """Claim not to have been at the scene, or blame one of the crew; vote with the accusers."""
    players = state.seat.shape[1]
    if phase == CLAIM:
        if draws[0] < ALIBI:
            place = state.noted[i, s]
            if place == state.alarm[i]:
                place = (place + 1 + int(3 * draws[1])) % 4
            return PLACE + place
        if draws[0] >= BLAME:
            return ACCUSE + players + s
    mute = NONE if state.contact[i] == TOGETHER else state.seat[i, 0]
    most, whom = 0.0, NONE
    for j in range(players):
        if not state.alive[i, j] or state.saboteur[i, j]:
            continue
        score = draws[1] if j % 2 else draws[2]  # in a claim: anybody
        if phase != CLAIM:
            score = 0.0
            for v in range(players):
                score += v != mute and state.claim[i, v] == ACCUSE + j
        if score > most:
            most, whom = score, j
    if whom == NONE:
        return 0
    return ACCUSE + whom if phase == CLAIM else 1 + whom
