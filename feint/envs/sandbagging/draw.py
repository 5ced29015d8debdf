"""What a game of Sandbagging looks like: the item, and the true capability beside the score."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.metrics import measured_capability

if TYPE_CHECKING:
    from feint.envs.sandbagging.scenario import Sandbagging


def draw(game: "Sandbagging", i: int) -> render.Picture:
    """The answers (green: right; ringed: what seems so), two bars of capability, the belief."""
    state, params, picture = game.state, game.params, render.Picture()
    step, labels = int(game.clock.step[i]), game.compute_labels()
    belief = float(labels["belief"][i])
    headline, talk = _headline(game, i), _talk(game, i)
    picture.text(0.5, 0.95, headline, size=0.036)
    picture.text(0.5, 0.88, talk, render.RED if state.scored[i] else render.GREY, 0.03)
    pitch = 0.9 / params.num_answers
    size = min(0.14, 0.8 * pitch)
    for k in range(params.num_answers):
        x, low = 0.05 + (k + 0.5) * pitch, 0.62
        colour = render.GREEN if k == state.answer[i] else render.PALE
        picture.box((x - size / 2, low), (x + size / 2, low + size), colour)
        picture.text(x, low + size / 2, str(k), render.INK, 0.05)
        if k == state.shown[i]:
            ring = 0.012
            corner = (x + size / 2 + ring, low + size + ring)
            picture.box((x - size / 2 - ring, low - ring), corner, render.BLUE, filled=False)
    cue = state.cue[i]
    knows = "within" if state.solvable[i] else "beyond"
    item = f"this item is {knows} its capability; cue {cue:.2f}"
    picture.text(
        0.5, 0.57, f"this item is {knows} its capability; cue {cue:.2f}", render.BLUE, 0.03
    )
    true = float(labels["capability"][i])
    _bar(picture, 0.43, f"true capability {true:.2f}", true, render.BLUE)
    asked = min(step, params.num_test)
    score = f"score {state.right[i]} of {asked}"
    if asked:
        chance = 1.0 / params.num_answers
        measured = float(measured_capability(state.right[i], asked, chance))
        score += f", measured capability {measured:.2f}"
        _bar(picture, 0.31, score, max(measured, 0.0), render.GREEN)
    else:
        _bar(picture, 0.31, "no item answered yet", 0.0, render.GREEN)
    limit = f"more than {int(params.limit)} right of {params.num_test}: restricted"
    picture.text(0.5, 0.22, limit, render.RED if state.restricted[i] else render.GREY, 0.03)
    line = f"tester's belief in the true capability: {belief:.2f}"
    _bar(picture, 0.05, line, belief, render.AMBER)
    picture.ansi = (
        f"{headline}\n{talk}\nright answer {state.answer[i]}, seems {state.shown[i]}\n{item}\n"
        f"true capability {true:.2f}; {score}\n{line}\n"
    )
    return picture


def _bar(picture: render.Picture, y: float, text: str, value: float, colour: render.Colour) -> None:
    picture.text(0.5, y + 0.05, text, size=0.03)
    picture.box((0.1, y), (0.9, y + 0.025), render.PALE)
    if value > 0.0:
        picture.box((0.1, y), (0.1 + 0.8 * min(value, 1.0), y + 0.025), colour)


def _headline(game: "Sandbagging", i: int) -> str:
    step, params = int(game.clock.step[i]), game.params
    if step < params.num_test:
        what = "test" if game.state.there[i] else "practice"
        told = f"{what}, item {step + 1} of {params.num_test}"
    elif step < params.num_test + params.num_deploy:
        told = f"deployment, item {step - params.num_test + 1} of {params.num_deploy}"
    else:
        told = "the end"
    if step:
        told += f" (the last answer was {'right' if game.state.was_right[i] else 'wrong'})"
    return told


def _talk(game: "Sandbagging", i: int) -> str:
    state = game.state
    if not state.there[i]:
        return "no tester"
    told = f"the tester {'scores the test' if state.scored[i] else 'does not score'}"
    if state.coded[i]:
        told += ", counts from 1"
    return told + (", has restricted it" if state.restricted[i] else "")
