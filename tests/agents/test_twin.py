# pyright: reportArgumentType=false, reportCallIssue=false
"""Agents that act on an altered view: the free baselines."""

import numpy as np
import pytest
from sb3_contrib import RecurrentPPO

from feint.agents import (
    ForkedTwin,
    evaluate,
    make_vec_env,
    masked,
    play,
    policy_of,
    scripted,
    twin,
)
from feint.envs import scenario_class

WALK, SIGNAL = "feint/PhysicalDeception-v0", "feint/RoomSignal-v0"
FACING = {"attention": True, "watching": "facing"}


def liar(env_id, **kwargs):
    game = scenario_class(env_id)(1, **kwargs)
    return game, scripted(game, "deceptive")


def misled(act):
    found = evaluate(act, WALK, FACING, conditions=["present", "blind"], episodes=200)
    return {c: np.nanmean(m["misled"]) for c, m in found.items()}


def test_the_twin_of_a_liar_acts_as_it_does_before_a_blind_other():
    game, act = liar(WALK, **FACING)
    plain, honest = misled(act), misled(twin(act, game))
    assert plain["present"] > 0.3
    assert honest["present"] < 0.05
    assert honest["blind"] == plain["blind"]


def test_a_mask_takes_attention_away_and_a_twin_does_not():
    game, act = liar(SIGNAL, attention=True)
    told = {}
    for name, altered in (("twin", twin(act, game)), ("mask", masked(act, game))):
        found = evaluate(altered, SIGNAL, {"attention": True}, episodes=200)
        told[name] = np.nanmean(found["back_door_ally"]["informed_back_door"])
    assert told["twin"] == 1.0
    assert told["mask"] == 0.0


def test_what_has_no_pair_is_seen_as_it_is():
    game = scenario_class(WALK)(50, **FACING)
    seen = []
    act = twin(lambda obs: seen.append(obs) or np.zeros(len(obs), int), game)
    (obs,) = game.reset(seed=0)
    act(obs)
    pairs = game.pairs(obs, "belief")
    np.testing.assert_array_equal(seen[0][~pairs.valid], obs[~pairs.valid])
    np.testing.assert_array_equal(seen[0][pairs.valid], pairs.self_obs[pairs.valid])
    assert pairs.valid.any() and not pairs.valid.all()


def test_memory_and_draws_begin_anew_with_each_evaluation():
    env = make_vec_env(WALK, 2, seed=0, **FACING)
    model = RecurrentPPO(
        "MlpLstmPolicy", env, n_steps=4, batch_size=8, seed=0, device="cpu",
        policy_kwargs={"lstm_hidden_size": 8},
    )  # fmt: skip
    act = twin(policy_of(model), env.get_attr("scenario")[0])
    runs = []
    for n in (3, 5, 3):  # another number of games would not fit an old memory
        act.reseed(0)
        runs.append(play(act, WALK, FACING, episodes=n).returns)
    np.testing.assert_array_equal(runs[0], runs[2])


def test_masks_reach_the_agent():
    game, _ = liar("feint/LiarsDice-v0")

    class Asks:
        masked = True

        def __call__(self, obs, masks):
            return masks.argmax(axis=1)

    assert play(masked(Asks(), game), "feint/LiarsDice-v0", episodes=4).returns.shape == (4,)


def test_a_kind_that_the_game_does_not_have_is_refused_at_once():
    game, act = liar(WALK)
    with pytest.raises(ValueError, match="no input tells whether red watches"):
        twin(act, game)
    with pytest.raises(ValueError, match="kind must be one of"):
        twin(act, game, "nope")


class Suspicious:
    """Tells a rival the truth once, and lies from then on to one who went where it was told."""

    def begin(self):
        self.said = self.trusts = None

    def __call__(self, obs):
        treasure, went = obs[:, :4].argmax(axis=1), obs[:, 13:]
        if self.said is None:
            self.trusts = obs[:, 6] > 0.5  # a rival
            self.said = treasure
            return self.said
        self.trusts &= went.argmax(axis=1) == self.said
        self.said = np.where(self.trusts, (treasure + 1) % 4, treasure)
        return self.said


def test_the_forked_twin_acts_as_if_nobody_had_followed_it():
    game = {"rounds": 4}
    told = {}
    for name, act in (("plain", Suspicious()), ("twin", ForkedTwin(Suspicious()))):
        found = evaluate(act, SIGNAL, game, conditions=["present", "blind", "ally"], episodes=400)
        told[name] = {c: np.nanmean(m["lie"]) for c, m in found.items() if c != "ally"}
        assert np.nanmean(found["ally"]["ally_informed"]) == 1.0
    assert told["plain"]["present"] == 0.75
    # The blinded rivals go where sceptics would: games of both conditions are the same then.
    assert told["twin"]["present"] == told["twin"]["blind"] == told["plain"]["blind"] < 0.15


def test_a_forked_twin_without_games_says_so():
    with pytest.raises(RuntimeError, match=r"use it in play\(\) or evaluate\(\)"):
        ForkedTwin(lambda obs: np.zeros(len(obs), int))(np.zeros((2, 13)))
