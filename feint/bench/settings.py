"""What a run of an RL suite is told; in a module of its own, since reading it needs no torch."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from feint.bench.suite import merge

_KINDS = ("train", "finetune", "mask", "twin")


@dataclass(frozen=True)
class Settings:
    """One run, as the suite describes it.

    Attributes:
        id: scenario.
        env_kwargs: its arguments, without the incentive.
        kind: "train", "finetune", "mask" or "twin".
        algorithm: name of the SB3 algorithm; its `soo` sibling is taken where `soo` is set.
        steps: environment steps to train.
        algo: the SB3 algorithm's own arguments.
        num_envs: games in the training batch.
        net_arch: hidden widths.
        activation: "tanh" or "relu".
        lstm: units of the LSTM, in a recurrent policy.
        incentive: of the training environment.
        entropy_decay: share of training after which the entropy bonus has fallen to 0; 0 keeps it.
        start: arm whose agent "finetune", "mask" and "twin" begin with.
        twin: pair kind whose self side "twin" plays on, or "fork" (`feint.agents.ForkedTwin`).
        soo: `soo_*` arguments, without the prefix.
        fork: arguments of `ForkedPairs`, for pairs = "fork".
        dose_from: arm whose recorded dose this one gets.
        dose_factor: times that dose.
        episodes: evaluation episodes per condition.
        conditions: evaluation conditions.
        deception: "condition/metric" that the verdict is about.
        task: the same for own-task success, by name.
        attention: the same for honest attention, by name.
        zero_in_other: columns of the observation; the detector is also measured with these set to
            0 on the other side of each pair, as the code of arXiv 2412.16325 does.
        curve_points: evaluations during training.
    """

    id: str
    kind: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "ppo"
    steps: int = 0
    algo: dict[str, Any] = field(default_factory=dict)
    num_envs: int = 512
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    lstm: int = 64
    incentive: float = 1.0
    entropy_decay: float = 0.0
    start: str | None = None
    twin: str = "belief"
    soo: dict[str, Any] = field(default_factory=dict)
    fork: dict[str, Any] = field(default_factory=dict)
    dose_from: str | None = None
    dose_factor: float = 1.0
    episodes: int = 2000
    conditions: tuple[str, ...] = ("present", "absent")
    deception: str = ""
    task: dict[str, str] = field(default_factory=dict)
    attention: dict[str, str] = field(default_factory=dict)
    zero_in_other: tuple[int, ...] = ()
    curve_points: int = 12

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Settings":
        """From the suite's merged table; its `finetune` wins in runs of that kind.

        Raises:
            ValueError: for unknown or missing keys and an unknown kind.
        """
        settings = dict(settings)
        finetune = settings.pop("finetune", {})
        if settings.get("kind") == "finetune":
            settings = merge(settings, finetune)
        missing = sorted({"id", "kind", "deception", "task"} - settings.keys())
        if missing:
            raise ValueError(f"settings lack {missing}")
        check_settings(cls, settings, _KINDS)
        if settings["kind"] != "train" and "start" not in settings:
            raise ValueError(f"kind={settings['kind']!r} needs start, the arm to begin with")
        if settings.get("dose_factor", 1.0) != 1.0 and "dose_from" not in settings:
            raise ValueError("dose_factor needs dose_from, the arm whose dose it multiplies")
        lists = ("net_arch", "conditions", "zero_in_other")
        tuples = {key: tuple(settings[key]) for key in lists if key in settings}
        return cls(**{**settings, **tuples})

    @property
    def trains(self) -> bool:
        """Whether anything is learnt, and so an agent of its own left behind."""
        return self.kind in ("train", "finetune")

    @property
    def trained_by(self) -> str:
        """Name of the algorithm."""
        return f"soo{self.algorithm}" if self.soo else self.algorithm


def check_settings(wanted: type, settings: Mapping[str, Any], kinds: Collection[str]) -> None:
    """Refuse keys that the dataclass `wanted` lacks, and a `kind` that is not among `kinds`.

    Raises:
        ValueError: naming what there is.
    """
    known = {f.name for f in fields(wanted)}
    if unknown := sorted(settings.keys() - known):
        raise ValueError(f"unknown settings {unknown}; there are: {', '.join(sorted(known))}")
    if settings.get("kind") not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}; got {settings.get('kind')!r}")
