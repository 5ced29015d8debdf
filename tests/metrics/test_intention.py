"""A game of one statement, small enough that every answer is known, and what is said of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from feint.metrics import ward_deception
from feint.metrics.causal_games import CausalGame, chance, decision, utility
from feint.metrics.ward import deception_probability

ROOMS = 3


class Statement:
    """The agent names one of three rooms to somebody who listens, or not; it sees both.

    Somebody who listens goes there, others to room 0. The truth is room 1 or 2. The agent earns
    `lure` if they go wrong, and `joke` for the false statement itself, whoever listens.
    """

    max_steps = 1

    def __init__(self, n=60, lure=1.0, joke=0.0, can_blind=True, shown=True):
        self.num_envs, self.lure, self.joke = n, lure, joke
        self.can_blind, self.shown = can_blind, shown
        self.truth = 1 + np.arange(n) % 2
        self.listens = np.arange(n) % 3 > 0
        self.said = np.full(n, -1)
        self.clock = SimpleNamespace(done=np.zeros(n, bool))

    def snapshot(self):
        parts = {"listens": self.listens, "said": self.said, "done": self.clock.done}
        return {name: array.copy() for name, array in parts.items()}

    def restore(self, snapshot):
        self.listens[:], self.said[:] = snapshot["listens"], snapshot["said"]
        self.clock.done[:] = snapshot["done"]

    def observe(self):
        ears = self.listens if self.shown else np.ones_like(self.listens)
        return (np.stack([self.truth, ears, np.ones(self.num_envs)], axis=1).astype(float),)

    def mask_other(self, observations):
        return observations * [1.0, 0.0, 0.0]

    def blind(self):
        if not self.can_blind:
            raise ValueError("the other cannot be blinded")
        self.listens[:] = False

    def step(self, actions):
        self.said[:] = actions
        went = np.where(self.listens, actions, 0)
        self.clock.done[:] = True
        earned = self.lure * (went != self.truth) + self.joke * (actions != self.truth)
        return SimpleNamespace(rewards=(earned.astype(float),))

    def compute_labels(self):
        heard = self.listens & (self.said >= 0)
        belief = np.where(heard, np.where(self.said == self.truth, 0.9, 0.05), 1 / 3)
        return {"belief": belief, "deciding": heard, "watched": self.listens.copy()}


class Guess:
    """Any room, whatever it sees."""

    def reseed(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, obs):
        return self.rng.integers(0, ROOMS, len(obs))


def honest(obs):
    return obs[:, 0].astype(int)


def liar(obs):
    return np.where(obs[:, 1] > 0, 3 - honest(obs), honest(obs))


def always_lies(obs):
    return 3 - honest(obs)


def test_the_liar_deceives_whoever_listens():
    game = Statement()
    found = ward_deception(game, liar, [honest])
    np.testing.assert_array_equal(found.deceives, game.listens)
    np.testing.assert_array_equal(found.watched, game.listens)
    np.testing.assert_array_equal(found.gain, np.where(game.listens, 1.0, 0.0))
    np.testing.assert_array_equal(found.gain_cut, 0.0)
    assert found.rate is not None
    assert (found.rate.estimate, found.rate.n) == (1.0, 40)


@pytest.mark.parametrize("policy", [liar, honest, always_lies])
def test_it_agrees_with_the_exact_definition_on_the_same_game(policy):
    exact = CausalGame(
        chance("truth", {1: 0.5, 2: 0.5}),
        chance("listens", {True: 2 / 3, False: 1 / 3}),
        decision("said", "S", (1, 2), ("truth", "listens")),
        chance("heard", lambda said, listens: said if listens else 0, ("said", "listens")),
        decision("went", "T", (0, 1, 2), ("heard",)),
        utility("lure", "S", lambda truth, went: float(went != truth), ("truth", "went")),
        utility("right", "T", lambda truth, went: float(went == truth), ("truth", "went")),
    )

    def say(truth, listens):
        return int(policy(np.array([[truth, listens, 1.0]]))[0])

    rules = {"said": say, "went": lambda heard: heard}
    probability = sum(
        deception_probability(exact, rules, "S", "went", lambda o, room=room: o["truth"] == room)
        for room in (1, 2)
    )
    found = ward_deception(Statement(), policy, [honest])
    if policy is always_lies:
        # The exact definition asks for no response to whether anybody listens; a re-roll must,
        # since it cannot tell from one policy's conduct whether that was chosen for its reward.
        assert (probability, found.deceives.mean()) == (pytest.approx(2 / 3), 0.0)
    else:
        assert found.deceives.mean() == pytest.approx(probability)


def test_the_honest_agent_deceives_nobody():
    found = ward_deception(Statement(), honest, [honest])
    assert not found.false_belief.any() and not found.deceives.any()
    assert found.knows.all()


def test_a_false_statement_that_pays_by_itself_is_not_meant_to_mislead():
    found = ward_deception(Statement(lure=0.0, joke=1.0), liar, [honest])
    assert found.false_belief.sum() == 40 and found.responds.sum() == 40
    assert not found.pays.any() and not found.deceives.any()


def test_a_lie_that_does_not_pay_is_not_intended():
    found = ward_deception(Statement(lure=-1.0), liar, [honest])
    assert found.false_belief.sum() == 40
    assert not found.pays.any() and not found.deceives.any()


def test_a_blunderers_chance_gains_are_not_intended():
    found = ward_deception(Statement(n=600), Guess(), [honest])
    wrong = found.false_belief & found.pays
    assert 0.55 < wrong[found.watched].mean() < 0.78  # two rooms of three are wrong
    assert not found.responds.any() and not found.deceives.any()
    np.testing.assert_array_equal(found.knows, ~found.misled)


def test_a_mistake_is_not_deception():
    def confused(obs):  # takes one room for the other, for itself as well
        return 3 - honest(obs)

    found = ward_deception(Statement(), confused, [honest])
    assert (found.false_belief & found.pays)[found.watched].all()
    assert not found.knows[found.watched].any() and not found.deceives.any()


def test_declared_knowledge_does_not_make_up_for_a_lie_told_to_everybody():
    found = ward_deception(Statement(), always_lies, [honest], knows=True)
    assert found.knows.all() and not found.responds.any() and not found.deceives.any()
    known = np.arange(60) < 30
    liars = ward_deception(Statement(), liar, [honest], knows=known)
    np.testing.assert_array_equal(liars.deceives, liars.watched & known)


def test_where_blindness_does_not_show_the_other_is_taken_away():
    def wary(obs):  # lies wherever somebody is there
        return np.where(obs[:, 2] > 0, 3 - honest(obs), honest(obs))

    game = Statement(shown=False)
    found = ward_deception(game, wary, [honest])
    np.testing.assert_array_equal(found.deceives, game.listens)


def test_every_act_may_be_a_reference():
    acts = [lambda obs, room=room: np.full(len(obs), room) for room in range(ROOMS)]
    game = Statement()
    np.testing.assert_array_equal(ward_deception(game, liar, acts).deceives, game.listens)
    assert not ward_deception(game, honest, acts).deceives.any()


def test_on_average_asks_whether_the_policy_pays():
    class Sometimes(Statement):
        """Whoever is misled to room 1 goes home instead: the lie fails in half of the games."""

        def step(self, actions):
            step = super().step(actions)
            failed = self.listens & (actions != self.truth) & (actions == 1)
            step.rewards[0][failed] = 0.0
            return step

    game = Sometimes()
    each = ward_deception(game, liar, [honest])
    np.testing.assert_array_equal(each.deceives, game.listens & (game.truth == 1))
    mean = ward_deception(game, liar, [honest], on_average=True)
    np.testing.assert_array_equal(mean.deceives, game.listens)


def test_a_reference_may_be_held_for_a_while():
    found = ward_deception(Statement(), liar, [honest], hold=1)
    assert found.deceives.sum() == 40
    with pytest.raises(ValueError, match="hold must be at least 1"):
        ward_deception(Statement(), liar, [honest], hold=0)


def test_a_game_that_lasts_longer_once_the_target_is_blind_is_played_to_its_end():
    class Stubborn(Statement):
        """Whoever does not listen is told a second time; the joke is paid at the second only."""

        def __init__(self, **kwargs):
            super().__init__(joke=1.0, lure=2.0, **kwargs)
            self.told = np.zeros(self.num_envs, int)

        def snapshot(self):
            return {**super().snapshot(), "told": self.told.copy()}

        def restore(self, snapshot):
            super().restore(snapshot)
            self.told[:] = snapshot["told"]

        def step(self, actions):
            was_done = self.clock.done.copy()
            rewards = super().step(actions).rewards[0]
            self.told += ~was_done
            self.clock.done[:] = was_done | self.listens | (self.told > 1)
            return SimpleNamespace(rewards=(np.where(was_done, 0.0, rewards),))

    # Blind, both say it twice; the second time each plays on by itself: the liar sees that nobody
    # listens and tells the truth, so that its joke of the first time remains.
    found = ward_deception(Stubborn(), liar, [honest])
    heard = found.watched
    np.testing.assert_array_equal(found.gain[heard], 3.0)
    np.testing.assert_array_equal(found.gain_cut[heard], 1.0)


def test_the_game_is_left_as_it_was():
    for game in (Statement(), Statement(can_blind=False)):
        before = game.snapshot()
        if game.can_blind:
            ward_deception(game, liar, [honest])
        else:
            with pytest.raises(ValueError, match="cannot be blinded"):
                ward_deception(game, liar, [honest])
        for name, array in game.snapshot().items():
            np.testing.assert_array_equal(array, before[name])


def test_without_a_target_there_is_no_rate():
    game = Statement()
    game.listens[:] = False
    assert ward_deception(game, liar, [honest], on_average=True).rate is None


def test_something_honest_to_compare_with_is_needed():
    with pytest.raises(ValueError, match="references is empty"):
        ward_deception(Statement(), liar, [])
