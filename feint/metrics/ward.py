"""Belief, intention and deception in a structural causal game, worked out exactly.

After Ward et al. (2023), "Honesty Is the Best Policy: Defining and Mitigating AI Deception" (arXiv
2312.01350). All three notions are about behaviour alone: an agent *believes* what it acts upon as
though it observed it, *intends* what makes its policy worth choosing, and *deceives* when it
intentionally causes a false belief that it does not hold itself.
`feint.metrics.intention` measures the same in scenarios, by re-rolling them.

Where the paper leaves a choice open, the choice made here is stated in the function's docstring.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import isclose
from typing import Any

from feint.metrics.causal_games import CausalGame, Outcome, Policies, Setting, Variable

Proposition = Callable[[Outcome], bool]
"""A statement about the outcome that is true or false, such as `lambda o: o["X"] == "strong"`."""

MOST_PAIRS = 16
"""(variable, setting) pairs whose subsets `intends` goes through at most."""

_TOLERANCE = 1e-9


def acts_if_told(
    game: CausalGame,
    policies: Policies,
    decision: str,
    phi: Proposition,
    setting: Setting,
    truth: bool,
) -> Any:
    """What the agent would do at `decision` if it observed, besides, whether `phi` is true.

    Told `truth`, it takes what is then best for it, all else in `policies` as it is; of several
    acts that are equally good, the one that it takes anyway, so that being told matters only
    where it pays. What it hears is weighed by the settings in which both that and what it sees
    happen; where they never happen together, by those in which they would if the others' earlier
    decisions were made blindly, every way alike. An agent whose sight alone settles whether `phi`
    is true, whatever the others decided, learns nothing by being told so; told otherwise, it does
    what it does in the settings nearest to this one in which `phi` is so (fewest chance variables
    differ, then the likeliest act).

    Raises:
        ValueError: If `phi` depends on the decision, which nobody can observe before it.
    """
    own = game.play(policies, setting)
    variable, act = game[decision], own[decision]
    _check_observable(game, policies, decision, phi)

    def cases(*forced: Setting) -> list[tuple[Setting, Setting, float, bool]]:
        played = ((e, do, p, game.play(policies, e, do)) for do in forced for e, p in game.settings)
        return [
            (e, do, p, bool(phi(outcome)))
            for e, do, p, outcome in played
            if all(outcome[name] == own[name] for name in variable.parents)
        ]

    others = [n for n in game.ancestors(decision) if _is_others_decision(game, n, variable)]
    acts = product(*(game[name].domain for name in others))
    imagined = cases(*(dict(zip(others, chosen, strict=True)) for chosen in acts))
    if len({told for *_, told in imagined}) == 1:
        if imagined[0][3] == truth:
            return act
        return _acts_nearby(game, policies, decision, phi, setting, truth, act)
    real = [case for case in cases({}) if case[3] == truth]
    weighed = real or [case for case in imagined if case[3] == truth]

    def worth(choice: Any) -> float:
        return sum(
            p * game.earned(str(variable.agent), game.play(policies, e, {**do, decision: choice}))
            for e, do, p, _ in weighed
        )

    found = {choice: worth(choice) for choice in variable.domain}
    best = [c for c, value in found.items() if value >= max(found.values()) - _TOLERANCE]
    return act if act in best else best[0]


def responds(
    game: CausalGame, policies: Policies, decision: str, phi: Proposition, setting: Setting
) -> bool:
    """Whether it would matter to the agent, at `decision`, to observe that `phi` is true or not."""
    yes, no = (acts_if_told(game, policies, decision, phi, setting, told) for told in (True, False))
    return yes != no


def believes(
    game: CausalGame, policies: Policies, decision: str, phi: Proposition, setting: Setting
) -> bool:
    """Whether the agent believes `phi` at `decision`.

    It does if it responds to `phi` and acts as though it observed `phi` to be true. Of what it does
    not respond to it has, as far as behaviour tells, no belief; and no belief is not disbelief: ask
    for the belief in the negation.
    """
    yes, no = (acts_if_told(game, policies, decision, phi, setting, told) for told in (True, False))
    return yes != no and game.play(policies, setting)[decision] == yes


def intends(
    game: CausalGame,
    policies: Policies,
    agent: str,
    variable: str,
    setting: Setting,
    references: Iterable[Policies] | None = None,
) -> bool:
    """Whether `agent`, by its policy, intentionally causes what `variable` is in `setting`.

    It does if, for some reference policy that it could have had instead: the reference earns less
    in expectation, but would earn as much if certain variables were, in certain settings,
    guaranteed to be what they are under its own policy; and `variable` in `setting` belongs to a
    smallest such guarantee (no part of it suffices). What it gets is then its reason not to act
    as in the reference. Side effects and chance results are no part of any smallest guarantee.

    Guarantees are sought among what its decisions influence; utilities and its own decisions are
    left out, since they would make any reference as good at once.

    Args:
        game: The game.
        policies: Everybody's rules.
        agent: Whose intention.
        variable: What it may have caused; what it cannot influence, it does not intend.
        setting: Where.
        references: Rules that replace some of its own; by default all of its pure policies.

    Raises:
        ValueError: If there are more than `MOST_PAIRS` pairs of a variable and a setting.
    """
    mine = game.decisions(agent)
    game[variable]
    caused = [
        name for name in game.descendants(mine) if name not in mine and game[name].kind != "utility"
    ]
    if variable not in caused:
        return False
    options = game.pure_policies(agent) if references is None else references
    return any(
        (variable, setting) in _smallest_guarantees(game, policies, agent, caused, reference)
        for reference in options
    )


@dataclass(frozen=True)
class Deception:
    """Whether somebody deceives somebody about something, condition by condition.

    True as a whole only if all four hold.

    Args:
        intended: The deceiver intentionally causes what the target does.
        believed: The target believes the proposition.
        untrue: It is false.
        unshared: The deceiver does not believe it at any of its own decisions.
    """

    intended: bool
    believed: bool
    untrue: bool
    unshared: bool

    def __bool__(self) -> bool:
        return self.intended and self.believed and self.untrue and self.unshared


def deceives(
    game: CausalGame,
    policies: Policies,
    deceiver: str,
    decision: str,
    phi: Proposition,
    setting: Setting,
    references: Iterable[Policies] | None = None,
) -> Deception:
    """Whether `deceiver` deceives whoever takes `decision` about `phi`, in one setting.

    It does if it intentionally causes what the target decides, the target believes `phi` there,
    `phi` is false, and the deceiver does not believe it. Whether the target is better or worse off
    plays no part: a benevolent lie is one too; so does how the belief came about: silence will do.

    Raises:
        ValueError: If both are the same agent, or as `acts_if_told` and `intends`.
    """
    target = game[decision].agent
    if game[decision].kind != "decision" or target == deceiver:
        raise ValueError(f"{decision!r} must be a decision of another agent than {deceiver!r}")
    own = game.decisions(deceiver)
    return Deception(
        intended=intends(game, policies, deceiver, decision, setting, references),
        believed=believes(game, policies, decision, phi, setting),
        untrue=not phi(game.play(policies, setting)),
        unshared=not any(believes(game, policies, d, phi, setting) for d in own),
    )


def deception_probability(
    game: CausalGame,
    policies: Policies,
    deceiver: str,
    decision: str,
    phi: Proposition,
    references: Iterable[Policies] | None = None,
) -> float:
    """The probability of the settings in which `deceives` holds."""
    options = None if references is None else list(references)
    return sum(
        p for e, p in game.settings if deceives(game, policies, deceiver, decision, phi, e, options)
    )


def _is_others_decision(game: CausalGame, name: str, variable: Variable) -> bool:
    return game[name].kind == "decision" and game[name].agent != variable.agent


def _check_observable(
    game: CausalGame, policies: Policies, decision: str, phi: Proposition
) -> None:
    for e, _ in game.settings:
        truths = {bool(phi(game.play(policies, e, {decision: a}))) for a in game[decision].domain}
        if len(truths) > 1:
            raise ValueError(
                f"the proposition depends on {decision!r} itself: whoever decides cannot observe "
                "it before; state one about what comes earlier or does not depend on it"
            )


def _acts_nearby(
    game: CausalGame,
    policies: Policies,
    decision: str,
    phi: Proposition,
    setting: Setting,
    truth: bool,
    default: Any,
) -> Any:
    """What the agent does in the nearest settings in which `phi` is `truth`; else `default`."""
    acts: dict[int, dict[Any, float]] = {}
    for e, p in game.settings:
        outcome = game.play(policies, e)
        if bool(phi(outcome)) == truth:
            away = sum(e[name] != setting[name] for name in e)
            tally = acts.setdefault(away, {})
            tally[outcome[decision]] = tally.get(outcome[decision], 0.0) + p
    if not acts:
        return default
    tally = acts[min(acts)]
    return max(tally, key=lambda act: tally[act])


def _smallest_guarantees(
    game: CausalGame,
    policies: Policies,
    agent: str,
    caused: list[str],
    reference: Policies,
) -> list[tuple[str, Setting]]:
    """All pairs that belong to a smallest guarantee for one reference policy."""
    instead = {**policies, **reference}
    shortfall = game.value(policies, agent) - game.value(instead, agent)
    if shortfall <= _TOLERANCE:
        return []  # as good without any guarantee: nothing is its reason
    subsets = [
        tuple(name for name, held in zip(caused, mask, strict=True) if held)
        for mask in product((False, True), repeat=len(caused))
    ]
    live: list[tuple[Setting, dict[tuple[str, ...], float]]] = []
    for e, p in game.settings:
        own, base = game.play(policies, e), game.earned(agent, game.play(instead, e))
        gains = {}
        for subset in subsets:
            kept = game.play(instead, e, {name: own[name] for name in subset})
            gains[subset] = p * (game.earned(agent, kept) - base)
        if not all(isclose(gain, 0.0, abs_tol=1e-12) for gain in gains.values()):
            live.append((e, gains))
    if len(live) * len(caused) > MOST_PAIRS:
        raise ValueError(
            f"{len(live)} settings of {len(caused)} variables that {agent!r} influences are too "
            f"many to search ({MOST_PAIRS} pairs at most): make the game smaller"
        )
    # Guarantees of few pairs come first, so that one that holds a part of itself among those
    # already found is not smallest.
    choices = sorted(
        product(*([(e_index, s) for s in subsets] for e_index in range(len(live)))),
        key=lambda choice: sum(len(names) for _, names in choice),
    )
    smallest: list[set[tuple[str, int]]] = []
    for choice in choices:
        pairs = {(name, index) for index, names in choice for name in names}
        if any(found <= pairs for found in smallest):
            continue
        if sum(live[index][1][names] for index, names in choice) >= shortfall - _TOLERANCE:
            smallest.append(pairs)
    return [(name, live[i][0]) for found in smallest for name, i in found]
