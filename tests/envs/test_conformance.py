"""The exported conformance suite over the registry; and mutants of a scenario, caught by it."""

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from feint.envs import SCENARIOS, scenario_class
from feint.envs.core import Pairs, Scenario
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.room_signal import RoomSignal
from feint.envs.text.burglar_text import BurglarText
from feint.envs.views import ScenarioEnv, ScenarioVectorEnv
from feint.testing import CHECKS, Subject, check_scenario

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "PhysicalDeception": [
        {"attention": True, "watching": "facing", "continuous_actions": True},
        {"rules": "soo", "continuous_actions": False, "sight_radius": 0.4},
        {"rules": "mpe", "num_good": 3, "continuous_actions": True, "skip": ("dial",)},
    ],
    "RoomSignal": [
        {"attention": True},
        {"num_rooms": 2, "num_nuisance": 1},
        {"rounds": 4, "attention": True},
        {"welfare": True, "care": 0.5},
    ],
    "CheapTalk": [
        {"receiver": "sceptical", "attention": True},
        # Against a best response the truth is an equilibrium's strategy: there no lie pays.
        {"receiver": "bayes", "skip": ("dial",)},
    ],
    "KuhnPoker": [{"attention": True}, {"absent_rate": 0.0, "deaf_rate": 0.0}, {"players": 4}],
    "LiarsDice": [
        {"attention": True},
        {"absent_rate": 0.0, "deaf_rate": 0.0},
        {"players": 4, "sides": 10},
    ],
    "HiddenRole": [{"attention": True, "num_players": 4}],
    "DeceptivePath": [
        {"attention": True, "diagonal": True, "recogniser": "logistic"},
        {"map": "A.......B\n" + ".........\n" * 10 + "..#.S.#..\n........."},
    ],
    "Oversight": [{"attention": True}],
    "Sandbagging": [{"attention": True}],
    "BurglarText": [BurglarText.variants["objective_action"]],
    "TreasureHuntText": [{"attention": True, "order": "treasure_last"}],
    "EscapeRoomText": [{"attention": True, "welfare": True, "order": "treasure_first"}],
}
"""Arguments to test with, besides the defaults and every preset."""

#: MPE's shaped reward does not pay for the lie: specs/recipes.md finds no liar there either.
PRESET_SKIPS = {("PhysicalDeception", "mpe"): ("dial",)}


def conforming() -> list[Any]:
    cases = []
    for entry in SCENARIOS:
        presets: list[dict[str, Any]] = [
            {"preset": name, "skip": PRESET_SKIPS.get((entry.name, name), ())}
            for name in scenario_class(entry.id).presets
        ]
        for kwargs in ({}, *presets, *VARIANTS.get(entry.name, [])):
            told = " ".join(f"{k}={v}" for k, v in kwargs.items() if k != "skip") or "default"
            cases.append(pytest.param(entry.id, kwargs, id=f"{entry.name} {told}"))
    return cases


@pytest.mark.parametrize(("env_id", "kwargs"), conforming())
def test_a_registered_scenario_keeps_the_contract(env_id, kwargs):
    report = check_scenario(env_id, **kwargs)
    arguments = {key: value for key, value in kwargs.items() if key != "skip"}
    assert set(report.skipped) <= {*kwargs.get("skip", ()), *without_meaning(env_id, arguments)}
    assert len(report.passed) + len(report.skipped) == len(CHECKS)
    assert str(report).startswith(f"{env_id}: {len(report.passed)} checks passed")


def without_meaning(env_id: str, kwargs: dict[str, Any]) -> set[str]:
    """The checks that have nothing to look at in this scenario: these alone may be left out."""
    game = Subject(env_id, "", kwargs).core(2, external="all")
    game.reset(seed=0)
    missing = set() if env_id == "feint/PhysicalDeception-v0" else {"pettingzoo_max_cycles"}
    if all(game.action_masks(agent) is None for agent in game.agents):
        missing.add("action_masks")
    if not game.presets:
        missing.add("presets")
    if isinstance(game.observation_space(game.focal), gym.spaces.Text):
        missing |= {"sb3_api", "pettingzoo_aec"}  # SB3 has no texts, nor PettingZoo's api_test
    if type(game).blind is Scenario.blind:
        missing.add("blinding")
    return missing


# -- mutants ----------------------------------------------------------------------------------


class LeaksTruth(PhysicalDeception):
    def _observe(self, agents, outs, games):
        super()._observe(agents, outs, games)
        for agent, out in zip(agents, outs, strict=True):
            if agent == "adversary_0":
                out[:, -1] = self.state.goal[games]


class LeaksBelief(PhysicalDeception):
    def _observe(self, agents, outs, games):
        super()._observe(agents, outs, games)
        for out in outs:
            out[:, -1] = self.compute_labels(games)["belief"]


class ReusesObservations(PhysicalDeception):
    def _fresh(self, agents, games):
        fresh = super()._fresh(agents, games)
        if len(games) < self.num_envs:
            return fresh
        kept = vars(self).setdefault("kept", {})
        for agent, obs in zip(agents, fresh, strict=True):
            kept.setdefault(agent, np.empty_like(obs))[...] = obs
        return tuple(kept[agent] for agent in agents)


class ShowsItsState(PhysicalDeception):
    def compute_labels(self, games=None):
        labels = super().compute_labels(games)
        return {**labels, "truth": self.state.goal} if games is None else labels


class PaysTheHonest(PhysicalDeception):
    def _advance(self, actions, active):
        rewards, terminated = super()._advance(actions, active)
        return -rewards, terminated


class PaysTheLiarAlways(PhysicalDeception):
    def __init__(self, *args, incentive=1.0, **kwargs):
        super().__init__(*args, incentive=1.0, **kwargs)


class SeedsByPosition(PhysicalDeception):
    def _begin(self, games):
        self.clock.seed[games] += np.asarray(games, np.uint64)
        super()._begin(games)


class ForgetsTheOther(PhysicalDeception):
    def __init__(self, *args, incentive=1.0, **kwargs):
        rate = kwargs.pop("red_absent_rate", None)
        super().__init__(*args, red_absent_rate=0.9 if incentive < 1 else rate, **kwargs)


class PairsInPlace(PhysicalDeception):
    def _pairs(self, observations, kind, rng):
        made = super()._pairs(observations, kind, rng)
        if kind == "presence":
            observations[:, self.layout.red] = 0.0
        return made


class PairsByChance(PhysicalDeception):
    def _pairs(self, observations, kind, rng):
        made = super()._pairs(observations, kind, rng)
        noise = np.random.default_rng().normal(size=made.self_obs.shape).astype(np.float32)
        return Pairs(made.self_obs + noise, made.other_obs, made.valid)


class PairsEverywhere(PhysicalDeception):
    def _pairs(self, observations, kind, rng):
        made = super()._pairs(observations, kind, rng)
        return Pairs(made.self_obs, made.other_obs, np.ones_like(made.valid))


class BlindsNobody(PhysicalDeception):
    def blind(self, games=None):
        pass


class BlindsForGood(RoomSignal):
    def blind(self, games=None):
        self.deaf = True
        super().blind(games)

    def _begin(self, games):
        super()._begin(games)
        if getattr(self, "deaf", False):
            self.state.listens[games] = False


class BlindsByName(PhysicalDeception):
    """Red says that it is blind, and looks all the same."""

    def compute_labels(self, games=None):
        labels = super().compute_labels(games)
        if getattr(self, "named_blind", False):
            labels["watched"][:] = False
        return labels

    def blind(self, games=None):
        self.named_blind = True


class LooksIntoSnapshots(PhysicalDeception):
    def restore(self, snapshot):
        super().restore(snapshot)
        self.clock = self.clock._replace(step=snapshot["clock.step"])


class SnapshotsHalf(PhysicalDeception):
    def snapshot(self):
        taken = super().snapshot()
        taken["state.vel"][:] = 0.0
        return taken


class SharesSnapshots(PhysicalDeception):
    def snapshot(self):
        return {**super().snapshot(), "state.pos": self.state.pos}


class NeverEnds(PhysicalDeception):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_steps += 1


class DoubtsTwice(PhysicalDeception):
    def compute_labels(self, games=None):
        labels = super().compute_labels(games)
        return {**labels, "belief": 2.0 * labels["belief"]}


class MeasuresNothing(PhysicalDeception):
    def episode_metrics(self, trace):
        return {**super().episode_metrics(trace), "misled": np.zeros(trace["free"].shape[1])}


class TakesAnything(PhysicalDeception):
    def _check_actions(self, actions):
        return np.clip(np.nan_to_num(np.asarray(actions).reshape(self.num_envs, -1)), 0, 4).astype(
            np.int64
        )


class DrawsNothing(PhysicalDeception):
    def draw(self, game=0):
        from feint.envs.render import Picture

        return Picture(ansi="nothing")


class MovesWhenDrawn(PhysicalDeception):
    def draw(self, game=0):
        self.state.pos[game] += 0.1
        return super().draw(game)


class CheatsOnTruth(PhysicalDeception):
    """A condition with truths of its own."""

    conditions = {  # noqa: RUF012
        **PhysicalDeception.conditions,
        "blind": {"red_absent_rate": 0.0, "red_blind_rate": 1.0, "rules": "mpe", "num_good": 3},
    }


class ScriptsOutsideTheSpace(PhysicalDeception):
    def scripted(self, policy, observations, rng):
        return super().scripted(policy, observations, rng) + 3


class StepsOutOfItsBox(RoomSignal):
    def _observe(self, agents, outs, games):
        super()._observe(agents, outs, games)
        outs[0][:, 0] += 5.0


class ForgetsWhenPickled(PhysicalDeception):
    def __setstate__(self, state):
        vars(self).update(state)
        self.clock.step[:] = 0


class HasHalfAPage(RoomSignal):
    """Tell somebody which room holds the treasure.

    ## Description
    See RoomSignal.
    """


class HidesAnArgument(RoomSignal):
    def __init__(self, *args, secret: int = 0, **kwargs):
        super().__init__(*args, **kwargs)


class MissesAPairKind(RoomSignal):
    """Leaves a kind out and does not say why."""

    __doc__ = (RoomSignal.__doc__ or "").replace("`viewpoint`", "`another`")
    pair_kinds = {k: v for k, v in RoomSignal.pair_kinds.items() if k != "viewpoint"}  # noqa: RUF012


class HoldsWhatIsNotThere(RoomSignal):
    conditions = {**RoomSignal.conditions, "deaf": {"deaf_rate": 1.0}}  # noqa: RUF012


class TakesNaN(RoomSignal):
    def __init__(self, *args, incentive: float = 1.0, **kwargs):
        super().__init__(*args, incentive=max(0.0, min(incentive, 1.0)), **kwargs)


class CrashesOnWrongTypes(RoomSignal):
    def __init__(self, *args, num_rooms: int = 4, **kwargs):
        super().__init__(*args, num_rooms=num_rooms + 0, **kwargs)


class BlamesTheWrongArgument(RoomSignal):
    def __init__(self, *args, num_rooms: int = 4, **kwargs):
        if not isinstance(num_rooms, int):
            raise ValueError("rooms must be an integer")
        super().__init__(*args, num_rooms=num_rooms, **kwargs)


class HasAnEmptyPreset(RoomSignal):
    __doc__ = f"{RoomSignal.__doc__}\n## Presets\n`empty`"
    presets = {"empty": {"num_rooms": 1}}  # noqa: RUF012


CAUGHT = {
    StepsOutOfItsBox: "gymnasium_api",
    ForgetsWhenPickled: "pickling",
    HasHalfAPage: "page",
    HidesAnArgument: "page",
    MissesAPairKind: "page",
    HoldsWhatIsNotThere: "page",
    TakesNaN: "arguments",
    CrashesOnWrongTypes: "arguments",
    BlamesTheWrongArgument: "arguments",
    HasAnEmptyPreset: "presets",
    LeaksTruth: "secrecy",
    LeaksBelief: "secrecy",
    ReusesObservations: "fresh_arrays",
    ShowsItsState: "fresh_arrays",
    PaysTheHonest: "dial",
    PaysTheLiarAlways: "dial",
    SeedsByPosition: "vector_next_step",
    ForgetsTheOther: "honest_twin",
    PairsInPlace: "pairs",
    PairsByChance: "pairs",
    PairsEverywhere: "pairs",
    BlindsNobody: "blinding",
    BlindsForGood: "blinding",
    BlindsByName: "blinding",
    LooksIntoSnapshots: "snapshot_restore",
    SnapshotsHalf: "snapshot_restore",
    SharesSnapshots: "snapshot_restore",
    NeverEnds: "step_limit",
    DoubtsTwice: "labels",
    MeasuresNothing: "metrics",
    TakesAnything: "illegal_actions",
    DrawsNothing: "rendering",
    MovesWhenDrawn: "rendering",
    CheatsOnTruth: "conditions",
    ScriptsOutsideTheSpace: "policies",
}


#: Checks that take long, or that other mutants are for.
ELSEWHERE = {"gymnasium_api", "sb3_api", "page", "arguments", "presets"}


class SteppedApart(ScenarioVectorEnv):
    """A batch whose rewards differ from the single game's, at the end of an episode only."""

    scenario_class = PhysicalDeception

    def step(self, actions):
        obs, rewards, terminated, truncated, infos = super().step(actions)
        return obs, rewards + 1e-3 * truncated, terminated, truncated, infos


class ResetsLate(ScenarioVectorEnv):
    """A batch that reports the wrong last observation in SAME_STEP mode."""

    scenario_class = PhysicalDeception

    def step(self, actions):
        obs, rewards, terminated, truncated, infos = super().step(actions)
        if "final_obs" in infos:
            infos["final_obs"] = np.array([*obs, None], object)[:-1]
        return obs, rewards, terminated, truncated, infos


class ResetsEverything(ScenarioVectorEnv):
    """A batch that resets all games where it was asked to reset some."""

    scenario_class = PhysicalDeception

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


class HasNoLimit(ScenarioVectorEnv):
    scenario_class = PhysicalDeception

    def __init__(self, num_envs=1, max_episode_steps=None, **kwargs):
        super().__init__(num_envs, **kwargs)


class PrintsItsTruth(ScenarioEnv):
    """A single game whose reward is no Python float."""

    scenario_class = PhysicalDeception

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, np.float32(reward), *rest  # pyright: ignore[reportReturnType]


def register(name: str, single: type, vector: type) -> str:
    """Register views that live in this module under names that importing can find."""
    module = sys.modules[__name__]
    for kind, view in (("Env", single), ("VectorEnv", vector)):
        view.__name__ = view.__qualname__ = name + kind
        setattr(module, view.__name__, view)
    env_id = f"feint-mutants/{name}-v0"
    if env_id not in gym.registry:
        gym.register(
            env_id,
            entry_point=f"{__name__}:{name}Env",
            vector_entry_point=f"{__name__}:{name}VectorEnv",
        )
    return env_id


def views_of(scenario: type) -> tuple[type, type]:
    body = {"scenario_class": scenario, "__module__": __name__}
    return type("Env", (ScenarioEnv,), body), type("VectorEnv", (ScenarioVectorEnv,), body)


def test_a_third_party_scenario_needs_no_pettingzoo_view():
    env_id = register("Copy", *views_of(type("Copy", (RoomSignal,), {"__module__": __name__})))
    setattr(sys.modules[__name__], "Copy", scenario_class(env_id))  # noqa: B010
    report = check_scenario(env_id)
    assert set(report.skipped) == {
        "pettingzoo_parallel",
        "pettingzoo_aec",
        "pettingzoo_max_cycles",
        "action_masks",
    }
    assert "not in PettingZoo's parallel registry" in str(report)


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda mutant: mutant.__name__)
def test_a_mutant_scenario_fails_the_check_that_is_meant_for_it(mutant):
    env_id = register(mutant.__name__, *views_of(mutant))
    with pytest.raises(AssertionError, match=f"{env_id}: check '{CAUGHT[mutant]}' failed"):
        check_scenario(env_id, skip=ELSEWHERE - {CAUGHT[mutant]})


@pytest.mark.parametrize(
    ("vector", "caught"),
    [
        (SteppedApart, "vector_next_step"),
        (ResetsLate, "vector_same_step"),
        (ResetsEverything, "vector_disabled"),
        (HasNoLimit, "step_limit"),
    ],
)
def test_a_mutant_batch_fails_the_check_that_is_meant_for_it(vector, caught):
    name = "Batch" + vector.__name__
    env_id = register(name, views_of(PhysicalDeception)[0], vector)
    with pytest.raises(AssertionError, match=f"check '{caught}' failed"):
        check_scenario(env_id, skip=ELSEWHERE)


def test_a_reward_that_is_no_python_float_fails_sb3s_checker():
    env_id = register("NumpyReward", PrintsItsTruth, views_of(PhysicalDeception)[1])
    with pytest.raises(AssertionError, match=r"check 'sb3_api' failed.*float"):
        check_scenario(env_id)


def test_unknown_ids_and_unknown_checks_are_the_callers_mistake():
    with pytest.raises(ValueError, match="unknown scenario 'nobody/Nothing-v0'"):
        check_scenario("nobody/Nothing-v0")
    with pytest.raises(ValueError, match="no scenario: its class has no `scenario_class`"):
        check_scenario("CartPole-v1")
    with pytest.raises(ValueError, match="skip names no such check: dail"):
        check_scenario("feint/RoomSignal-v0", skip=("dail",))
