"""What a game in words looks like: RoomSignal's picture above, prompt and answer below."""

import re
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

from feint.envs import render

if TYPE_CHECKING:
    from feint.envs.text.scenario import TextSignal

_LINE, _WIDTH, _LOWEST = 0.026, 78, 0.015


def draw(game: "TextSignal", i: int, rooms: render.Picture) -> render.Picture:
    """`rooms`, RoomSignal's picture of game `i`, at half size, with the sentences under it."""
    prompt, answer, names = str(game.observe_agent("sender_0")[i]), game.said(i), game.rooms_of(i)
    picture = render.Picture()

    def named(text: str) -> str:
        text = text.replace("numbers below the rooms: as counted", "below the rooms: names as used")
        return re.sub(r"\broom ([01])\b", lambda found: f"the {names[int(found[1])]}", text)

    for shape in rooms.shapes:
        points = tuple((0.25 + 0.5 * x, 0.5 + 0.5 * y) for x, y in shape.points)
        label = shape.text in ("0", "1")
        text = names[int(shape.text)] if label else named(shape.text)
        size = (0.75 if shape.kind == "text" and not label else 0.55) * shape.size
        picture.shapes.append(replace(shape, points=points, size=size, text=text))
    lines = [(line, render.INK) for part in prompt.split("\n") for line in _wrap(part)]
    if answer is not None:
        lines += [(line, render.BLUE) for line in _wrap(f"> {answer}")]
    y = 0.5
    for line, colour in lines:
        if y < _LOWEST:
            break
        picture.text(0.5, y, line, colour, 0.021)
        y -= _LINE
    spoken = "" if answer is None else f"> {answer}\n"
    picture.ansi = f"{prompt}\n{spoken}\n{named(rooms.ansi)}"
    return picture


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)
