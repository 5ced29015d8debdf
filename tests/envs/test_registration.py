"""Ids, entry points and modules; and what importing them does not load."""

import importlib
import json
import subprocess
import sys
from functools import partial

import gymnasium as gym
import pettingzoo
import pytest

from feint.envs import SCENARIOS, register_all, scenario_class
from feint.envs.core import Scenario
from feint.envs.multi import ScenarioParallelEnv
from feint.envs.views import ScenarioEnv, ScenarioVectorEnv

ENTRIES = pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@ENTRIES
def test_gymnasium_makes_every_scenario_single_and_batched(entry):
    env = gym.make(entry.id)
    assert isinstance(env.unwrapped, ScenarioEnv)
    assert env.spec is not None and env.spec.max_episode_steps is None
    assert type(env.unwrapped.scenario) is scenario_class(entry.id)
    batch = gym.make_vec(entry.id, num_envs=3)
    assert isinstance(batch.unwrapped, ScenarioVectorEnv)
    assert batch.num_envs == 3
    sync = gym.make_vec(entry.id, num_envs=2, vectorization_mode="sync")
    assert isinstance(sync, gym.vector.SyncVectorEnv)


@ENTRIES
def test_keywords_reach_the_scenario(entry):
    for env in (
        gym.make(entry.id, incentive=0.25),
        gym.make_vec(entry.id, num_envs=2, incentive=0.25),
        pettingzoo.make("parallel", entry.pettingzoo_id, incentive=0.25),
    ):
        game = env.unwrapped.scenario  # pyright: ignore[reportAttributeAccessIssue]
        assert getattr(game, "incentive", None) == 0.25 or game.params.incentive == 0.25
    for make in (
        lambda **kw: gym.make(entry.id, **kw),
        lambda **kw: gym.make_vec(entry.id, num_envs=2, **kw),
        *(partial(pettingzoo.make, kind, entry.pettingzoo_id) for kind in entry.pettingzoo),
    ):
        with pytest.raises(ValueError, match="incentive must be in"):
            make(incentive=2.0)


@ENTRIES
def test_pettingzoo_makes_every_scenario_of_its_kinds(entry):
    env = pettingzoo.make("parallel", entry.pettingzoo_id)
    assert isinstance(env.unwrapped, ScenarioParallelEnv)
    if "aec" in entry.pettingzoo:
        assert isinstance(pettingzoo.make("aec", entry.pettingzoo_id), pettingzoo.AECEnv)


@ENTRIES
def test_every_scenario_has_a_module_of_the_old_form(entry):
    module = importlib.import_module(f"feint.envs.{entry.snake}_v0")
    assert isinstance(module.parallel_env(), ScenarioParallelEnv)
    for make in (module.env, module.raw_env):
        env = make(max_cycles=7)
        assert isinstance(env, pettingzoo.AECEnv)
        env.reset(seed=0)


@ENTRIES
def test_every_scenario_says_what_it_is_about(entry):
    cls = scenario_class(entry.id)
    assert issubclass(cls, Scenario)
    assert cls.name == f"{entry.name}-v0"
    assert cls.deception
    page = cls.__doc__ or ""
    for section in (
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Deception structure",
        "Version History",
    ):
        assert f"## {section}" in page, section
    for kind in cls.pair_kinds:
        assert f"`{kind}`" in page, f"the page does not say what {kind!r} pairs are"


@ENTRIES
@pytest.mark.parametrize("form", ["{id}", "feint:{id}", "{name}", "{snake}", "{zoo}"])
def test_a_scenarios_class_is_found_by_any_of_its_names(entry, form):
    name = form.format(id=entry.id, name=entry.name, snake=entry.snake, zoo=entry.pettingzoo_id)
    assert scenario_class(name).__name__ == entry.name


def test_unknown_scenarios_are_refused_with_a_list_of_those_there_are():
    with pytest.raises(ValueError, match="'feint/Poker-v0'; there are: feint/PhysicalDeception-v0"):
        scenario_class("feint/Poker-v0")


def test_registering_twice_changes_nothing(recwarn):
    before = {entry.id: gym.spec(entry.id) for entry in SCENARIOS}
    register_all()
    assert {entry.id: gym.spec(entry.id) for entry in SCENARIOS} == before
    assert not recwarn.list


@pytest.mark.parametrize(
    "make",
    [
        "gym.make('feint:feint/RoomSignal-v0')",
        "gym.make_vec('feint:feint/RoomSignal-v0', num_envs=2)",
        "__import__('feint') and gym.make('feint/RoomSignal-v0')",
    ],
)
def test_a_fresh_interpreter_makes_environments_by_importing_feint_or_by_the_module_prefix(make):
    code = f"import gymnasium as gym; env = {make}; env.reset(seed=0); print(env.unwrapped)"
    assert "RoomSignal" in run(code)


def test_importing_feint_loads_neither_torch_nor_numba_nor_transformers():
    code = (
        "import sys, json, feint; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    )
    loaded = set(json.loads(run(code)))
    assert "gymnasium" in loaded
    heavy = {"torch", "numba", "transformers", "stable_baselines3", "scipy", "matplotlib", "pygame"}
    assert not loaded & heavy


def test_playing_loads_neither_torch_nor_sb3():
    code = (
        "import sys, json, feint, gymnasium as gym; env = gym.make('feint/PhysicalDeception-v0');"
        "env.reset(seed=0); env.step(0);"
        "print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    )
    loaded = set(json.loads(run(code)))
    assert "numba" in loaded
    assert not loaded & {"torch", "transformers", "stable_baselines3"}
