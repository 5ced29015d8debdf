"""The result of one run: a JSON file with a schema version, checked when written and when read."""

import functools
import json
import math
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError

import feint
from feint.files import write_atomically

if TYPE_CHECKING:
    from feint.bench.suite import RunSpec

RESULT_SCHEMA = 2
_PACKAGES = (
    "feint numpy scipy numba gymnasium pettingzoo torch stable-baselines3 sb3-contrib transformers "
    "peft accelerate"
).split()


class Unfinished(ValueError):
    """Too little of a suite is finished to report on it."""


def check_json(value: Any, where: str) -> None:
    """Refuse what JSON cannot hold.

    Raises:
        ValueError: with the path of keys that leads to the value.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where} has the key {key!r}; keys must be strings")
            check_json(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_json(item, f"{where}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; it must be finite, or null where undefined")
    elif not isinstance(value, str | int | None):
        kind = type(value)
        raise ValueError(
            f"{where} is a {kind.__module__}.{kind.__qualname__}, which JSON cannot hold; convert "
            "it to a plain number, string, list or table (numpy: .tolist())"
        )


def without_nan(value: Any) -> Any:
    """The same with None in place of numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(name: str) -> AfterValidator:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        check_json(value, name)
        return value

    return AfterValidator(check)


class RunResult(BaseModel):
    """What a run leaves behind, beside the files its job wrote.

    Attributes:
        schema_version: `RESULT_SCHEMA`, called `schema` in the file.
        suite: name of the suite.
        scenario: key of the scenario.
        arm: key of the arm.
        role: what the arm is there for.
        seed: the run's seed.
        run: "scenario/arm/seed0".
        spec_hash: `RunSpec.hash` of what was run.
        settings: the settings it ran with, merged.
        versions: of Python and of the packages in use.
        commit: of the checkout that the package is in, "-dirty" if it was; None outside one.
        started: ISO 8601, UTC.
        wall_s: duration, seconds.
        cpu_s: processor time of the job and its children, seconds.
        payload: what the job returned; every number finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[2] = Field(RESULT_SCHEMA, alias="schema")
    suite: str
    scenario: str
    arm: str
    role: str
    seed: Annotated[StrictInt, Field(ge=0)]
    run: str
    spec_hash: str
    settings: Annotated[dict[str, Any], _table("settings")]
    versions: dict[str, str]
    commit: str | None
    started: str
    wall_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cpu_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    payload: Annotated[dict[str, Any], _table("payload")]

    @classmethod
    def of(
        cls, spec: "RunSpec", payload: Any, *, started: str, wall_s: float, cpu_s: float
    ) -> Self:
        """The result of running `spec` in this process.

        Raises:
            ValueError: if the payload is not a dict of finite JSON values.
        """
        if not isinstance(payload, dict):
            raise ValueError(f"{spec.job} must return a dict, got {type(payload).__name__}")
        check_json(payload, "payload")
        return cls(
            schema=RESULT_SCHEMA,
            suite=spec.suite,
            scenario=spec.scenario,
            arm=spec.arm,
            role=spec.role,
            seed=spec.seed,
            run=spec.id,
            spec_hash=spec.hash,
            settings=spec.settings,
            versions=versions(),
            commit=commit(),
            started=started,
            wall_s=wall_s,
            cpu_s=cpu_s,
            payload=payload,
        )

    def write(self, path: str | Path) -> None:
        """Write it, whole or not at all."""
        data = self.model_dump(by_alias=True)
        write_atomically(path, json.dumps(data, indent=1, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ValueError: in one line, if the file is missing, damaged, or of another schema.
        """
        try:
            data = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:  # not JSON, or not UTF-8
            raise ValueError(f"{path} is not whole: {error}; run its suite again") from error
        found = data.get("schema") if isinstance(data, dict) else None
        if found != RESULT_SCHEMA:
            raise ValueError(
                f"{path} has result schema {found!r}; this version of Feint reads {RESULT_SCHEMA}"
            )
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: Any, name: str) -> Self:
        """A result from what its file holds; `name` is what errors call that.

        Raises:
            ValueError: in one line, if it is no result.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ValueError(f"{name}: {explain(error, data)}") from error


def explain(error: ValidationError, data: Any) -> str:
    """Pydantic's first complaint about `data`, in one line that names the key."""
    first, *others = error.errors()
    where = ""
    for part in first["loc"]:
        try:
            data = data[part]
        except (LookupError, TypeError):  # a missing key, or one of pydantic's own remarks
            data = None
        name = data.get("key", part) if isinstance(data, dict) else part
        where += f"[{name}]" if isinstance(part, int) else f".{part}"
    where = where.lstrip(".")
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        line = f"the key {where} is missing"
    elif first["type"] == "extra_forbidden":
        line = f"unknown key {where}"
    elif first["type"] == "value_error":
        line = f"{where}: {text}" if where else text
    else:
        line = f"{where}: got {first['input']!r}; {text[0].lower()}{text[1:]}"
    return line + (f" (and {len(others)} more)" if others else "")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of those packages we use that are installed."""
    found = {"python": platform.python_version(), "feint": feint.__version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str | None:
    """Revision of the checkout that the package is in, if it is in one of its own."""
    package = Path(feint.__file__).resolve().parent

    def git(*command: str) -> str:
        call = ["git", "-C", str(package), *command]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != package.parent:
            return None  # installed below somebody else's checkout
        dirty = git("status", "--porcelain", "--", str(package))
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None
