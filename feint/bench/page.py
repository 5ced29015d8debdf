"""The parts of a report as HTML: one self-contained page of sheets, claims and figures."""

import html
import re
from collections.abc import Iterable

from feint.bench.claims import Claim
from feint.bench.tables import Sheet

_CSS = """
:root { color-scheme: light dark; --ink: #1d2125; --soft: #5c6670; --paper: #fdfdfb;
  --line: #d9dde1; --good: #1f7a3a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #9aa4ad; --paper: #15181b;
  --line: #343a40; --good: #6fce8b; --bad: #ff8a80; } }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; } h2 { margin-top: 2.5rem; } .soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
caption { text-align: left; font-weight: 600; padding: 1rem 0 0.3rem; }
td small { color: var(--soft); white-space: nowrap; }
tr.treatment td:first-child { font-weight: 600; }
.holds { color: var(--good); font-weight: 600; } .fails { color: var(--bad); font-weight: 600; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; background: #fff;
  border-radius: 6px; } figure img { max-width: 100%; height: auto; border-radius: 6px; }
figcaption { color: var(--soft); font-size: 0.9rem; }
code { font-size: 0.9em; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page with that title; `parts` are HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Feint: {html.escape(title)}</title><style>{_CSS}</style></head><body>
<h1>Feint: {html.escape(title)}</h1>
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
        f"<figure>{text}<figcaption>{html.escape(title.capitalize())}</figcaption></figure>"
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
