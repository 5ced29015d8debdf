"""Maps: drawn at random or read from text, with the optimal costs from everywhere to everything.

A cell is an index `row * width + column`, row 0 at the top. Costs are 1 for a straight move and the
root of 2 for a diagonal one, which may not cut a corner.
"""

import math
import string
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from feint.envs.kernels import kernel
from feint.envs.rng import uniform4

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
"""(rows, columns) of each action: north, east, south, west, then the diagonals from north-east."""

LETTERS = string.ascii_uppercase[:8]
"""What goals are called, by index."""

TRIES = 4000
#: On an accepted map one can lie: the radius of maximum probability of each goal (Masters & Sardina
#: 2017), the part of the way that nobody can hide, is at most this share of the way to it ...
RADIUS_SHARE = 0.5
#: ... and tell the truth: some best way has at most this share of cells that are not truthful.
DOUBT_SHARE = 1.0 / 3.0


class Pool(NamedTuple):
    """Maps that a batch of games shares, read only; L = number of goals + 1 landmarks."""

    shape: tuple[int, int]  #: rows, columns
    goals: np.ndarray  #: (maps, num_goals) int64 cells
    start: np.ndarray  #: (maps,) int64 cells
    post: np.ndarray  #: (maps,) int64 cells, where a friend waits; the start if there is none
    landing: np.ndarray  #: (maps, cells, moves) int32, where a move ends: in place before a wall
    costs: np.ndarray  #: (maps, cells, L) float64, optimal costs to the goals and the post; or inf
    move_cost: np.ndarray  #: (moves,) float64


# -- costs ------------------------------------------------------------------------------------


def move_costs(diagonal: bool) -> np.ndarray:
    """Cost of each action, (4,) or (8,) float64."""
    return np.array([math.hypot(*move) for move in MOVES[: 8 if diagonal else 4]])


@kernel
def land(walls, rows, columns, landing):
    """Fill `landing` (cells, moves) of one map from its `walls` (cells,) bool."""
    step = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
    for cell in range(rows * columns):
        row, column = cell // columns, cell % columns
        for a in range(landing.shape[1]):
            r, c = row + step[a][0], column + step[a][1]
            landing[cell, a] = cell
            if walls[cell] or r < 0 or c < 0 or r >= rows or c >= columns:
                continue
            if walls[r * columns + c] or walls[row * columns + c] or walls[r * columns + column]:
                continue
            landing[cell, a] = r * columns + c


@kernel
def spread(landing, move_cost, extra, avoid, target, out):
    """Least costs from every cell to `target` into `out` (cells,); inf where there is no way.

    A move costs `move_cost` and the `extra` (cells,) of the cell it enters; `avoid` (a cell or -1)
    is not entered. Sweeps to and fro until nothing changes: in open country two are enough.
    """
    cells = out.size
    for cell in range(cells):
        out[cell] = np.inf
    out[target] = 0.0
    forward, changed = True, True
    while changed:
        changed = False
        for k in range(cells):
            cell = k if forward else cells - 1 - k
            for a in range(move_cost.size):
                there = landing[cell, a]
                if there == cell or there == avoid:
                    continue
                cost = out[there] + move_cost[a] + extra[there]
                if cost < out[cell] - 1e-12:
                    out[cell] = cost
                    changed = True
        forward = not forward


# -- maps at random ---------------------------------------------------------------------------


@kernel
def draw_map(seed, index, density, rows, columns, move_cost, places, landing, costs):
    """Draw map `index` of a pool; whether one was found.

    `places` (num_goals + 2,) gets the cells of goals, post and start; `costs` is
    (num_goals + 2, cells), in the same order. Walls are independent; what cannot be reached from
    the start becomes wall, so that every map is connected.
    """
    cells, num_goals = rows * columns, places.size - 2
    least = (rows + columns) / 3.0
    walls, extra = np.zeros(cells, np.bool_), np.zeros(cells)
    start = num_goals + 1
    for attempt in range(TRIES):
        for k in range(0, cells, 4):
            draws = uniform4(seed, index, attempt, k)
            for d in range(min(4, cells - k)):
                walls[k + d] = draws[d] < density
        places[start] = int(uniform4(seed, index, attempt, cells)[0] * cells)
        if walls[places[start]]:
            continue
        land(walls, rows, columns, landing)
        spread(landing, move_cost, extra, -1, places[start], costs[start])
        free = 0
        for k in range(cells):
            walls[k] = costs[start, k] == np.inf
            free += 0 if walls[k] else 1
        if free < 0.5 * (1.0 - density) * cells:
            continue
        placed = True
        for g in range(num_goals + 1):
            placed = placed and _place(
                seed, index, attempt, g, least, landing, move_cost, extra, places, costs
            )
        if placed and _leaves_a_choice(landing, move_cost, extra, places, costs):
            land(walls, rows, columns, landing)
            return True
    return False


@kernel
def _place(seed, index, attempt, g, least, landing, move_cost, extra, places, costs):
    """Put goal `g`, or after the last goal the post, where it is far enough from all else."""
    cells, num_goals = costs.shape[1], places.size - 2
    start = num_goals + 1
    for k in range(8):
        draws = uniform4(seed, index, attempt, cells + 1 + 8 * g + k)
        for d in range(4):
            cell = int(draws[d] * cells)
            if costs[start, cell] == np.inf:
                continue
            fits = True
            if g < num_goals:
                fits = costs[start, cell] >= least
                for h in range(g):
                    fits = fits and costs[h, cell] >= least
            else:
                # The post lies on no best way to a goal, so that going there is a choice, and no
                # goal on a best way to the post, since the walker would end there.
                for h in range(num_goals):
                    out, on, way = costs[start, cell], costs[h, cell], costs[start, places[h]]
                    fits = fits and out + on >= way + 2.0 and way + on > out + 1e-6
            if fits:
                places[g] = cell
                spread(landing, move_cost, extra, -1, cell, costs[g])
                return True
    return False


@kernel
def _leaves_a_choice(landing, move_cost, extra, places, costs):
    """Whether each goal can be both hidden and shown; see `RADIUS_SHARE` and `DOUBT_SHARE`.

    `extra` (cells,) are zeros, and zeros again afterwards.
    """
    num_goals, cells = places.size - 2, extra.size
    start = num_goals + 1
    doubt = np.empty(cells)
    for g in range(num_goals):
        way, radius = costs[start, places[g]], np.inf
        for h in range(num_goals):
            if h != g:
                rival = 0.5 * (way + costs[h, places[g]] - costs[start, places[h]])
                radius = min(radius, rival)
        if radius > RADIUS_SHARE * way:
            return False
        for cell in range(cells):
            ahead = costs[g, cell] - way
            for h in range(num_goals):
                if h != g and costs[h, cell] - costs[start, places[h]] < ahead + 1e-9:
                    extra[cell] = 1e-6
        spread(landing, move_cost, extra, -1, places[g], doubt)
        for cell in range(cells):
            extra[cell] = 0.0
        if doubt[places[start]] - way > 1e-6 * DOUBT_SHARE * way:
            return False
    return True


@lru_cache(maxsize=16)
def random_pool(
    seed: int, num_maps: int, size: int, num_goals: int, density: float, diagonal: bool
) -> Pool:
    """A pool of maps of `size` by `size` cells, the same for the same arguments.

    Raises:
        ValueError: if no map is found that keeps goals far enough apart.
    """
    cells, move_cost = size * size, move_costs(diagonal)
    places = np.zeros((num_maps, num_goals + 2), np.int64)
    landing = np.zeros((num_maps, cells, move_cost.size), np.int32)
    costs = np.zeros((num_maps, num_goals + 2, cells))
    for m in range(num_maps):
        if not draw_map(
            np.uint64(seed), m, density, size, size, move_cost, places[m], landing[m], costs[m]
        ):
            raise ValueError(
                f"no map of size={size} with num_goals={num_goals} and density={density:g} has "
                "its goals far enough apart: use a larger size, fewer goals or a lower density"
            )
    return _frozen((size, size), places, landing, costs, move_cost)


def _frozen(shape, places, landing, costs, move_cost) -> Pool:
    pool = Pool(
        shape=shape,
        goals=np.ascontiguousarray(places[:, :-2]),
        start=places[:, -1].copy(),
        post=places[:, -2].copy(),
        landing=landing,
        costs=np.ascontiguousarray(costs[:, :-1].transpose(0, 2, 1)),
        move_cost=move_cost,
    )
    for array in pool[1:]:
        array.flags.writeable = False
    return pool


# -- maps from text ---------------------------------------------------------------------------


@lru_cache(maxsize=16)
def text_pool(text: str, diagonal: bool) -> Pool:
    """The pool of one map that `text` draws: walls `#`, free `.`, start `S`, goals, post `H`.

    Raises:
        ValueError: saying what is wrong with the map, and where.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("map is empty: draw it with '#', '.', 'S' and goals 'A', 'B', ...")
    rows, columns = len(lines), len(lines[0])
    found: dict[str, list[int]] = {}
    for row, line in enumerate(lines):
        if len(line) != columns:
            raise ValueError(
                f"map: line {row + 1} has {len(line)} cells, but the first has {columns}"
            )
        for column, mark in enumerate(line):
            if mark not in "#.SGABCDH":
                raise ValueError(
                    f"map: unknown character {mark!r} in line {row + 1}, column {column + 1}; "
                    "there are '#', '.', 'S', 'A' to 'D' (or 'G'), and 'H'"
                )
            found.setdefault(mark, []).append(row * columns + column)
    places = _places(found)
    walls = np.zeros(rows * columns, np.bool_)
    walls[found.get("#", [])] = True
    move_cost = move_costs(diagonal)
    landing = np.zeros((1, rows * columns, move_cost.size), np.int32)
    land(walls, rows, columns, landing[0])
    costs = np.zeros((1, len(places), rows * columns))
    for k, cell in enumerate(places):
        spread(landing[0], move_cost, np.zeros(rows * columns), -1, cell, costs[0, k])
    for k, cell in enumerate(places[:-1]):
        if np.isinf(costs[0, -1, cell]):
            what = "the post 'H'" if k == len(places) - 2 else f"goal {LETTERS[k]}"
            raise ValueError(
                f"map: {what} in line {cell // columns + 1}, column {cell % columns + 1} "
                "cannot be reached from 'S'"
            )
    return _frozen((rows, columns), np.array([places]), landing, costs, move_cost)


def _places(found: dict[str, list[int]]) -> list[int]:
    """Cells of the goals, the post and the start, from where each character stands."""
    if len(found.get("S", ())) != 1:
        raise ValueError(f"map needs one start 'S', got {len(found.get('S', ()))}")
    named = {mark: found[mark] for mark in "ABCD" if mark in found}
    if named and "G" in found:
        raise ValueError("map names goals 'A', 'B', ... and has 'G' too: use one or the other")
    goals = found.get("G", []) if not named else [cells[0] for cells in named.values()]
    for mark, cells in named.items():
        if len(cells) > 1:
            raise ValueError(f"map has goal {mark!r} {len(cells)} times: name each goal once")
    if list(named) != list("ABCD"[: len(named)]):
        raise ValueError(f"map: goals must be named from 'A' on, got {', '.join(named)}")
    if not 2 <= len(goals) <= len(LETTERS):
        raise ValueError(f"map needs 2 to {len(LETTERS)} goals, got {len(goals)}")
    if len(found.get("H", ())) > 1:
        raise ValueError(f"map may have one post 'H', got {len(found['H'])}")
    return [*goals, found.get("H", found["S"])[0], found["S"][0]]
