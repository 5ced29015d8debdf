"""Reports as HTML: self-contained pages of sheets, claims and figures."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from feint.bench.claims import Claim
from feint.bench.tables import Sheet
from feint.files import write_atomically


@dataclass(frozen=True)
class Section:
    """What there is to read of one study: a page of its own, or a part of one.

    Attributes:
        title: its heading.
        parts: HTML, one after the other.
        files: what else it leaves, by path: plots, films, numbers.
    """

    title: str
    parts: Sequence[str]
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    def write(self, out: Path) -> Path:
        """Write its files and `report.html` into `out`; returns the page's path.

        Raises:
            ValueError: if `out` cannot be written.
        """
        for name, data in self.files.items():
            write_atomically(out / name, data)
        write_atomically(out / "report.html", page(self.title, self.parts))
        return out / "report.html"


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page with that title; `parts` are HTML."""
    return _page(title, [f"<h1>Feint: {html.escape(title)}</h1>", *parts])


def together(title: str, sections: Sequence[Section]) -> str:
    """A whole page of several sections, with a table of contents."""
    places = [(f"part{k}", section) for k, section in enumerate(sections, 1)]
    contents = "".join(
        f'<li><a href="#{id}">{html.escape(section.title)}</a></li>' for id, section in places
    )
    body = "".join(
        f'<section id="{id}"><h1>{html.escape(section.title)}</h1>'
        f"{''.join(section.parts)}</section>"
        for id, section in places
    )
    return _page(title, [f'<nav aria-label="Contents"><ol>{contents}</ol></nav>', body])


def _page(title: str, parts: Iterable[str]) -> str:
    style = (files("feint.bench") / "assets" / "style.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Feint: {html.escape(title)}</title><style>{style}</style></head><body>
{"".join(parts)}
</body></html>
"""


def claims(found: Iterable[Claim]) -> str:
    """Claims as a list, each with whether it holds."""
    items = "".join(
        f'<li><span class="{"holds" if c.holds else "fails"}">'
        f"{'holds' if c.holds else 'does not hold'}</span>: {html.escape(c.text)}</li>"
        for c in found
    )
    return f"<ul>{items}</ul>"


def figures(drawn: dict[str, str]) -> str:
    """SVG pictures by what they show."""
    return "".join(
        f"<figure>{text}<figcaption>{html.escape(title[:1].upper() + title[1:])}</figcaption>"
        "</figure>"
        for title, text in drawn.items()
    )


def table(sheet: Sheet) -> str:
    """A sheet; notes show when the pointer rests on a row."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in sheet.columns)
    body = ""
    for row, role, note in zip(sheet.rows, sheet.roles, sheet.notes, strict=True):
        cells = "".join(f"<td>{_small_interval(html.escape(cell))}</td>" for cell in row)
        body += f'<tr class="{role}" title="{html.escape(note, quote=True)}">{cells}</tr>'
    return (
        f'<div class="wide"><table><caption>{html.escape(sheet.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _small_interval(cell: str) -> str:
    return re.sub(r" (\[[^\]]*\])", r" <small>\1</small>", cell)
