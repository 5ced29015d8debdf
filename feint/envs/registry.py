"""The table of scenarios, and their registration with Gymnasium and PettingZoo.

Entry points are strings, so that `import feint` stays cheap.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from feint.envs.core import Scenario


@dataclass(frozen=True)
class Entry:
    """One scenario: `Name-v0`, the module it lives in, and PettingZoo's registries it is in.

    Scenarios in words are in the parallel one only: `api_test`, which whatever is in the other
    should pass, asks observations for a dtype, which texts do not have.
    """

    name: str
    module: str
    pettingzoo: tuple[Literal["parallel", "aec"], ...] = ("parallel", "aec")

    @property
    def id(self) -> str:
        """The Gymnasium id."""
        return f"feint/{self.name}-v0"

    @property
    def snake(self) -> str:
        """`PhysicalDeception` as `physical_deception`."""
        return self.module.rsplit(".", 1)[1]

    @property
    def pettingzoo_id(self) -> str:
        """The id in both PettingZoo registries."""
        return f"feint/{self.snake}-v0"


SCENARIOS = (
    Entry("PhysicalDeception", "feint.envs.physical_deception"),
    Entry("RoomSignal", "feint.envs.room_signal"),
    Entry("CheapTalk", "feint.envs.cheap_talk"),
    Entry("KuhnPoker", "feint.envs.kuhn_poker"),
    Entry("LiarsDice", "feint.envs.liars_dice"),
    Entry("HiddenRole", "feint.envs.hidden_role"),
    Entry("DeceptivePath", "feint.envs.deceptive_path"),
    Entry("Oversight", "feint.envs.oversight"),
    Entry("Sandbagging", "feint.envs.sandbagging"),
    Entry("BurglarText", "feint.envs.text.burglar_text", pettingzoo=("parallel",)),
    Entry("TreasureHuntText", "feint.envs.text.treasure_hunt_text", pettingzoo=("parallel",)),
    Entry("EscapeRoomText", "feint.envs.text.escape_room_text", pettingzoo=("parallel",)),
    Entry("PerspectivesText", "feint.envs.text.perspectives_text", pettingzoo=("parallel",)),
)


def register_all() -> None:
    """Register every scenario; done once, by `import feint`."""
    import gymnasium as gym
    import pettingzoo

    for entry in SCENARIOS:
        if entry.id in gym.registry:
            continue
        gym.register(
            entry.id,
            entry_point=f"{entry.module}:{entry.name}Env",
            vector_entry_point=f"{entry.module}:{entry.name}VectorEnv",
        )
        for kind in entry.pettingzoo:
            pettingzoo.register(
                kind,
                entry.pettingzoo_id,
                f"feint.envs.{entry.snake}_v0:{'parallel_env' if kind == 'parallel' else 'env'}",
            )


def scenario_class(env_id: str) -> "type[Scenario]":
    """The scenario behind an id: ours, with or without `feint/` and `-v0`, or a third party's.

    Args:
        env_id: a Gymnasium id, `module:` before it or not; of ours also the PettingZoo id.

    Raises:
        ValueError: for an unknown id, listing ours, or for an environment that is no scenario.
    """
    wanted = env_id.removeprefix("feint:").removeprefix("feint/").removesuffix("-v0")
    for entry in SCENARIOS:
        if wanted in (entry.name, entry.snake):
            return getattr(import_module(entry.module), entry.name)
    return _registered_class(env_id)


def full_id(env_id: str) -> str:
    """The Gymnasium id of a scenario: of ours the full one, of a third party's as it was given.

    Raises:
        ValueError: as `scenario_class`.
    """
    cls = scenario_class(env_id)
    ours = f"feint/{cls.name}"
    is_ours = any(entry.id == ours for entry in SCENARIOS) and scenario_class(ours) is cls
    return ours if is_ours else env_id


def _registered_class(env_id: str) -> "type[Scenario]":
    """The scenario of an environment that somebody else has registered with Gymnasium."""
    import gymnasium as gym
    from gymnasium.envs.registration import load_env_creator

    module, _, plain = env_id.rpartition(":")
    if module:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"cannot import {module!r} of {env_id!r}: {error}") from error
    spec = gym.registry.get(plain)
    if spec is None or spec.entry_point is None:
        known = ", ".join(entry.id for entry in SCENARIOS)
        raise ValueError(f"unknown scenario {env_id!r}; there are: {known}")
    made = spec.entry_point if callable(spec.entry_point) else load_env_creator(spec.entry_point)
    found = getattr(made, "scenario_class", None)
    if found is None:
        raise ValueError(f"{env_id!r} is no scenario: its class has no `scenario_class`")
    return found
