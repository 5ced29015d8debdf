"""Whether claimed numbers come out again: in the same games, and in fresh ones.

The verifier plays the agent twice, and both times counts episode by episode, so that no error of
his is taken from the claim. A language model is asked questions in place of games, and its episodes
are items: what it says to an item in both orders is one value, since the two hang together.

*The same games.* The suite's evaluation games are known, and an agent that plays them again does
the same up to rounding, which differs between processors and may turn a few episodes. So a claimed
number may be off by half a standard error, or by half a percent of the measure's range; where it
is known which episodes rounding may turn, by those alone.

*Fresh games.* The claim and the fresh episodes are two samples of one agent if the claim is honest.
Of every measure up to three means are compared: how often it is defined, its value, and its square
(which holds the claimed standard deviation to account, where there is one). Each is a two-sample t
test with the spread of all episodes that the verifier has seen. The whole verification refuses an
honest claim with probability `FALSE_REFUSALS` at most: each of its K tests has that over K
(Bonferroni).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

#: How often a whole verification may refuse what is honest.
FALSE_REFUSALS = 0.01
#: Tests of one measure at most.
TESTS = 3
#: Fewer episodes than these tell nothing of fresh ones.
LEAST = 10
#: In the same games: standard errors, and share of the measure's range, by which rounding may
#: change a number; and, everywhere, its own last digits.
DRIFT, RANGE, DIGITS = 0.5, 0.005, 1e-4
#: By how much a gap may differ that is measured again on the same inputs, of its size and at all.
GAP_RATIO, GAP = 0.05, 0.005

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
    words: tuple[str, str] = ("games", "episodes"),
) -> list[Disagreement]:
    """All numbers of one run that did not come out again.

    Args:
        claimed: "condition/metric" -> "mean", "n" and, where it is claimed, "sd".
        replayed: the same -> sums over the games that the claim is of; see `sums`.
        fresh: the same, over others; what is not in it is held to the same games alone.
        tests: K, in the whole verification.
        words: for games and episodes.
    """
    level = FALSE_REFUSALS / tests
    found = []
    for path, moments in claimed.items():
        if path not in replayed:
            found.append(Disagreement(path, f"{path} is claimed, but nothing measures it"))
            continue
        story = _replay(path, moments, replayed[path], fresh.get(path, {}), words)
        if not story and path in fresh:
            story = _fresh(path, moments, replayed[path], fresh[path], level, words[1])
        if story:
            found.append(Disagreement(path, story))
    return found


def sums(values: np.ndarray, rounding: float | None = None) -> dict[str, float]:
    """What means, spreads and their errors are made of: counts, extremes, sums of powers.

    Args:
        values: (n,), NaN where undefined.
        rounding: by how much float rounding may change their mean, where that is known.
    """
    kept = values[values == values].astype(float)
    powers = {f"s{k}": float((kept**k).sum()) for k in (1, 2, 4)}
    ends = {"low": float(kept.min()), "high": float(kept.max())} if kept.size else {}
    known = {} if rounding is None else {"rounding": rounding}
    return {"episodes": len(values), "n": int(kept.size), **powers, **ends, **known}


def shown(sums: Sums) -> list[float | int | None]:
    """Mean and number of episodes, for the record."""
    n = int(sums["n"])
    return [float(f"{sums['s1'] / n:.5g}") if n else None, n]


def gap(value: float) -> tuple[float, float]:
    """A gap that was measured again, and by how much the claim may be off."""
    return value, GAP + GAP_RATIO * abs(value)


def unlike(
    claimed: Mapping[str, float | None], again: Mapping[str, tuple[float | None, float]]
) -> list[str]:
    """Single numbers that are not as claimed, a sentence each.

    Args:
        claimed: by name; None where it is undefined.
        again: the same, measured again, and by how much the claim may be off.
    """
    found = []
    for path, claim in claimed.items():
        value, allowed = again.get(path, (None, 0.0))
        if value is None or claim is None:
            off = value is not claim
        else:
            off = not abs(claim - value) <= allowed + DIGITS * abs(value)
        if off:
            says, told = ("nothing" if x is None else f"{x:.4g}" for x in (claim, value))
            found.append(f"{path} is claimed as {says}; measured again it is {told}")
    return found


def exact(claimed: Mapping[str, Mapping[str, Any]], replayed: Mapping[str, Sums]) -> int:
    """How many numbers the same games give to the last of the digits that are stored."""
    count = 0
    for path, moments in claimed.items():
        again = replayed.get(path)
        if again is not None and again["n"] == moments["n"]:
            value = again["s1"] / again["n"] if again["n"] else 0.0
            count += f"{moments['mean'] or 0.0:.5g}" == f"{value or 0.0:.5g}"
    return count


def _replay(
    path: str, claimed: Mapping[str, Any], again: Sums, fresh: Sums, words: tuple[str, str]
) -> str:
    games, episodes = words
    if abs(claimed["n"] - again["n"]) > max(1.0, 4 * RANGE * again["episodes"]):
        return (
            f"{path} is claimed of {claimed['n']} {episodes}; in the same {games} it is defined in "
            f"{again['n']:.0f}"
        )
    if not claimed["n"] or not again["n"]:
        return ""
    span = max(again["high"], fresh.get("high", again["high"])) - min(
        again["low"], fresh.get("low", again["low"])
    )
    for what, (k, claim) in zip(("", " (its square)"), _means(claimed).items(), strict=False):
        value, sd = again[f"s{k}"] / again["n"], _sd(again, k=k)
        width = span if k == 1 else max(again["high"] ** 2, again["low"] ** 2)
        drift = max(DRIFT * sd / math.sqrt(again["n"]), RANGE * width)
        allowed = max(again.get("rounding", drift), DIGITS * abs(value))
        if not abs(claim - value) <= allowed + 1e-12:
            return (
                f"{path}{what} is claimed as {claim:.5g}; the same {games} give {value:.5g}: off "
                f"by {abs(claim - value):.2g}, at most {allowed:.2g} may be rounding"
            )
    return ""


def _fresh(
    path: str, claimed: Mapping[str, Any], again: Sums, fresh: Sums, level: float, episodes: str
) -> str:
    games = again["episodes"], fresh["episodes"]
    share = claimed["n"] / games[0], fresh["n"] / games[1]
    pooled = (again["n"] + fresh["n"]) / sum(games)
    spread = math.sqrt(pooled * (1 - pooled))
    story = _test(f"how often {path} is defined", share, spread, games, level, episodes)
    if story or min(claimed["n"], fresh["n"]) < LEAST:
        return story
    both = claimed["n"], fresh["n"]
    for what, (k, claim) in zip(("", "the square of "), _means(claimed).items(), strict=False):
        pair = claim, fresh[f"s{k}"] / fresh["n"]
        luck, rounding = _sd(again, fresh, k=k), again.get("rounding", 0.0)
        story = _test(f"{what}{path}", pair, luck, both, level, episodes, rounding)
        if story:
            return story
    return ""


def _test(
    what: str, pair: tuple[float, float], sd: float, n: tuple[float, float], level: float,
    episodes: str, rounding: float = 0.0,
) -> str:  # fmt: skip
    """Why two means cannot be of one agent; empty where they can."""
    claim, value = pair
    off = max(0.0, abs(claim - value) - DIGITS * abs(claim) - rounding)
    error = sd * math.sqrt(1 / n[0] + 1 / n[1])
    most = -float(scipy.special.stdtrit(n[0] + n[1] - 2, level / 2)) * error
    if off <= most + 1e-12:
        return ""
    ratio = f"{off / error:.1f} standard errors" if error else "and there is no spread at all"
    return (
        f"{what} is claimed as {claim:.5g}; {n[1]:.0f} fresh {episodes} give {value:.5g}: off by "
        f"{off:.2g}, {ratio}, where {most:.2g} would be luck"
    )


def _means(claimed: Mapping[str, Any]) -> dict[int, float]:
    """By power, the mean of a claim, and the mean square that its standard deviation says."""
    n, mean = claimed["n"], claimed["mean"]
    if "sd" not in claimed:
        return {1: mean}
    return {1: mean, 2: mean**2 + (claimed["sd"] or 0.0) ** 2 * (n - 1) / n}


def _sd(*parts: Sums, k: int) -> float:
    """Standard deviation of the k-th power, over all these episodes."""
    n = sum(part["n"] for part in parts)
    mean = sum(part[f"s{k}"] for part in parts) / n
    return math.sqrt(max(0.0, sum(part[f"s{2 * k}"] for part in parts) / n - mean**2))
