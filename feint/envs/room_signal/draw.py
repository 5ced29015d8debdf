"""What a game of RoomSignal looks like: the rooms in a row, who asks, what is said, who went."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.room_signal.dynamics import CONTEXTS, NONE, SELF

if TYPE_CHECKING:
    from feint.envs.room_signal.scenario import RoomSignal

_COLOURS = (render.BLUE, render.GREEN, render.RED)


def draw(game: "RoomSignal", i: int) -> render.Picture:
    """Rooms (amber: the treasure) numbered as each side counts them, and the talk above them."""
    state, picture = game.state, render.Picture()
    colour = _COLOURS[state.context[i]]
    lines = _talk(game, i)
    for row, line in enumerate(lines):
        picture.text(0.5, 0.92 - 0.08 * row, line, colour if row == 0 else render.INK, 0.034)
    pitch = 0.9 / game.num_rooms
    size = 0.8 * pitch
    digits = min(0.045, 0.4 * size)
    for room in range(game.num_rooms):
        left = 0.05 + room * pitch + 0.1 * pitch
        middle = left + size / 2
        picture.box((left, 0.3), (left + size, 0.3 + size), render.PALE)
        picture.box((left, 0.3), (left + size, 0.3 + size), render.INK, filled=False)
        if room == state.asked[i]:
            picture.circle(middle, 0.3 + 0.65 * size, 0.18 * size, render.AMBER)
            picture.text(middle, 0.33 + size, "treasure", render.AMBER, 0.03)
        picture.text(middle, 0.3 + 0.2 * size, str(room), render.INK, digits)
        if state.back_door[i]:
            picture.text(middle, 0.26, str(game.num_rooms - 1 - room), colour, digits)
        if room == state.reached[i]:
            picture.circle(middle, 0.18, min(0.04, 0.3 * size), colour)
    if state.back_door[i]:
        picture.text(
            0.5, 0.08, "numbers below the rooms: as counted from the back door", colour, 0.026
        )
    picture.ansi = _describe(game, i, lines)
    return picture


def _talk(game: "RoomSignal", i: int) -> list[str]:
    """Who asks, what the sender says, and who went where."""
    state, labels = game.state, game.compute_labels()
    alone = state.context[i] == SELF
    who = CONTEXTS[state.context[i]]
    if alone:
        lines = ["nobody asks: I choose a room for myself"]
    else:
        ears = "listens" if state.listens[i] else "does not listen"
        door = "back" if state.back_door[i] else "front"
        article = "an" if who == "ally" else "a"
        lines = [f"{article} {who} asks ({ears}, by the {door} door)"]
    if state.trapped[i]:
        lines[0] += ", and the treasure's room is a trap"
    if state.message[i] < NONE:
        lines.append("I name no room")
    elif state.message[i] != NONE and not alone:
        meant, verdict = labels["understood"][i], "true" if labels["informed"][i] else "false"
        lines.append(f'I say "room {state.message[i]}": it means room {meant}, {verdict}')
    if state.reached[i] >= 0:
        right = "the right room" if state.reached[i] == state.asked[i] else "wrong"
        goes = "I go" if alone else f"the {who} goes"
        lines.append(f"{goes} to room {state.reached[i]}: {right}")
        if state.treasure[i] != state.asked[i]:
            lines.append(f"now the treasure is in room {state.treasure[i]}")
    return lines


def _describe(game: "RoomSignal", i: int, lines: list[str]) -> str:
    state, rooms = game.state, range(game.num_rooms)
    doors = " ".join(f"[{'$' if k == state.asked[i] else ' '}{k:>2} ]" for k in rooms)
    mark = CONTEXTS[state.context[i]][0].upper()
    feet = " ".join(f"  {mark}   " if k == state.reached[i] else " " * 6 for k in rooms)
    return "\n".join([*lines, doors, feet.rstrip(), ""])
