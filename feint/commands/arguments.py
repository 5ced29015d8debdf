"""What commands take as key:value."""

import ast
from typing import Any


def parse_pairs(flag: str, items: tuple[str, ...]) -> dict[str, Any]:
    """`("a:1", "b:x")` as `{"a": 1, "b": "x"}`: Python literals where they are some.

    Raises:
        ValueError: for an item without a colon.
    """
    found: dict[str, Any] = {}
    for item in items:
        key, colon, text = item.partition(":")
        if not (key and colon):
            raise ValueError(f"--{flag} takes key:value, got {item!r}")
        try:
            found[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[key] = text
    return found
