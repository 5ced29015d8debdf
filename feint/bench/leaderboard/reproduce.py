"""Whether claimed numbers come out again: in the same games, and in fresh ones.

The verifier plays the agent twice, and both times counts episode by episode, so that no error of
his is taken from the claim.

*The same games.* The suite's evaluation games are known, and an agent that plays them again does
the same up to rounding, which differs between processors and may turn a few episodes. So a claimed
number may be off by half a standard error, or by half a percent of the measure's range.

*Fresh games.* The claim and the fresh episodes are two samples of one agent if the claim is honest.
Of every measure three means are compared: how often it is defined, its value, and its square (which
holds the claimed standard deviation to account). Each is a two-sample t test with the spread of all
episodes that the verifier has seen. The whole verification refuses an honest claim with probability
`FALSE_REFUSALS` at most: each of its K tests has that over K (Bonferroni).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import scipy

#: How often a whole verification may refuse what is honest.
FALSE_REFUSALS = 0.01
#: Tests of one measure.
TESTS = 3
#: Fewer episodes than these tell nothing of fresh ones.
LEAST = 10
#: In the same games: standard errors, and share of the measure's range, by which rounding may
#: change a number; and, everywhere, its own last digits.
DRIFT, RANGE, DIGITS = 0.5, 0.005, 1e-4

Sums = Mapping[str, float]


@dataclass(frozen=True)
class Disagreement:
    """One number that did not come out again.

    Attributes:
        path: "condition/metric".
        says: the whole story in a sentence.
    """

    path: str
    says: str


def compare(
    claimed: Mapping[str, Mapping[str, Any]],
    replayed: Mapping[str, Sums],
    fresh: Mapping[str, Sums],
    tests: int,
) -> list[Disagreement]:
    """All numbers of one run that did not come out again.

    Args:
        claimed: "condition/metric" -> "mean", "sd" and "n".
        replayed: the same -> sums over the games that the claim is of; see `rl_runs.sums`.
        fresh: the same, over others.
        tests: K, in the whole verification.
    """
    level = FALSE_REFUSALS / tests
    found = []
    for path, moments in claimed.items():
        if path not in replayed or path not in fresh:
            found.append(Disagreement(path, f"{path} is claimed, but nothing measures it"))
            continue
        story = _replay(path, moments, replayed[path], fresh[path]) or _fresh(
            path, moments, replayed[path], fresh[path], level
        )
        if story:
            found.append(Disagreement(path, story))
    return found


def _replay(path: str, claimed: Mapping[str, Any], again: Sums, fresh: Sums) -> str:
    if abs(claimed["n"] - again["n"]) > max(1.0, 4 * RANGE * again["episodes"]):
        return (
            f"{path} is claimed of {claimed['n']} episodes; in the same games it is defined in "
            f"{again['n']:.0f}"
        )
    if not claimed["n"] or not again["n"]:
        return ""
    span = max(again["high"], fresh.get("high", again["high"])) - min(
        again["low"], fresh.get("low", again["low"])
    )
    claims, squares = _means(claimed)
    for what, claim, k in (("", claims, 1), (" (its square)", squares, 2)):
        value, sd = again[f"s{k}"] / again["n"], _sd(again, k=k)
        width = span if k == 1 else max(again["high"] ** 2, again["low"] ** 2)
        allowed = max(DRIFT * sd / math.sqrt(again["n"]), RANGE * width, DIGITS * abs(value))
        if not abs(claim - value) <= allowed + 1e-12:
            return (
                f"{path}{what} is claimed as {claim:.5g}; the same games give {value:.5g}: off by "
                f"{abs(claim - value):.2g}, at most {allowed:.2g} may be rounding"
            )
    return ""


def _fresh(path: str, claimed: Mapping[str, Any], again: Sums, fresh: Sums, level: float) -> str:
    games = again["episodes"], fresh["episodes"]
    share = claimed["n"] / games[0], fresh["n"] / games[1]
    pooled = (again["n"] + fresh["n"]) / sum(games)
    spread = math.sqrt(pooled * (1 - pooled))
    story = _test(f"how often {path} is defined", share, spread, games, level)
    if story or min(claimed["n"], fresh["n"]) < LEAST:
        return story
    both = claimed["n"], fresh["n"]
    for what, claim, k in zip(("", "the square of "), _means(claimed), (1, 2), strict=True):
        pair = claim, fresh[f"s{k}"] / fresh["n"]
        story = _test(f"{what}{path}", pair, _sd(again, fresh, k=k), both, level)
        if story:
            return story
    return ""


def _test(
    what: str, pair: tuple[float, float], sd: float, n: tuple[float, float], level: float
) -> str:
    """Why two means cannot be of one agent; empty where they can."""
    claim, value = pair
    off = max(0.0, abs(claim - value) - DIGITS * abs(claim))
    error = sd * math.sqrt(1 / n[0] + 1 / n[1])
    most = -float(scipy.special.stdtrit(n[0] + n[1] - 2, level / 2)) * error
    if off <= most + 1e-12:
        return ""
    ratio = f"{off / error:.1f} standard errors" if error else "and there is no spread at all"
    return (
        f"{what} is claimed as {claim:.5g}; {n[1]:.0f} fresh episodes give {value:.5g}: off by "
        f"{off:.2g}, {ratio}, where {most:.2g} would be luck"
    )


def _means(claimed: Mapping[str, Any]) -> tuple[float, float]:
    """The mean of a claim, and the mean square that its standard deviation says."""
    n, mean, sd = claimed["n"], claimed["mean"], claimed["sd"] or 0.0
    return mean, mean**2 + sd**2 * (n - 1) / n


def _sd(*parts: Sums, k: int) -> float:
    """Standard deviation of the k-th power, over all these episodes."""
    n = sum(part["n"] for part in parts)
    mean = sum(part[f"s{k}"] for part in parts) / n
    return math.sqrt(max(0.0, sum(part[f"s{2 * k}"] for part in parts) / n - mean**2))
