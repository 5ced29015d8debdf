"""Random legal and illegal play of every scenario and preset, through every view.

Whatever is played: what is outside the action space is refused and changes nothing, observations
stay inside their spaces, state and rewards stay finite, and episodes end by their limit.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.envs import SCENARIOS, scenario_class
from feint.envs.core import Scenario
from feint.envs.room_signal import RoomSignal
from feint.testing import Skip, Subject
from feint.testing.subject import (
    arrays,
    assert_refused,
    joint_actions,
    legal,
    outside,
    row,
    spoilt,
)

GAMES = 3
VIEWS = (
    "core focal",
    "core all",
    "single",
    *(f"vector {mode.value}" for mode in AutoresetMode),
    "parallel",
    "aec",
)

#: A move: a number that its choices follow from, and what it is to be. "legal" obeys the masks,
#: "any" only the space; "outside" is refused.
MOVES = st.lists(
    st.tuples(st.integers(0, 2**16), st.sampled_from(("legal", "legal", "any", "outside"))),
    min_size=1,
    max_size=12,
).filter(lambda moves: any(kind != "outside" for _, kind in moves))

CASES = [
    pytest.param(entry, preset, id=f"{entry.name} {preset or 'default'}")
    for entry in SCENARIOS
    for preset in (None, *scenario_class(entry.id).presets)
]


@pytest.mark.parametrize(("entry", "preset"), CASES)
@settings(max_examples=30, derandomize=True, deadline=None, database=None)
@given(view=st.sampled_from(VIEWS), seed=st.integers(0, 2**32), moves=MOVES)
def test_whatever_is_played_a_view_keeps_its_word(entry, preset, view, seed, moves):
    kwargs = {} if preset is None else {"preset": preset}
    with suppress(Skip):  # a view that PettingZoo does not have of this scenario
        play(Subject(entry.id, entry.pettingzoo_id, kwargs), view, seed, cycle(moves))


@pytest.mark.parametrize("view", VIEWS)
def test_a_game_that_takes_any_action_is_found_out_in_every_view(view, monkeypatch):
    def check_nothing(self, actions):
        moves = np.resize(np.nan_to_num(np.asarray(actions, float)), (self.num_envs, 2))
        return moves[:, : len(self.external)].astype(np.int64) % self.num_rooms

    monkeypatch.setattr(RoomSignal, "_check_actions", check_nothing)
    subject = Subject("feint/RoomSignal-v0", "feint/room_signal-v0")
    with pytest.raises(AssertionError, match="an illegal action was accepted"):
        play(subject, view, 0, cycle([(0, "outside"), (1, "outside"), (2, "any")]))


Moves = Iterator[tuple[int, str]]


def play(subject: Subject, view: str, seed: int, moves: Moves) -> None:
    kind, _, mode = view.partition(" ")
    ways = {"core": core, "single": single, "vector": vector, "parallel": parallel, "aec": aec}
    ways[kind](subject, mode, seed, moves)


def joint(game: Scenario, moves: Moves, refuse: Any) -> np.ndarray:
    """The next joint action; calls `refuse(column, bad)` first for each that is outside."""
    while True:
        number, kind = next(moves)
        if kind != "outside":
            actions = joint_actions(game, 1, number)[0]
            return legal(game, actions) if kind == "legal" else actions
        column = number % len(game.external)
        bad = outside(game.action_space(game.external[column]))
        refuse(column, bad[number % len(bad)])


def core(subject: Subject, mode: str, seed: int, moves: Moves) -> None:
    game = subject.core(GAMES, external=mode, labels=True, autoreset="freeze")
    observations = game.reset(seed=seed)

    def refuse(column, bad):
        actions = spoilt(joint_actions(game, 1, 0)[0], GAMES - 1, column, bad)
        assert_refused(game, lambda: game.step(actions), f"{game.external[column]}: {bad!r}")

    for t in range(game.max_steps + 1):
        for agent, obs in zip(game.external, observations, strict=True):
            assert_inside(game.observation_space(agent), obs)
        assert_finite([*game.state, *game.compute_labels().values()])
        if game.clock.done.all():
            return
        assert t < game.max_steps, f"not ended after {t} steps"
        step = game.step(joint(game, moves, refuse))
        observations = step.observations
        assert_finite(step.rewards)
        assert not (step.terminated & step.truncated).any()


def single(subject: Subject, mode: str, seed: int, moves: Moves) -> None:
    env: Any = subject.single().unwrapped
    game = env.scenario
    obs, _ = env.reset(seed=seed)

    def refuse(column, bad):
        assert_refused(game, lambda: env.step(bad), f"{bad!r}")

    for _ in range(game.max_steps):
        assert_inside(env.observation_space, [obs])
        action = joint(game, moves, refuse)[0, 0]
        obs, reward, terminated, truncated, _ = env.step(action)
        assert isinstance(reward, float) and np.isfinite(reward)
        assert_finite(game.state)
        if terminated or truncated:
            assert_inside(env.observation_space, [obs])
            return
    raise AssertionError(f"not ended after {game.max_steps} steps")


def vector(subject: Subject, mode: str, seed: int, moves: Moves) -> None:
    env: Any = subject.vector(GAMES, autoreset_mode=mode).unwrapped
    game, space = env.scenario, env.single_observation_space
    obs, _ = env.reset(seed=seed)

    def refuse(column, bad):
        actions = spoilt(joint_actions(game, 1, 0)[0], GAMES - 1, 0, bad)[:, 0]
        assert_refused(game, lambda: env.step(actions), f"{bad!r}")

    lasted, ended = np.zeros(GAMES, int), np.zeros(GAMES, bool)
    for _ in range(min(game.max_steps + 4, 60)):
        assert_inside(space, obs)
        # In NEXT_STEP mode the step after the end only begins the next episode.
        lasted = np.where(ended, 0, lasted + 1) if mode == "NextStep" else lasted + 1
        obs, rewards, terminated, truncated, infos = env.step(joint(game, moves, refuse)[:, 0])
        assert_finite([rewards, *game.state])
        ended = terminated | truncated
        assert (lasted <= game.max_steps).all() and ended[lasted == game.max_steps].all()
        if mode == "SameStep" and ended.any():
            assert_inside(space, infos["final_obs"][ended])
        if mode == "Disabled" and ended.any():
            assert_inside(space, obs)
            obs, _ = env.reset(options={"reset_mask": ended})
        if mode != "NextStep":
            lasted[ended] = 0


def parallel(subject: Subject, mode: str, seed: int, moves: Moves) -> None:
    env = subject.parallel()
    game = env.unwrapped.scenario
    observations, _ = env.reset(seed=seed)

    def refuse(column, bad):
        actions = dict(zip(env.agents, joint_actions(game, 1, 0)[0][0], strict=True))
        actions[game.external[column]] = bad
        assert_refused(game, lambda: env.step(actions), f"{game.external[column]}: {bad!r}")

    for _ in range(game.max_steps):
        for agent, obs in observations.items():
            assert_inside(env.observation_space(agent), [obs])
        actions = joint(game, moves, refuse)[0]
        observations, rewards, *_ = env.step(dict(zip(env.agents, actions, strict=True)))
        assert_finite([np.array(list(rewards.values())), *game.state])
        if not env.agents:
            return
    raise AssertionError(f"not ended after {game.max_steps} steps")


def aec(subject: Subject, mode: str, seed: int, moves: Moves) -> None:
    env = subject.aec()
    env.reset(seed=seed)
    game = env.unwrapped.scenario
    turns, limit = 0, (game.max_steps + 1) * len(game.agents)  # each takes its leave with None
    for agent in env.agent_iter(limit + 1):
        turns += 1
        obs, reward, terminated, truncated, _ = env.last()
        assert_inside(env.observation_space(agent), [obs])
        assert_finite([np.array(reward), *game.state])
        if terminated or truncated:
            env.step(None)
            continue

        def refuse(column, bad, agent=agent):
            # Where all act at once, PettingZoo's conversion plays a round when it is complete.
            if game.turn_based or agent == env.agents[-1]:
                wrong = outside(env.action_space(agent))
                for bad in wrong:
                    assert_refused(game, lambda bad=bad: env.step(bad), f"{agent}: {bad!r}")

        env.step(joint(game, moves, refuse)[0, game.external.index(agent)])
    assert not env.agents and turns <= limit, f"not ended after {turns} turns"


def assert_inside(space: spaces.Space, batch: Any) -> None:
    for i in range(len(batch)):
        assert space.contains(row(batch, i)), f"{row(batch, i)!r} is not in {space}"


def assert_finite(values: Any) -> None:
    for array in arrays(list(values)):
        assert array.dtype.kind != "f" or np.isfinite(array).all(), f"not finite: {array}"
