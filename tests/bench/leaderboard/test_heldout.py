"""Held-out others: they can be had wherever some are listed, and were not met in training."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from feint.agents import scripted
from feint.bench import Suite
from feint.bench.leaderboard import heldout
from feint.bench.settings import Settings
from feint.envs import scenario_class

TABLE = tomllib.loads((files("feint.bench.leaderboard") / "heldout.toml").read_text())


def settings(scenario):
    """As the suite `soo-rl` has them."""
    specs = Suite.load("soo-rl").runs()
    return Settings.of(next(s.settings for s in specs if s.scenario == scenario))


@pytest.mark.parametrize("name", TABLE)
def test_held_out_arguments_make_the_game_with_the_same_spaces(name):
    cls = scenario_class(f"feint/{name}")
    for base in ({}, {"attention": True}):
        plain = cls(1, **base)  # pyright: ignore[reportCallIssue]
        for kwargs in TABLE[name].values():
            other = cls(1, **base, **kwargs)  # pyright: ignore[reportCallIssue]
            for space in ("observation_space", "action_space"):
                assert getattr(other, space)(cls.focal) == getattr(plain, space)(plain.focal)


def test_every_scenario_of_the_suite_has_others_that_it_does_not_train_against():
    for scenario in Suite.load("soo-rl").scenarios:
        assert heldout.opponents(settings(scenario.key)), scenario.key


def test_an_opponent_that_was_met_in_training_is_not_held_out():
    met = {"attention": True, **TABLE["KuhnPoker-v0"]["equilibrium"]}
    kuhn = settings("kuhn_poker")
    assert heldout.opponents(kuhn)
    assert not heldout.opponents(replace(kuhn, env_kwargs=met))


def test_both_kinds_of_others_tell_a_scripted_liar_from_an_honest_agent():
    s = settings("kuhn_poker")
    game = scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]
    path = s.deception
    rates, beliefs = [], []
    for policy in ("honest", "deceptive"):
        act = scripted(game, policy)
        rates.append(heldout.against(act, s, 200, seed=1)["equilibrium"][path]["mean"])
        found = heldout.observed(act, s, 200, seed=1)
        assert found is not None and found["reads"] > found["chance"] + 0.1
        beliefs.append(found["misled"])
    assert rates[0] == 0.0 < 0.3 < rates[1]
    assert beliefs[0] < 0.1 < 0.4 < beliefs[1]


def test_an_observer_that_cannot_read_honest_play_is_left_out():
    s = settings("oversight")  # an honest worker's meter is always right: there is nothing to tell
    game = scenario_class(s.id)(1, **s.env_kwargs)  # pyright: ignore[reportCallIssue]
    assert heldout.observed(scripted(game, "honest"), s, 50, seed=1) is None
