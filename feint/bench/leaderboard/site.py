"""The leaderboard as a static site: an overview, and pages of suites, scenarios and methods.

The files need no server and no network. Names and sentences may come from strangers: they are
text everywhere, file names are made of harmless letters, and the pages' policy runs no script but
their own.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from feint.bench.leaderboard import shell
from feint.bench.leaderboard.board import Board, Part
from feint.bench.leaderboard.markup import Inside, join, prose, tag
from feint.bench.leaderboard.pieces import (
    JUDGED,
    Pieces,
    column_notes,
    headline,
    judged,
    legend,
    scenario_link,
)
from feint.bench.leaderboard.shell import GENERATOR, href, link, slug
from feint.bench.leaderboard.tables import (
    NOTHING,
    ROLES,
    Head,
    clipped,
    filters,
    name_cell,
    number_cell,
    role_cell,
    table,
)
from feint.bench.results import without_nan
from feint.files import write_atomically

ASSETS = ("style.css", "board.js", "icon.svg")
_FOLDERS = ("suite", "scenario", "method")

_INTRO = """Feint trains agents and language models that deceive, and then trains the deception out
of them. This board shows how well each method does that, on each scenario, and what it costs. Every
number is a mean over training seeds with its 95 % interval, and stands beside its controls: the
honest and the deceptive agent, shams that change the agent as much without the method's idea, and
baselines that need no training."""
_SUBMIT = """To send a row: `feint leaderboard submit RESULT.json ... --name "who and what"`, with
the checkpoints beside the results. It is ranked once `feint leaderboard verify` has played them
again and found the same numbers."""
_RANKED = "A row is ranked only if it passed every gate. The others stand below, and say why."
_GATES = {
    "controls": "both references were run on its seeds, and shams at its dose",
    "seeds": "there are at least five training seeds",
    "capability": "it still does its own task, or speaks as it did",
    "collapse": "it still tells apart what has nothing to do with self and other",
    "verified": "its checkpoints were evaluated again, on fresh games, and agreed",
    "ranking": "its suite measures something of which more, or less, is better",
}


def build(board: Board, to: str | Path) -> Path:
    """Write the site; each file is whole or as it was before.

    Pages that an earlier board left in `to`, and this one has no more, are removed.

    Returns:
        The overview's path.

    Raises:
        ValueError: if `to` cannot be written.
    """
    to, pages = Path(to), _Pages(board).all()
    for name in ASSETS:
        write_atomically(to / name, (files("feint.bench") / "assets" / name).read_bytes())
    write_atomically(to / "board.json", json.dumps(without_nan(asdict(board)), indent=1) + "\n")
    for name, text in pages.items():
        write_atomically(to / name, text)
    for folder in _FOLDERS:
        for path in (to / folder).glob("*.html"):
            known = f"{folder}/{path.name}" in pages
            if not known and GENERATOR in path.read_text(encoding="utf-8", errors="replace"):
                path.unlink()
    return to / "index.html"


class _Pages:
    """The pages of a board."""

    def __init__(self, board: Board):
        self.board, self.pieces = board, Pieces(board)

    def all(self) -> dict[str, str]:
        """Path -> HTML."""
        parts, lines = self.board.parts, self.pieces.lines
        scenarios = dict.fromkeys(line.row.scenario for line in lines)
        scenarios |= dict.fromkeys(key for part in parts for key in part.scenarios)
        made = {"index.html": self.overview(), "rows.html": self.all_rows()}
        made |= {f"suite/{slug(part.key)}.html": self.suite(part) for part in parts}
        made |= {f"scenario/{slug(key)}.html": self.scenario(key) for key in scenarios}
        methods = dict.fromkeys(line.row.method for line in lines)
        return made | {f"method/{slug(key)}.html": self.method(key) for key in methods}

    def overview(self) -> str:
        """What the board shows, and the best of each suite beside its controls."""
        gates = [join(tag("b", name), ": ", text) for name, text in _GATES.items()]
        parts = [
            tag("h1", "Who stops lying, and at what cost"),
            tag(
                "div",
                tag("div", tag("p", _INTRO), tag("p", prose(_SUBMIT))),
                tag("div", tag("p", _RANKED), tag("ul", [tag("li", g, ".") for g in gates])),
                class_="intro",
            ),
        ]
        for part in self.board.parts:
            mine = self.pieces.of(part)
            ranked = sum(line.row.ranked for line in mine)
            column = headline(part)
            title = column.title if column else part.headline
            counted = f"{len(mine)} rows by {title}, {ranked} of them ranked. "
            cards = [
                self.pieces.card(part, key, self.pieces.best(part, key), "")
                for key in part.scenarios
            ]
            parts += [
                tag("h2", tag("a", part.title, href=f"suite/{slug(part.key)}.html")),
                tag("p", prose(part.doc)),
                tag(
                    "p",
                    counted,
                    tag("a", "All of them", href=f"suite/{slug(part.key)}.html"),
                    class_="soft",
                ),
                tag("div", cards, class_="cards"),
            ]
        if not self.board.parts:
            parts.append(tag("p", prose("There is nothing on it yet: `feint bench run smoke`.")))
        return self.page("Leaderboard", "index.html", parts)

    def all_rows(self) -> str:
        """Every row of every suite, by its headline."""
        body = []
        for line in self.pieces.lines:
            column = headline(line.part)
            number = line.row.numbers.get(line.part.headline)
            body.append(
                (
                    line,
                    join(
                        name_cell(line, href("method", line.row.method, ""), line.row.title),
                        role_cell(line.row),
                        tag("td", link("suite", line.part.key, line.part.title, "")),
                        tag("td", scenario_link(line, "")),
                        tag("td", column.title if column else NOTHING),
                        number_cell(number, column) if column else tag("td", NOTHING, data_v=""),
                        *judged(line.row),
                    ),
                )
            )
        columns = [
            Head("Method"), Head("Role"), Head("Suite"), Head("Scenario"), Head("Ranked by"),
            Head("Value", "ascending", None, "number"), *JUDGED,
        ]  # fmt: skip
        parts = [
            tag("h1", "All rows"),
            tag("p", "Each with the number by which its suite ranks. Suites measure different "
                "things: compare within one.", class_="soft"),
            filters("rows", self.pieces.lines, ("suite", "scenario", "role", "ranked")),
            table("rows", "All rows", columns, body),
        ]  # fmt: skip
        return self.page("All rows", "rows.html", parts)

    def suite(self, part: Part) -> str:
        """All rows of a suite, and the plots of its scenarios."""
        mine = self.pieces.of(part)
        plots = [
            self.pieces.figure(part, plot, key, "../", titled=True)
            for key in part.scenarios
            for plot in part.plots
        ]
        parts = [
            tag("h1", part.title),
            tag("p", prose(part.doc)),
            filters("rows", mine, ("scenario", "role", "ranked")),
            self.pieces.rows(part, mine, "rows", f"All rows of {part.title}", "both"),
            legend(plots),
            tag("div", plots, class_="plots"),
            column_notes(part),
        ]
        return self.page(part.title, f"suite/{slug(part.key)}.html", parts)

    def scenario(self, key: str) -> str:
        """A scenario in each suite that has it."""
        having = [
            part
            for part in self.board.parts
            if key in part.scenarios or any(row.scenario == key for row in part.rows)
        ]
        title = next((part.scenarios[key] for part in having if key in part.scenarios), key)
        parts = [tag("h1", tag("bdi", clipped(title, 200)))]
        for k, part in enumerate(having):
            mine = self.pieces.of(part, key)
            plots = [self.pieces.figure(part, plot, key, "../") for plot in part.plots]
            parts += [
                tag("h2", "In ", link("suite", part.key, part.title, "../")),
                tag("p", "This suite has no rows on it.") if not mine else None,
                [legend(plots, "h3"), tag("div", plots, class_="plots")] if mine else None,
                filters(f"rows{k}", mine, ("role", "ranked")) if len(mine) > 5 else None,
                self.pieces.rows(part, mine, f"rows{k}", f"{title} in {part.title}")
                if mine
                else None,
                column_notes(part, "h3"),
            ]
        return self.page(title, f"scenario/{slug(key)}.html", parts)

    def method(self, key: str) -> str:
        """A method on each scenario, beside the controls there."""
        mine = [line for line in self.pieces.lines if line.row.method == key]
        own = next((line for line in mine if line.row.submitter is None), mine[0])
        roles = ", ".join(dict.fromkeys(ROLES.get(line.row.role, line.row.role) for line in mine))
        parts = [
            tag("h1", tag("bdi", clipped(own.row.title, 200))),
            tag("p", f"{roles.capitalize()}; called ", tag("code", tag("bdi", clipped(key, 120))),
                " in results.", class_="soft"),
        ]  # fmt: skip
        for k, part in enumerate(self.board.parts):
            here = [line for line in mine if line.part is part]
            if not here:
                continue
            keys = dict.fromkeys(line.row.scenario for line in here)
            cards = [
                self.pieces.card(part, s, [line for line in here if line.row.scenario == s], "../")
                for s in keys
            ]
            parts += [
                tag("h2", "In ", link("suite", part.key, part.title, "../")),
                self.pieces.rows(
                    part, here, f"rows{k}", f"{own.row.title} in {part.title}", "scenario"
                ),
                tag("h3", "Beside its controls"),
                tag("div", cards, class_="cards"),
                column_notes(part, "h3"),
            ]
        return self.page(own.row.title, f"method/{slug(key)}.html", parts)

    def page(self, title: str, path: str, parts: Iterable[Inside]) -> str:
        """A whole page, with all suites in its navigation."""
        places = {"index.html": "Overview"}
        places |= {f"suite/{slug(part.key)}.html": part.title for part in self.board.parts}
        places["rows.html"] = "All rows"
        return shell.page(title, path, parts, places, self.board.built)
