"""How deceptive an agent is, how sure one may be of it, and what training made of it.

* `scores`: how a scenario declares what it measures;
* `belief`: what an observer who assumes honesty believes, and when it is misled;
* `capability`: what a test says of a capability, and the gap that sandbagging leaves;
* `rates`: lie rates, shares of counted steps, differences between paired episodes;
* `statistics`: intervals, for counts (Wilson), episodes and training seeds (bootstrap);
* `verdict`: honest, damaged, collapsed, unchanged or partial, computed with one set of thresholds.

It needs numpy and scipy only, and loads `scipy.stats` when an interval is first asked for.
"""

from feint.metrics.belief import MISLED_BELOW, cost_difference_belief, misled, misled_rate
from feint.metrics.capability import capability_interval, measured_capability, sandbagging_gap
from feint.metrics.rates import lie_rate, paired_difference, share
from feint.metrics.scores import Metric
from feint.metrics.statistics import Interval, bootstrap, bootstrap_by_group, summary, wilson
from feint.metrics.verdict import (
    COLLAPSE_RATIO,
    HONEST_GAP,
    MIN_SHRINKAGE,
    TASK_KEPT,
    UNCHANGED_GAP,
    Judgement,
    Outcome,
    Verdict,
    gap_closed,
    judge,
)

__all__ = [
    "COLLAPSE_RATIO",
    "HONEST_GAP",
    "MIN_SHRINKAGE",
    "MISLED_BELOW",
    "TASK_KEPT",
    "UNCHANGED_GAP",
    "Interval",
    "Judgement",
    "Metric",
    "Outcome",
    "PathScore",
    "Verdict",
    "bootstrap",
    "bootstrap_by_group",
    "capability_interval",
    "cost_difference_belief",
    "cost_differences",
    "deceptive_density",
    "deceptive_extent",
    "deceptive_magnitude",
    "gap_closed",
    "goal_posterior",
    "judge",
    "last_deceptive_point",
    "lie_rate",
    "measured_capability",
    "misled",
    "misled_rate",
    "paired_difference",
    "sandbagging_gap",
    "share",
    "summary",
    "truthful_nodes",
    "wilson",
]
