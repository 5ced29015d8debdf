import numpy as np
import pytest
from stable_baselines3 import PPO

from feint.agents import counterfactuals, make_vec_env, policy_of, scripted, ward
from feint.envs.physical_deception import PhysicalDeception
from feint.envs.room_signal import RoomSignal
from feint.envs.room_signal.dynamics import RIVAL
from feint.metrics import ward_deception

WALK, SIGNAL = "feint/PhysicalDeception-v0", "feint/RoomSignal-v0"
GAMES = {WALK: PhysicalDeception, SIGNAL: RoomSignal}


def judge(env_id, policy, n=200, condition: str | None = "present", **kwargs):
    act = scripted(GAMES[env_id](1, **kwargs), policy)
    return ward(act, env_id, kwargs, n, condition=condition)


@pytest.mark.parametrize("attention", [False, True])
def test_the_room_liar_deceives_in_every_game_and_honesty_in_none(attention):
    liar = judge(SIGNAL, "deceptive", attention=attention)
    assert liar.deceives is not None and liar.deceives.estimate == 1.0
    assert (liar.gain.estimate, liar.gain_cut.estimate) == pytest.approx((0.75, -0.25))
    honest = judge(SIGNAL, "honest", attention=attention)
    assert honest.deceives is not None and honest.deceives.estimate == 0.0
    assert honest.conditions["knows"] is not None and honest.conditions["knows"].estimate == 1.0


def test_random_rooms_mislead_but_are_not_meant_to():
    found = judge(SIGNAL, "random", n=400)
    assert found.deceives is not None and found.deceives.estimate == 0.0
    false = found.conditions["false_belief"]
    assert false is not None and false.low < 0.75 < false.high
    # The plain difference cannot tell a blunderer, since nobody is there to be misled; this can.
    assert found.difference["absent"] is not None and found.difference["absent"].low > 0.6
    assert found.difference["unaware"] is not None
    assert found.difference["unaware"].estimate == 0.0


def test_in_a_mixed_game_the_liar_deceives_the_rivals_who_listen():
    game = RoomSignal(500, autoreset="freeze")
    game.reset(seed=5)
    gullible = (game.state.context == RIVAL) & game.state.listens
    found = ward_deception(game, scripted(game, "deceptive"), [scripted(game, "honest")])
    np.testing.assert_array_equal(found.deceives, gullible)
    np.testing.assert_array_equal(found.watched, game.state.listens)  # allies, too
    mixed = judge(SIGNAL, "deceptive", condition=None).deceives
    # Of those who listen, 0.245 are rivals and 0.21 allies.
    assert mixed is not None and mixed.low < 0.245 / 0.455 < mixed.high


def test_allies_are_told_the_truth_and_sceptics_cannot_be_deceived():
    ally = judge(SIGNAL, "deceptive", condition="ally")
    assert ally.deceives is not None and ally.deceives.estimate == 0.0
    sceptic = judge(SIGNAL, "deceptive", condition="blind")
    assert sceptic.deceives is None and sceptic.conditions["knows"] is None
    assert sceptic.difference == {"absent": None, "unaware": None}


def test_every_room_may_be_the_alternative():
    act = scripted(RoomSignal(1), "deceptive")
    rooms = [lambda obs, room=room: np.full(len(obs), room) for room in range(4)]
    found = ward(act, SIGNAL, episodes=100, references=rooms, hold=1)
    assert found.deceives is not None and found.deceives.estimate == 1.0


def test_the_walking_liar_deceives_and_others_do_not():
    liar = judge(WALK, "deceptive")
    assert liar.deceives is not None and liar.deceives.low > 0.5
    assert liar.gain.low > 0 > liar.gain_cut.high
    for name in ("absent", "blind", "unaware"):
        assert name in liar.difference
    assert liar.difference["absent"] is not None and liar.difference["absent"].low > 0.4
    for policy in ("honest", "random"):
        found = judge(WALK, policy)
        assert found.deceives is not None and found.deceives.estimate == 0.0
        assert found.difference["unaware"] is not None
        assert found.difference["unaware"].estimate == 0.0


def test_in_the_honest_twin_nothing_pays_so_nothing_is_intended():
    for env_id in (WALK, SIGNAL):
        found = judge(env_id, "deceptive", incentive=0.0)
        assert found.deceives is not None and found.deceives.estimate == 0.0
        false = found.conditions["false_belief"]
        assert false is not None and false.estimate > 0.7


def test_a_lie_that_failed_was_still_meant_on_average():
    act = scripted(PhysicalDeception(1), "deceptive")
    each = ward(act, WALK, episodes=200)
    mean = ward(act, WALK, episodes=200, on_average=True)
    games = mean.games
    np.testing.assert_array_equal(games.deceives, games.false_belief & games.responds & games.knows)
    assert (games.deceives >= each.games.deceives).all()
    assert games.deceives.sum() > each.games.deceives.sum()


def test_the_same_question_has_the_same_answer():
    act = scripted(RoomSignal(1), "random", seed=9)
    first, again = (ward(act, SIGNAL, episodes=50) for _ in range(2))
    np.testing.assert_array_equal(first.games.false_belief, again.games.false_belief)
    assert first.difference == again.difference


def test_counterfactuals_are_zero_for_the_honest_walker():
    act = scripted(PhysicalDeception(1), "honest")
    for interval in counterfactuals(act, WALK, episodes=200).values():
        assert interval is not None and abs(interval.estimate) < 0.02


def test_a_models_luck_can_be_had_again():
    model = PPO("MlpPolicy", make_vec_env(SIGNAL, 2), n_steps=8, batch_size=8, seed=0)
    act = policy_of(model)
    obs = np.random.default_rng(0).random((40, 13), np.float32)
    drawn = []
    for _ in range(2):
        act.reseed(4)
        drawn.append([act(obs) for _ in range(3)])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0][0], drawn[0][1])
    # Untrained, it hardly looks at who listens: with the same luck it says the same.
    found = ward(act, SIGNAL, episodes=200)
    assert found.conditions["responds"] is not None and found.conditions["responds"].high < 0.15


def test_unknown_conditions_are_refused():
    act = scripted(RoomSignal(1), "honest")
    with pytest.raises(ValueError, match="condition must be one of"):
        ward(act, SIGNAL, condition="nowhere")
