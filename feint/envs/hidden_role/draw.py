"""What a game of HiddenRole looks like: the grid from above, and the talk beside it."""

import math
from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.hidden_role.dynamics import (
    ACCUSE,
    AWAY,
    GLASS,
    NONE,
    PHASES,
    PLACE,
    SILENT,
    TOGETHER,
)

if TYPE_CHECKING:
    from feint.envs.hidden_role.scenario import HiddenRole

#: One colour and one letter for each seat.
COLOURS: tuple[render.Colour, ...] = (
    (47, 106, 189), (56, 142, 60), (224, 142, 11), (126, 87, 194),
    (0, 150, 167), (141, 110, 99), (216, 27, 96), (96, 125, 139),
)  # fmt: skip
QUADRANTS = ("south-west", "south-east", "north-west", "north-east")
_LEFT, _LOW, _WIDE = 0.03, 0.34, 0.6


def draw(game: "HiddenRole", i: int) -> render.Picture:
    """Players by seat (red ring: saboteur; cross: out), stations with progress, sight, talk."""
    state, picture, size = game.state, render.Picture(), game.params.size
    cell = _WIDE / size

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (x + 0.5) * cell, _LOW + (y + 0.5) * cell

    picture.box((_LEFT, _LOW), (_LEFT + _WIDE, _LOW + _WIDE), render.PALE)
    focal = int(state.seat[i, 0])
    fx, fy = state.pos[i, focal].tolist()
    reach = game.params.sight
    low = place(max(fx - reach, 0) - 0.5, max(fy - reach, 0) - 0.5)
    high = place(min(fx + reach, size - 1) + 0.5, min(fy + reach, size - 1) + 0.5)
    picture.box(low, high, render.PAPER)
    middle = (size + 1) // 2 - 0.5
    for a, b in (((-0.5, middle), (size - 0.5, middle)), ((middle, -0.5), (middle, size - 0.5))):
        picture.line(place(*a), place(*b), render.GREY, 0.004)
    for (x, y), done in zip(state.station[i].tolist(), state.progress[i, 0], strict=True):
        a, b = place(x - 0.42, y - 0.42), place(x + 0.42, y + 0.42)
        picture.box(a, b, render.GREY, filled=False)
        if done == 0:
            continue
        share = done / game.params.task_work
        picture.box(a, (a[0] + share * (b[0] - a[0]), a[1] + 0.2 * cell), render.GREEN)
    for s in range(game.num_players):
        _player(game, i, s, picture, place, cell)
    lines = _talk(game, i)
    picture.text(0.5, 0.97, lines[0], size=0.034)
    seats = [line for line in lines if line[1:2] == ":"]
    for row, line in enumerate(seats):
        picture.text(0.5, 0.3 - 0.037 * row, line, COLOURS[ord(line[0]) - ord("A")], 0.028)
    for row, line in enumerate(_legend(game, i)):
        picture.text(0.815, 0.9 - 0.05 * row, line, size=0.026)
    picture.ansi = "\n".join([*_map(game, i), *lines, *_legend(game, i), ""])
    return picture


def _player(game: "HiddenRole", i: int, s: int, picture, place, cell: float) -> None:
    state = game.state
    x, y = state.pos[i, s].tolist()
    sharing = [v for v in range(game.num_players) if (state.pos[i, v] == (x, y)).all()]
    crowd = len(sharing)  # in a ring, each a little smaller
    turn, spread = 2 * math.pi * sharing.index(s) / crowd, 0.0 if crowd == 1 else 0.24
    px, py = place(x + spread * math.cos(turn), y + 0.1 + spread * math.sin(turn))
    radius = (0.26 if crowd < 3 else 0.17) * cell
    if state.saboteur[i, s]:
        picture.circle(px, py, 1.3 * radius, render.RED)
    picture.circle(px, py, radius, COLOURS[s] if state.alive[i, s] else render.GREY)
    picture.text(px, py, _letter(s), render.PAPER, 1.2 * radius)
    if not state.alive[i, s]:
        picture.line((px - radius, py - radius), (px + radius, py + radius), render.INK)
    if state.stuck[i] == s:
        picture.text(px, py - 1.5 * radius, "stuck", render.RED, 0.022)


def _letter(s: int) -> str:
    return chr(ord("A") + s)


def _legend(game: "HiddenRole", i: int) -> list[str]:
    """What does not fit beside a seat."""
    state, labels = game.state, game.compute_labels()
    done = round(100 * float(labels["progress"][i]))
    contact = {TOGETHER: "together", GLASS: "behind the glass", AWAY: "behind the wall"}
    ends = {0: "", 1: "the saboteurs win", -1: "the crew wins"}[int(state.outcome[i])]
    scene = int(state.alarm[i])
    lines = [
        f"focal player: {_letter(int(state.seat[i, 0]))}",
        f"({contact[int(state.contact[i])]})",
        "red ring: saboteur",
        "light cells: what it sees",
        f"work done: {done} %",
        f"belief in its guilt: {labels['belief'][i]:.2f}",
        f"alarm: {QUADRANTS[scene]}" if scene != NONE else "no alarm",
    ]
    return [*lines, ends] if ends else lines


def _talk(game: "HiddenRole", i: int) -> list[str]:
    """The moment, then one line for each seat: who it is, what it said, how it voted."""
    state, phase = game.state, int(game.compute_labels()["phase"][i])
    lines = [f"step {game.clock.step[i]} of {game.horizon}: {PHASES[phase]}"]
    for s in range(game.num_players):
        role = "saboteur" if state.saboteur[i, s] else "crew"
        words = [f"{_letter(s)}: {role}" + ("" if state.alive[i, s] else ", out")]
        claim, vote, players = int(state.claim[i, s]), int(state.vote[i, s]), game.num_players
        if claim >= ACCUSE:
            target = (claim - ACCUSE) % players
            whom = "I am" if target == s else f"{_letter(target)} is"
            what = "a saboteur" if claim < ACCUSE + players else "one of the crew"
            words.append(f'says "{whom} {what}"')
        elif claim != SILENT:
            words.append(f'says "I was {QUADRANTS[claim - PLACE]}"')
        if vote:
            words.append(f"votes for {_letter(vote - 1)}")
        lines.append(", ".join(words))
    return lines


def _map(game: "HiddenRole", i: int) -> list[str]:
    """The grid in letters: players (small: out), digits for stations, dots for free cells."""
    state, size = game.state, game.params.size
    cells = [["."] * size for _ in range(size)]
    for k, (x, y) in enumerate(state.station[i].tolist()):
        cells[y][x] = str(k % 10)
    for s, (x, y) in enumerate(state.pos[i].tolist()):
        cells[y][x] = _letter(s) if state.alive[i, s] else _letter(s).lower()
    return [" ".join(row) for row in reversed(cells)]
