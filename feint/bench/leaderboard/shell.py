"""The frame around every page of the leaderboard: head, navigation, foot; and names of files."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from feint.bench.leaderboard.markup import Inside, Markup, join, tag
from feint.bench.leaderboard.tables import clipped

#: By which pages of ours are told from other files.
GENERATOR = '<meta name="generator" content="Feint leaderboard">'
#: Of its own files only, so that a name that slipped through could still do nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)


def slug(key: str) -> str:
    """A file name for a key, whatever stands in it; different for different keys."""
    clean = re.sub(r"[^a-z0-9_-]+", "-", key.lower()).strip("-")[:60]
    if clean and clean == key and not re.search(r"-[0-9a-f]{10}$", key):
        return clean
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean}-{digest[:10]}".lstrip("-")


def link(folder: str, key: str, text: str, up: str) -> Markup:
    """A link to the page of a suite, scenario or method."""
    return tag("a", tag("bdi", clipped(text, 120)), href=href(folder, key, up))


def href(folder: str, key: str, up: str) -> str:
    """Its address; `up` leads from the page that links to the site's root."""
    return f"{up}{folder}/{slug(key)}.html"


def page(
    title: str, path: str, parts: Iterable[Inside], places: Mapping[str, str], built: str
) -> str:
    """A whole page.

    Args:
        title: of the page.
        path: from the site's root.
        parts: its content.
        places: path -> name, for the navigation.
        built: when.
    """
    up = "../" * path.count("/")
    nav = [
        tag("a", clipped(text, 40), href=up + to, aria_current="page" if to == path else None)
        for to, text in places.items()
    ]
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup(GENERATOR),
        tag("title", f"{clipped(title, 120)} · Feint leaderboard"),
        tag("link", rel="icon", href=f"{up}icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href=f"{up}style.css"),
        tag("script", src=f"{up}board.js"),
    )
    body = join(
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag(
            "header",
            tag("a", "Feint", href=f"{up}index.html", class_="name"),
            tag("nav", nav, aria_label="Pages"),
            tag("button", "Theme", type="button", id="theme", hidden=True),
            class_="top",
        ),
        tag("main", parts, id="content"),
        tag(
            "footer",
            f"Built {built} by ", tag("code", "feint leaderboard build"), ". ",
            tag("a", "The board as JSON", href=f"{up}board.json"), ".",
        ),
    )  # fmt: skip
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'
