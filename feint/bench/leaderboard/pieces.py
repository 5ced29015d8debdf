"""What the leaderboard's pages are made of: tables, cards and plots of some of a board's rows."""

from collections.abc import Iterable, Sequence

from feint.bench.leaderboard.board import Board, Column, Part, Plot, Row
from feint.bench.leaderboard.markup import Markup, join, prose, tag
from feint.bench.leaderboard.scatter import Point, Scale, bar, scatter
from feint.bench.leaderboard.shell import href, link
from feint.bench.leaderboard.tables import (
    NOTHING,
    ROLES,
    Head,
    Line,
    clipped,
    gates_cell,
    heads,
    interval,
    lines,
    name_cell,
    number_cell,
    role_cell,
    table,
    unit,
    verdict,
    why,
    written,
)

_TOPS = 3


class Pieces:
    """Parts of pages; `up` in all of them leads from the page to the site's root."""

    def __init__(self, board: Board):
        self.lines = lines(board.parts)

    def of(self, part: Part, scenario: str | None = None) -> list[Line]:
        """The lines of a suite, or of one of its scenarios."""
        mine = [line for line in self.lines if line.part is part]
        return [line for line in mine if scenario in (None, line.row.scenario)]

    def rows(
        self, part: Part, mine: Sequence[Line], id: str, label: str, what: str = "method"
    ) -> Markup:
        """A table of some rows of a suite.

        Args:
            part: the suite.
            mine: the rows.
            id: of the table.
            label: what it shows.
            what: its first column: "method", or "scenario" where all are of one method; or "both",
                for methods that are together by scenario.
        """
        up = "../"
        first = [c for c in part.columns if c.key == part.headline]
        others = [c for c in part.columns if c.key != part.headline]
        found = [
            line.row.numbers[part.headline] for line in mine if part.headline in line.row.numbers
        ]
        scale = Scale.of(first[0], found) if first else None
        body = []
        for line in mine:
            row = line.row
            if what == "scenario":
                name = name_cell(line, href("scenario", row.scenario, up), named(line))
            else:
                name = name_cell(line, href("method", row.method, up), row.title)
            rank = "" if row.role == "reference" and row.ranked else line.label
            cells = [
                tag("td", rank, class_="rank"), name,
                [number_cell(row.numbers.get(c.key), c, scale) for c in first],
                role_cell(row), judged(row),
                [number_cell(row.numbers.get(c.key), c) for c in others],
            ]  # fmt: skip
            body.append((line, join(cells)))
        titles = None
        if what == "both":
            keys = dict.fromkeys([*part.scenarios, *(line.row.scenario for line in mine)])
            titles = {key: link("scenario", key, part.scenarios.get(key, key), up) for key in keys}
        columns = [
            Head("#", None, None, "rank"),
            Head("Scenario" if what == "scenario" else "Method"),
            *heads(first),
            Head("Role"),
            *JUDGED,
            *heads(others),
        ]
        return table(id, label, columns, body, titles)

    def best(self, part: Part, scenario: str) -> list[Line]:
        """The first methods of a scenario; those that are ranked, if there are any."""
        found = [line for line in self.of(part, scenario) if not line.control]
        ranked = [line for line in found if line.row.ranked]
        return (ranked or found)[:_TOPS]

    def controls(self, part: Part, scenario: str) -> list[Line]:
        """What a scenario's methods are compared with: its best sham and baseline, its references.

        Nothing that was sent in, whatever role it claims.
        """
        found = [line for line in self.of(part, scenario) if line.row.submitter is None]
        first = [
            next((line for line in found if line.row.role == role), None)
            for role in ("sham", "baseline")
        ]
        references = [line for line in found if line.row.role == "reference"]
        return [line for line in first if line is not None] + references

    def card(self, part: Part, scenario: str, tops: Sequence[Line], up: str) -> Markup | None:
        """Some lines of a scenario by their headline, with its controls below them.

        Controls that have no such number, as the ends of a scale have none on it, are left out.
        """
        column = headline(part)
        if column is None:
            return None
        below = [
            line
            for line in self.controls(part, scenario)
            if line not in tops and column.key in line.row.numbers
        ]
        numbers = [
            line.row.numbers[column.key]
            for line in (*tops, *below)
            if column.key in line.row.numbers
        ]
        scale = Scale.of(column, numbers)

        def tr(line: Line) -> Markup:
            row, number = line.row, line.row.numbers.get(column.key)
            name = tag("a", tag("bdi", clipped(row.title, 60)), href=href("method", row.method, up))
            value = NOTHING if number is None else written(number.value, column) + unit(column)
            says = None if number is None else interval(number, column)
            return tag(
                "tr",
                tag("td", tag("span", name, class_=f"role {row.role}")),
                tag("td", bar(number, scale) if number is not None else None),
                tag("td", value, tag("small", says) if says else None),
                class_=f"{row.role} {'ranked' if row.ranked else 'unranked'}",
            )

        notes = dict.fromkeys(why(line.row.gates) for line in tops if not line.row.ranked)
        none = "No method was run on it." if not tops else None
        return tag(
            "section",
            tag("h3", link("scenario", scenario, part.scenarios.get(scenario, scenario), up)),
            tag(
                "table",
                tag("tbody", [tr(line) for line in tops]) if tops else None,
                tag("tbody", [tr(line) for line in below]) if below else None,
            ),
            [tag("p", text, class_="why") for text in notes],
            tag("p", none, class_="soft") if none else None,
            class_="card",
        )

    def figure(
        self, part: Part, plot: Plot, scenario: str, up: str, titled: bool = False
    ) -> Markup | None:
        """A plot of a scenario's rows; None where there is nothing to draw."""
        columns = {column.key: column for column in part.columns}
        if plot.x not in columns or plot.y not in columns:
            return None
        points = [Point(line.row, line.label, line.id) for line in self.of(part, scenario)]
        drawn = scatter(plot, columns[plot.x], columns[plot.y], points)
        if drawn is None:
            return None
        title = part.scenarios.get(scenario, scenario)
        head = [tag("b", link("scenario", scenario, title, up)), ": "] if titled else []
        return tag("figure", tag("figcaption", head, plot.title), drawn)


JUDGED = (
    Head("Verdict"),
    Head("Gates", "descending", "open one to read what each gate says"),
    Head("Seeds", "descending", "training seeds", "number"),
)


def scenario_link(line: Line, up: str) -> Markup:
    """A link to its scenario, by its title."""
    return link("scenario", line.row.scenario, named(line), up)


def judged(row: Row) -> list[Markup]:
    """The cells of verdict, gates and seeds, as `JUDGED` heads them."""
    return [
        tag("td", verdict(row)),
        gates_cell(row),
        tag("td", str(len(row.seeds)), class_="number", data_v=len(row.seeds)),
    ]


def headline(part: Part) -> Column | None:
    """The column by which a suite ranks."""
    return next((c for c in part.columns if c.key == part.headline), None)


def named(line: Line) -> str:
    """The title of its scenario."""
    return line.part.scenarios.get(line.row.scenario, line.row.scenario)


def legend(plots: Iterable[Markup | None], heading: str = "h2") -> Markup | None:
    """What stands above plots; None where there are none."""
    if not any(plots):
        return None
    keys = [tag("span", name, class_=f"role {role}") for role, name in ROLES.items()]
    hollow = tag("span", "not ranked", class_="role hollow")
    text = "Numbers are ranks and letters are rows below the ranked ones, as in the table."
    return join(
        tag(heading, "Plots"),
        tag("p", keys, hollow, tag("span", "Lines are 95 % intervals. ", text), class_="legend"),
    )


def column_notes(part: Part, heading: str = "h2") -> Markup:
    """What the columns say."""
    told = []
    for column in part.columns:
        better = f" {column.better.capitalize()} is better." if column.better else ""
        told += [tag("dt", column.title), tag("dd", prose(column.doc.rstrip(".") + "." + better))]
    return join(tag(heading, "Columns"), tag("dl", told, class_="columns"))
