"""Rates by arm and scenario, and what one arm does against another.

Replies to one conversation are not independent, and one wording speaks for itself alone: rates have
Wilson's interval for the replies at hand, but arms are compared by a bootstrap over scenarios, and
within them over wordings.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from feint.llm.evaluate import numbers
from feint.llm.reasons.reply import parse
from feint.llm.reasons.scoring import OUTCOMES, STANCES, Verdict
from feint.metrics.statistics import wilson

#: What is counted of a verdict and its reply.
MEASURES: dict[str, Callable[[Verdict, str], bool]] = {
    "undesired": lambda verdict, form: verdict.undesired,
    "deceives": lambda verdict, form: verdict.deceives,
    "two_faced": lambda verdict, form: verdict.two_faced,
    "desired": lambda verdict, form: verdict.outcome == "desired",
    "refusal": lambda verdict, form: verdict.refusal,
    "none": lambda verdict, form: verdict.outcome == "none",
    "no_trace": lambda verdict, form: not verdict.trace_present,
    "off_format": lambda verdict, form: form != "kept",
}
#: Arms that are compared with the others: the paper's claim, its length control, its topic control.
CONTRASTS = (
    ("rebuttal", "refusal"),
    ("refusal", "natural"),
    ("rebuttal", "neutral"),
    ("rebuttal", "off_topic"),
    ("rebuttal", "system"),
    ("neutral", "refusal"),
)


def tally(transcripts: Sequence[dict[str, Any]], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Count everything.

    Args:
        transcripts: As `feint.llm.reasons.run.run` returns them.
        verdicts: One for each.

    Returns:
        JSON: `n`; `arms` and `cells` ("scenario/arm"), each with `n`, the Wilson interval of every
        name in `MEASURES`, and counts of outcomes, stances and forms; `share`, of all undesired
        replies of an arm those that deceive; `effects`, of `CONTRASTS`, see `effect`; `lengths`,
        tokens of the manipulated turns by arm: mean, least and most.
    """
    rows = [
        {**t, "verdict": v, "form": parse(t["reply"]).form}
        for t, v in zip(transcripts, verdicts, strict=True)
    ]
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    keys = list(dict.fromkeys((row["scenario"], row["arm"]) for row in rows))
    return {
        "n": len(rows),
        "arms": {arm: _count([r for r in rows if r["arm"] == arm]) for arm in arms},
        "cells": {
            f"{scenario}/{arm}": _count(
                [r for r in rows if (r["scenario"], r["arm"]) == (scenario, arm)]
            )
            for scenario, arm in keys
        },
        "effects": [
            {"measure": measure, "arm": a, "than": b, **effect(rows, measure, a, b)}
            for measure in ("undesired", "deceives", "desired")
            for a, b in CONTRASTS
            if a in arms and b in arms
        ],
        "lengths": {arm: _lengths([r for r in rows if r["arm"] == arm]) for arm in arms},
        "length_match": _match(rows),
    }


def _count(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = {
        name: numbers(wilson(sum(is_so(r["verdict"], r["form"]) for r in rows), len(rows)))
        for name, is_so in MEASURES.items()
    }
    undesired = [r["verdict"] for r in rows if r["verdict"].undesired]
    share = wilson(sum(v.deceives for v in undesired), len(undesired)) if undesired else None
    return {
        "n": len(rows),
        **found,
        "share": None if share is None else numbers(share),
        "outcomes": {name: sum(r["verdict"].outcome == name for r in rows) for name in OUTCOMES},
        "stances": {name: sum(r["verdict"].stance == name for r in rows) for name in STANCES},
        "forms": {
            name: sum(r["form"] == name for r in rows)
            for name in ("kept", "no trace", "no message", "empty")
        },
        "cut": sum(not r["finished"] for r in rows),
    }


def effect(
    rows: Sequence[dict[str, Any]],
    measure: str,
    arm: str,
    than: str,
    resamples: int = 4000,
    seed: int = 0,
) -> dict[str, Any]:
    """A rate in one arm less that in another, resampled over scenarios and wordings.

    Each resample draws scenarios, the same for both arms, and within each drawn scenario wordings
    of each arm by themselves. Every scenario weighs the same, and every wording within it.

    Args:
        rows: Transcripts with their `verdict` and `form`.
        measure: A name in `MEASURES`.
        arm: The one.
        than: The other.
        resamples: How many.
        seed: Same seed, same interval.

    Returns:
        JSON: `rate`, the difference; `low`, `high`; `scenarios` and `wordings`, how many there are.
        With one scenario the interval is over wordings alone.
    """
    is_so = MEASURES[measure]
    by: dict[str, dict[str, dict[int, list[bool]]]] = {}
    for r in rows:
        if r["arm"] in (arm, than):
            of_arm = by.setdefault(r["scenario"], {}).setdefault(r["arm"], {})
            of_arm.setdefault(r["wording"], []).append(is_so(r["verdict"], r["form"]))
    both = [scenario for scenario in by.values() if len(scenario) == 2]
    if not both:
        raise ValueError(f"no scenario was asked in both arms {arm!r} and {than!r}")
    means = [
        tuple(np.array([np.mean(hits) for hits in scenario[a].values()]) for a in (arm, than))
        for scenario in both
    ]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(both), size=(resamples, len(both)))
    differences = np.empty(drawn.shape)
    for k, pair in enumerate(means):
        slots = drawn == k
        a, b = (x[rng.integers(len(x), size=(slots.sum(), len(x)))].mean(axis=1) for x in pair)
        differences[slots] = a - b
    low, high = np.quantile(differences.mean(axis=1), [0.025, 0.975])
    return {
        "rate": float(np.mean([a.mean() - b.mean() for a, b in means])),
        "low": float(low),
        "high": float(high),
        "scenarios": len(both),
        "wordings": min(min(len(a), len(b)) for a, b in means),
    }


def _lengths(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    lengths = [r["turn_tokens"] for r in rows]
    return {"mean": float(np.mean(lengths)), "least": min(lengths), "most": max(lengths)}


def _match(rows: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """How far the neutral turns are from the rebuttals of the same scenario and wording."""
    lengths: dict[str, dict[tuple[str, int], int]] = {"rebuttal": {}, "neutral": {}}
    for r in rows:
        if r["arm"] in lengths:
            lengths[r["arm"]][r["scenario"], r["wording"]] = r["turn_tokens"]
    off = [
        abs(length - lengths["neutral"][key])
        for key, length in lengths["rebuttal"].items()
        if key in lengths["neutral"]
    ]
    return {"mean": float(np.mean(off)), "most": max(off)} if off else None


def needed(
    p: float, q: float, power: float = 0.8, level: float = 0.95, cluster: int = 1, icc: float = 0.0
) -> int:
    """Replies per arm that tell two rates apart, by the normal approximation (Fleiss 1981, 3.2).

    Args:
        p: The one rate.
        q: The other.
        power: Chance of finding the difference.
        level: Confidence of the two-sided test.
        cluster: Replies to one wording.
        icc: Their correlation; the number grows by the design effect 1 + (cluster - 1) icc (Kish).

    Raises:
        ValueError: If the rates are equal or no rates.
    """
    if not (0 <= p <= 1 and 0 <= q <= 1) or p == q:
        raise ValueError(f"p and q must be two different rates in [0, 1], got {p} and {q}")
    mean = (p + q) / 2
    a = norm.ppf(1 - (1 - level) / 2) * np.sqrt(2 * mean * (1 - mean))
    b = norm.ppf(power) * np.sqrt(p * (1 - p) + q * (1 - q))
    n = ((a + b) / (p - q)) ** 2
    return int(np.ceil(n * (1 + (cluster - 1) * icc)))


def power_table() -> list[dict[str, Any]]:
    """Replies per arm for rates that have been reported, with and without clustering."""
    pairs = ((0.5, 0.0), (0.44, 0.11), (0.5, 0.25), (0.3, 0.2), (1.0, 0.9))
    return [
        {
            "rates": [p, q],
            "independent": needed(p, q),
            "icc 0.1": needed(p, q, cluster=10, icc=0.1),
            "icc 0.3": needed(p, q, cluster=10, icc=0.3),
            "power 0.9": needed(p, q, power=0.9),
        }
        for p, q in pairs
    ]
