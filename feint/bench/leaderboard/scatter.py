"""Pictures of rows as SVG: where they stand on two columns, and an interval beside a number.

Colours come from the style sheet, so that the same picture suits light and dark pages.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from matplotlib.ticker import MaxNLocator

from feint.bench.leaderboard.board import Column, Number, Plot, Row
from feint.bench.leaderboard.markup import Markup, join, tag

_WIDTH, _HEIGHT = 440, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 44
_LARGEST = 1e15  # beyond it, a number is no measurement, and would squeeze all others


@dataclass(frozen=True)
class Scale:
    """From numbers to shares of an axis, 0 to 1.

    Attributes:
        low: at its beginning.
        high: at its end.
        log: whether it is logarithmic.
        share: whether its numbers are shares, shown in %.
    """

    low: float
    high: float
    log: bool
    share: bool

    @classmethod
    def of(cls, column: Column, numbers: Sequence[Number], log: bool = False) -> Self:
        """One that holds these numbers with their intervals.

        Shares get 0 to 1, or a little more where they leave it. Other numbers, and shares of which
        one is over 2, get what they need; over two decades and more, that is a logarithmic scale.
        So it is with `log`, where all are above 0.
        """
        share = column.unit == "share"
        ends = [e for n in numbers for e in (n.low, n.value, n.high) if drawable(e)]
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        above = [n.value for n in numbers if drawable(n.value) and n.value > 0]
        linear = share and high <= 2.0 and not log
        wide = low >= 0 and above and max(above) > 100 * min(above)
        if not linear and (wide or (log and len(above) == len(numbers))):
            return cls(min(above) / 2, max(high, max(above)) * 2, True, share)
        if share and high <= 2.0:
            return cls(min(0.0, low), max(1.0, high), False, share)
        pad = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
        return cls(low - pad, high + pad, False, share)

    def at(self, value: float) -> float:
        """Its place; what the axis does not reach is at its end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """A few round numbers on it."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            step = max(1, (last - first) // 5)
            return [10.0**k for k in range(first, last + 1, step)]
        found = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        return [float(tick) for tick in found if self.low <= tick <= self.high]

    def write(self, tick: float) -> str:
        """A tick in words."""
        return f"{100 * tick:g} %" if self.share else f"{tick:g}"


def drawable(value: float | None) -> bool:
    """Whether there is such a number, and it is one that a picture can hold."""
    return value is not None and abs(value) < _LARGEST  # NaN is not


def bar(number: Number, scale: Scale) -> Markup | None:
    """A number with its interval on a track, to stand in a table's cell."""
    if not drawable(number.value):
        return None
    x = f"{100 * scale.at(number.value):.1f}"
    line = None
    if number.low is not None and number.high is not None and drawable(number.high - number.low):
        ends = [f"{100 * scale.at(end):.1f}" for end in (number.low, number.high)]
        line = tag("line", class_="range", x1=ends[0], x2=ends[1], y1=8, y2=8)
    return tag(
        "svg",
        tag("line", class_="track", x1=0, x2=100, y1=8, y2=8),
        line,
        tag("circle", class_="dot", cx=x, cy=8, r=2.6),
        class_="bar",
        viewBox="0 0 100 16",
        aria_hidden="true",
    )


@dataclass(frozen=True)
class Point:
    """A row in a plot: what is written beside it, and the `id` of its line in the page's table."""

    row: Row
    label: str
    line: str


def scatter(plot: Plot, x: Column, y: Column, points: Sequence[Point]) -> Markup | None:
    """Rows on two columns with their intervals; None where no row has both."""
    shown = [p for p in points if _has(p.row, x) and _has(p.row, y)]
    if not shown:
        return None
    xs, ys = ([p.row.numbers[c.key] for p in shown] for c in (x, y))
    across, up = Scale.of(x, xs), Scale.of(y, ys)
    if across.log != up.log and x.unit == y.unit:  # the same measure of two things
        across, up = Scale.of(x, xs, log=True), Scale.of(y, ys, log=True)
    spots = [
        (_x(across, p.row.numbers[x.key].value), _y(up, p.row.numbers[y.key].value)) for p in shown
    ]
    labels = _placed([p.label for p in shown], spots)
    drawn = [
        _point(p, spot, label, _ranges(p.row, x, y, across, up, spot))
        for p, spot, label in zip(shown, spots, labels, strict=True)
    ]
    drawn.reverse()  # the best on top
    says = f"{plot.title}: {len(shown)} methods, {x.title} across, {y.title} up; see the table"
    return tag(
        "svg",
        _frame(x, y, across, up),
        drawn,
        class_="plot",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=says,
    )


def _has(row: Row, column: Column) -> bool:
    return column.key in row.numbers and drawable(row.numbers[column.key].value)


def _x(scale: Scale, value: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * scale.at(value)


def _y(scale: Scale, value: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * scale.at(value)


def _frame(x: Column, y: Column, across: Scale, up: Scale) -> Markup:
    right, low = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in across.ticks():
        at = f"{_x(across, tick):.1f}"
        parts.append(tag("line", class_="grid", x1=at, x2=at, y1=_TOP, y2=low))
        parts.append(tag("text", across.write(tick), x=at, y=low + 15, text_anchor="middle"))
    for tick in up.ticks():
        at = _y(up, tick)
        parts.append(tag("line", class_="grid", x1=_LEFT, x2=right, y1=f"{at:.1f}", y2=f"{at:.1f}"))
        parts.append(tag("text", up.write(tick), x=_LEFT - 5, y=f"{at + 4:.1f}", text_anchor="end"))
    middle = (_LEFT + right) / 2
    parts.append(tag("path", class_="frame", d=f"M{_LEFT} {_TOP}V{low}H{right}"))
    parts.append(tag("text", _axis(x), x=middle, y=_HEIGHT - 8, text_anchor="middle"))
    side = f"rotate(-90 10 {(_TOP + low) / 2:g})"
    parts.append(
        tag("text", _axis(y), x=10, y=f"{(_TOP + low) / 2:g}", text_anchor="middle", transform=side)
    )
    return join(parts)


def _axis(column: Column) -> str:
    unit = "" if column.unit in ("", "share") else f", {column.unit}"
    better = "" if column.better is None else f" ({column.better} is better)"
    return f"{column.title}{unit}{better}"


def _ranges(
    row: Row, x: Column, y: Column, across: Scale, up: Scale, spot: tuple[float, float]
) -> Iterator[Markup]:
    at = [f"{v:.1f}" for v in spot]
    for column, scale, place in ((x, across, _x), (y, up, _y)):
        number = row.numbers[column.key]
        if number.low is None or number.high is None or not drawable(number.high - number.low):
            continue
        low, high = (f"{place(scale, end):.1f}" for end in (number.low, number.high))
        if column is x:
            yield tag("line", class_="range", x1=low, x2=high, y1=at[1], y2=at[1])
        else:
            yield tag("line", class_="range", x1=at[0], x2=at[0], y1=low, y2=high)


def _point(
    point: Point, spot: tuple[float, float], label: "_Label", ranges: Iterator[Markup]
) -> Markup:
    x, y = spot
    row = point.row
    shape = {
        "treatment": tag("circle", class_="dot", cx=f"{x:.1f}", cy=f"{y:.1f}", r=5),
        "sham": _path(x, y, "m0 -6l6 6l-6 6l-6 -6z"),
        "baseline": _path(x, y, "m0 -6l6 10.5h-12z"),
        "reference": _path(x, y, "m-4.5 -4.5h9v9h-9z"),
    }.get(row.role) or tag("circle", class_="dot", cx=f"{x:.1f}", cy=f"{y:.1f}", r=5)
    lead = None
    if label.far:
        lead = tag(
            "line", class_="lead", x1=f"{x:.1f}", y1=f"{y:.1f}",
            x2=f"{label.x:.1f}", y2=f"{label.y:.1f}",
        )  # fmt: skip
    return tag(
        "g",
        tag("title", f"{point.label}: {row.title}" + ("" if row.ranked else " (not ranked)")),
        ranges,
        lead,
        shape,
        tag(
            "text", label.text, class_="label", x=f"{label.x:.1f}", y=f"{label.y + 3.5:.1f}",
            text_anchor="middle",
        ),
        class_=f"{_role(row)} {'ranked' if row.ranked else 'unranked'}",
        data_row=point.line,
    )  # fmt: skip


def _path(x: float, y: float, d: str) -> Markup:
    return tag("path", class_="dot", d=f"M{x:.1f} {y:.1f}{d}")


def _role(row: Row) -> str:
    roles = ("treatment", "sham", "baseline", "reference")
    return row.role if row.role in roles else "reference"


# -- labels beside points, none over another ----------------------------------------------------


@dataclass(frozen=True)
class _Label:
    text: str
    x: float
    y: float
    far: bool  # so far away that a line must lead to it

    def overlaps(self, other: "_Label") -> bool:
        return (
            abs(self.x - other.x) < (_wide(self.text) + _wide(other.text)) / 2 + 1
            and abs(self.y - other.y) < 11
        )

    def covers(self, spot: tuple[float, float]) -> bool:
        x, y = spot
        return abs(self.x - x) < _wide(self.text) / 2 + 5 and abs(self.y - y) < 9.5

    def inside(self) -> bool:
        half = _wide(self.text) / 2
        across = _LEFT + 2 <= self.x - half and self.x + half <= _WIDTH - 2
        return across and _TOP <= self.y <= _HEIGHT - _BOTTOM - 6


def _wide(text: str) -> float:
    return 5.9 * len(text)


def _placed(texts: Sequence[str], spots: Sequence[tuple[float, float]]) -> list[_Label]:
    """For each point the nearest free place around it; the first points choose first."""
    done: list[_Label] = []
    for text, (x, y) in zip(texts, spots, strict=True):
        chosen = None
        for reach in (11, 17, 25, 34, 44, 56, 70):
            for turn in (0, 1, 7, 2, 6, 3, 5, 4):
                angle = turn * math.pi / 4
                across = x + math.cos(angle) * (reach + _wide(text) / 2 - 3)
                label = _Label(text, across, y - math.sin(angle) * reach, reach > 17)
                free = label.inside() and not any(map(label.overlaps, done))
                if free and not any(map(label.covers, spots)):
                    chosen = label
                    break
            if chosen:
                break
        done.append(chosen or _Label(text, x, y - 11, False))
    return done
