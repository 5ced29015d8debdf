"""Games with a known answer, each built to have one of the conditions of deception fail."""

import pytest

from feint.metrics.causal_games import CausalGame, chance, decision, utility
from feint.metrics.ward import (
    acts_if_told,
    believes,
    deceives,
    deception_probability,
    intends,
    responds,
)

WEAK, STRONG = {"X": "weak"}, {"X": "strong"}
TRUST = {"defend": "hold", "retreat": "attack"}
BLUFF = {"S": {"strong": "defend", "weak": "defend"}, "T": TRUST}
HONEST = {"S": {"strong": "defend", "weak": "retreat"}, "T": TRUST}


def is_strong(outcome) -> bool:
    return outcome["X"] == "strong"


def war(cares: float = 2.0, taste=lambda x, s: float((x == "strong") == (s == "defend"))):
    """The paper's war game: strong with probability 0.9; not being attacked is worth `cares`."""
    return CausalGame(
        chance("X", {"strong": 0.9, "weak": 0.1}),
        decision("S", "S", ("retreat", "defend"), ("X",)),
        decision("T", "T", ("attack", "hold"), ("S",)),
        utility("safe", "S", {"attack": 0.0, "hold": cares}, ("T",)),
        utility("taste", "S", taste, ("X", "S")),
        utility("won", "T", lambda x, t: float((x == "weak") == (t == "attack")), ("X", "T")),
    )


# -- belief ------------------------------------------------------------------------------------


def test_the_target_acts_as_though_it_saw_a_strong_signaller():
    game = war()
    assert acts_if_told(game, BLUFF, "T", is_strong, WEAK, True) == "hold"
    assert acts_if_told(game, BLUFF, "T", is_strong, WEAK, False) == "attack"
    assert believes(game, BLUFF, "T", is_strong, WEAK)
    assert believes(game, BLUFF, "T", is_strong, STRONG)


def test_an_honest_signal_is_believed_for_what_it_says():
    game = war()
    assert not believes(game, HONEST, "T", is_strong, WEAK)
    assert believes(game, HONEST, "T", lambda o: not is_strong(o), WEAK)
    assert believes(game, HONEST, "T", is_strong, STRONG)


def test_an_agent_that_does_not_respond_has_no_belief():
    game = war()
    # S sees its type but defends anyway; a T that gains nothing either way has none, too.
    assert not responds(game, BLUFF, "S", is_strong, WEAK)
    assert not believes(game, BLUFF, "S", is_strong, STRONG)
    assert responds(game, HONEST, "S", is_strong, WEAK)
    assert believes(game, HONEST, "S", is_strong, STRONG)
    assert believes(game, HONEST, "S", lambda o: not is_strong(o), WEAK)
    idle = CausalGame(
        chance("X", {"strong": 0.5, "weak": 0.5}),
        decision("T", "T", ("attack", "hold")),
        utility("U", "T", lambda t: float(t == "hold"), ("T",)),
    )
    assert not responds(idle, {"T": {(): "hold"}}, "T", is_strong, WEAK)


def test_what_depends_on_the_decision_itself_cannot_be_believed_before_it():
    with pytest.raises(ValueError, match="depends on 'T' itself"):
        believes(war(), BLUFF, "T", lambda o: o["T"] == "hold", WEAK)


def test_a_certainty_is_nothing_to_respond_to():
    assert not responds(war(), HONEST, "S", lambda o: True, WEAK)


# -- intention ---------------------------------------------------------------------------------


def test_the_bluffer_intends_not_to_be_attacked_when_it_is_weak():
    game = war()
    # Bluffing earns 2.9, honesty 2.8; with "hold" guaranteed to the weak, honesty earns 3.0.
    assert intends(game, BLUFF, "S", "T", WEAK, [HONEST])
    assert not intends(game, BLUFF, "S", "T", STRONG, [HONEST])
    # Retreating always earns 0.1; all the safety of the bluff added to it, 2.1: still less.
    assert not intends(game, BLUFF, "S", "T", STRONG)


def test_what_is_not_influenced_is_not_intended():
    game = war()
    assert not intends(game, BLUFF, "S", "X", WEAK)
    assert not intends(game, BLUFF, "T", "S", WEAK)


def test_a_side_effect_is_not_intended():
    # S likes to defend and does not care whether it is attacked; T is misled all the same.
    game = war(cares=0.0, taste=lambda x, s: float(s == "defend"))
    found = deceives(game, BLUFF, "S", "T", is_strong, WEAK)
    assert (found.believed, found.untrue, found.unshared) == (True, True, True)
    assert not found.intended and not found
    assert deception_probability(game, BLUFF, "S", "T", is_strong) == 0.0


def test_a_policy_worse_than_every_reference_is_nobodys_reason():
    game = war(cares=0.5)  # safety is worth less than being true to type: the bluff does not pay
    assert not intends(game, BLUFF, "S", "T", WEAK, [HONEST])


# -- deception ---------------------------------------------------------------------------------


def test_the_weak_bluffer_deceives_and_nobody_else_does():
    game = war()
    assert deceives(game, BLUFF, "S", "T", is_strong, WEAK)
    assert not deceives(game, BLUFF, "S", "T", is_strong, STRONG).untrue
    assert deception_probability(game, BLUFF, "S", "T", is_strong) == pytest.approx(0.1)
    for phi in (is_strong, lambda o: not is_strong(o)):
        assert deception_probability(game, HONEST, "S", "T", phi) == 0.0


def test_a_mistake_is_not_deception():
    """An umpire calls what it saw, and once in ten saw wrongly; who relies on it is wrong, too."""
    game = CausalGame(
        chance("ball", {"in": 0.5, "out": 0.5}),
        chance("slip", {False: 0.9, True: 0.1}),
        chance(
            "seen", lambda b, s: b if not s else {"in": "out", "out": "in"}[b], ("ball", "slip")
        ),
        decision("call", "S", ("in", "out"), ("seen",)),
        decision("score", "T", ("in", "out"), ("call",)),
        utility("fair", "S", lambda b, t: float(b == t), ("ball", "score")),
        utility("right", "T", lambda b, t: float(b == t), ("ball", "score")),
    )
    honest = {"call": lambda seen: seen, "score": lambda call: call}
    slipped = {"ball": "in", "slip": True}

    def out(outcome) -> bool:
        return outcome["ball"] == "out"

    found = deceives(game, honest, "S", "score", out, slipped)
    assert found.believed and found.untrue
    assert not found.unshared and not found  # the umpire believes it, too
    assert believes(game, honest, "call", out, slipped)
    assert deception_probability(game, honest, "S", "score", out) == 0.0
    # One who calls the opposite of what it sees, because that pays, deceives where it saw rightly.
    crooked = CausalGame(
        *(game[n] for n in ("ball", "slip", "seen", "call", "score")),
        utility("bribe", "S", lambda b, t: float(b != t), ("ball", "score")),
        utility("right", "T", lambda b, t: float(b == t), ("ball", "score")),
    )
    lies = {"call": {"in": "out", "out": "in"}, "score": lambda call: call}
    assert deception_probability(crooked, lies, "S", "score", out) == pytest.approx(0.45)


def test_a_false_belief_by_accident_is_not_intended():
    """S says the truth, and the line garbles it: nobody gains from that, least of all S."""
    game = CausalGame(
        chance("X", {"strong": 0.5, "weak": 0.5}),
        chance("noise", {False: 0.75, True: 0.25}),
        decision("say", "S", ("strong", "weak"), ("X",)),
        chance(
            "heard",
            lambda s, n: s if not n else {"strong": "weak", "weak": "strong"}[s],
            ("say", "noise"),
        ),
        decision("T", "T", ("attack", "hold"), ("heard",)),
        utility("good", "S", lambda x, t: float((x == "weak") == (t == "attack")), ("X", "T")),
        utility("won", "T", lambda x, t: float((x == "weak") == (t == "attack")), ("X", "T")),
    )
    honest = {"say": lambda x: x, "T": {"strong": "hold", "weak": "attack"}}
    garbled = {"X": "weak", "noise": True}
    found = deceives(game, honest, "S", "T", is_strong, garbled)
    assert (found.believed, found.untrue) == (True, True)
    assert not found.intended and not found
    assert deception_probability(game, honest, "S", "T", is_strong) == 0.0


def test_concealing_is_deception_without_a_false_word():
    """A seller who keeps silent about a fault; who is told nothing takes the thing for sound."""
    game = CausalGame(
        chance("X", {"sound": 0.8, "faulty": 0.2}),
        decision("S", "S", ("silent", "show"), ("X",)),
        chance("fault", lambda x, s: s == "show" and x == "faulty", ("X", "S")),
        decision("T", "T", ("buy", "leave"), ("fault",)),
        utility("price", "S", {"buy": 1.0, "leave": 0.0}, ("T",)),
        utility(
            "worth", "T", lambda x, t: (t == "buy") * (1.0 if x == "sound" else -1.0), ("X", "T")
        ),
    )
    silent = {"S": lambda x: "silent", "T": {True: "leave", False: "buy"}}
    openly = {**silent, "S": lambda x: "show"}

    def sound(outcome) -> bool:
        return outcome["X"] == "sound"

    assert deceives(game, silent, "S", "T", sound, {"X": "faulty"})
    assert deception_probability(game, silent, "S", "T", sound) == pytest.approx(0.2)
    assert deception_probability(game, openly, "S", "T", sound) == 0.0


def test_a_benevolent_lie_is_deception_all_the_same():
    """S says the bridge holds so that T, who would freeze on it, crosses: both are better off."""
    game = CausalGame(
        chance("X", {"firm": 0.7, "frail": 0.3}),
        decision("say", "S", ("firm", "frail"), ("X",)),
        decision("T", "T", ("walk", "creep"), ("say",)),
        utility("care", "S", {"walk": 1.0, "creep": 0.0}, ("T",)),
        utility("fear", "T", lambda x, t: float((x == "firm") == (t == "walk")), ("X", "T")),
        utility("health", "T", {"walk": 0.1, "creep": 0.0}, ("T",)),
    )
    kind = {"say": lambda x: "firm", "T": {"firm": "walk", "frail": "creep"}}

    def firm(outcome) -> bool:
        return outcome["X"] == "firm"

    assert deceives(game, kind, "S", "T", firm, {"X": "frail"})
    assert deception_probability(game, kind, "S", "T", firm) == pytest.approx(0.3)


def test_a_liar_who_responds_believes_what_is_true():
    """With three words, S lies in one of them only when it is weak: it acts on its weakness."""
    game = CausalGame(
        chance("X", {"strong": 0.5, "weak": 0.5}),
        decision("say", "S", ("strong", "very strong", "weak"), ("X",)),
        decision("T", "T", ("attack", "hold"), ("say",)),
        utility("safe", "S", {"attack": 0.0, "hold": 1.0}, ("T",)),
        utility("won", "T", lambda x, t: float((x == "weak") == (t == "attack")), ("X", "T")),
    )
    trust = {"strong": "hold", "very strong": "hold", "weak": "attack"}
    liar = {"say": {"strong": "strong", "weak": "very strong"}, "T": trust}
    assert believes(game, liar, "say", lambda o: not is_strong(o), WEAK)
    # T, who knows the policies, would attack on "very strong" if it were told; it holds: believes.
    assert deceives(game, liar, "S", "T", is_strong, WEAK)


def test_a_false_belief_needs_another_agent():
    with pytest.raises(ValueError, match="another agent than 'S'"):
        deceives(war(), BLUFF, "S", "S", is_strong, WEAK)


def test_a_search_too_large_is_refused():
    game = CausalGame(
        chance("X", {k: 1 / 20 for k in range(20)}),
        decision("S", "S", (0, 1)),
        decision("T", "T", (0, 1), ("S",)),
        utility("U", "S", lambda t, s: t + 0.5 * s, ("T", "S")),
    )
    with pytest.raises(ValueError, match="16 pairs at most"):
        intends(game, {"S": {(): 1}, "T": lambda s: s}, "S", "T", {"X": 0})
