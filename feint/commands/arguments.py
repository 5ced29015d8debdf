"""What commands take as key:value."""

import ast
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feint.envs.core import Scenario

_OURS = ("num_envs", "autoreset", "labels", "external")  # what the commands themselves set


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


def env_arguments(
    cls: "type[Scenario]", items: tuple[str, ...], preset: str | None = None
) -> dict[str, Any]:
    """`--env-kwargs` as arguments of the scenario, over those of the preset.

    `preset:hard` among them is the preset, too, as in `gym.make`: it is written out, since
    scenarios themselves know no presets.

    Raises:
        ValueError: for an unknown or second preset, or an argument that the commands set.
    """
    found = parse_pairs("env-kwargs", items)
    if taken := [name for name in _OURS if name in found]:
        raise ValueError(f"--env-kwargs cannot set {taken[0]}: the command does; leave it out")
    if "preset" in found:
        if preset is not None:
            raise ValueError("--preset and --env-kwargs preset exclude each other: name one")
        preset = found.pop("preset")
    return cls.arguments(preset, found)


def import_packages(names: tuple[str, ...]) -> None:
    """Import `--gym-packages`.

    Raises:
        ValueError: for one that is not there.
    """
    for name in names:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise ValueError(f"--gym-packages {name}: {error}; install it first") from error
