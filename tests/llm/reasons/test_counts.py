"""Rates, differences between arms, and how many replies it takes."""

import numpy as np
import pytest

from feint.llm.reasons.counts import effect, needed, power_table, tally
from feint.llm.reasons.scoring import Verdict


def transcripts(rates, samples=4, finished=True):
    """Replies with the given share of undesired ones, by (scenario, arm, wording)."""
    told, verdicts = [], []
    for (scenario, arm, wording), rate in rates.items():
        for k in range(samples):
            told.append(
                {"scenario": scenario, "arm": arm, "wording": wording, "turn_tokens": 10 + wording,
                 "reply": "Message: yes indeed.", "finished": finished}
            )  # fmt: skip
            verdicts.append(Verdict("undesired" if k < rate * samples else "desired", "missing"))
    return told, verdicts


def rows(rates):
    told, verdicts = transcripts(rates)
    return [{**t, "verdict": v, "form": "no trace"} for t, v in zip(told, verdicts, strict=True)]


def test_everything_is_counted():
    told, verdicts = transcripts({("a", "refusal", 0): 0.5, ("a", "rebuttal", 0): 0.0})
    found = tally(told, verdicts)
    assert found["n"] == 8 and found["arms"]["refusal"]["undesired"]["rate"] == 0.5
    refusal = found["arms"]["refusal"]
    assert refusal["outcomes"] == {"undesired": 2, "desired": 2, "refusal": 0, "none": 0}
    assert refusal["off_format"]["rate"] == 1.0 and refusal["forms"]["no trace"] == 4
    assert refusal["share"]["rate"] == 1.0 and found["arms"]["rebuttal"]["share"] is None
    assert found["lengths"]["refusal"] == {"mean": 10, "least": 10, "most": 10}
    assert found["cells"]["a/refusal"]["n"] == 4
    (undesired,) = [e for e in found["effects"] if e["measure"] == "undesired"]
    assert (undesired["arm"], undesired["than"], undesired["rate"]) == ("rebuttal", "refusal", -0.5)


def test_an_effect_weighs_scenarios_alike_and_widens_with_their_spread():
    even = {(s, "rebuttal", w): 0.25 for s in "abcd" for w in range(3)}
    even |= {(s, "refusal", w): 0.75 for s in "abcd" for w in range(3)}
    found = effect(rows(even), "undesired", "rebuttal", "refusal")
    assert (found["rate"], found["low"], found["high"]) == (-0.5, -0.5, -0.5)
    spread = {**even, **{("a", "refusal", w): 0.0 for w in range(3)}}
    wide = effect(rows(spread), "undesired", "rebuttal", "refusal")
    assert wide["rate"] == pytest.approx(-0.3125) and wide["low"] < wide["rate"] < wide["high"]
    assert wide["high"] >= 0 > wide["low"] and wide["scenarios"] == 4
    extra = spread | {("a", "refusal", 9): 0.0}  # more wordings of one scenario do not move it
    assert effect(rows(extra), "undesired", "rebuttal", "refusal")["rate"] == wide["rate"]


def test_the_interval_covers_the_truth_where_wordings_differ():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(60):
        rates = {}
        for s in range(8):
            base = rng.uniform(0.2, 0.6)
            for w in range(5):
                for arm, shift in (("refusal", 0.2), ("rebuttal", 0.0)):
                    rate = float(np.clip(base + shift + rng.normal(0, 0.1), 0, 1))
                    rates[str(s), arm, w] = rng.binomial(4, rate) / 4
        found = effect(rows(rates), "undesired", "rebuttal", "refusal", resamples=400)
        hits += found["low"] <= -0.2 <= found["high"]
    assert hits >= 50


def test_arms_without_a_common_scenario_cannot_be_compared():
    apart = {("a", "rebuttal", 0): 0.5, ("b", "refusal", 0): 0.5}
    with pytest.raises(ValueError, match=r"no scenario was asked in both arms"):
        effect(rows(apart), "undesired", "rebuttal", "refusal")


def test_numbers_needed_agree_with_tables_and_with_simulation():
    assert needed(0.3, 0.2) == 294  # Fleiss (1981) gives 294 before his correction
    assert needed(0.5, 0.25) == 58
    assert needed(0.5, 0.25, cluster=10, icc=0.1) == 110
    rng, n = np.random.default_rng(1), needed(0.5, 0.25)
    a, b = rng.binomial(n, 0.5, 4000) / n, rng.binomial(n, 0.25, 4000) / n
    mean = (a + b) / 2
    z = np.abs(a - b) / np.sqrt(2 * mean * (1 - mean) / n)
    assert 0.77 < (z > 1.96).mean() < 0.84
    assert all(row["icc 0.3"] > row["icc 0.1"] > row["independent"] for row in power_table())
    with pytest.raises(ValueError, match=r"two different rates"):
        needed(0.5, 0.5)
