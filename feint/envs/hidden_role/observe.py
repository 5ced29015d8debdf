"""What a player sees; where each column stands is in `feint.envs.hidden_role.layout`."""

from feint.envs.hidden_role.dynamics import (
    ACCUSE,
    AWAY,
    NONE,
    PLACE,
    TOGETHER,
    meets,
    near,
    phase_of,
    quadrant,
)
from feint.envs.hidden_role.layout import PER_PLAYER, PER_STATION, SEAT
from feint.envs.kernels import kernel


@kernel
def observe(state, clock, params, horizon, a, games, out):
    """Write what agent `a` sees in `games` into `out` (k, size); `horizon`: steps of an episode."""
    players, stations = state.seat.shape[1], state.station.shape[1]
    scale = 1.0 / (params.size - 1)
    for j in range(games.size):
        i = games[j]
        s, focal, contact = state.seat[i, a], state.seat[i, 0], state.contact[i]
        t, company = clock.step[i], a != 0 or contact != AWAY
        for c in range(out.shape[1]):
            out[j, c] = 0.0
        out[j, phase_of(t, params.round_steps)] = 1.0
        out[j, 3] = min(t / horizon, 1.0)
        out[j, 4] = min(t % (params.round_steps + 2) / params.round_steps, 1.0)
        out[j, 5] = state.saboteur[i, s]
        out[j, 6] = state.alive[i, s]
        out[j, 7] = state.ready[i, s]
        out[j, 8] = a != 0 or contact == TOGETHER
        out[j, 9] = company
        out[j, 10] = state.stuck[i] == s
        if state.alarm[i] != NONE and company:
            out[j, 11 + state.alarm[i]] = 1.0
        x, y = state.pos[i, s, 0], state.pos[i, s, 1]
        out[j, 15 + quadrant(params.size, x, y)] = 1.0
        if state.noted[i, s] != NONE:
            out[j, 19 + state.noted[i, s]] = 1.0
        out[j, 23], out[j, 24] = x * scale, y * scale
        out[j, SEAT + s] = 1.0
        c = SEAT + players
        side = 1 if a == 0 and contact != TOGETHER else 0
        for k in range(stations):
            out[j, c] = (state.station[i, k, 0] - x) * scale
            out[j, c + 1] = (state.station[i, k, 1] - y) * scale
            out[j, c + 2] = state.progress[i, side, k] / params.task_work
            c += PER_STATION
        said = c + PER_PLAYER * players
        for v in range(players):
            mine, heard = v == s, v == s or meets(contact, focal, s, v)
            if mine or company:  # the list of players, which everybody in the crew's world has
                out[j, c + 3] = state.alive[i, v]
                known = state.saboteur[i, s] or not state.alive[i, v]
                out[j, c + 4] = known and state.saboteur[i, v]
            if heard and not mine and state.alive[i, v]:
                if near(state.pos, i, s, v, params.sight):
                    out[j, c] = 1.0
                    out[j, c + 1] = (state.pos[i, v, 0] - x) * scale
                    out[j, c + 2] = (state.pos[i, v, 1] - y) * scale
                    out[j, c + 5] = state.stuck[i] == v
            if heard:
                out[j, c + 6] = state.witnessed[i, s, v]
                claim, seen = state.claim[i, v], state.saw[i, s, v]
                if PLACE <= claim < ACCUSE:
                    out[j, c + 8 + claim - PLACE] = 1.0
                    out[j, c + 7] = seen != NONE and seen != claim - PLACE
                elif claim >= ACCUSE:
                    accuses = claim < ACCUSE + players
                    target = (claim - ACCUSE) % players
                    out[j, said + players * v + target] = 1.0 if accuses else -1.0
                if state.vote[i, v] > 0 and company:
                    votes = c + PER_PLAYER * (state.vote[i, v] - 1 - v) + 12
                    out[j, votes] += 1.0 / players
            c += PER_PLAYER
        c = said + players * players
        for n in range(state.nuisance.shape[1]):
            out[j, c + n] = state.nuisance[i, n]
