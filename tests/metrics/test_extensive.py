"""Values, best responses and exploitability, against OpenSpiel and by hand."""

import itertools

import numpy as np
import pytest

from feint.envs.kuhn_poker.opponents import profile, table
from feint.envs.kuhn_poker.tree import History, KuhnTree
from feint.envs.liars_dice.tree import DiceTree
from feint.metrics.extensive import CHANCE, END, Tree


class MatchingPennies:
    """Two players; the second does not see the first one's choice."""

    players = 2

    def start(self):
        return ()

    def mover(self, history):
        return END if len(history) == 2 else len(history)

    def chances(self, history):
        raise AssertionError("nothing is drawn")

    def actions(self, history):
        return (0, 1)

    def play(self, history, action):
        return (*history, action)

    def seen(self, history):
        return len(history)

    def returns(self, history):
        win = 1.0 if history[0] == history[1] else -1.0
        return [win, -win]


def test_matching_pennies_by_hand():
    tree = Tree(MatchingPennies())
    skewed = {0: [0.75, 0.25], 1: [1.0, 0.0]}
    np.testing.assert_allclose(tree.values(skewed), [0.5, -0.5])
    value, best = tree.best_response(skewed, 1)
    assert value == pytest.approx(0.5)
    assert set(best) == {1}
    np.testing.assert_array_equal(best[1], [0.0, 1.0])
    assert tree.best_response(skewed, 0)[0] == pytest.approx(1.0)
    assert tree.nash_conv(skewed) == pytest.approx(0.5 + 1.0)
    assert tree.exploitability(skewed) == pytest.approx(0.75)
    assert tree.exploitability(tree.uniform()) == pytest.approx(0.0)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1 / 6, 1 / 3])
def test_kuhns_equilibria_are_worth_a_loss_of_one_eighteenth_to_the_first_player(alpha):
    tree = Tree(KuhnTree(2))
    play = profile(table("equilibrium", 2, alpha=alpha), tree)
    np.testing.assert_allclose(tree.values(play), [-1 / 18, 1 / 18], atol=1e-12)
    assert tree.exploitability(play) == pytest.approx(0.0, abs=1e-12)


def test_whoever_bluffs_more_than_an_equilibrium_can_be_exploited():
    tree = Tree(KuhnTree(2))
    bold = profile(table("equilibrium", 2, alpha=0.1), tree) | {(0, 0, ()): [0.2, 0.8]}
    assert tree.exploitability(bold) > 0.01


def as_pyspiel(game, tree, play, key):
    """A profile of ours as OpenSpiel's; `key` makes our information set of its state."""
    policy = pytest.importorskip("open_spiel.python.policy")
    made = policy.TabularPolicy(game)
    for state in made.states:
        seen = key(state)
        row = made.policy_for_key(state.information_state_string())
        row[:] = 0.0
        row[list(tree.actions[seen])] = play[seen]
    return made


def kuhn_key(state):
    players = state.num_players()
    history = state.history()
    seat = state.current_player()
    return seat, history[seat], tuple(history[players:])


def dice_key(state):
    history, players = state.history(), state.num_players()
    dice = state.get_game().get_parameters()["numdice"]
    seat = state.current_player()
    own = history[seat * dice : (seat + 1) * dice]
    return seat, tuple(sorted(d + 1 for d in own)), tuple(history[players * dice :])


def random_profile(tree: Tree, seed: int):
    rng = np.random.default_rng(seed)
    return {seen: rng.dirichlet(np.ones(len(acts))) for seen, acts in tree.actions.items()}


GAMES = {
    "kuhn 2": (KuhnTree(2), "kuhn_poker", {"players": 2}, kuhn_key),
    "kuhn 3": (KuhnTree(3), "kuhn_poker", {"players": 3}, kuhn_key),
    "dice 1x3": (DiceTree(2, 1, 3), "liars_dice", {"dice_sides": 3}, dice_key),
    "dice 1x4": (DiceTree(2, 1, 4), "liars_dice", {"dice_sides": 4}, dice_key),
    "dice 2x2": (DiceTree(2, 2, 2), "liars_dice", {"dice_sides": 2, "numdice": 2}, dice_key),
}


KINDS = [(case, kind) for case in GAMES for kind in ("uniform", "random")]
KINDS += [("kuhn 2", "believer"), ("kuhn 3", "believer"), ("kuhn 2", "equilibrium")]


@pytest.mark.parametrize(("case", "kind"), KINDS)
def test_nash_conv_is_openspiels(case, kind):
    rules, name, parameters, key = GAMES[case]
    pyspiel = pytest.importorskip("pyspiel")
    exploitability = pytest.importorskip("open_spiel.python.algorithms.exploitability")
    tree, game = Tree(rules), pyspiel.load_game(name, parameters)
    play = {
        "uniform": tree.uniform,
        "random": lambda: random_profile(tree, 0),
        "believer": lambda: profile(table("believer", rules.players, 0.3), tree),
        "equilibrium": lambda: profile(table("equilibrium", 2, alpha=0.3), tree),
    }[kind]()
    theirs = as_pyspiel(game, tree, play, key)
    assert tree.nash_conv(play) == pytest.approx(exploitability.nash_conv(game, theirs), abs=1e-9)
    if rules.players == 2:  # OpenSpiel's exploitability is for two players
        wanted = exploitability.exploitability(game, theirs)
        assert tree.exploitability(play) == pytest.approx(wanted, abs=1e-9)
    expected = pytest.importorskip("open_spiel.python.algorithms.expected_game_score")
    values = expected.policy_value(game.new_initial_state(), [theirs] * rules.players)
    np.testing.assert_allclose(tree.values(play), values, atol=1e-9)


@pytest.mark.parametrize("case", GAMES)
def test_the_trees_are_openspiels_games(case):
    """Random playouts: the same movers, legal actions, ends and returns."""
    rules, name, parameters, key = GAMES[case]
    game = pytest.importorskip("pyspiel").load_game(name, parameters)
    rng = np.random.default_rng(1)
    for _ in range(200):
        state = game.new_initial_state()
        while state.is_chance_node():
            state.apply_action(rng.choice(state.legal_actions()))
        history = rules.start()
        dealt = state.history()
        if name == "kuhn_poker":
            history = History(tuple(dealt))
        else:
            dice = rules.dice
            hands = (dealt[p * dice : (p + 1) * dice] for p in range(rules.players))
            history = history._replace(hands=tuple(tuple(sorted(d + 1 for d in h)) for h in hands))
            assert any(history == after for _, after in rules.chances(rules.start()))
        while not state.is_terminal():
            assert rules.mover(history) == state.current_player()
            assert list(rules.actions(history)) == state.legal_actions()
            assert rules.seen(history) == key(state)
            action = int(rng.choice(state.legal_actions()))
            state.apply_action(action)
            history = rules.play(history, action)
        assert rules.mover(history) == END
        assert list(rules.returns(history)) == state.returns()


@pytest.mark.parametrize("rules", [KuhnTree(4), DiceTree(3, 1, 3), DiceTree(2, 2, 3)])
def test_chance_adds_up_and_games_are_zero_sum(rules):
    assert rules.mover(rules.start()) == CHANCE
    chances = rules.chances(rules.start())
    assert sum(p for p, _ in chances) == pytest.approx(1.0)
    assert len({after for _, after in chances}) == len(chances)
    tree = Tree(rules) if rules.players == 4 else None
    if tree is not None:
        assert tree.values(random_profile(tree, 2)).sum() == pytest.approx(0.0)


def test_a_best_response_earns_what_it_says():
    tree = Tree(DiceTree(2, 1, 3))
    play = random_profile(tree, 3)
    for player in range(2):
        value, best = tree.best_response(play, player)
        assert tree.values({**play, **best})[player] == pytest.approx(value)
        others = random_profile(tree, 4)
        other = {s: p for s, p in others.items() if tree.owner[s] == player}
        assert tree.values({**play, **other})[player] <= value


def test_cfr_comes_near_an_equilibrium():
    tree = Tree(KuhnTree(2))
    solved = tree.solve(500)
    assert tree.exploitability(solved) < 1e-3
    assert tree.values(solved)[0] == pytest.approx(-1 / 18, abs=2e-3)
    dice = Tree(DiceTree(2, 1, 3))
    assert dice.exploitability(dice.solve(200)) < 2e-3 < dice.exploitability(dice.uniform())


class Forgetful(MatchingPennies):
    def mover(self, history):
        return END if len(history) == 2 else 0

    def seen(self, history):
        return "somewhere"


class Confused(MatchingPennies):
    def seen(self, history):
        return "somewhere"

    def mover(self, history):
        return END if len(history) == 3 else len(history) % 2


def test_games_without_perfect_recall_are_refused():
    with pytest.raises(ValueError, match="different length"):
        Tree(Forgetful())
    with pytest.raises(ValueError, match="other movers or actions"):
        Tree(Confused())


@pytest.mark.parametrize("row", [[1.0], [0.5, 0.6], [-0.5, 1.5], None])
def test_a_profile_that_is_none_is_refused(row):
    tree = Tree(MatchingPennies())
    play = tree.uniform() | ({} if row is None else {0: row})
    if row is None:
        del play[1]
    with pytest.raises(ValueError, match="profile"):
        tree.values(play)


def test_all_orders_of_cards_are_dealt():
    deals = [history.cards for _, history in KuhnTree(3).chances(History())]
    assert set(deals) == set(itertools.permutations(range(4), 3))
