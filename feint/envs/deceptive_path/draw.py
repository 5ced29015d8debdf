"""What a game of DeceptivePath looks like: the map, the path in the colours of belief, the bars."""

from typing import TYPE_CHECKING

import numpy as np

from feint.envs import render
from feint.envs.deceptive_path.dynamics import NONE
from feint.envs.deceptive_path.maps import LETTERS
from feint.metrics.paths import goal_posterior

if TYPE_CHECKING:
    from feint.envs.deceptive_path.scenario import DeceptivePath

_WALL: render.Colour = (104, 112, 120)
_LEFT, _LOW, _HIGH = 0.04, 0.13, 0.89  # the map's frame, in the picture's width


def draw(game: "DeceptivePath", i: int) -> render.Picture:
    """The map (green: the goal), the path from red (deceived) to green (told), and the bars."""
    state, pool, picture = game.state, game.pool, render.Picture()
    rows, columns = pool.shape
    m, truth = int(state.map[i]), int(state.goal[i])
    pitch = min((_HIGH - _LOW) / rows, 0.76 / columns)
    top = 0.5 * (_HIGH + _LOW + rows * pitch)

    def middle(cell: int) -> tuple[float, float]:
        row, column = divmod(int(cell), columns)
        return _LEFT + (column + 0.5) * pitch, top - (row + 0.5) * pitch

    half, closed = 0.5 * pitch, np.isinf(pool.costs[m, :, 0])
    for cell in range(rows * columns):
        x, y = middle(cell)
        if closed[cell]:
            picture.box((x - half, y - half), (x + half, y + half), _WALL)
        else:
            picture.circle(x, y, 0.05 * pitch, render.PALE)
    frame = (_LEFT, top - rows * pitch), (_LEFT + columns * pitch, top)
    picture.box(*frame, render.GREY, filled=False)
    x, y = middle(pool.start[m])
    picture.circle(x, y, 0.36 * pitch, render.INK, filled=False)
    picture.text(x, y, "S", render.INK, 0.5 * pitch)
    if state.friend[i] and pool.post[m] != pool.start[m]:
        x, y = middle(pool.post[m])
        picture.circle(x, y, 0.4 * pitch, render.BLUE, filled=bool(state.waits[i]))
        picture.text(x, y, "H", render.PAPER if state.waits[i] else render.BLUE, 0.5 * pitch)
    for g, cell in enumerate(pool.goals[m]):
        x, y = middle(cell)
        picture.circle(x, y, 0.44 * pitch, render.GREEN if g == truth else render.GREY)
    _draw_trail(game, i, picture, middle, pitch)
    for g, cell in enumerate(pool.goals[m]):  # after the path, which would cover them
        picture.text(*middle(cell), LETTERS[g], render.PAPER, 0.55 * pitch)
    posterior = game.posterior()[i] if state.sees[i] else None
    _draw_bars(game, i, picture, posterior)
    lines = _story(game, i)
    picture.text(0.5, 0.955, lines[0], render.RED if _foe(game, i) else render.INK, 0.034)
    picture.text(0.5, 0.045, lines[1], render.INK, 0.03)
    picture.ansi = "\n".join([*_rows(game, i), *lines, _beliefs(posterior), ""])
    return picture


def _draw_trail(game: "DeceptivePath", i: int, picture: render.Picture, middle, pitch) -> None:
    """The path, each step coloured by what an onlooker made of the cell it led to."""
    pool, m = game.pool, int(game.state.map[i])
    trail = game.state.trail[i, : game.clock.step[i] + 1]
    costs = pool.costs[m, :, : game.num_goals]
    start = np.broadcast_to(costs[pool.start[m]], costs[trail].shape)
    moved = np.hypot(*(np.diff(part) for part in np.divmod(trail, pool.shape[1])))
    spent = np.concatenate([[0.0], np.cumsum(np.maximum(moved, 1.0))])  # a bump costs 1
    belief = goal_posterior(
        start, costs[trail], game.beta, spent=spent, recogniser=game.recogniser
    )[:, game.state.goal[i]]
    for a, b, p in zip(trail[:-1], trail[1:], belief[1:], strict=True):
        (x0, y0), (x1, y1) = middle(a), middle(b)
        # Out and back lie side by side: each keeps to the right of its way.
        dx, dy = 0.12 * (y1 - y0), -0.12 * (x1 - x0)
        ends = (x0 + dx, y0 + dy), (x1 + dx, y1 + dy)
        picture.line(*ends, _colour(p), 0.2 * pitch)
        picture.circle(*ends[1], 0.1 * pitch, _colour(p))
    x, y = middle(game.state.cell[i])
    picture.circle(x, y, 0.3 * pitch, render.PAPER)
    picture.circle(x, y, 0.25 * pitch, _colour(belief[-1]) if len(trail) > 1 else render.INK)


def _draw_bars(game: "DeceptivePath", i: int, picture: render.Picture, posterior) -> None:
    """One bar for each goal, as tall as the observer's belief in it."""
    state, left = game.state, 0.835
    width = min(0.05, 0.15 / game.num_goals)
    picture.text(0.91, 0.87, "belief", render.INK, 0.03)
    for g in range(game.num_goals):
        low = 0.2
        x = left + (g + 0.5) * 0.15 / game.num_goals
        box = (x - 0.4 * width, low), (x + 0.4 * width, low + 0.6)
        picture.box(*box, render.PALE)
        colour = render.GREEN if g == state.goal[i] else render.GREY
        if posterior is not None:
            picture.box(box[0], (box[1][0], low + 0.6 * float(posterior[g])), colour)
        picture.text(x, low - 0.03, LETTERS[g], colour, 0.034)
        if state.guess[i] == g:
            picture.text(x, low + 0.63, "?", render.RED, 0.034)
    for k in range(12):
        x = left + 0.15 * k / 12
        picture.line((x, 0.105), (x + 0.013, 0.105), _colour((k + 0.5) / 12), 0.012)
    picture.text(0.91, 0.128, "the path:", render.INK, 0.022)
    picture.text(0.91, 0.082, "deceived ... told", render.INK, 0.022)


def _colour(belief: float) -> render.Colour:
    """From red (a false belief) over amber (no idea) to green (the truth)."""
    low, high = (render.RED, render.AMBER) if belief < 0.5 else (render.AMBER, render.GREEN)
    t = 2.0 * belief if belief < 0.5 else 2.0 * belief - 1.0
    r, g, b = (round((1.0 - t) * x + t * y) for x, y in zip(low, high, strict=True))
    return r, g, b


def _foe(game: "DeceptivePath", i: int) -> bool:
    return bool(game.state.present[i] and not game.state.friend[i])


def _story(game: "DeceptivePath", i: int) -> list[str]:
    """Who watches and what it guesses; how far the walker is."""
    state, m = game.state, int(game.state.map[i])
    who = "nobody is there"
    if state.present[i]:
        kind = "a friend" if state.friend[i] else "a foe"
        who = f"{kind} {'watches' if state.sees[i] else 'sees nothing'}"
    guess = int(state.guess[i])
    if guess != NONE:
        verdict = "right" if guess == state.goal[i] else "wrong"
        who += f", guesses {LETTERS[guess]}: {verdict}"
    best = game.pool.costs[m, game.pool.start[m], state.goal[i]]
    doing = "arrived at" if state.arrived[i] else "on the way to"
    way = f"{doing} {LETTERS[state.goal[i]]}, cost {state.spent[i]:.4g} (best way: {best:.4g})"
    return [f"step {game.clock.step[i]}: {who}", way]


def _rows(game: "DeceptivePath", i: int) -> list[str]:
    state, pool = game.state, game.pool
    rows, columns = pool.shape
    m = int(state.map[i])
    marks = np.where(np.isinf(pool.costs[m, :, 0]), "#", ".")
    marks[pool.start[m]] = "S"
    marks[state.trail[i, 1 : game.clock.step[i] + 1]] = "+"
    if state.waits[i]:
        marks[pool.post[m]] = "H"
    for g, cell in enumerate(pool.goals[m]):
        marks[cell] = LETTERS[g]
    marks[state.cell[i]] = "@"
    return [" ".join(row) for row in marks.reshape(rows, columns)]


def _beliefs(posterior) -> str:
    if posterior is None:
        return "belief: no idea"
    return "belief: " + ", ".join(
        f"{letter} {p:.2f}" for letter, p in zip(LETTERS, posterior, strict=False)
    )
