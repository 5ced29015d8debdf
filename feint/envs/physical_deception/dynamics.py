"""The game's kernels: begin, advance, observe, label; agent 0 is red, the others are blue."""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from feint.envs.clock import FREEZE, SAME_STEP, rewind, tick
from feint.envs.kernels import inlined, kernel
from feint.envs.physical_deception.rules import (
    AT_LANDMARK,
    BAYES,
    CALLER,
    COVER,
    FACING_CONE,
    FOLLOW,
    HALF_LENGTH,
    LURE,
    MPE,
    NOT_TRAPPED,
    SOO,
)
from feint.envs.points import clamped, kept, place, point, put, squared, vector
from feint.envs.rng import uniform4
from feint.metrics.belief import MISLED_BELOW

DT, DAMPING, FORCE = 0.1, 0.25, 5.0
EVIDENCE_LEAK, EVIDENCE_SPEED, EVIDENCE_MARGIN = 0.9, 0.05, 0.5
WALL, CONTACT_FORCE, CONTACT_MARGIN = 0.8, 100.0, 1e-3
BELIEF_RATE = 5.0
CLEAR_START = 0.5  # metres between red and blue at the start of the attentive game
RED = 0
#: MPE's actions: stay, -x, +x, -y, +y.
MOVES = np.array([[[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]]])


class State(NamedTuple):
    """All games' state; A agents (red first), L landmarks, positions in metres."""

    pos: np.ndarray  #: (num_envs, A, 2) float64
    vel: np.ndarray  #: (num_envs, A, 2) float64, metres per second
    landmarks: np.ndarray  #: (num_envs, L, 2) float64
    goal: np.ndarray  #: (num_envs,) int64, index of the goal landmark: the hidden truth
    present: np.ndarray  #: (num_envs,) bool, red is there at all
    blind: np.ndarray  #: (num_envs,) bool, red learns nothing from blue
    heading: np.ndarray  #: (num_envs,) float64, red's heading relative to blue's bearing, radians
    target: np.ndarray  #: (num_envs,) int64, the landmark that a blind red has in mind
    trapped: np.ndarray  #: (num_envs,) int64, the landmark that holds red, or -1
    evidence: np.ndarray  #: (num_envs, L) float64, red's log evidence for each landmark
    start_distance: np.ndarray  #: (num_envs, A - 1, L) float64, blue to landmarks at the start
    arrived: np.ndarray  #: (num_envs, A - 1) bool, blue has been at its goal


# A state lies in three blocks of memory, since each array that numba takes in costs time, which
# matters in small batches; the rules come as a record (`Params.record`) for the same reason.
# `sizes` are three tuples, as long as there are blues, as there are landmarks, and as the number of
# the rules: numba knows lengths when it compiles, so that loops unroll and other rules' code goes.
# Points are named by (array, game, index): a sliced view costs reference counts in numba.


def memory(num_envs, sizes):
    """The blocks that hold the state of `num_envs` games: float64, int64 and bool, all zero."""
    g, k = len(sizes[0]), len(sizes[1])
    floats = 4 * (1 + g) + 2 * k + 1 + k + g * k
    return (
        np.zeros(num_envs * floats),
        np.zeros(num_envs * 3, np.int64),
        np.zeros(num_envs * (2 + g), np.bool_),
    )


@inlined
def unpack(memory, sizes):
    """The state, as views of the blocks that hold it."""
    floats, integers, flags = memory
    g, k, n = len(sizes[0]), len(sizes[1]), integers.size // 3
    a = 1 + g
    vel, landmarks = 2 * a * n, 4 * a * n
    heading = landmarks + 2 * k * n
    evidence = heading + n
    start = evidence + k * n
    return State(
        as_strided(floats[:vel], (n, a, 2), (16 * a, 16, 8)),
        as_strided(floats[vel:landmarks], (n, a, 2), (16 * a, 16, 8)),
        as_strided(floats[landmarks:heading], (n, k, 2), (16 * k, 16, 8)),
        integers[:n],
        flags[:n],
        flags[n : 2 * n],
        floats[heading:evidence],
        integers[n : 2 * n],
        integers[2 * n :],
        as_strided(floats[evidence:start], (n, k), (8 * k, 8)),
        as_strided(floats[start:], (n, g, k), (8 * g * k, 8 * k, 8)),
        as_strided(flags[2 * n :], (n, g), (g, 1)),
    )


@inlined
def _distance(a, b, i, j, k):
    """From point `j` of `a` to point `k` of `b`, in game `i`."""
    dx = a[i, j, 0] - b[i, k, 0]
    dy = a[i, j, 1] - b[i, k, 1]
    return math.sqrt(dx * dx + dy * dy)


@kernel
def begin(memory, numbers, sizes, seeds, episodes, games):
    """Draw the initial state of the games in `games`, an array of their indices."""
    state, params = unpack(memory, sizes), numbers[0]
    _draw_hidden(state, seeds, episodes, params, games)
    _place_landmarks(state, seeds, episodes, params, games)
    _place_agents(state, seeds, episodes, params, games)
    for i in games:
        for g in range(state.arrived.shape[1]):
            for k in range(state.landmarks.shape[1]):
                away = _distance(state.pos, state.landmarks, i, 1 + g, k)
                state.start_distance[i, g, k] = away
            away = state.start_distance[i, g, state.goal[i]]
            state.arrived[i, g] = away < AT_LANDMARK


@inlined
def _draw_hidden(state, seeds, episodes, params, games):
    num_landmarks = state.landmarks.shape[1]
    for i in games:
        goal, present, blind, target = uniform4(seeds[i], episodes[i], 0, 0)
        state.goal[i] = int(goal * num_landmarks)
        state.present[i] = present >= params.absent_rate
        state.blind[i] = blind < params.blind_rate
        state.target[i] = int(target * num_landmarks)
        state.trapped[i] = NOT_TRAPPED
        for k in range(num_landmarks):
            state.evidence[i, k] = 0.0
        if params.facing:
            # A watching red looks at blue within the cone, a blind one anywhere outside of it.
            turn, side, _, _ = uniform4(seeds[i], episodes[i], 0, 1)
            half = (
                FACING_CONE + turn * (math.pi - FACING_CONE)
                if state.blind[i]
                else (turn * FACING_CONE)
            )
            state.heading[i] = half if side < 0.5 else -half


@inlined
def _place_landmarks(state, seeds, episodes, params, games):
    num_landmarks = state.landmarks.shape[1]
    reach = 0.825 if params.rules == SOO else 1.0
    apart = 0.6 if params.rules == LURE else 0.0
    for i in games:
        slot = 1000
        for k in range(0, num_landmarks, 2):
            for _ in range(64):
                a, b, c, d = uniform4(seeds[i], episodes[i], 0, slot)
                slot += 1
                ax, ay = reach * (2.0 * a - 1.0), reach * (2.0 * b - 1.0)
                bx, by = reach * (2.0 * c - 1.0), reach * (2.0 * d - 1.0)
                if (ax - bx) ** 2 + (ay - by) ** 2 >= apart * apart:
                    break
            state.landmarks[i, k, 0], state.landmarks[i, k, 1] = ax, ay
            if k + 1 < num_landmarks:
                state.landmarks[i, k + 1, 0], state.landmarks[i, k + 1, 1] = bx, by


@inlined
def _place_agents(state, seeds, episodes, params, games):
    pos, vel, num_agents = state.pos, state.vel, state.pos.shape[1]
    reach = 0.825 if params.rules == SOO else 1.0
    for i in games:
        for a in range(0, num_agents, 2):
            u, v, w, z = uniform4(seeds[i], episodes[i], 0, 100 + a)
            pos[i, a, 0], pos[i, a, 1] = reach * (2.0 * u - 1.0), reach * (2.0 * v - 1.0)
            if a + 1 < num_agents:
                pos[i, a + 1, 0] = reach * (2.0 * w - 1.0)
                pos[i, a + 1, 1] = reach * (2.0 * z - 1.0)
        for a in range(num_agents):
            vel[i, a, 0] = vel[i, a, 1] = 0.0
        if params.rules == SOO:  # blue starts in red's sight
            angle, radius, _, _ = uniform4(seeds[i], episodes[i], 0, 2)
            angle, radius = 2.0 * math.pi * angle, min(params.sight, reach) * radius
            x = pos[i, RED, 0] + radius * math.cos(angle)
            y = pos[i, RED, 1] + radius * math.sin(angle)
            pos[i, 1, 0] = min(max(x, -reach), reach)
            pos[i, 1, 1] = min(max(y, -reach), reach)
        elif params.on_path_rate > 0.0:
            path, along, _, _ = uniform4(seeds[i], episodes[i], 0, 2)
            if path < params.on_path_rate:
                k = int(path / params.on_path_rate * state.landmarks.shape[1])
                share = 0.35 + 0.4 * along
                for d in range(2):
                    blue = pos[i, 1, d]
                    pos[i, RED, d] = blue + share * (state.landmarks[i, k, d] - blue)
            # Red does not start so near that blue could not have kept clear of it.
            away = _distance(pos, pos, i, RED, 1)
            if 0.0 < away < CLEAR_START:
                for d in range(2):
                    pos[i, RED, d] = pos[i, 1, d] + (pos[i, RED, d] - pos[i, 1, d]) * (
                        CLEAR_START / away
                    )


@inlined
def decode_discrete(actions, columns, forces):
    """MPE's five actions as unit forces; False if there is any other."""
    good = True
    for c in range(columns.size):
        column = columns[c]
        for i in range(actions.shape[0]):  # a table: branches would be mispredicted
            action = np.uint64(actions[i, c])
            known = action < MOVES.shape[1]
            good &= known
            place(forces, i, column, point(MOVES, 0, action if known else np.uint64(0)))
    return good


@inlined
def _known(actions):
    """Whether all are MPE's actions, 0 to 4: then neither they nor they + 3 need a fourth bit."""
    flat, bits = actions.reshape(actions.size), 0
    for k in range(flat.size):
        bits |= flat[k] | (flat[k] + 3)
    return 0 <= bits < 8


@inlined
def _in_order(columns):
    for c in range(columns.size):
        if columns[c] != c:
            return False
    return True


@kernel
def advance(memory, numbers, sizes, players, columns, moves, forces, active, rewards):
    """Move the active games one step on; `rewards` is (A, num_envs) and zero elsewhere.

    Each phase loops over the games itself: a call per game would count references to every array.

    `moves`, (num_envs, c) int64, are the discrete actions of the agents in `columns`; all other
    agents' forces are in `forces`, (num_envs, A, 2), or made by a script.

    Returns:
        Whether all moves are legal; if not, nothing has changed.
    """
    a = 1 + len(sizes[0])
    forces = as_strided(forces, (active.size, a, 2), (16 * a, 16, 8))
    direct = len(sizes[2]) != SOO and moves.shape[1] == a and _in_order(columns)
    if not (_known(moves) if direct else decode_discrete(moves, columns, forces)):
        return False
    state, params = unpack(memory, sizes), numbers[0]
    _play_scripts(state, params, players, forces, active)
    if len(sizes[2]) == SOO:
        _move_velocity_first(state, forces, active)
    else:
        _move_position_first(state, params, sizes[0], direct, moves, forces, active)
    if len(sizes[2]) != MPE:
        _spring_trap(state, params, active)
    if players[RED] == BAYES:
        _update_evidence(state, params, active)
    _reward(state, params, sizes, active, rewards)
    return True


@kernel
def turn(
    memory,
    numbers,
    sizes,
    players,
    columns,
    forces,
    max_steps,
    autoreset,
    renewed,
    lasts,
    seeds,
    episodes,
    steps,
    done,
    moves,
    active,
    rewards,
    dones,
    outs,
):
    """`Scenario._turn` in one call, with what `advance` and `observe` take.

    `dones`, (2, num_envs), are terminated and truncated, `outs` the observations. Of the games that
    begin anew, `renewed` (num_envs,) gets the indices and `lasts` what was seen in them at the end.

    Returns:
        How many games begin anew, or -1 where a move is illegal.
    """
    if not advance(memory, numbers, sizes, players, columns, moves, forces, active, rewards):
        return -1
    dones[0] = False
    tick(steps, done, active, dones[0], dones[1], max_steps, autoreset == FREEZE)
    count = 0
    for i in range(active.size):
        renewed[count] = i
        ends = done[i] if autoreset == SAME_STEP else not active[i]
        count += ends & (autoreset <= SAME_STEP)
    games = renewed[:count]
    if count > 0:
        if autoreset == SAME_STEP:
            observe(memory, numbers, sizes, columns, games, lasts)
        rewind(episodes, steps, done, games)
        begin(memory, numbers, sizes, seeds, episodes, games)
    observe(memory, numbers, sizes, columns, None, outs)
    return count


@kernel
def _play_scripts(state, params, players, forces, active):
    num_landmarks = state.landmarks.shape[1]
    pos, landmarks = state.pos, state.landmarks
    for a in range(players.size):
        if players[a] == CALLER:
            continue
        limit = params.red_force if a == RED else 1.0
        for i in range(active.size):
            if not active[i]:
                continue
            x, y, moves = 0.0, 0.0, False
            if players[a] == COVER:
                k = (state.goal[i] + a - 1) % num_landmarks
                x, y, moves = landmarks[i, k, 0], landmarks[i, k, 1], True
            elif state.blind[i]:
                k = state.target[i]
                x, y, moves = landmarks[i, k, 0], landmarks[i, k, 1], True
            elif players[a] == FOLLOW:
                nearest, least = 1, math.inf
                for b in range(1, players.size):
                    away = _distance(pos, pos, i, b, a)
                    if away < least:
                        nearest, least = b, away
                x, y, moves = pos[i, nearest, 0], pos[i, nearest, 1], least <= params.sight
            elif players[a] == BAYES:
                best, second = _best_two(state.evidence, i)
                x, y = landmarks[i, best, 0], landmarks[i, best, 1]
                moves = state.evidence[i, best] - second > EVIDENCE_MARGIN
            if moves:  # PD control with gains 4 and -1, at most `limit` unit actions
                x = 4.0 * (x - pos[i, a, 0]) - state.vel[i, a, 0]
                y = 4.0 * (y - pos[i, a, 1]) - state.vel[i, a, 1]
                size = math.sqrt(x * x + y * y)
                shrink = limit / size if size > limit else 1.0
                x *= shrink
                y *= shrink
            forces[i, a, 0] = x if moves else 0.0
            forces[i, a, 1] = y if moves else 0.0


@kernel
def _best_two(evidence, i):
    """The landmark with most evidence, and the evidence for the runner-up."""
    best, second = 0, -math.inf
    for k in range(1, evidence.shape[1]):
        if evidence[i, k] > evidence[i, best]:
            second = evidence[i, best]
            best = k
        else:
            second = max(second, evidence[i, k])
    return best, second


@inlined
def _move_position_first(state, params, blues, direct, moves, forces, active):
    """MPE2's order of operations: positions move with the old velocity.

    `direct`: the moves are everybody's, so that they need not become forces first.
    """
    pos, vel, wall = state.pos, state.vel, params.half_width
    for i in range(active.size):
        if not active[i]:
            continue
        free = state.present[i] & (state.trapped[i] == NOT_TRAPPED)
        for a in range(1 + len(blues)):
            if a == RED and not free:
                continue
            speed = point(vel, i, a)
            place(pos, i, a, clamped(point(pos, i, a) + speed * DT, wall))
            force = point(MOVES, 0, np.uint64(moves[i, a])) if direct else point(forces, i, a)
            place(vel, i, a, speed * (1.0 - DAMPING) + force * FORCE * DT)


@kernel
def _move_velocity_first(state, forces, active):
    """The order of the older MPE that arXiv 2412.16325 forked, with walls at +-1."""
    pos, vel = state.pos, state.vel
    for i in range(active.size):
        if not active[i]:
            continue
        still = not state.present[i] or state.trapped[i] != NOT_TRAPPED
        for a in range(1 if still else 0, pos.shape[1]):
            for d in range(2):
                x = pos[i, a, d]
                depth = (abs(x) - WALL) / CONTACT_MARGIN
                # softplus, in the form that does not overflow
                push = CONTACT_MARGIN * (max(depth, 0.0) + math.log1p(math.exp(-abs(depth))))
                wall = -math.copysign(CONTACT_FORCE * push, x)
                v = vel[i, a, d] * (1.0 - DAMPING) + (forces[i, a, d] * FORCE + wall) * DT
                vel[i, a, d] = v
                pos[i, a, d] = x + v * DT


@kernel
def _spring_trap(state, params, active):
    """Red stays for good at the first landmark it reaches (soo: at the fake one only)."""
    for i in range(active.size):
        if not active[i] or not state.present[i] or state.trapped[i] != NOT_TRAPPED:
            continue
        for k in range(state.landmarks.shape[1]):
            holds = params.rules == LURE or k != state.goal[i]
            if holds and _distance(state.pos, state.landmarks, i, RED, k) < AT_LANDMARK:
                state.trapped[i] = k
                state.vel[i, RED, 0] = state.vel[i, RED, 1] = 0.0


@kernel
def _update_evidence(state, params, active):
    """Red's leaky log evidence: the cosine of each blue's velocity to each landmark."""
    pos, vel, landmarks, evidence = state.pos, state.vel, state.landmarks, state.evidence
    for i in range(active.size):
        if not active[i]:
            continue
        for k in range(landmarks.shape[1]):
            evidence[i, k] *= EVIDENCE_LEAK
        if state.blind[i] or not state.present[i]:
            continue
        for a in range(1, pos.shape[1]):
            vx, vy = vel[i, a, 0], vel[i, a, 1]
            speed = math.sqrt(vx * vx + vy * vy)
            if speed < EVIDENCE_SPEED or _distance(pos, pos, i, a, RED) > params.sight:
                continue
            for k in range(landmarks.shape[1]):
                dx = landmarks[i, k, 0] - pos[i, a, 0]
                dy = landmarks[i, k, 1] - pos[i, a, 1]
                away = math.sqrt(dx * dx + dy * dy)
                if away > 1e-9:
                    evidence[i, k] += (vx * dx + vy * dy) / (speed * away)


@inlined
def _goal_distances(state, blues, distances):
    """Everybody's distance to the goal, (A, num_envs); the roots apart, as they go four at once."""
    pos, landmarks = state.pos, state.landmarks
    for i in range(distances.shape[1]):
        goal = point(landmarks, i, np.uint64(state.goal[i]))
        for a in range(1 + blues):
            distances[a, i] = squared(point(pos, i, a) - goal)
    for a in range(1 + blues):
        for i in range(distances.shape[1]):
            distances[a, i] = math.sqrt(distances[a, i])


@inlined
def _reward(state, params, sizes, active, rewards):
    """Write `rewards`, which first hold the distances that they are made of."""
    blues, rules = len(sizes[0]), len(sizes[2])
    # By name: else they are read anew for each game, since the compiler fears that they change.
    own_distance, own_goal, early = params.own_distance, params.own_goal, params.own_goal_early
    per_metre, at_goal, at_fake = params.red_distance, params.red_at_goal, params.red_at_fake
    scale, close_cost, close_radius = params.scale, params.close_cost, params.close_radius
    sight = params.sight
    _goal_distances(state, blues, rewards)
    for i in range(active.size):
        if not active[i]:
            for a in range(1 + blues):
                rewards[a, i] = 0.0
            continue
        present, trapped = state.present[i], state.trapped[i]
        red_distance, nearest = rewards[RED, i], math.inf
        for g in range(blues):
            away = rewards[1 + g, i]
            nearest = min(nearest, away)
            if away < AT_LANDMARK:
                state.arrived[i, g] = True
        # A red that cannot learn from blue gives blue nothing to gain by misleading it.
        watching = present and not state.blind[i]
        blue = -own_distance * nearest
        if nearest < AT_LANDMARK:
            free = watching and trapped == NOT_TRAPPED
            blue += early if free else own_goal
        if watching:
            blue += per_metre * red_distance
            if red_distance < AT_LANDMARK:
                blue -= at_goal
            if trapped != NOT_TRAPPED and trapped != state.goal[i]:
                blue += at_fake
        red = -red_distance
        if rules != MPE:
            gap = _distance(state.pos, state.pos, i, RED, 1)
            if present and trapped == NOT_TRAPPED and gap < close_radius:
                blue -= close_cost
            if rules == SOO:
                red = 5.0 * (red_distance < AT_LANDMARK) + 1.0 * (gap < sight)
            else:
                red = scale * (2.0 * (red_distance < AT_LANDMARK) - red_distance)
        for g in range(blues):
            rewards[1 + g, i] = scale * blue
        rewards[RED, i] = red if present else 0.0


@kernel
def observe(memory, numbers, sizes, agents, games, outs):
    """Write what each of `agents` sees in `games` into its (k, ...) array, as the page says.

    `games` are k indices, or None for all games.
    """
    state, params = unpack(memory, sizes), numbers[0]
    for index in range(agents.size):
        if agents[index] == RED:
            _observe_red(state, params, sizes, games, outs[index])
        else:
            _observe_blue(state, params, sizes, agents[index], games, outs[index])


@inlined
def _observe_blue(state, params, sizes, agent, games, out):
    blues, marks, rules = len(sizes[0]), len(sizes[1]), len(sizes[2])
    pos, landmarks = state.pos, state.landmarks
    facing, flag, reach = params.facing, params.flag, params.sight * params.sight
    me = np.uint64(agent)
    for j in range(out.shape[0] if games is None else games.size):
        # Unsigned: it needs no test for negative indices.
        i = np.uint64(j) if games is None else np.uint64(games[j])
        here = point(pos, i, me)
        put(out, j, 0, point(landmarks, i, np.uint64(state.goal[i])) - here)
        for k in range(marks):
            put(out, j, 2 + 2 * k, point(landmarks, i, k) - here)
        c = 2 + 2 * marks
        red = point(pos, i, RED) - here
        seen = state.present[i] & (squared(red) <= reach)
        if rules == LURE and facing:  # red's head and tail, which show where it looks
            dx, dy = pos[i, RED, 0] - pos[i, me, 0], pos[i, RED, 1] - pos[i, me, 1]
            heading = math.atan2(-dy, -dx) + state.heading[i]
            half = vector(HALF_LENGTH * math.cos(heading), HALF_LENGTH * math.sin(heading))
            put(out, j, c, kept(red + half, seen))
            c += 2
            red = red - half
        put(out, j, c, kept(red, seen))
        c += 2
        trapped = 1.0 if state.trapped[i] != NOT_TRAPPED else 0.0
        if rules == MPE:
            for m in range(1, blues):
                mate = m + (m >= agent)
                put(out, j, c, point(pos, i, mate) - here)
                c += 2
        elif rules == SOO:
            out[j, c] = out[j, c + 1] = trapped
        else:
            out[j, c] = 1.0 if seen else 0.0
            out[j, c + 1] = trapped
            put(out, j, c + 2, point(state.vel, i, me))
            if flag:
                out[j, c + 4] = 1.0 if seen and not state.blind[i] else 0.0


@inlined
def _observe_red(state, params, sizes, games, out):
    blues, marks, rules = len(sizes[0]), len(sizes[1]), len(sizes[2])
    pos, landmarks, reach = state.pos, state.landmarks, params.sight * params.sight
    for j in range(out.shape[0] if games is None else games.size):
        i = np.uint64(j) if games is None else np.uint64(games[j])
        here = point(pos, i, RED)
        for k in range(marks):
            put(out, j, 2 * k, point(landmarks, i, k) - here)
        c = 2 * marks
        sees = not state.blind[i]
        for b in range(1, 1 + blues):
            blue = point(pos, i, b) - here
            put(out, j, c, kept(blue, sees & (squared(blue) <= reach)))
            c += 2
        if rules == LURE:
            out[j, c] = 1.0 if state.trapped[i] != NOT_TRAPPED else 0.0
            put(out, j, c + 1, point(state.vel, i, RED))


@kernel
def label(memory, numbers, sizes, games, truth, belief, blues, others):
    """The outside observer's belief in the goal for each blue, and where everybody is.

    Row `j` of the outputs is game `games[j]`: `truth` (k,); `belief` (k, A - 1); `blues`
    (3, k, A - 1): misled, deciding, at the goal; `others` (5, k): red watches, is at the goal, is
    at a fake, can move, is close to blue and can move.
    """
    state, params = unpack(memory, sizes), numbers[0]
    pos, landmarks, start = state.pos, state.landmarks, state.start_distance
    num_landmarks, close_radius = landmarks.shape[1], params.close_radius
    for j in range(games.size):
        i = games[j]
        goal, present = state.goal[i], state.present[i]
        truth[j] = goal
        for g in range(belief.shape[1]):
            to_goal = _distance(pos, landmarks, i, 1 + g, goal)
            gained = start[i, g, goal] - to_goal
            total = 1.0
            for other in range(num_landmarks - 1):
                k = other + (other >= goal)  # all but the goal, without a branch
                closer = start[i, g, k] - _distance(pos, landmarks, i, 1 + g, k)
                total += math.exp(BELIEF_RATE * (closer - gained))
            belief[j, g] = 1.0 / total
            blues[1, j, g] = not state.arrived[i, g]
            blues[0, j, g] = blues[1, j, g] & (belief[j, g] < MISLED_BELOW)
            blues[2, j, g] = to_goal < AT_LANDMARK
        at_goal = at_fake = False
        for k in range(num_landmarks):
            near = _distance(pos, landmarks, i, RED, k) < AT_LANDMARK
            at_goal |= near & (k == goal)
            at_fake |= near & (k != goal)
        free = present & (state.trapped[i] == NOT_TRAPPED)
        others[0, j] = present & (not state.blind[i])
        others[1, j] = present & at_goal
        others[2, j] = present & at_fake
        others[3, j] = free
        others[4, j] = free & (_distance(pos, pos, i, RED, 1) < close_radius)
