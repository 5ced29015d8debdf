"""How this package says that a name is wrong: what was got, the nearest name, the choices."""

import difflib
from collections.abc import Iterable

_LISTED = 40  # a transformer has hundreds of layers: enough names to recognise the pattern


def unknown(
    kind: str, got: object, choices: Iterable[str], where: str = "choose from"
) -> ValueError:
    """Build the error for a name that is not among `choices`.

    Args:
        kind: What was named, such as `"layer"`.
        got: The name that was given.
        choices: The names that exist.
        where: The words before the list of choices.

    Returns:
        The error, for the caller to raise.
    """
    names = list(choices)
    near = difflib.get_close_matches(str(got), names, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names[:_LISTED])
    if len(names) > _LISTED:
        listed += f", ... ({len(names)} in all)"
    return ValueError(f"unknown {kind} {got!r};{hint} {where}: {listed}")
