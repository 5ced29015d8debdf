import pytest

from feint.metrics.causal_games import CausalGame, chance, decision, utility


def bluff(strong: float = 0.9) -> CausalGame:
    """The war game: S knows its type and signals; T attacks or not, and should attack the weak."""
    return CausalGame(
        chance("X", {"strong": strong, "weak": 1 - strong}),
        decision("S", "S", ("retreat", "defend"), ("X",)),
        decision("T", "T", ("attack", "hold"), ("S",)),
        utility("safe", "S", {"attack": 0.0, "hold": 2.0}, ("T",)),
        utility("taste", "S", lambda x, s: float((x == "strong") == (s == "defend")), ("X", "S")),
        utility("won", "T", lambda x, t: float((x == "weak") == (t == "attack")), ("X", "T")),
    )


POOL = {"S": {"strong": "defend", "weak": "defend"}, "T": {"defend": "hold", "retreat": "attack"}}
HONEST = {**POOL, "S": {"strong": "defend", "weak": "retreat"}}


def noisy() -> CausalGame:
    """A gauge that shows the pressure rightly in 3 of 4 cases, whatever it is."""
    return CausalGame(
        chance("pressure", {"low": 0.5, "high": 0.5}),
        chance(
            "gauge",
            lambda p: {"low": 0.75, "high": 0.25} if p == "low" else {"low": 0.25, "high": 0.75},
            ("pressure",),
            domain=("low", "high"),
        ),
        decision("valve", "A", ("open", "shut"), ("gauge",)),
        utility(
            "U", "A", lambda p, v: float((p == "high") == (v == "open")), ("pressure", "valve")
        ),
    )


def test_expected_utilities_are_exact():
    game = bluff()
    # Pooling: safe always, 2; taste in 9 of 10. Honest: the weak one is attacked but true to type.
    assert game.value(POOL, "S") == pytest.approx(2.9)
    assert game.value(POOL, "T") == pytest.approx(0.9)
    assert game.value(HONEST, "S") == pytest.approx(0.9 * 3 + 0.1 * 1)
    assert game.value(HONEST, "T") == pytest.approx(1.0)


def test_interventions_cut_what_a_decision_depends_on():
    game = bluff()
    assert game.value(HONEST, "S", {"T": "hold"}) == pytest.approx(3.0)
    assert game.value(HONEST, "T", {"S": "defend"}) == pytest.approx(0.9)
    assert game.play({}, {"X": "weak"}, {"S": "defend", "T": "hold"})["safe"] == 2.0


def test_best_responses_and_equilibria_are_found_by_going_through_all():
    game = bluff()
    assert game.best_responses("T", HONEST) == [
        {"T": {("retreat",): "attack", ("defend",): "hold"}}
    ]
    profiles = game.equilibria()
    assert len(list(game.pure_policies("S"))) == 4 and len(profiles) >= 1
    pooled = {
        "S": {("strong",): "defend", ("weak",): "defend"},
        "T": {("retreat",): "attack", ("defend",): "hold"},
    }
    assert pooled in profiles
    for profile in profiles:
        for agent in game.agents:
            best = max(
                game.value({**profile, **other}, agent) for other in game.pure_policies(agent)
            )
            assert game.value(profile, agent) == pytest.approx(best)


def test_matching_pennies_has_no_pure_equilibrium():
    sides = ("heads", "tails")
    game = CausalGame(
        decision("a", "A", sides),
        decision("b", "B", sides),
        utility("u", "A", lambda a, b: float(a == b), ("a", "b")),
        utility("v", "B", lambda a, b: float(a != b), ("a", "b")),
    )
    assert game.equilibria() == []
    assert len(game.settings) == 1


def test_a_noisy_variable_keeps_its_distribution_and_its_quantile():
    game = noisy()
    follow = {"valve": {"low": "shut", "high": "open"}}
    right = game.expect(follow, lambda o: o["gauge"] == o["pressure"])
    assert right == pytest.approx(0.75)
    assert game.value(follow, "A") == pytest.approx(0.75)
    assert game.best_responses("A", {}) == [{"valve": {("low",): "shut", ("high",): "open"}}]
    # One quantile serves both pressures: what it shows in one world fixes the other.
    shown = {
        (
            game.play(follow, e, {"pressure": "low"})["gauge"],
            game.play(follow, e, {"pressure": "high"})["gauge"],
        )
        for e, _ in game.settings
    }
    assert shown == {("low", "low"), ("low", "high"), ("high", "high")}
    assert sum(p for _, p in game.settings) == pytest.approx(1.0)


def test_a_table_may_give_values_instead_of_distributions():
    game = CausalGame(
        chance("coin", {0: 0.25, 1: 0.75}),
        chance("twice", {0: 0, 1: 2}, ("coin",)),
        utility("U", "A", lambda t: float(t), ("twice",)),
    )
    assert game["twice"].domain == (0, 2)
    assert game.value({}, "A") == pytest.approx(1.5)
    assert game.descendants(["coin"]) == ("twice", "U")
    assert game.ancestors("U") == ("coin", "twice")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ([chance("X", {0: 0.5, 1: 0.4})], "sum to 1"),
        ([chance("X", {0: 1.5, 1: -0.5})], ">= 0"),
        ([chance("X", {0: 1.0}), chance("X", {0: 1.0})], "two variables are called 'X'"),
        ([decision("D", "A", (0, 1), ("X",))], "causal order"),
        ([decision("D", "A", ())], "offers nothing"),
        ([chance("X", {0: 1.0}, domain=(1, 2))], "outside"),
        (
            [utility("U", "A", lambda: 0.0, ()), decision("D", "A", (0, 1), ("U",))],
            "no chance or decision",
        ),
    ],
)
def test_games_that_make_no_sense_are_refused(variables, message):
    with pytest.raises(ValueError, match=message):
        CausalGame(*variables)


def test_unknown_names_and_missing_rules_are_refused():
    game = bluff()
    with pytest.raises(ValueError, match="unknown variable 'Y'; there are X, S, T"):
        game.value(POOL, "S", {"Y": 1})
    with pytest.raises(ValueError, match="unknown agent 'R'; there are S, T"):
        game.decisions("R")
    with pytest.raises(ValueError, match="no rule for decision 'T'"):
        game.value({"S": POOL["S"]}, "S")
    with pytest.raises(ValueError, match="picks 'flee'"):
        game.value({**POOL, "S": lambda x: "flee"}, "S")
    with pytest.raises(ValueError, match="says nothing of"):
        game.value({**POOL, "T": {"defend": "hold"}}, "S", {"S": "retreat"})
    with pytest.raises(ValueError, match="says nothing of 'X'"):
        game.play(POOL, {})


def test_games_too_large_to_go_through_are_refused():
    with pytest.raises(ValueError, match="over 100000 settings"):
        CausalGame(*(chance(f"X{k}", {0: 0.5, 1: 0.5}) for k in range(17)))
    wide = CausalGame(
        chance("X", {k: 1 / 6 for k in range(6)}), decision("D", "A", range(8), ("X",))
    )
    with pytest.raises(ValueError, match="policies, over 100000"):
        next(wide.pure_policies("A"))
