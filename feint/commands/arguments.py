"""What commands take as key:value."""

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feint.agents.presets import Preset
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


def settings_of(
    env_id: str,
    algo: str,
    conf_file: Path | None,
    params: tuple[str, ...],
    env_kwargs: tuple[str, ...],
    preset: str | None,
    **flags: int | None,
) -> "Preset":
    """What to train with: the settings file's entry, under `--params`, under the other flags.

    Args:
        env_id: the scenario.
        algo: as `--algo` takes it.
        conf_file: the settings file; Feint's own if None.
        params: `--params`.
        env_kwargs: `--env-kwargs`.
        preset: difficulty of the scenario.
        flags: fields of the result, such as `n_envs`; None leaves the file's.

    Raises:
        ValueError: for whatever is not understood.
    """
    from dataclasses import replace

    from feint.agents.presets import preset_for
    from feint.envs import scenario_class
    from feint.envs.validation import check_int

    named = {"n_timesteps": "n-timesteps", "n_envs": "num-envs"}
    given = {key: value for key, value in flags.items() if value is not None}
    for key, value in given.items():
        check_int(named[key], value, at_least=1)
    found = preset_for(env_id, algo, conf_file, parse_pairs("params", params))
    kwargs = env_arguments(scenario_class(env_id), env_kwargs, preset)
    return replace(found, env_kwargs={**found.env_kwargs, **kwargs}, **given)  # pyright: ignore
