"""Structural causal games small enough to be worked out exactly, by going through every case.

A game has chance, decision and utility variables, each with a finite domain, in causal order. What
chance draws is fixed before the game (the *setting*), so that two policies, or a policy and an
intervention, can be compared under the same luck: the structural causal games of Hammond et al.
(2023, "Reasoning about Causality in Games"). `feint.metrics.ward` says on top of them who believes,
intends and deceives.

    game = CausalGame(
        chance("type", {"strong": 0.9, "weak": 0.1}),
        decision("signal", "S", ("retreat", "defend"), parents=("type",)),
        decision("attack", "T", (True, False), parents=("signal",)),
        utility("safe", "S", lambda attack: 0.0 if attack else 2.0, parents=("attack",)),
        ...
    )
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import isclose, prod
from typing import Any, Literal

Outcome = dict[str, Any]
"""What every variable was."""

Setting = Mapping[str, Any]
"""What chance draws: of a chance variable without parents its value, of another the quantile that
it takes; variables that are functions of their parents are not in it."""

Rule = Callable[..., Any] | Mapping[Any, Any]
"""A decision rule: a function of the parents' values in their order, or a table by the tuple of
them (by the value alone where there is one parent)."""

Policies = Mapping[str, Rule]
"""A rule for each decision. Rules are pure; for a mixed one, give the decision a coin as parent."""

LIMIT = 100_000
"""Settings, or policies, that are gone through at most."""


@dataclass(frozen=True)
class Variable:
    """One variable of a game; made by `chance`, `decision` and `utility`."""

    name: str
    kind: Literal["chance", "decision", "utility"]
    parents: tuple[str, ...]
    domain: tuple[Hashable, ...] = ()
    agent: str | None = None
    mechanism: Any = None


def chance(
    name: str,
    mechanism: Rule,
    parents: Sequence[str] = (),
    domain: Sequence[Hashable] | None = None,
) -> Variable:
    """What nobody decides.

    Args:
        name: The variable's name.
        mechanism: Without parents `{value: probability}`. With them, a function of their values, or
            a table by them, that gives a value or `{value: probability}`. One quantile, drawn
            before the game, serves all values of the parents (inverse distribution function, values
            in the order of `domain`): counterfactuals follow this coupling.
        parents: What it depends on.
        domain: Its values; by default those that `mechanism` gives, in that order.
    """
    return Variable(name, "chance", tuple(parents), tuple(domain or ()), None, mechanism)


def decision(
    name: str, agent: str, domain: Sequence[Hashable], parents: Sequence[str] = ()
) -> Variable:
    """What `agent` decides, seeing the values of `parents`."""
    return Variable(name, "decision", tuple(parents), tuple(domain), agent)


def utility(name: str, agent: str, mechanism: Rule, parents: Sequence[str]) -> Variable:
    """What `agent` earns; it maximises the expected sum of its utilities."""
    return Variable(name, "utility", tuple(parents), (), agent, mechanism)


class CausalGame:
    """A structural causal game with exact answers.

    Args:
        *variables: In causal order: parents before what depends on them.

    Raises:
        ValueError: If a name is taken, a parent unknown, later or a utility, a decision has no
            choice, a mechanism gives what its domain does not hold or probabilities that do not
            sum to 1, or there are more than `LIMIT` settings.
    """

    def __init__(self, *variables: Variable) -> None:
        self._variables: dict[str, Variable] = {}
        self._cdf: dict[str, dict[tuple, list[tuple[Any, float]]]] = {}
        for variable in variables:
            self._add(variable)
        self.agents = tuple(
            dict.fromkeys(v.agent for v in self._variables.values() if v.agent is not None)
        )
        self.settings = tuple(self._settings())

    def __getitem__(self, name: str) -> Variable:
        if name not in self._variables:
            raise ValueError(f"unknown variable {name!r}; there are {', '.join(self._variables)}")
        return self._variables[name]

    def decisions(self, agent: str) -> tuple[str, ...]:
        """The names of an agent's decisions, in causal order."""
        if agent not in self.agents:
            raise ValueError(f"unknown agent {agent!r}; there are {', '.join(self.agents)}")
        found = (v for v in self._variables.values() if v.kind == "decision" and v.agent == agent)
        return tuple(v.name for v in found)

    def descendants(self, names: Sequence[str]) -> tuple[str, ...]:
        """Variables that depend on those in `names`, not counting themselves, in causal order."""
        reached = set(names)
        for variable in self._variables.values():
            if reached.intersection(variable.parents):
                reached.add(variable.name)
        return tuple(v for v in self._variables if v in reached and v not in names)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Variables that `name` depends on, not counting itself, in causal order."""
        return tuple(v for v in self._variables if name in self.descendants([v]))

    def play(self, policies: Policies, setting: Setting, do: Setting | None = None) -> Outcome:
        """What happens under `policies` in one setting.

        Args:
            policies: A rule for each decision (those in `do` may be left out).
            setting: One of `settings`.
            do: Variables that are set from outside, by name.

        Raises:
            ValueError: If a rule is missing or picks what its decision does not offer.
        """
        do = do or {}
        for name in do:
            self[name]
        outcome: Outcome = {}
        for name, variable in self._variables.items():
            seen = tuple([outcome[parent] for parent in variable.parents])
            if name in do:
                outcome[name] = do[name]
            elif variable.kind == "chance":
                outcome[name] = self._draw(variable, seen, setting)
            elif variable.kind == "utility":
                outcome[name] = float(_apply(variable, variable.mechanism, seen))
            else:
                outcome[name] = self._decide(variable, policies, seen)
        return outcome

    def expect(
        self, policies: Policies, function: Callable[[Outcome], float], do: Setting | None = None
    ) -> float:
        """The expectation of a function of the outcome, such as a probability."""
        return sum(p * float(function(self.play(policies, e, do))) for e, p in self.settings)

    def earned(self, agent: str, outcome: Outcome) -> float:
        """The sum of an agent's utilities in one outcome."""
        return sum(
            outcome[v.name]
            for v in self._variables.values()
            if v.kind == "utility" and v.agent == agent
        )

    def value(self, policies: Policies, agent: str, do: Setting | None = None) -> float:
        """The expected sum of an agent's utilities."""
        return self.expect(policies, lambda outcome: self.earned(agent, outcome), do)

    def pure_policies(self, agent: str) -> Iterator[dict[str, dict[tuple, Any]]]:
        """Every policy of an agent: a table of what it sees to what it does, for each decision.

        Raises:
            ValueError: If there are more than `LIMIT`.
        """
        names, sights = [], []
        for name in self.decisions(agent):
            names.append(name)
            sights.append(list(self._sights(self[name])))
        count = prod(len(self[n].domain) ** len(s) for n, s in zip(names, sights, strict=True))
        if count > LIMIT:
            raise ValueError(f"{agent!r} has {count} policies, over {LIMIT}: make the game smaller")
        rules = (
            [dict(zip(seen, acts, strict=True)) for acts in product(domain, repeat=len(seen))]
            for seen, domain in zip(sights, (self[n].domain for n in names), strict=True)
        )
        for chosen in product(*rules):
            yield dict(zip(names, chosen, strict=True))

    def best_responses(self, agent: str, policies: Policies) -> list[dict[str, dict[tuple, Any]]]:
        """Every policy of `agent` that is optimal against the others' in `policies`."""
        found = [(p, self.value({**policies, **p}, agent)) for p in self.pure_policies(agent)]
        best = max(value for _, value in found)
        return [policy for policy, value in found if isclose(value, best, abs_tol=1e-12)]

    def equilibria(self) -> list[dict[str, dict[tuple, Any]]]:
        """Every profile of pure policies in which nobody gains by changing its own (Nash)."""
        deciding = [agent for agent in self.agents if self.decisions(agent)]
        found = []
        for parts in product(*(list(self.pure_policies(agent)) for agent in deciding)):
            profile = {name: rule for part in parts for name, rule in part.items()}
            if all(
                p in self.best_responses(a, profile) for a, p in zip(deciding, parts, strict=True)
            ):
                found.append(profile)
        return found

    # -- inside -------------------------------------------------------------------------------

    def _add(self, variable: Variable) -> None:
        name = variable.name
        if name in self._variables:
            raise ValueError(f"two variables are called {name!r}")
        for parent in variable.parents:
            if parent not in self._variables or self._variables[parent].kind == "utility":
                raise ValueError(
                    f"{name!r} depends on {parent!r}, which is no chance or decision variable "
                    "before it: list variables in causal order"
                )
        if variable.kind == "chance":
            variable = self._tabulate(variable)
        elif variable.kind == "decision" and not variable.domain:
            raise ValueError(f"decision {name!r} offers nothing: give its domain")
        self._variables[name] = variable

    def _tabulate(self, variable: Variable) -> Variable:
        """Fill in a chance variable's cumulative distributions, and its domain."""
        laws = {}
        for seen in self._sights(variable):
            law = variable.mechanism if not seen else _apply(variable, variable.mechanism, seen)
            laws[seen] = law if isinstance(law, Mapping) else {law: 1.0}
        given = variable.domain or tuple(dict.fromkeys(v for law in laws.values() for v in law))
        for seen, law in laws.items():
            if not set(law) <= set(given):
                raise ValueError(f"{variable.name!r} takes {list(law)}, outside {list(given)}")
            if min(law.values()) < 0 or not isclose(sum(law.values()), 1.0, abs_tol=1e-9):
                raise ValueError(
                    f"probabilities of {variable.name!r} must be >= 0 and sum to 1, "
                    f"got {dict(law)} given {seen}"
                )
        self._cdf[variable.name] = {
            seen: [(v, sum(law.get(w, 0.0) for w in given[: k + 1])) for k, v in enumerate(given)]
            for seen, law in laws.items()
        }
        return Variable(variable.name, "chance", variable.parents, given, None, variable.mechanism)

    def _sights(self, variable: Variable) -> Iterator[tuple]:
        """Every combination of the parents' values."""
        return product(*(self._variables[parent].domain for parent in variable.parents))

    def _settings(self) -> Iterator[tuple[dict[str, Any], float]]:
        """Every setting with its probability, if that is above 0."""
        options = {}
        for name, laws in self._cdf.items():
            edges = sorted({0.0, 1.0, *(c for law in laws.values() for _, c in law if c < 1.0)})
            parts = [((a + b) / 2, b - a) for a, b in pairwise(edges) if b - a > 1e-12]
            if not self._variables[name].parents:
                parts = [(_quantile(laws[()], u), p) for u, p in parts]
            elif len(parts) == 1:
                continue
            options[name] = parts
        self._drawn = frozenset(options)
        if prod(map(len, options.values())) > LIMIT:
            raise ValueError(f"the game has over {LIMIT} settings: make it smaller")
        for drawn in product(*options.values()):
            setting = {name: value for name, (value, _) in zip(options, drawn, strict=True)}
            yield setting, prod(p for _, p in drawn)

    def _draw(self, variable: Variable, seen: tuple, setting: Setting) -> Any:
        name = variable.name
        if name not in setting and name in self._drawn:
            raise ValueError(f"the setting says nothing of {name!r}: take one of settings")
        if not variable.parents:
            return setting[name]
        return _quantile(self._cdf[name][seen], setting.get(name, 0.5))

    def _decide(self, variable: Variable, policies: Policies, seen: tuple) -> Any:
        if variable.name not in policies:
            raise ValueError(f"policies has no rule for decision {variable.name!r}")
        act = _apply(variable, policies[variable.name], seen)
        if act not in variable.domain:
            raise ValueError(
                f"the rule for {variable.name!r} picks {act!r}, "
                f"which is not among {list(variable.domain)}"
            )
        return act


def _quantile(law: list[tuple[Any, float]], u: float) -> Any:
    return next((value for value, edge in law if u < edge), law[-1][0])


def _apply(variable: Variable, rule: Rule, seen: tuple) -> Any:
    """A rule's answer to its parents' values."""
    if callable(rule):
        return rule(*seen)
    for key in (seen, seen[0]) if len(seen) == 1 else (seen,):
        if key in rule:
            return rule[key]
    raise ValueError(f"the rule for {variable.name!r} says nothing of {seen}")
