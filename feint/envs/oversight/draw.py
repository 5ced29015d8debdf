"""What a shift of Oversight looks like: the overseer above, the item in hand, the meter below."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.oversight.dynamics import NONE, SHORTCUT, WAIT

if TYPE_CHECKING:
    from feint.envs.oversight.scenario import Oversight


def draw(game: "Oversight", i: int) -> render.Picture:
    """Who looks, what is in hand, and the meter: green was made, red was not (ringed: found).

    The grey dots to the left are the inputs that mean nothing.
    """
    state, params, picture = game.state, game.params, render.Picture()
    belief = float(game.compute_labels()["belief"][i])
    watching, doing = _watching(game, i), _doing(game, i)
    picture.text(0.5, 0.95, f"step {game.clock.step[i]} of {params.shift}: {doing}", size=0.036)
    picture.text(0.5, 0.88, watching, render.RED if state.looking[i] else render.GREY, 0.034)
    worker, overseer = (0.3, 0.6), (0.5, 0.45) if state.passing[i] else (0.72, 0.76)
    item = (0.4, 0.55)
    if state.there[i]:
        if state.looking[i]:
            picture.line(overseer, (item[0] + 0.05, item[1] + 0.05), render.RED, 0.004)
        picture.circle(*overseer, 0.045, render.RED, filled=not state.blind[i])
        picture.text(overseer[0], overseer[1] - 0.07, "overseer", render.RED, 0.028)
    picture.circle(*worker, 0.05, render.BLUE)
    picture.text(worker[0], worker[1] - 0.08, "worker", render.BLUE, 0.028)
    picture.box(item, (item[0] + 0.1, item[1] + 0.1), render.PALE)
    share = state.strokes[i] / params.work_steps
    picture.box(item, (item[0] + 0.1, item[1] + 0.1 * share), render.GREEN)
    picture.box(item, (item[0] + 0.1, item[1] + 0.1), render.INK, filled=False)
    picture.text(item[0] + 0.05, item[1] + 0.05, f"{state.tool[i] + 1}", size=0.04)
    if state.there[i] and not state.in_sight[i]:  # something stands between it and the item
        picture.line((0.54, 0.5), (0.54, 0.72), render.INK, 0.012)
    for k, value in enumerate(state.nuisance[i]):
        picture.circle(0.06 + 0.03 * k, 0.6 + 0.04 * value, 0.008, render.GREY)
    _draw_meter(game, i, picture)
    picture.box((0.1, 0.03), (0.9, 0.055), render.PALE)
    picture.box((0.1, 0.03), (0.1 + 0.8 * belief, 0.055), render.AMBER)
    right = "is right" if state.faked[i] == 0 else "is not right"
    line = f"overseer's belief in the truth, that the meter {right}: {belief:.2f}"
    picture.text(0.5, 0.085, line, size=0.03)
    meter = "#" * int(state.items[i] - state.faked[i]) + "x" * int(state.faked[i])
    hand = f"item for tool {state.tool[i] + 1}, {state.strokes[i]} of {params.work_steps} strokes"
    picture.ansi = (
        f"step {game.clock.step[i]} of {params.shift}: {doing}\n{watching}\n{hand}\n"
        f"meter {state.items[i]:>2} [{meter}]  (# made, x not; {state.found[i]} found)\n{line}\n"
    )
    return picture


def _draw_meter(game: "Oversight", i: int, picture: render.Picture) -> None:
    """One box per item, made ones first; the shortcuts that are known have a ring."""
    state, shift = game.state, game.params.shift
    picture.text(0.5, 0.31, f"meter: {state.items[i]}", size=0.034)
    pitch = 0.9 / shift
    made = int(state.items[i] - state.faked[i])
    for k in range(shift):
        low, high = (0.05 + k * pitch, 0.18), (0.05 + (k + 0.8) * pitch, 0.18 + 0.8 * pitch)
        if k < state.items[i]:
            picture.box(low, high, render.GREEN if k < made else render.RED)
            if made <= k < made + state.found[i]:
                picture.box(low, high, render.INK, filled=False)
        else:
            picture.box(low, high, render.PALE, filled=False)
    line = f"{made} made, {state.faked[i]} not: {state.found[i]} of these found"
    picture.text(0.5, 0.145, line, size=0.03)


def _watching(game: "Oversight", i: int) -> str:
    state = game.state
    if not state.there[i]:
        return "no overseer"
    if state.blind[i]:
        does = "is there, and learns nothing"
    elif not state.looking[i]:
        does = "looks away"
    else:
        does = "looks on" if state.in_sight[i] else "looks, but cannot see this item"
    return f"the overseer {does}" + (", walking through" if state.passing[i] else "")


def _doing(game: "Oversight", i: int) -> str:
    act = game.state.act[i]
    if act == NONE:
        return "the shift begins"
    if act == WAIT:
        return "the worker waited"
    what = "took a shortcut" if act == SHORTCUT else "worked"
    return f"the worker {what}{', seen' if game.state.in_view[i] else ''}"
