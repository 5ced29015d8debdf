"""What a game of CheapTalk looks like: the scale, theta, what the sender wants, says, and gets."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.cheap_talk.dynamics import CONTEXTS, NONE, RIVAL, SELF

if TYPE_CHECKING:
    from feint.envs.cheap_talk.scenario import CheapTalk

_COLOURS = (render.BLUE, render.GREEN, render.RED)
_LEFT, _WIDTH = 0.07, 0.86
_CELLS, _TOP = 0.42, 0.5  # the strip of messages
_PARTS, _PARTS_TOP = 0.14, 0.2  # the strip of the equilibrium
_COLUMNS = 61  # of the text form


def draw(game: "CheapTalk", i: int) -> render.Picture:
    """Theta (amber) and theta + b (a ring) over the messages' cells; below, the act and the cells.

    The cell that the receiver understands is filled; the lowest strip is the equilibrium.
    """
    state, params, picture = game.state, game.params, render.Picture()
    who = state.context[i]
    colour = _COLOURS[who]
    lines = _talk(game, i)
    for row, line in enumerate(lines):
        picture.text(0.5, 0.93 - 0.07 * row, line, colour if row == 0 else render.INK, 0.032)
    if state.said[i] != NONE:
        meant = 1.0 - state.said[i] if state.mirrored[i] else state.said[i]
        low, high = max(meant - params.half, 0.0), min(meant + params.half, 1.0)
        picture.box((_x(low), _CELLS), (_x(high), _TOP), colour)
        if game.continuous:
            picture.line((_x(meant), _CELLS), (_x(meant), _TOP), render.INK)
    _scale(game, i, picture, colour)
    theta = state.theta[i]
    picture.circle(_x(theta), 0.55, 0.02, render.AMBER)
    picture.text(_x(theta), 0.6, "state", render.AMBER, 0.03)
    if who == RIVAL:
        # Beyond the end of the scale there is nothing to be had: the wish is drawn at its end.
        wish = min(theta + game.bias, 1.0)
        picture.line((_x(theta) + 0.02, 0.55), (_x(wish), 0.55), render.GREY, 0.004)
        picture.circle(_x(wish), 0.55, 0.02, render.BLUE, filled=False)
        picture.text(min(_x(wish), 0.92), 0.65, "state + b", render.BLUE, 0.03)
    if state.act[i] != NONE:
        act = _x(state.act[i])
        picture.line((act, 0.29), (act, 0.35), colour, 0.01)
        picture.circle(act, 0.35, 0.012, colour)
        picture.text(act, 0.26, "act", colour, 0.03)
    for low, high in zip(game.bounds[:-1], game.bounds[1:], strict=True):
        picture.box((_x(low), _PARTS), (_x(high), _PARTS_TOP), render.PALE)
        picture.box((_x(low), _PARTS), (_x(high), _PARTS_TOP), render.GREY, filled=False)
    cells = len(game.bounds) - 1
    told = f"equilibrium: {cells} cell{'s' * (cells > 1)} at b = {game.bias:g}"
    picture.text(0.5, 0.09, told, render.GREY, 0.028)
    picture.ansi = _describe(game, i, lines)
    return picture


def _x(point: float) -> float:
    return _LEFT + _WIDTH * point


def _scale(game: "CheapTalk", i: int, picture: render.Picture, colour: render.Colour) -> None:
    """The messages' cells, numbered as the sender and, where it differs, the receiver reads."""
    if game.continuous:
        picture.box((_x(0.0), _CELLS), (_x(1.0), _TOP), render.INK, filled=False)
        ends = ("1", "0") if game.state.mirrored[i] else ("0", "1")
        for place, name in zip((0.0, 1.0), ends, strict=True):
            picture.text(_x(place), 0.39, name, render.INK, 0.028)
        return
    cells = game.num_messages
    size = min(0.032, 0.45 * _WIDTH / cells)
    for m in range(cells):
        low, high = _x(m / cells), _x((m + 1) / cells)
        picture.box((low, _CELLS), (high, _TOP), render.INK, filled=False)
        picture.text(0.5 * (low + high), 0.46, str(m), render.INK, size)
        if game.state.mirrored[i]:
            picture.text(0.5 * (low + high), 0.39, str(cells - 1 - m), colour, size)


def _talk(game: "CheapTalk", i: int) -> list[str]:
    """Who asks, what the sender says, and what was done."""
    state, labels = game.state, game.compute_labels()
    who = CONTEXTS[state.context[i]]
    alone = state.context[i] == SELF
    if alone:
        lines = [f"nobody asks: I choose for myself; the state is {state.theta[i]:.2f}"]
    else:
        ears = "listens" if state.listens[i] else "does not listen"
        scale = ", reads from the other end" if state.mirrored[i] else ""
        article = "an" if who == "ally" else "a"
        lines = [
            f"{article} {who} asks ({ears}{scale})",
            f"the state is {state.theta[i]:.2f}",
        ]
    if state.said[i] != NONE and not alone:
        number = int(state.said[i] * game.num_messages)
        said = f"{state.said[i]:.2f}" if game.continuous else f"message {number}"
        verdict = "true" if labels["informed"][i] else "false"
        lines.append(f"I say {said}: it means {labels['understood'][i]:.2f}, {verdict}")
    if state.act[i] != NONE:
        goes = "I act" if alone else f"the {who} acts"
        lines.append(f"{goes} at {state.act[i]:.2f}: off by {labels['error'][i]:+z.2f}")
    return lines


def _describe(game: "CheapTalk", i: int, lines: list[str]) -> str:
    """The same in text: the scale with its cells, T for theta, B for theta + b, A for the act."""
    state = game.state

    def row(marks: dict[str, float]) -> str:
        cells = [" "] * _COLUMNS
        for mark, point in marks.items():
            cells[round(point * (_COLUMNS - 1))] = mark
        return "".join(cells).rstrip()

    def strip(ends: list[float]) -> str:
        at = {round(end * (_COLUMNS - 1)) for end in ends}
        return "".join("|" if k in at else "-" for k in range(_COLUMNS))

    wish = {"B": min(state.theta[i] + game.bias, 1.0)} if state.context[i] == RIVAL else {}
    messages = 1 if game.continuous else game.num_messages
    cells = [m / messages for m in range(messages + 1)]
    rows = [row({**wish, "T": state.theta[i]}), strip(cells)]
    if state.act[i] != NONE:
        rows.append(row({"A": state.act[i]}))
    rows += [strip(list(game.bounds)), "T state, B state + b, A act; below: the equilibrium", ""]
    return "\n".join([*lines, *rows])
