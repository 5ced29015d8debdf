"""HTML from parts: whatever is not made here is text, and is escaped."""

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

_VOID = {"input", "link", "meta"}
#: What HTML cannot hold, and what UTF-8 cannot.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Inside: TypeAlias = "str | Iterable[Inside] | None"


def join(*inside: Inside) -> Markup:
    """Parts after one another: HTML as it is, other text escaped, None as nothing."""
    found = []
    for part in inside:
        if isinstance(part, Markup):
            found.append(part)
        elif isinstance(part, str):
            found.append(_escaped(part))
        elif part is not None:
            found.append(join(*part))
    return Markup("".join(found))


def tag(name: str, /, *inside: Inside, **attributes: str | int | float | bool | None) -> Markup:
    """An element.

    Args:
        name: of the element, ours.
        *inside: its content, as `join` takes it.
        **attributes: names are ours, with `_` for `-` and none at the end (`class_`); values are
            escaped. True gives a bare name, None and False nothing.
    """
    told = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        told += f" {key}" if value is True else f' {key}="{_escaped(str(value))}"'
    return Markup(f"<{name}{told}>" + ("" if name in _VOID else f"{join(*inside)}</{name}>"))


def prose(text: str) -> Markup:
    """Our own text: what stands between backticks is code."""
    pieces = text.split("`")
    return join(tag("code", piece) if k % 2 else piece for k, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return html.escape(_UNFIT.sub("\ufffd", text))
