"""What a game of PhysicalDeception looks like from above."""

import math
from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.physical_deception.rules import AT_LANDMARK, HALF_LENGTH, NOT_TRAPPED

if TYPE_CHECKING:
    from feint.envs.physical_deception.scenario import PhysicalDeception

_REACH = 1.35  # metres from the centre to the picture's edge
_SCALE = 0.43 / _REACH  # of the picture's width per metre, the same along both axes


def _place(point) -> tuple[float, float]:
    return 0.5 + _SCALE * float(point[0]), 0.53 + _SCALE * float(point[1])


def draw(game: "PhysicalDeception", i: int) -> render.Picture:
    """Landmarks (green: the goal), red, the blues, and the onlooker's belief as a bar."""
    state, picture = game.state, render.Picture()
    picture.box(_place((-1.0, -1.0)), _place((1.0, 1.0)), render.PALE, filled=False)
    at = AT_LANDMARK * _SCALE
    for k in range(game.num_landmarks):
        x, y = _place(state.landmarks[i, k])
        picture.circle(x, y, at, render.PALE)
        picture.circle(x, y, at / 2, render.GREEN if k == state.goal[i] else render.GREY)
    if state.present[i]:
        _draw_red(game, i, picture)
    for a in range(1, len(game.agents)):
        x, y = _place(state.pos[i, a])
        tail = (state.pos[i, a] - 0.15 * state.vel[i, a]).tolist()
        picture.line(_place(tail), (x, y), render.BLUE)
        picture.circle(x, y, 0.022, render.BLUE)
    for k in range(game.num_landmarks):  # after the agents, who would cover them
        x, y = _place(state.landmarks[i, k])
        picture.text(x, y - at - 0.02, "goal" if k == state.goal[i] else "fake", size=0.032)
    doing = _doing(game, i)
    picture.text(0.5, 0.97, f"step {game.clock.step[i]}: {doing}", render.RED, 0.036)
    labels = game.compute_labels()
    belief = float(labels["belief"].reshape(game.num_envs, -1)[i, 0])
    picture.box((0.1, 0.02), (0.9, 0.045), render.PALE)
    picture.box((0.1, 0.02), (0.1 + 0.8 * belief, 0.045), render.AMBER)
    picture.text(0.5, 0.07, f"onlooker's belief in the goal: {belief:.2f}", size=0.032)
    picture.ansi = _describe(game, i, doing, belief)
    return picture


def _doing(game: "PhysicalDeception", i: int) -> str:
    """What red is up to, in words."""
    state = game.state
    if not state.present[i]:
        return "red is absent"
    if state.trapped[i] != NOT_TRAPPED:
        return f"red is trapped at the {'goal' if state.trapped[i] == state.goal[i] else 'fake'}"
    return "red is blind to blue" if state.blind[i] else "red watches blue"


def _draw_red(game: "PhysicalDeception", i: int, picture: render.Picture) -> None:
    """A disc; hollow when blind, ringed when trapped; a facing red with its head before it."""
    state = game.state
    x, y = _place(state.pos[i, 0])
    if game.params.facing:
        dx, dy = state.pos[i, 1] - state.pos[i, 0]
        heading = math.atan2(dy, dx) + state.heading[i]
        step = (HALF_LENGTH * math.cos(heading), HALF_LENGTH * math.sin(heading))
        picture.line(_place(state.pos[i, 0] - step), _place(state.pos[i, 0] + step), render.RED)
        picture.circle(*_place(state.pos[i, 0] + step), 0.012, render.RED)
    picture.circle(x, y, 0.022, render.RED)
    if state.blind[i]:
        picture.circle(x, y, 0.014, render.PAPER)
    if state.trapped[i] != NOT_TRAPPED:
        picture.circle(x, y, 0.032, render.INK, filled=False)


def _describe(game: "PhysicalDeception", i: int, doing: str, belief: float) -> str:
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
    story = f"step {game.clock.step[i]}: {doing}; onlooker's belief in the goal {belief:.2f}"
    return "\n".join([*lines, story, ""])
