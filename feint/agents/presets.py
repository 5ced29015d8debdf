"""Settings of the algorithms, in rl-zoo3's YAML: one file per algorithm, one entry per scenario.

The built-in files are in `feint/agents/hyperparams`. The same file works for rl-zoo3's
`--conf-file`. Nothing in a file is executed: `policy_kwargs`, which rl-zoo3 hands to `eval`, is
read as the few literals that it needs.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.utils import LinearSchedule

from feint.agents.algorithms import algorithm
from feint.envs import full_id

FOLDER = Path(__file__).parent / "hyperparams"
_ACTIVATIONS = {"nn.Tanh": "tanh", "nn.ReLU": "relu"}
_NAMES = {name: f"nn.{name.removeprefix('nn.')}" for name in ("Tanh", "ReLU", *_ACTIVATIONS)}


@dataclass(frozen=True)
class Preset:
    """What one run is trained with.

    Attributes:
        id: scenario, as Gymnasium makes it.
        n_timesteps: environment steps.
        n_envs: games in the training batch.
        net_arch: hidden widths, of the acting and of the valuing net.
        activation: "tanh" or "relu".
        lstm: units of the LSTM, in a recurrent policy.
        env_kwargs: arguments of the scenario.
        params: the algorithm's own arguments, with "lin_1e-3" for schedules.
    """

    id: str
    n_timesteps: int
    n_envs: int = 1
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    lstm: int = 64
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)

    def entry(self, algo: str) -> dict[str, Any]:
        """This preset as an entry of a YAML file, as `read` takes it."""
        chosen = algorithm(algo)
        widths = list(self.net_arch)
        arch = f"dict(pi={widths}, vf={widths})" if chosen.on_policy else str(widths)
        unit = next(unit for unit, name in _ACTIVATIONS.items() if name == self.activation)
        lstm = f", lstm_hidden_size={self.lstm}" if chosen.recurrent else ""
        return {
            "n_timesteps": self.n_timesteps,
            "n_envs": self.n_envs,
            "policy": chosen.policy,
            "policy_kwargs": f"dict(net_arch={arch}, activation_fn={unit}{lstm})",
            **({"env_kwargs": self.env_kwargs} if self.env_kwargs else {}),
            **self.params,
        }


def preset_for(
    env_id: str,
    algo: str,
    conf_file: str | Path | None = None,
    over: Mapping[str, Any] | None = None,
) -> Preset:
    """The preset of a scenario and algorithm; an algorithm with overlap takes its parent's.

    Without `conf_file`, the scenario is looked up in the algorithm's own built-in file, then, for
    a kind of PPO, in PPO's; then the file's `default` holds.

    Args:
        env_id: the scenario.
        algo: as `--algo` takes it.
        conf_file: a YAML file in place of the built-in ones.
        over: entries that win over the file's, also of its own keys such as `n_envs`.

    Raises:
        ValueError: for an unknown scenario or algorithm, a file that cannot be read or has nothing
            for this scenario, or an entry that is not understood.
    """
    name = full_id(env_id)
    algorithm(algo)
    parent = algo.removeprefix("soo")
    if conf_file is not None:
        path = Path(conf_file)
        found = _lookup(_entries(path), name)
    else:
        path = FOLDER / f"{parent}.yml"
        own = _entries(path)
        found = own.get(name)
        if found is None and "ppo" in parent:
            found = _entries(FOLDER / "ppo.yml").get(name)
            found = found and {key: found[key] for key in found if key != "policy"}
        found = found or own["default"]
    if found is None:
        raise ValueError(f"{path} has no entry for {name}, and no default")
    try:
        return _preset(name, algo, {**found, **(over or {})})
    except ValueError as error:
        raise ValueError(f"{name}: {error}" if conf_file is None else f"{path}: {error}") from error


def write_preset(preset: Preset, algo: str) -> str:
    """A YAML file with this preset alone, for `--conf-file`."""
    return yaml.safe_dump({preset.id: preset.entry(algo)}, sort_keys=False)


def schedule(value: Any) -> Any:
    """rl-zoo3's notation: "lin_1e-3" falls linearly from 1e-3 to 0; the rest stays as it is.

    Raises:
        ValueError: for `lin_` without a number.
    """
    if not (isinstance(value, str) and value.startswith("lin_")):
        return value
    try:
        return LinearSchedule(float(value.removeprefix("lin_")), 0.0, 1.0)
    except ValueError as error:
        raise ValueError(
            f"a linear schedule is lin_NUMBER, such as lin_1e-3; got {value}"
        ) from error


def _entries(path: Path) -> dict[str, Any]:
    if path.suffix not in (".yml", ".yaml"):
        raise ValueError(f"--conf-file must be a .yml or .yaml file, got {path}")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(e, dict) for e in found.values()):
        raise ValueError(f"{path} must map environment ids to settings, as rl-zoo3's files do")
    return found


def _lookup(entries: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    plain = name.rpartition(":")[2]
    return next((entries[key] for key in (name, plain, "default") if key in entries), None)


def _preset(name: str, algo: str, entry: dict[str, Any]) -> Preset:
    chosen = algorithm(algo)
    for key in ("env_wrapper", "vec_env_wrapper", "callback", "frame_stack", "normalize"):
        if entry.pop(key, None):
            raise ValueError(
                f"{key} is not supported: a checkpoint could not carry it; leave it out"
            )
    policy = entry.pop("policy", chosen.policy)
    if policy != chosen.policy:
        raise ValueError(f"policy must be {chosen.policy} with {algo}, got {policy!r}")
    nets = _policy_kwargs(entry.pop("policy_kwargs", {}))
    env_kwargs = entry.pop("env_kwargs", None) or {}
    if not isinstance(env_kwargs, dict):
        raise ValueError(f"env_kwargs must be a mapping, got {env_kwargs!r}")
    return Preset(
        id=name,
        n_timesteps=_count("n_timesteps", entry.pop("n_timesteps", 1_000_000)),
        n_envs=_count("n_envs", entry.pop("n_envs", 1)),
        **nets,
        env_kwargs=env_kwargs,
        params=entry,
    )


def _count(name: str, value: Any) -> int:
    try:
        whole = int(float(value))  # YAML reads 1e6 as text, and rl-zoo3 allows it
    except (TypeError, ValueError, OverflowError):
        whole = 0
    if whole < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    return whole


def _policy_kwargs(given: Any) -> dict[str, Any]:
    """`net_arch`, `activation` and `lstm` of a `Preset`, from SB3's `policy_kwargs`."""
    if isinstance(given, str):
        try:
            given = _literal(ast.parse(given.strip(), mode="eval").body)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"policy_kwargs is not understood: {error}") from error
    if not isinstance(given, dict):
        raise ValueError(f"policy_kwargs must be dict(...), got {given!r}")
    given = dict(given)
    found: dict[str, Any] = {}
    if "net_arch" in given:
        arch = given.pop("net_arch")
        if isinstance(arch, dict):
            first, *others = arch.values() or [None]
            if any(other != first for other in others):
                raise ValueError(f"net_arch must have the same widths everywhere, got {arch}")
            arch = first
        if not isinstance(arch, list | tuple) or not all(isinstance(w, int) for w in arch):
            raise ValueError(f"net_arch must be a list of widths, got {arch!r}")
        found["net_arch"] = tuple(_count("net_arch", width) for width in arch)
    if "activation_fn" in given:
        unit = given.pop("activation_fn")
        if unit not in _ACTIVATIONS:
            raise ValueError(f"activation_fn must be nn.Tanh or nn.ReLU, got {unit!r}")
        found["activation"] = _ACTIVATIONS[unit]
    if "lstm_hidden_size" in given:
        found["lstm"] = _count("lstm_hidden_size", given.pop("lstm_hidden_size"))
    if given:
        raise ValueError(
            f"policy_kwargs cannot hold {', '.join(given)}; net_arch, activation_fn and "
            "lstm_hidden_size are what a checkpoint carries"
        )
    return found


def _literal(node: ast.expr) -> Any:
    """`dict(a=[64, 64], b=nn.ReLU)` as a value; functions other than `dict` are refused."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
        if all(word.arg for word in node.keywords):
            return {str(word.arg): _literal(word.value) for word in node.keywords}
    if isinstance(node, ast.Dict) and all(node.keys):
        pairs = zip(node.keys, node.values, strict=True)
        return {ast.literal_eval(key): _literal(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.Name | ast.Attribute):
        name = ast.unparse(node)
        return _NAMES.get(name, name)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f"{ast.unparse(node)} is neither a literal nor dict(...)") from error
