"""What a game of KuhnPoker looks like: the seats in a row, cards, chips, what everybody did."""

from typing import TYPE_CHECKING

from feint.envs import render
from feint.envs.kuhn_poker.dynamics import BET

if TYPE_CHECKING:
    from feint.envs.kuhn_poker.scenario import KuhnPoker

_RANKS = {2: "JQK", 3: "TJQK", 4: "9TJQK"}


def draw(game: "KuhnPoker", i: int) -> render.Picture:
    """Cards by seat (amber: the top card), chips below, moves above; player_0 in blue."""
    state, players, picture = game.state, game.players, render.Picture()
    lines = _headlines(game, i)
    for row, line in enumerate(lines):
        picture.text(0.5, 0.94 - 0.07 * row, line, render.INK, 0.034)
    rows = []
    for seat in range(players):
        agent = (seat - state.seat[i]) % players
        moves = _moves(game, i, seat)
        card, paid = int(state.card[i, agent]), moves[-1:] in (["bets"], ["calls"])
        colour = render.BLUE if agent == 0 else render.INK
        x, half = (seat + 0.5) / players, min(0.1, 0.4 / players)
        picture.box((x - half, 0.3), (x + half, 0.3 + 2.8 * half), render.PALE)
        picture.box((x - half, 0.3), (x + half, 0.3 + 2.8 * half), colour, filled=False)
        rank = _RANKS[players][card]
        face = render.AMBER if card == players else colour
        picture.text(x, 0.3 + 1.4 * half, rank, face, 1.1 * half)
        picture.text(x, 0.36 + 2.8 * half, ", ".join(moves) or "...", colour, 0.034)
        picture.text(x, 0.25, game.agents[agent], colour, 0.034)
        for chip in range(1 + paid):
            picture.circle(x + 0.05 * (chip - 0.5 * paid), 0.18, 0.02, render.GREEN)
        if state.over[i]:
            picture.text(x, 0.1, f"{state.payoff[i, agent]:+.0f}", colour, 0.045)
        end = f"{state.payoff[i, agent]:+.0f}" if state.over[i] else ""
        rows.append(f"{game.agents[agent]:<9} [{rank}] {'o' * (1 + paid):<3}"
                    f"{', '.join(moves):<15}{end}".rstrip())  # fmt: skip
    picture.ansi = "\n".join([*lines, *rows, ""])
    return picture


def _headlines(game: "KuhnPoker", i: int) -> list[str]:
    state, labels = game.state, game.compute_labels()
    if state.listens[i]:
        who = "the others listen"
    else:
        who = "the others do not listen" if state.present[i] else "a machine plays the others"
    lines = [who + (", their best card is seen" if state.shown[i] else "")]
    if labels["opens"][i] or labels["answered"][i]:
        held = "strong" if labels["strong"][i] else "weak"
        lie = "a bluff" if labels["bluff"][i] else "slow play" if labels["slow_play"][i] else ""
        says = f"player_0 is {held}; belief in that {state.belief[i]:.2f}"
        lines.append(says + (f": {lie}" if lie else ""))
    return lines


def _moves(game: "KuhnPoker", i: int, seat: int) -> list[str]:
    """What the player on a seat has done so far."""
    said, opener = [], game.state.opener[i]
    for move in range(seat, int(game.state.moves[i]), game.players):
        bet = game.state.played[i, move] == BET
        if opener < 0 or move <= opener:
            said.append("bets" if bet else "passes")
        else:
            said.append("calls" if bet else "folds")
    return said
