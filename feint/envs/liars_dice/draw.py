"""What a game of LiarsDice looks like: everybody's dice by seat, and the bids in order."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.table import NONE

if TYPE_CHECKING:
    from feint.envs.liars_dice.scenario import LiarsDice

_PIPS = {
    1: ((0, 0),),
    2: ((-1, 1), (1, -1)),
    3: ((-1, 1), (0, 0), (1, -1)),
    4: ((-1, 1), (1, 1), (-1, -1), (1, -1)),
    5: ((-1, 1), (1, 1), (0, 0), (-1, -1), (1, -1)),
    6: ((-1, 1), (1, 1), (-1, 0), (1, 0), (-1, -1), (1, -1)),
}


def draw(game: "LiarsDice", i: int) -> render.Picture:
    """Dice by seat, player_0's in blue, those that match the standing bid in amber; the talk."""
    state, players, picture = game.state, game.players, render.Picture()
    lines = _talk(game, i)
    for row, line in enumerate(lines):
        picture.text(0.5, 0.94 - 0.07 * row, line, render.INK, 0.034)
    face = state.bid[i] % game.sides + 1 if state.bid[i] != NONE else 0
    rows = []
    step = min(0.16, 0.55 / players)
    size = min(0.35 * step, 0.25 / game.dice_per_player)
    for seat in range(players):
        agent = (seat - state.seat[i]) % players
        colour = render.BLUE if agent == 0 else render.INK
        y = 0.6 - step * seat
        picture.text(0.16, y, game.agents[agent], colour, 0.036)
        faces = [f + 1 for f in range(game.sides) for _ in range(state.hand[i, agent, f])]
        for d, die in enumerate(faces):
            x = 0.36 + 2.6 * size * d
            counts = face and die in (face, game.sides)
            _die(picture, x, y, size, die, render.AMBER if counts else colour)
        end = ("0", "+1", "-1")[int(state.payoff[i, agent])] if state.over[i] else ""
        picture.text(0.92, y, end, colour, 0.045)
        rows.append(f"{game.agents[agent]:<9} {' '.join(f'[{d}]' for d in faces)}  {end}".rstrip())
    picture.ansi = "\n".join([*lines, *rows, ""])
    return picture


def _die(picture: render.Picture, x: float, y: float, size: float, die: int, colour) -> None:
    low, high = (x - size, y - size), (x + size, y + size)
    picture.box(low, high, render.PALE)
    picture.box(low, high, colour, filled=False)
    if die not in _PIPS:
        picture.text(x, y, str(die), colour, size)
        return
    for dx, dy in _PIPS[die]:
        picture.circle(x + 0.55 * size * dx, y + 0.55 * size * dy, 0.17 * size, colour)


def _talk(game: "LiarsDice", i: int) -> list[str]:
    """Who listens, the bids in order, and how it ended."""
    state, players = game.state, game.players
    if state.listens[i]:
        who = "the others listen"
    else:
        who = "the others do not listen" if state.present[i] else "a machine plays the others"
    lines = [who + (", player_0 sees all dice" if state.shown[i] else "")]
    bids = [int(b) for b in state.made[i].nonzero()[0]]
    said = []
    for move, bid in enumerate(bids):
        agent = (move - state.seat[i]) % players
        said.append(f"{agent}: {bid // game.sides + 1} x {bid % game.sides + 1}")
    shown = (["..."] if len(said) > 4 else []) + said[-4:]
    if state.over[i]:
        last = (state.moves[i] - 1 - state.seat[i]) % players
        shown.append(f"{last}: {'illegal' if state.forfeit[i] != NONE else 'liar!'}")
    lines.append(",  ".join(shown) or "nobody has bid")
    if state.bids[i]:
        lines.append(f"belief in the truth about player_0's dice {state.belief[i]:.2f}")
    return lines
