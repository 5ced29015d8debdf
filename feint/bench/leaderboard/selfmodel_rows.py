"""Rows of self-modeling classifiers: beside their controls, and not ranked."""

from collections.abc import Mapping, Sequence

import numpy as np

from feint.bench.leaderboard import gates
from feint.bench.leaderboard.board import Column, Gate, Part, Plot
from feint.bench.leaderboard.gates import Verification
from feint.bench.leaderboard.measured import Measure, Runs, View, controls, lacks, of, part_of
from feint.bench.results import RunResult
from feint.bench.suite import Arm, Suite

#: Accuracy that may go, on average over seeds, as in the report's claims.
ACCURACY_LOST = 0.02

SD = "Standard deviation of the last layer's weights, without those that predict."
SD_RMS = "The same times the activation RMS: larger activations need smaller weights."
R2 = "Share of the variance of its own activations that the network predicts."


def _llc(variant: str) -> Measure:
    def measure(result: RunResult) -> float | None:
        found = result.payload["run"]["llc"].get(variant)
        return None if found is None or found["invalid"] else found["value"]

    return measure


def _scaled_width(result: RunResult) -> float:
    return result.payload["run"]["width"] * result.payload["run"]["activation_rms"]


def _gates(arm: Arm, there: Runs) -> Sequence[Gate]:
    found = [gates.no_ranking("A simpler network is no better one, so nothing here is ranked.")]
    if arm.role == "reference":
        return found
    runs = there[arm.key]
    if missing := lacks(runs, there, ["baseline"]):
        return [*found, missing]
    if arm.role == "treatment":
        found.append(controls(runs, there, lambda r: f"at weight {r.settings['weight']:g}"))
    return [*found, _capability(runs, there["baseline"]), _collapse(runs)]


def _capability(runs: Sequence[RunResult], baseline: Sequence[RunResult]) -> Gate:
    """It classifies as the baseline does."""
    accuracy = of("run", "accuracy")
    before = {run.seed: accuracy(run) for run in baseline}
    lost = float(np.mean([before[run.seed] - accuracy(run) for run in runs]))  # pyright: ignore
    return Gate(
        "capability",
        lost <= ACCURACY_LOST,
        f"Accuracy is {100 * lost:.1f} points below the baseline's; {100 * ACCURACY_LOST:.0f} may "
        "go.",
    )


def _collapse(runs: Sequence[RunResult]) -> Gate:
    """What is measured is a trained network's complexity."""
    estimated = [run for run in runs if run.payload["run"]["llc"]]
    valid = sum(_llc("corrected")(run) is not None for run in estimated)
    return Gate(
        "collapse",
        valid == len(runs) if estimated else None,
        f"The LLC means something in {valid} of {len(runs)} runs: at a minimum, above chance.",
    )


_VIEW = View(
    doc=(
        "Networks that predict their own activations are said to become simpler. Here they stand "
        "beside controls, each a mean over training seeds with a 95 % bootstrap interval over "
        "them. Nothing is ranked: a simpler network is no better one, and one that has collapsed "
        "is the simplest of all."
    ),
    measures=(
        (
            Column("llc", "LLC, corrected", "", None,
                   "Local learning coefficient: how many directions of its weights the network "
                   "uses. Runs in which it means nothing are left out."),
            _llc("corrected"),
        ),
        (
            Column("released", "LLC, released", "", None,
                   "The same as the released code has it; its scale is another."),
            _llc("released"),
        ),
        (Column("accuracy", "accuracy", "share", "more", "On the test set."),
         of("run", "accuracy")),
        (Column("sd", "SD", "", None, SD), of("run", "width")),
        (
            Column("rms", "activation RMS", "", None, "Of the hidden layer, on the test set."),
            of("run", "activation_rms"),
        ),
        (Column("sd_x_rms", "SD x RMS", "", None, SD_RMS), _scaled_width),
        (Column("r2", "self-prediction R2", "", None, R2), of("run", "r2")),
        (
            Column("identity", "distance from identity", "", None,
                   "Of the weights that predict; the identity predicts perfectly, and means "
                   "nothing."),
            of("run", "identity"),
        ),
    ),
    plots=(
        Plot("Complexity against accuracy", "accuracy", "llc"),
        Plot("Two measures of complexity", "sd_x_rms", "llc"),
    ),
    gates=_gates,
)  # fmt: skip


def board_part(
    suite: Suite, results: Sequence[RunResult], checked: Mapping[str, Verification]
) -> Part:
    """The part of a suite of self-modeling classifiers.

    Raises:
        Unfinished: if no network is finished.
    """
    networks = [r for r in results if r.payload.get("run")]  # not what only tried weight decays
    return part_of(suite, _VIEW, networks, checked)
