"""What every scenario gets from the core: seeds, autoreset, masks, labels, snapshots."""

import pickle

import numpy as np
import pytest

from feint.envs.core import Scenario, Step
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.room_signal import RoomSignal

MODES = ("next_step", "same_step", "disabled", "freeze")


def play(game: Scenario, steps: int):
    """`steps` of the first legal action in every game."""
    space = game.action_space(game.focal)
    assert space.n > 1  # pyright: ignore[reportAttributeAccessIssue]
    actions = np.ones(game.num_envs, int)
    return [game.step(actions) for _ in range(steps)]


def told(step: Step) -> dict[str, np.ndarray]:
    """A step's labels."""
    assert step.labels is not None
    return step.labels


def start(game: Scenario, seed: int = 0) -> Scenario:
    game.reset(seed=seed)
    return game


# -- seeds ------------------------------------------------------------------------------------


def test_game_i_of_a_batch_seeded_s_is_the_single_game_seeded_s_plus_i():
    batch = start(PhysicalDeception(5), seed=70)
    for i in range(5):
        np.testing.assert_array_equal(
            batch.observe()[0][i], start(PhysicalDeception(1), seed=70 + i).observe()[0][0]
        )


def test_a_seeded_reset_repeats_and_an_unseeded_one_goes_on_to_the_next_episode():
    game = PhysicalDeception(3)
    (first,) = game.reset(seed=5)
    (second,) = game.reset()
    assert (first != second).any(axis=1).all()
    (third,) = game.reset(seed=5)
    np.testing.assert_array_equal(first, third)
    (fourth,) = game.reset()
    np.testing.assert_array_equal(second, fourth)


def test_the_first_reset_without_a_seed_draws_one_from_the_system():
    games = [PhysicalDeception(3) for _ in range(2)]
    firsts = [game.reset()[0] for game in games]
    assert (firsts[0] != firsts[1]).any()


def test_every_game_may_have_a_seed_of_its_own():
    game = PhysicalDeception(3)
    game.reseed(np.array([9, 4, 9]))
    (obs,) = game.reset()
    np.testing.assert_array_equal(obs[0], obs[2])
    np.testing.assert_array_equal(obs[1], start(PhysicalDeception(1), seed=4).observe()[0][0])


@pytest.mark.parametrize("seed", [-1, 1.5, "seven", True, float("nan")])
def test_a_seed_must_be_a_natural_number(seed):
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        PhysicalDeception(1).reset(seed=seed)


def test_large_seeds_do_not_collide_with_small_ones():
    low, high = (start(PhysicalDeception(1), seed=seed).observe()[0] for seed in (3, 3 + 2**32))
    assert (low != high).any()


# -- stepping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("autoreset", MODES)
def test_stepping_before_the_first_reset_raises(autoreset):
    with pytest.raises(RuntimeError, match=r"call reset\(\) before step\(\)"):
        play(PhysicalDeception(2, autoreset=autoreset), 1)


@pytest.mark.parametrize("make", [PhysicalDeception, RoomSignal])
def test_disabled_refuses_to_step_a_game_that_has_ended(make):
    game = start(make(2, autoreset="disabled", max_episode_steps=2))
    while not game.clock.done.any():
        play(game, 1)
    with pytest.raises(RuntimeError, match=r"call reset\(mask=...\)"):
        play(game, 1)
    game.reset(mask=game.clock.done.copy())
    play(game, 1)


def test_next_step_resets_in_the_step_after_and_pays_nothing_for_it():
    game = start(PhysicalDeception(4, max_episode_steps=3, labels=True))
    steps = play(game, 5)
    assert [bool(step.truncated.all()) for step in steps] == [False, False, True, False, False]
    assert (steps[3].rewards[0] == 0).all()
    assert (steps[4].rewards[0] != 0).all()
    again = PhysicalDeception(4)
    again.reset(seed=0)
    np.testing.assert_array_equal(steps[3].observations[0], again.reset()[0])
    assert (told(steps[3])["belief"] == 0.5).all()
    np.testing.assert_array_equal(game.clock.step, 1)


def test_same_step_resets_at_once_and_keeps_what_the_end_looked_like():
    game, twin = (
        start(PhysicalDeception(4, max_episode_steps=3, labels=True, autoreset=mode))
        for mode in ("same_step", "disabled")
    )
    last, end = play(game, 3)[-1], play(twin, 3)[-1]
    assert last.final is not None and last.final.labels is not None
    np.testing.assert_array_equal(last.final.games, np.arange(4))
    np.testing.assert_array_equal(last.final.observations[0], end.observations[0])
    np.testing.assert_array_equal(last.final.labels["belief"], told(end)["belief"])
    np.testing.assert_array_equal(last.rewards[0], end.rewards[0])
    np.testing.assert_array_equal(last.observations[0], twin.reset()[0])
    assert (told(last)["belief"] == 0.5).all()
    assert play(game, 1)[0].final is None


def test_freeze_leaves_ended_games_as_they_are():
    game = start(RoomSignal(6, external="all", autoreset="freeze", labels=True))
    actions = np.ones((6, 2), int)
    game.step(actions)
    end = game.step(actions)
    frozen = game.snapshot()
    after = game.step(np.zeros((6, 2), int))
    assert end.terminated.all()
    assert not (after.terminated | after.truncated).any()
    assert game.clock.done.all()
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, frozen[key])
    for got, wanted in zip(after.observations, end.observations, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert all((reward == 0).all() for reward in after.rewards)


@pytest.mark.parametrize("autoreset", ["next_step", "same_step", "freeze"])
def test_games_of_a_batch_end_and_restart_apart(autoreset):
    game = start(PhysicalDeception(4, max_episode_steps=4, autoreset=autoreset))
    play(game, 2)
    game.reset(mask=np.array([True, False, False, False]))
    steps = play(game, 4)
    ends = [step.truncated.tolist() for step in steps]
    assert ends[1] == [False, True, True, True]
    assert ends[3] == [True, False, False, False]
    assert ends[0] == ends[2] == [False] * 4


# -- masks, agents, labels --------------------------------------------------------------------


@pytest.mark.parametrize("mask", [[True], [1, 0, 1], [[True, False, True]], np.array([0, 2])])
def test_a_mask_of_another_shape_or_type_is_refused(mask):
    game = start(PhysicalDeception(3))
    for call in (lambda: game.reset(mask=mask), lambda: game.blind(mask)):
        with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(3,\)"):
            call()


def test_a_masked_seeded_reset_seeds_only_those_games():
    game = start(PhysicalDeception(3), seed=50)
    (before,) = game.observe()
    (after,) = game.reset(seed=7, mask=np.array([False, True, False]))
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_array_equal(after[1], start(PhysicalDeception(3), seed=7).observe()[0][1])


def test_agents_may_be_external_in_any_order():
    names = ("agent_0", "adversary_0")
    game = start(PhysicalDeception(2, external=names, red_absent_rate=0.0))
    plain = start(PhysicalDeception(2, external="all", red_absent_rate=0.0))
    assert game.external == names
    mine = game.step(np.array([[1, 2], [3, 4]]))
    theirs = plain.step(np.array([[2, 1], [4, 3]]))
    for k in range(2):
        np.testing.assert_array_equal(mine.observations[k], theirs.observations[1 - k])
        np.testing.assert_array_equal(mine.rewards[k], theirs.rewards[1 - k])


def test_labels_cost_nothing_when_they_are_not_asked_for(monkeypatch):
    def never(self, games=None):
        raise AssertionError("labels were computed")

    monkeypatch.setattr(PhysicalDeception, "compute_labels", never)
    for autoreset in MODES[:2]:
        game = start(PhysicalDeception(2, autoreset=autoreset, max_episode_steps=2))
        assert all(step.labels is None for step in play(game, 5))


# -- snapshots --------------------------------------------------------------------------------


def test_a_snapshot_of_another_game_is_refused_and_changes_nothing():
    game = start(PhysicalDeception(3))
    before = game.snapshot()
    for other in (PhysicalDeception(4), RoomSignal(3), PhysicalDeception(3, rules="mpe")):
        with pytest.raises(ValueError, match=r"this snapshot does not fit .* num_envs=3"):
            game.restore(start(other).snapshot())
    for key, value in game.snapshot().items():
        np.testing.assert_array_equal(value, before[key])


def test_two_futures_of_one_snapshot_share_all_draws_but_their_choice():
    game = start(PhysicalDeception(50, max_episode_steps=5, autoreset="next_step"))
    taken = game.snapshot()
    futures = []
    for action in (1, 2):
        game.restore(taken)
        for _ in range(5):
            game.step(np.full(50, action))
        (obs,) = game.step(np.zeros(50, int)).observations  # the first of the next episode
        futures.append(obs)
    np.testing.assert_array_equal(futures[0], futures[1])


def test_a_restored_scenario_needs_no_reset():
    taken = start(PhysicalDeception(2)).snapshot()
    game = PhysicalDeception(2)
    game.restore(taken)
    play(game, 1)
    np.testing.assert_array_equal(game.clock.step, 1)


# -- another batch of the same game ---------------------------------------------------------------


def test_a_batch_like_another_has_its_arguments_but_for_the_changes():
    game = PhysicalDeception(4, attention=True, red_blind_rate=1.0, autoreset="same_step")
    other, changed = start(game.like(7), seed=3), start(game.like(7, red_blind_rate=0.0), seed=3)
    assert (other.num_envs, other.autoreset, other.max_steps) == (7, "same_step", game.max_steps)
    assert other.state.blind.all() and not changed.state.blind.any()
    alone = start(pickle.loads(pickle.dumps(game)).like(2), seed=3)
    np.testing.assert_array_equal(alone.observe()[0], other.observe()[0][:2])
