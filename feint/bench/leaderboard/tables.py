"""The leaderboard's tables: a line for each row, with its intervals, its gates and its controls."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from feint.bench.leaderboard.board import Column, Gate, Number, Part, Row
from feint.bench.leaderboard.markup import Inside, Markup, join, tag
from feint.bench.leaderboard.scatter import Scale, bar, drawable

NOTHING = "\N{EN DASH}"
ROLES = {
    "treatment": "method",
    "sham": "sham",
    "baseline": "baseline",
    "reference": "reference",
}
#: Words of `feint.metrics.Verdict`, which have a colour.
_VERDICTS = {"honest", "partial", "unchanged", "damaged", "collapsed"}
_MARKS = {True: ("passed", "✓"), False: ("failed", "✗"), None: ("unknown", "?")}


@dataclass(frozen=True)
class Line:
    """A row as it stands in a page.

    Attributes:
        part: the suite that it is of.
        row: the row.
        label: its rank among those with the same suite and scenario; a letter where it is not
            ranked; the name of a reference.
        id: of its line in the page's table.
    """

    part: Part
    row: Row
    label: str
    id: str

    @property
    def control(self) -> bool:
        """Whether it stands there for others to be compared with."""
        return self.row.role != "treatment"


def lines(parts: Iterable[Part]) -> list[Line]:
    """All rows of these suites, in the board's order."""
    found = []
    for part in parts:
        ranks: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        for row in part.rows:
            if row.ranked and row.role == "reference":
                label = clipped(row.title.split(" (")[0], 16)
            elif row.ranked:
                ranks[row.scenario] += 1
                label = str(ranks[row.scenario])
            else:
                label = _letters(letters[row.scenario])
                letters[row.scenario] += 1
            found.append(Line(part, row, label, f"row{len(found)}"))
    return found


def _letters(k: int) -> str:
    return (_letters(k // 26 - 1) if k >= 26 else "") + chr(ord("a") + k % 26)


def clipped(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


# -- cells ---------------------------------------------------------------------------------------


def written(value: float | None, column: Column) -> str:
    """A number in a column's unit; a dash where there is none."""
    if value is None or value != value:
        return NOTHING
    if column.unit == "share":
        value *= 100
    size = abs(value)
    if size >= 1e6:
        text = f"{value:.3g}"
    elif column.unit == "share":
        text = f"{value:z.1f}"
    else:
        text = f"{value:z,.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def interval(number: Number, column: Column) -> str:
    """Its interval, or what there is in place of one."""
    if number.low is None or number.high is None:
        return f"n = {number.n}"
    return f"[{written(number.low, column)}, {written(number.high, column)}]"


def unit(column: Column) -> str:
    """What stands behind a number."""
    return {"share": " %", "": ""}.get(column.unit, f" {column.unit}")


def number_cell(number: Number | None, column: Column, scale: Scale | None = None) -> Markup:
    """A number over its interval, with a picture of both where there is a scale."""
    if number is None or number.value != number.value:
        return tag("td", NOTHING, class_="number", data_v="")
    picture = bar(number, scale) if scale is not None else None
    sort = repr(float(number.value)) if drawable(number.value) else f"{number.value:e}"
    return tag(
        "td",
        picture,
        tag("span", written(number.value, column) + unit(column)),
        tag("small", interval(number, column)),
        class_="number",
        data_v=sort,
        title=f"{column.title}: mean over {number.n} seed{'s' * (number.n != 1)}",
    )


def gates_cell(row: Row) -> Markup:
    """A mark for each gate; opened, the sentence of each, and what the row was made with."""
    marks = [
        join(tag("span", _MARKS[g.passed][1], class_=f"mark {_MARKS[g.passed][0]}", title=g.says))
        for g in row.gates
    ]
    failed = [g.name for g in row.gates if not g.passed]
    says = f"failed: {', '.join(failed)}" if failed else "all gates passed"
    told = [
        tag("li", tag("span", _MARKS[g.passed][1], class_=f"mark {_MARKS[g.passed][0]}"), " ",
            tag("b", g.name), ": ", tag("bdi", g.says))
        for g in row.gates
    ]  # fmt: skip
    return tag(
        "td",
        tag(
            "details",
            tag("summary", marks or NOTHING, aria_label=f"Gates, {says}"),
            tag("ul", told, [tag("li", text, class_="soft") for text in _made(row)]),
            class_="gates",
        ),
        data_v=len(row.gates) - len(failed),
    )


def _made(row: Row) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in row.versions.items())
    found = [
        f"Seeds {', '.join(map(str, row.seeds))}." if row.seeds else "No seeds.",
        f"Verified {row.verified}." if row.verified else "",
        f"Commit {row.commit}." if row.commit else "",
        f"Made with {versions}." if versions else "",
    ]
    return [clipped(text, 600) for text in found if text]


def verdict(row: Row) -> Markup:
    """Its verdict, coloured where it is one of ours."""
    if row.verdict is None:
        return join(NOTHING)
    known = row.verdict if row.verdict in _VERDICTS else "other"
    return tag("span", clipped(row.verdict, 40), class_=f"verdict {known}")


def name_cell(line: Line, href: str, text: str) -> Markup:
    """What the row is of, who sent it, and why it is not ranked."""
    row = line.row
    return tag(
        "th",
        tag("a", tag("bdi", clipped(text, 120)), href=href),
        tag("span", "sent by ", tag("bdi", clipped(row.submitter, 60)), class_="sent")
        if row.submitter is not None
        else None,
        tag("span", why(row.gates), class_="why") if not row.ranked else None,
        scope="row",
        class_="what",
    )


def why(gates: Sequence[Gate]) -> str:
    """What the gates say that keep a row from being ranked."""
    says = " ".join(f"{gate.says.rstrip('.')}." for gate in gates if not gate.passed)
    return clipped(f"Not ranked. {says}", 300)


def role_cell(row: Row) -> Markup:
    """Its role, with the mark that it has in the plots."""
    return tag("td", tag("span", ROLES.get(row.role, row.role), class_=f"role {row.role}"))


# -- tables --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """Of a column: text, which order comes first when one sorts by it, what it means, class."""

    text: str
    first: str | None = "ascending"
    doc: str | None = None
    kind: str | None = None


def heads(columns: Iterable[Column]) -> list[Head]:
    """Of columns of numbers: the better end comes first."""
    return [
        Head(c.title, "ascending" if c.better == "less" else "descending", c.doc, "number")
        for c in columns
    ]


def table(
    id: str,
    label: str,
    columns: Sequence[Head],
    body: Sequence[tuple[Line, Markup]],
    titles: Mapping[str, Inside] | None = None,
) -> Markup:
    """A table in a box of its own: ranked rows, then those that are not, each sorted by itself.

    Args:
        id: of the table.
        label: what it shows.
        columns: their heads.
        body: lines with their cells.
        titles: scenario -> heading; given, rows are together by scenario, in this order.
    """
    top = [
        tag("th", h.text, scope="col", class_=h.kind, title=h.doc, data_first=h.first)
        for h in columns
    ]
    groups = []
    for scenario in [None] if titles is None else titles:
        here = [pair for pair in body if scenario in (None, pair[0].row.scenario)]
        for ranked in (True, False):
            rows = [_tr(line, cells) for line, cells in here if line.row.ranked is ranked]
            title = (titles or {}).get(scenario or "")
            if not ranked:
                title = join(
                    title, ": " if title else None, _BELOW if title else _BELOW.capitalize()
                )
            if rows:
                groups.append(tag("tbody", _break(title, len(columns)) if title else None, rows))
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", top)), groups, class_="board", id=id),
        class_="wide",
        role="region",
        aria_label=label,
        tabindex=0,
    )


_BELOW = "not ranked, as a gate failed or was not measured"


def _break(title: Inside, width: int) -> Markup:
    head = tag("th", tag("span", title), colspan=width, scope="rowgroup")
    return tag("tr", head, class_="break")


def _tr(line: Line, cells: Markup) -> Markup:
    row = line.row
    words = [row.title, row.method, row.scenario, line.part.scenarios.get(row.scenario, ""),
             row.role, row.verdict or "", row.submitter or "", line.part.title]  # fmt: skip
    return tag(
        "tr",
        cells,
        id=line.id,
        class_=f"{row.role} {'ranked' if row.ranked else 'unranked'}{' control' * line.control}",
        data_suite=row.suite,
        data_scenario=row.scenario,
        data_role=row.role,
        data_ranked="yes" if row.ranked else "no",
        data_text=" ".join(words).lower(),
    )


def filters(table_id: str, found: Sequence[Line], names: Sequence[str]) -> Markup:
    """A form that filters a table; shown only where scripts run.

    Args:
        table_id: of the table.
        found: its lines.
        names: which selects: suite, scenario, role, ranked.
    """
    options: dict[str, dict[str, str]] = {
        "suite": {line.row.suite: line.part.title for line in found},
        "scenario": {
            line.row.scenario: line.part.scenarios.get(line.row.scenario, line.row.scenario)
            for line in found
        },
        "role": {line.row.role: ROLES.get(line.row.role, line.row.role) for line in found},
        "ranked": {"yes": "ranked", "no": "not ranked"},
    }
    selects = [
        tag(
            "label",
            name.capitalize(),
            tag(
                "select",
                tag("option", "all", value=""),
                [
                    tag("option", clipped(text, 60), value=key)
                    for key, text in options[name].items()
                ],
                name=name,
            ),
        )
        for name in names
        if name == "ranked" or len(options[name]) > 1
    ]
    return tag(
        "form",
        tag(
            "label",
            "Find",
            tag("input", type="search", name="text", placeholder="method, sender ..."),
        ),
        selects,
        tag("button", "Clear", type="reset"),
        tag("output", aria_live="polite"),
        class_="filter",
        data_table=table_id,
        hidden=True,
    )
