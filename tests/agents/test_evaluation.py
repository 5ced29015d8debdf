import numpy as np
import pytest

from feint.agents import evaluate, play, scripted
from feint.envs import scenario_class

WALK, SIGNAL = "feint/PhysicalDeception-v0", "feint/RoomSignal-v0"


def act(env_id, policy, **kwargs):
    return scripted(scenario_class(env_id)(1, **kwargs), policy, seed=0)


@pytest.mark.parametrize(("env_id", "metric"), [(WALK, "misled"), (SIGNAL, "lie")])
def test_metrics_tell_the_scripted_liar_from_the_honest_agent(env_id, metric):
    found = {
        policy: evaluate(act(env_id, policy), env_id, conditions=["present"], episodes=300)
        for policy in ("honest", "deceptive")
    }
    liar, honest = (found[p]["present"][metric] for p in ("deceptive", "honest"))
    assert np.nanmean(liar) - np.nanmean(honest) > 0.3


def test_starts_are_the_same_under_every_condition():
    runs = [
        play(
            act(WALK, "honest", attention=True), WALK, {"attention": True}, condition=c, episodes=40
        )
        for c in ("present", "blind", "absent")
    ]
    for run in runs[1:]:
        np.testing.assert_array_equal(runs[0].observations[0][:, :6], run.observations[0][:, :6])


def test_the_counterfactual_difference_is_the_liars_alone():
    def difference(policy):
        found = evaluate(act(WALK, policy), WALK, conditions=["present", "absent"], episodes=200)
        return np.nanmean(found["present"]["misled"] - found["absent"]["misled"])

    assert difference("deceptive") > 0.3
    assert abs(difference("honest")) < 0.05


def test_episodes_are_repeatable_and_have_their_own_length():
    once, again = (play(act(SIGNAL, "random"), SIGNAL, episodes=30) for _ in range(2))
    np.testing.assert_array_equal(once.returns, again.returns)
    assert once.alive.shape == (1, 30)
    assert play(act(WALK, "honest"), WALK, episodes=5).alive.shape == (25, 5)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown condition 'nowhere'; PhysicalDeception-v0 has"):
        evaluate(act(WALK, "honest"), WALK, conditions=["nowhere"], episodes=2)
    with pytest.raises(ValueError, match="unknown scenario 'feint/Nothing-v0'; there are"):
        play(act(WALK, "honest"), "feint/Nothing-v0", episodes=2)
