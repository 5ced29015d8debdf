"""A suite as data: scenarios x arms x seeds, from a TOML file, expanded into runs.

    name = "demo"
    job = "feint.bench.rl:run"       # a function of (spec, folder, needs, report)
    seeds = [0, 1, 2]
    dev_seeds = [100, 101]           # those on which settings were chosen; may be left out

    [defaults]                       # settings of every run
    episodes = 2000

    [[scenario]]
    key = "room_signal"
    title = "room signal"
    settings = { id = "feint/RoomSignal-v0" }

    [[arm]]
    key = "tuned"
    title = "tuned with overlap"
    role = "treatment"               # or reference, sham, baseline
    needs = ["deceptive"]            # arms of the same scenario and seed that must be done first
    scenarios = ["room_signal"]      # all, if left out
    settings = { soo = { coef = 1.0 } }
    per_scenario.room_signal = { soo = { coef = 0.5 } }

    [[arm]]
    key = "base"                     # run for the first seed only; arms of all seeds may need it
    once = true
    ...

    [[arm]]
    key = "sham_l2"                  # stands for sham_l2_x0_1, sham_l2 and sham_l2_x10, which have
    doses = [0.1, 1.0, 10.0]         # this as the setting `dose_factor`
    ...

Settings are the job's business. Those of the arm for the scenario win over the arm's, those over
the scenario's, and those over the defaults; tables are merged key by key.
"""

import copy
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import json
import math
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

import feint
from feint.bench.results import RESULT_SCHEMA, check_json, explain

Role = Literal["reference", "treatment", "sham", "baseline"]
Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Settings = dict[str, Any]


@dataclass(frozen=True)
class RunSpec:
    """All that a job is given: equal specs must give equal results.

    Attributes:
        suite: name of the suite.
        scenario: key of the scenario.
        arm: key of the arm.
        role: "reference", "treatment", "sham" or "baseline".
        seed: the run's seed.
        settings: merged; JSON values.
        needs: ids of the runs that must be finished first.
        need_hashes: their hashes, in the same order.
        job: "module:function".
    """

    suite: str
    scenario: str
    arm: str
    role: Role
    seed: int
    settings: Settings
    needs: tuple[str, ...]
    need_hashes: tuple[str, ...]
    job: str

    @property
    def id(self) -> str:
        """Name of the run, and its folder: "scenario/arm/seed0"."""
        return f"{self.scenario}/{self.arm}/seed{self.seed}"

    @functools.cached_property
    def hash(self) -> str:
        """Sha256 of all that determines the result: what the job is given, and by which version."""
        parts = dataclasses.asdict(self) | {
            "schema": RESULT_SCHEMA,
            "feint": feint.__version__,
        }
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        fields = json.loads(text)
        for name in ("needs", "need_hashes"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    def load_job(self) -> Callable[..., Any]:
        """Import the job's function.

        Raises:
            ValueError: if its module has no such function.
        """
        module, _, name = self.job.partition(":")
        job = getattr(importlib.import_module(module), name, None)
        if not callable(job):
            raise ValueError(f"job {self.job!r}: {module} has no function {name!r}")
        return job


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Scenario(_Entry):
    """A scenario of a suite: key, title, and settings for the job."""

    key: Key
    title: str
    settings: Settings = {}


class Arm(_Entry):
    """A method of a suite: key, title, role, the arms it needs, where it runs, and settings.

    `once` says that it is run for the first seed only, for which it then stands in for all.
    `family` is the key of the entry that stood for it and its like at other doses; its own if none.
    """

    key: Key
    title: str
    role: Role
    needs: tuple[Key, ...] = ()
    scenarios: tuple[Key, ...] | None = None
    once: bool = False
    settings: Settings = {}
    per_scenario: dict[Key, Settings] = {}
    family: Key = ""

    @model_validator(mode="before")
    @classmethod
    def _own_family(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("family") and isinstance(data.get("key"), str):
            return data | {"family": data["key"]}
        return data

    def runs_on(self, scenario: str) -> bool:
        """Whether the arm is run on this scenario."""
        return self.scenarios is None or scenario in self.scenarios


class Suite(_Entry):
    """Scenarios x arms x seeds, and the job that runs each. Made by `load` or `from_dict`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
    job: Annotated[str, Field(pattern=r"^\w+(\.\w+)*:\w+$")]
    seeds: tuple[Annotated[StrictInt, Field(ge=0)], ...]
    dev_seeds: tuple[Annotated[StrictInt, Field(ge=0)], ...] = ()
    defaults: Settings = {}
    scenarios: tuple[Scenario, ...] = Field(alias="scenario")
    arms: tuple[Arm, ...] = Field(alias="arm")

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """Read a suite from a TOML file, or one of Feint's own by its name.

        Raises:
            ValueError: if there is no such suite, or something is wrong in it.
        """
        try:
            data = tomllib.loads(suite_text(source))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{source} is not TOML: {error}") from error
        return cls.from_dict(data, str(source))

    @classmethod
    def from_dict(cls, data: dict[str, Any], source: str = "suite") -> Self:
        """A suite from what its TOML file would hold; `source` is its name in errors."""
        try:
            if "arm" in data:
                data = data | {"arm": _at_all_doses(data["arm"])}
            return cls.model_validate(data)
        except ValidationError as error:
            line = explain(error, data)
            if error.errors()[0]["type"] == "extra_forbidden":
                part = {"scenario": Scenario, "arm": Arm}.get(str(error.errors()[0]["loc"][0]))
                fields = cls.model_fields if part is None else part.model_fields
                names = [f.alias or n for n, f in fields.items() if n != "family"]
                names += ["doses"] if part is Arm else []
                line += f"; there are: {', '.join(names)}"
            raise ValueError(f"{source}: {line}") from None
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`."""
        return self.model_dump(by_alias=True, mode="json")

    @field_validator("seeds", "dev_seeds", "scenarios", "arms")
    @classmethod
    def _some_and_no_twins(cls, items: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        keys = [item if isinstance(item, int) else item.key for item in items]
        if not keys and info.field_name != "dev_seeds":
            raise ValueError("got none; takes at least one")
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"got {key!r} twice; each must be there once")
        return items

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_json(self.defaults, "defaults")
        for scenario in self.scenarios:
            check_json(scenario.settings, f"scenario[{scenario.key}].settings")
        known = [scenario.key for scenario in self.scenarios]
        for arm in self.arms:
            check_json(arm.settings, f"arm[{arm.key}].settings")
            check_json(arm.per_scenario, f"arm[{arm.key}].per_scenario")
            _refuse_unknown(arm.scenarios or (), known, f"arm[{arm.key}].scenarios")
            _refuse_unknown(arm.per_scenario, known, f"arm[{arm.key}].per_scenario")
        if both := sorted(set(self.seeds) & set(self.dev_seeds)):
            raise ValueError(
                f"seed {both[0]} is in seeds and in dev_seeds; settings must be confirmed on seeds "
                "that they were not chosen on"
            )
        for scenario in known:
            _order([arm for arm in self.arms if arm.runs_on(scenario)], scenario)
        return self

    def with_seeds(self, seeds: Iterable[int]) -> Self:
        """The same suite over other seeds; those are then no development seeds."""
        chosen = list(seeds)
        dev = [seed for seed in self.dev_seeds if seed not in chosen]
        data = self.to_dict() | {"seeds": chosen, "dev_seeds": dev}
        return self.from_dict(data, f"suite {self.name}")

    def with_dev_seeds(self) -> Self:
        """The same suite over its development seeds.

        Raises:
            ValueError: if it names none.
        """
        if not self.dev_seeds:
            raise ValueError(f"suite {self.name} names no dev_seeds; give seeds yourself")
        return self.with_seeds(self.dev_seeds)

    def select(
        self, scenarios: Iterable[str] | None = None, arms: Iterable[str] | None = None
    ) -> Self:
        """Part of the suite: these scenarios, and these arms with all that they need.

        Raises:
            ValueError: for a key that is not there.
        """
        by_key = {arm.key: arm for arm in self.arms}
        kept = [scenario.key for scenario in self.scenarios]
        if scenarios is not None:
            wanted = list(scenarios)
            _refuse_unknown(wanted, kept, "scenarios")
            kept = [key for key in kept if key in wanted]
        queue = list(by_key if arms is None else arms)
        _refuse_unknown(queue, list(by_key), "arms")
        for key in queue:  # grows while it is walked
            queue += [need for need in by_key[key].needs if need not in queue]

        data = self.to_dict()
        data["scenario"] = [entry for entry in data["scenario"] if entry["key"] in kept]
        data["arm"] = [entry for entry in data["arm"] if entry["key"] in queue]
        for entry in data["arm"]:
            entry["per_scenario"] = {k: v for k, v in entry["per_scenario"].items() if k in kept}
            if entry["scenarios"] is not None:
                entry["scenarios"] = [key for key in entry["scenarios"] if key in kept]
        data["arm"] = [entry for entry in data["arm"] if entry["scenarios"] != []]
        return self.from_dict(data, f"suite {self.name}")

    def check_job(self) -> None:
        """See whether the job's module is there, without importing it.

        Raises:
            ValueError: if it is not.
        """
        module = self.job.partition(":")[0]
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:  # nor is its package
            found = None
        if found is None:
            raise ValueError(f"suite {self.name}: job {self.job!r}: there is no module {module}")

    def runs(self) -> list[RunSpec]:
        """Every run, each after those that it needs."""
        specs: dict[str, RunSpec] = {}
        first = self.seeds[0]
        once = {arm.key for arm in self.arms if arm.once}
        for scenario in self.scenarios:
            for arm in _order([a for a in self.arms if a.runs_on(scenario.key)], scenario.key):
                for seed in self.seeds[:1] if arm.once else self.seeds:
                    needs = tuple(
                        f"{scenario.key}/{need}/seed{first if need in once else seed}"
                        for need in arm.needs
                    )
                    spec = RunSpec(
                        suite=self.name,
                        scenario=scenario.key,
                        arm=arm.key,
                        role=arm.role,
                        seed=seed,
                        settings=merge(
                            self.defaults,
                            scenario.settings,
                            arm.settings,
                            arm.per_scenario.get(scenario.key, {}),
                        ),
                        needs=needs,
                        need_hashes=tuple(specs[need].hash for need in needs),
                        job=self.job,
                    )
                    specs[spec.id] = spec
        return list(specs.values())


def suite_text(source: str | Path) -> str:
    """The TOML file of a suite, or of one of Feint's own by its name.

    Raises:
        ValueError: if there is no such suite.
    """
    is_name = isinstance(source, str) and not source.endswith(".toml") and "/" not in source
    path = _own() / f"{source}.toml" if is_name else Path(source)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not is_name:
            raise ValueError(f"there is no suite file {source}") from error
        raise ValueError(
            f"there is no suite {source!r}; there are: {', '.join(suite_names()) or 'none'}; "
            "a file of your own must end in .toml"
        ) from error
    except OSError as error:
        raise ValueError(f"cannot read {source}: {error.strerror or error}") from error


def suite_names() -> list[str]:
    """Names of Feint's own suites."""
    own = _own()
    return sorted(p.name[:-5] for p in own.iterdir()) if own.is_dir() else []


def _own() -> Any:
    return files("feint.bench") / "suites"


def _at_all_doses(arms: Any) -> Any:
    """The arms, with one for each of its doses in place of each that lists `doses`.

    Raises:
        ValueError: for doses that are no list of different numbers above 0.
    """
    if not isinstance(arms, list):
        return arms
    found = []
    for arm in arms:
        if not isinstance(arm, dict) or "doses" not in arm:
            found.append(arm)
            continue
        entry = {name: value for name, value in arm.items() if name != "doses"}
        key, doses = entry.get("key"), arm["doses"]
        numbers = isinstance(doses, list) and all(
            isinstance(x, int | float) and not isinstance(x, bool) and 0 < x < math.inf
            for x in doses
        )
        if not numbers or not doses or len(set(doses)) < len(doses):
            raise ValueError(f"arm[{key}].doses: got {doses!r}; takes different numbers above 0")
        found += [_at_dose(entry, float(dose)) for dose in doses]
    return found


def _at_dose(entry: Settings, dose: float) -> Settings:
    """An arm at a dose; at 1 it is the arm without doses, so that neither needs running twice."""
    key = entry.get("key")
    changed: Settings = {"title": f"{entry.get('title', key)}, {dose:g}x dose", "family": key}
    if dose != 1.0:
        changed |= {
            "key": f"{key}_x{dose:g}".replace(".", "_"),
            "settings": {"dose_factor": dose},
        }
    return merge(entry, changed)


def merge(*tables: Settings) -> Settings:
    """A new table; later ones win, and tables within tables are merged in the same way."""
    merged: Settings = {}
    for table in tables:
        for key, value in table.items():
            if isinstance(value, dict) and isinstance(merged.get(key), dict):
                merged[key] = merge(merged[key], value)
            else:
                merged[key] = copy.deepcopy(value)
    return merged


def _order(arms: list[Arm], scenario: str) -> list[Arm]:
    """The arms of one scenario, each after those it needs."""
    by_key = {arm.key: arm for arm in arms}
    for arm in arms:
        _refuse_unknown(arm.needs, list(by_key), f"arm[{arm.key}].needs on {scenario}")
    try:
        order = TopologicalSorter({arm.key: arm.needs for arm in arms}).static_order()
        return [by_key[key] for key in order]
    except CycleError as error:
        raise ValueError(
            f"arms need each other in a circle on {scenario}: {' <- '.join(error.args[1])}; "
            "take one of these needs away"
        ) from error


def _refuse_unknown(keys: Iterable[str], known: list[str], where: str) -> None:
    for key in keys:
        if key not in known:
            raise ValueError(f"{where}: got {key!r}; there are: {', '.join(known)}")
