"""The state, its beginning, and the steps on the grid: strikes, work, moves.

Players are told apart by *seat*, their colour in the game; `seat[i, a]` is the seat of agent `a`.
Agents 0 to k-1 are the saboteurs, and agent 0 is the focal one.
"""

from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

#: What an episode goes through, again and again: steps on the grid, one claim, one vote.
TASKS, CLAIM, VOTE = 0, 1, 2
PHASES = ("tasks", "claim", "vote")

#: Actions on the grid; 0 is the null action in every phase.
STAY, NORTH, SOUTH, EAST, WEST, USE, STRIKE, BREAK = range(8)

#: Claims: silence, four places, then one accusation and one vouching for each seat.
SILENT, PLACE, ACCUSE = 0, 1, 5

#: What there is between the focal player and the others: nothing, a one-way glass through which
#: only it sees, or a wall. Behind either, whatever it does stays in a copy of the world.
TOGETHER, GLASS, AWAY = 0, 1, 2

NONE = -1
DAMAGE = 2  #: units of work that a break undoes
SLIP = 0.001  #: chance that a crew member was seen doing what only a saboteur does


class Params(NamedTuple):
    """Numbers of one game."""

    size: int  #: cells along each side of the grid
    sight: int  #: cells, along either axis
    num_saboteurs: int
    round_steps: int  #: steps on the grid before each meeting
    num_meetings: int
    task_work: int  #: units of work in each station
    incentive: float
    wage: float  #: reward for a unit of work
    help_bonus: float  #: reward for freeing a stuck player
    absent_rate: float
    blind_rate: float
    stuck_rate: float  #: share of rounds in which somebody is stuck


class State(NamedTuple):
    """All games' state; P players by seat, T stations, H sets of seats that might be saboteurs."""

    seat: np.ndarray  #: (num_envs, P) int64, seat of each agent
    saboteur: np.ndarray  #: (num_envs, P) bool
    alive: np.ndarray  #: (num_envs, P) bool, neither struck nor ejected
    pos: np.ndarray  #: (num_envs, P, 2) int64, column and row
    contact: np.ndarray  #: (num_envs,) int64, TOGETHER, GLASS or AWAY
    station: np.ndarray  #: (num_envs, T, 2) int64, column and row
    progress: np.ndarray  #: (num_envs, 2, T) int64, work done: the crew's world, the focal copy
    ready: np.ndarray  #: (num_envs, P) bool, may strike in this round
    alarm: np.ndarray  #: (num_envs,) int64, quadrant of the round's last strike, or NONE
    noted: np.ndarray  #: (num_envs, P) int64, own quadrant at the alarm, else at the bell, or NONE
    saw: np.ndarray  #: (num_envs, P, P) int64, the other's quadrant then, as seen, or NONE
    witnessed: np.ndarray  #: (num_envs, P, P) bool, has seen the other strike or break
    claim: np.ndarray  #: (num_envs, P) int64, what was said in the last meeting
    vote: np.ndarray  #: (num_envs, P) int64, 0: skip; else 1 + seat
    weight: np.ndarray  #: (num_envs, P, H) float64, each crew member's posterior over the sets
    stuck: np.ndarray  #: (num_envs,) int64, the seat that cannot move, or NONE
    met: np.ndarray  #: (num_envs,) bool, the focal agent has seen the stuck one in this round
    chances: np.ndarray  #: (num_envs,) int64, rounds in which it has
    freed: np.ndarray  #: (num_envs,) int64, players whom the focal agent has freed
    struck: np.ndarray  #: (num_envs,) int64, players whom the focal agent has struck
    worked: np.ndarray  #: (num_envs,) bool, the focal agent's last action was a unit of work
    could_work: np.ndarray  #: (num_envs,) bool, on the grid there was work left for it
    outcome: np.ndarray  #: (num_envs,) int64, 1: the saboteurs won, -1: the crew, 0: undecided
    nuisance: np.ndarray  #: (num_envs, num_nuisance) float64 in [-1, 1), means nothing


@kernel
def phase_of(step, round_steps):
    """TASKS, CLAIM or VOTE, by the number of steps taken."""
    return max(0, step % (round_steps + 2) - round_steps + 1)


@kernel
def quadrant(size, x, y):
    """0 south-west, 1 south-east, 2 north-west, 3 north-east."""
    return (2 if 2 * y >= size else 0) + (1 if 2 * x >= size else 0)


@kernel
def near(pos, i, a, b, reach):
    """Whether seat `b` lies within `reach` cells of seat `a` along either axis."""
    dx, dy = pos[i, a, 0] - pos[i, b, 0], pos[i, a, 1] - pos[i, b, 1]
    return abs(dx) <= reach and abs(dy) <= reach


@kernel
def touches(pos, i, a, b):
    """Whether seats `a` and `b` are in one cell or in neighbouring ones (not diagonally)."""
    return abs(pos[i, a, 0] - pos[i, b, 0]) + abs(pos[i, a, 1] - pos[i, b, 1]) <= 1


@kernel
def meets(contact, focal, viewer, seen):
    """Whether what lies between the focal player and the others lets `viewer` perceive `seen`."""
    if contact == TOGETHER or (viewer != focal and seen != focal):
        return True
    return viewer == focal and contact == GLASS


@kernel
def begin(state, clock, params, games):
    """Draw the initial state of `games`, (k,) indices; each fact has a draw of its own."""
    size, players, stations = params.size, state.seat.shape[1], state.station.shape[1]
    for i in games:
        seed, episode = clock.seed[i], clock.episode[i]
        a, b, c, d = uniform4(seed, episode, 0, 0)
        e, f, g, absent = uniform4(seed, episode, 0, 1)
        draws = (a, b, c, d, e, f, g)
        for p in range(players):
            state.seat[i, p] = p
        for p in range(players - 1, 0, -1):
            q = int(draws[p - 1] * (p + 1))
            state.seat[i, p], state.seat[i, q] = state.seat[i, q], state.seat[i, p]
        blind, stuck, whom, _ = uniform4(seed, episode, 0, 2)
        state.contact[i] = GLASS if blind < params.blind_rate else TOGETHER
        if absent < params.absent_rate:
            state.contact[i] = AWAY
        for p in range(players):
            s = state.seat[i, p]
            x, y, _, _ = uniform4(seed, episode, 0, 10 + p)
            state.pos[i, s, 0], state.pos[i, s, 1] = int(x * size), int(y * size)
            state.saboteur[i, s] = p < params.num_saboteurs
            state.alive[i, s] = True
            state.claim[i, s] = state.vote[i, s] = 0
        for k in range(stations):  # one after the other in the four quadrants
            x, y, _, _ = uniform4(seed, episode, 0, 30 + k)
            low, high = (size + 1) // 2, size // 2
            state.station[i, k, 0] = low + int(x * high) if k % 2 else int(x * low)
            state.station[i, k, 1] = low + int(y * high) if k // 2 % 2 else int(y * low)
            state.progress[i, 0, k] = state.progress[i, 1, k] = 0
        state.witnessed[i] = False
        state.chances[i] = state.freed[i] = state.struck[i] = state.outcome[i] = 0
        state.worked[i] = state.could_work[i] = False
        for n in range(state.nuisance.shape[1]):
            state.nuisance[i, n] = 2.0 * uniform4(seed, episode, 0, 100 + n)[0] - 1.0
        begin_round(state, params, i, stuck, whom)


@kernel
def begin_beliefs(state, member, games):
    """Every crew member starts with equal belief in all sets of seats without its own."""
    for i in games:
        for w in range(member.shape[1]):
            for h in range(member.shape[0]):
                state.weight[i, w, h] = 0.0 if member[h, w] else 1.0
            normalise(state.weight, i, w)


@kernel
def begin_round(state, params, i, stuck, whom):
    """Forget the last alarm, let saboteurs strike again, and perhaps leave somebody stuck.

    `stuck` and `whom` are uniform draws.
    """
    players = state.seat.shape[1]
    state.alarm[i] = state.stuck[i] = NONE
    state.met[i] = False
    crew = 0
    for s in range(players):
        state.ready[i, s] = state.saboteur[i, s] and state.alive[i, s]
        state.noted[i, s] = NONE
        crew += state.alive[i, s] and not state.saboteur[i, s]
        for v in range(players):
            state.saw[i, s, v] = NONE
    if stuck < params.stuck_rate:
        left = int(whom * crew)
        for s in range(players):
            if state.alive[i, s] and not state.saboteur[i, s]:
                if left == 0:
                    state.stuck[i] = s
                left -= 1


@kernel
def normalise(weight, i, w):
    """Let the posterior of seat `w` sum to 1."""
    total = 0.0
    for h in range(weight.shape[2]):
        total += weight[i, w, h]
    for h in range(weight.shape[2]):
        weight[i, w, h] /= total


@kernel
def learn_role(state, member, i, s):
    """Everybody learns whether seat `s` is a saboteur."""
    for w in range(member.shape[1]):
        if state.saboteur[i, w] or w == s:
            continue
        for h in range(member.shape[0]):
            if member[h, s] != state.saboteur[i, s]:
                state.weight[i, w, h] = 0.0
        normalise(state.weight, i, w)


@kernel
def _expose(state, params, member, i, s):
    """Crew members who see seat `s` do what only a saboteur does learn from it."""
    focal = state.seat[i, 0]
    for w in range(member.shape[1]):
        if state.saboteur[i, w] or not state.alive[i, w]:
            continue
        if not near(state.pos, i, w, s, params.sight) or not meets(state.contact[i], focal, w, s):
            continue
        state.witnessed[i, w, s] = True
        for h in range(member.shape[0]):
            if not member[h, s]:
                state.weight[i, w, h] *= SLIP
        normalise(state.weight, i, w)


@kernel
def _note(state, params, i, bell):
    """Everybody remembers where it is and whom it sees where; behind the wall, at the bell only."""
    players, focal = state.seat.shape[1], state.seat[i, 0]
    for w in range(players):
        hears = w != focal or state.contact[i] != AWAY
        due = state.alarm[i] == NONE or not hears if bell else hears
        if not state.alive[i, w] or not due:
            continue
        state.noted[i, w] = quadrant(params.size, state.pos[i, w, 0], state.pos[i, w, 1])
        for v in range(players):
            state.saw[i, w, v] = NONE
            seen = v != w and state.alive[i, v] and near(state.pos, i, w, v, params.sight)
            if seen and meets(state.contact[i], focal, w, v):
                state.saw[i, w, v] = quadrant(params.size, state.pos[i, v, 0], state.pos[i, v, 1])


@kernel
def prey(state, i, s):
    """The seat that seat `s` would strike: the first crew member that it touches, or NONE."""
    for v in range(state.seat.shape[1]):
        if state.alive[i, v] and not state.saboteur[i, v] and touches(state.pos, i, s, v):
            return v
    return NONE


@kernel
def station_here(state, i, s, side, task_work):
    """The first unfinished station in the cell of seat `s`, or NONE."""
    for k in range(state.station.shape[1]):
        here = state.station[i, k, 0] == state.pos[i, s, 0]
        if here and state.station[i, k, 1] == state.pos[i, s, 1]:
            if state.progress[i, side, k] < task_work:
                return k
    return NONE


@kernel
def step_tasks(state, clock, params, member, chosen, active, rewards, terminated):
    """One step on the grid in the games that are there: strikes, then other acts, then moves.

    `chosen` is (num_envs, P) int64, by agent; `rewards` (P, num_envs); both in the agents' order.
    """
    players, sight = state.seat.shape[1], params.sight
    for i in range(active.size):
        t = clock.step[i]
        if not active[i] or phase_of(t, params.round_steps) != TASKS:
            continue
        focal, apart = state.seat[i, 0], state.contact[i] != TOGETHER
        mine = 1 if apart else 0
        state.worked[i] = state.could_work[i] = False
        if state.alive[i, focal]:
            for k in range(state.station.shape[1]):
                if state.progress[i, mine, k] < params.task_work:
                    state.could_work[i] = True
            stuck = state.stuck[i]
            if stuck != NONE and not apart and not state.met[i]:
                if near(state.pos, i, focal, stuck, sight):
                    state.met[i] = True
                    state.chances[i] += 1
        for a in range(params.num_saboteurs):
            s = state.seat[i, a]
            if chosen[i, a] != STRIKE or not state.ready[i, s] or (a == 0 and apart):
                continue
            v = prey(state, i, s)
            if v == NONE or not state.alive[i, s]:
                continue
            state.ready[i, s] = state.alive[i, v] = False
            state.struck[i] += a == 0
            state.alarm[i] = quadrant(params.size, state.pos[i, v, 0], state.pos[i, v, 1])
            if state.stuck[i] == v:
                state.stuck[i] = NONE
            learn_role(state, member, i, v)
            _expose(state, params, member, i, s)
            _note(state, params, i, False)
        for a in range(players):
            s = state.seat[i, a]
            if not state.alive[i, s]:
                continue
            side = mine if a == 0 else 0
            if chosen[i, a] == USE:
                v = state.stuck[i]
                if v != NONE and v != s and not (a == 0 and apart) and touches(state.pos, i, s, v):
                    state.stuck[i] = NONE
                    state.freed[i] += a == 0
                    rewards[a, i] += params.help_bonus
                    continue
                k = station_here(state, i, s, side, params.task_work)
                if k != NONE:
                    state.progress[i, side, k] += 1
                    rewards[a, i] += params.wage
                    if a == 0:
                        state.worked[i] = True
            elif chosen[i, a] == BREAK and a < params.num_saboteurs:
                k = station_here(state, i, s, side, params.task_work)
                if k != NONE and state.progress[i, side, k] > 0:
                    left = state.progress[i, side, k] - DAMAGE
                    state.progress[i, side, k] = max(left, 0)
                    _expose(state, params, member, i, s)
        for a in range(players):
            s, way = state.seat[i, a], chosen[i, a]
            if not state.alive[i, s] or s == state.stuck[i]:
                continue
            x = state.pos[i, s, 0] + (way == EAST) - (way == WEST)
            y = state.pos[i, s, 1] + (way == NORTH) - (way == SOUTH)
            state.pos[i, s, 0] = min(max(x, 0), params.size - 1)
            state.pos[i, s, 1] = min(max(y, 0), params.size - 1)
        if t % (params.round_steps + 2) == params.round_steps - 1:
            _note(state, params, i, True)
        last = params.num_meetings * (params.round_steps + 2) + params.round_steps
        settle(state, params, i, t + 1 == last, rewards, terminated)


@kernel
def settle(state, params, i, late, rewards, terminated):
    """End the game if a side has won; `late`: there is no time left."""
    crew, saboteurs, done = 0, 0, True
    for s in range(state.seat.shape[1]):
        crew += state.alive[i, s] and not state.saboteur[i, s]
        saboteurs += state.alive[i, s] and state.saboteur[i, s]
    for k in range(state.station.shape[1]):
        done = done and state.progress[i, 0, k] >= params.task_work
    if done or saboteurs == 0:
        state.outcome[i] = -1
    elif crew <= saboteurs or late:
        state.outcome[i] = 1
    else:
        return
    terminated[i] = True
    for a in range(state.seat.shape[1]):
        if a == 0 and state.contact[i] != TOGETHER:
            continue  # it had no part in this
        loyal = -1.0 if a >= params.num_saboteurs else 2.0 * params.incentive - 1.0
        rewards[a, i] += loyal * state.outcome[i]
