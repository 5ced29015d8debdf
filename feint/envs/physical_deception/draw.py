"""What a game of PhysicalDeception looks like from above."""

import math
from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.physical_deception.rules import AT_LANDMARK, HALF_LENGTH, NOT_TRAPPED

if TYPE_CHECKING:
    from feint.envs.physical_deception.scenario import PhysicalDeception

_REACH = 1.35  # metres from the centre to the picture's edge


def _place(point) -> tuple[float, float]:
    return 0.5 + 0.5 * float(point[0]) / _REACH, 0.54 + 0.46 * float(point[1]) / _REACH


def draw(game: "PhysicalDeception", i: int) -> render.Picture:
    """Landmarks (green: the goal), red, the blues, and the onlooker's belief as a bar."""
    state, picture = game.state, render.Picture()
    at = AT_LANDMARK / (2 * _REACH)
    for k in range(game.num_landmarks):
        goal = k == state.goal[i]
        x, y = _place(state.landmarks[i, k])
        picture.circle(x, y, at, render.PALE)
        picture.circle(x, y, at / 2, render.GREEN if goal else render.GREY)
        picture.text(x, y - at - 0.02, "goal" if goal else "fake", render.INK, 0.03)
    if state.present[i]:
        _draw_red(game, i, picture)
    for a in range(1, len(game.agents)):
        x, y = _place(state.pos[i, a])
        tail = (state.pos[i, a] - 0.15 * state.vel[i, a]).tolist()
        picture.line(_place(tail), (x, y), render.BLUE)
        picture.circle(x, y, 0.022, render.BLUE)
    labels = game.compute_labels()
    belief = float(labels["belief"].reshape(game.num_envs, -1)[i, 0])
    picture.box((0.1, 0.025), (0.9, 0.05), render.PALE)
    picture.box((0.1, 0.025), (0.1 + 0.8 * belief, 0.05), render.AMBER)
    picture.text(0.5, 0.075, f"onlooker's belief in the goal: {belief:.2f}", size=0.03)
    picture.ansi = _describe(game, i, belief)
    return picture


def _draw_red(game: "PhysicalDeception", i: int, picture: render.Picture) -> None:
    state = game.state
    colour = render.GREY if state.blind[i] else render.RED
    x, y = _place(state.pos[i, 0])
    if game.params.facing:
        dx, dy = state.pos[i, 1] - state.pos[i, 0]
        heading = math.atan2(dy, dx) + state.heading[i]
        step = (HALF_LENGTH * math.cos(heading), HALF_LENGTH * math.sin(heading))
        picture.line(_place(state.pos[i, 0] - step), _place(state.pos[i, 0] + step), colour)
        picture.circle(*_place(state.pos[i, 0] + step), 0.01, colour)
    picture.circle(x, y, 0.022, colour)
    if state.trapped[i] != NOT_TRAPPED:
        picture.circle(x, y, 0.032, render.INK, filled=False)
    picture.text(x, y + 0.045, "blind" if state.blind[i] else "red", colour, 0.028)


def _describe(game: "PhysicalDeception", i: int, belief: float) -> str:
    state, size = game.state, 21
    grid = [["." for _ in range(size)] for _ in range(size)]

    def put(point, mark: str) -> None:
        column = round((float(point[0]) / _REACH + 1.0) / 2.0 * (size - 1))
        row = round((1.0 - float(point[1]) / _REACH) / 2.0 * (size - 1))
        if 0 <= row < size and 0 <= column < size:
            grid[row][column] = mark

    for k in range(game.num_landmarks):
        put(state.landmarks[i, k], "G" if k == state.goal[i] else "x")
    if state.present[i]:
        put(state.pos[i, 0], "r" if state.blind[i] else "R")
    for a in range(1, len(game.agents)):
        put(state.pos[i, a], "B")
    lines = [" ".join(row) for row in grid]
    return "\n".join([*lines, f"belief in the goal {belief:.2f}; step {game.clock.step[i]}", ""])
