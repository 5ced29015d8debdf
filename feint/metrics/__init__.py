"""How deceptive an agent is, how sure one may be of it, and what training made of it.

* `scores`: how a scenario declares what it measures;
* `belief`: what an observer who assumes honesty believes, and when it is misled;
* `observer`: an observer that has learnt from honest agents;
* `probes`: what can be read off a layer's activations, and how well (AUROC);
* `rates`: lies, omissions, bluffs, shares of counted steps, differences between paired episodes;
* `causal_games`, `ward`: belief, intention and deception as Ward et al. (2023) define them, worked
  out in small causal games (to be imported from there);
* `intention`: the same of a policy in running games, by re-rolling them;
* `statistics`: intervals, for counts (Wilson), episodes and training seeds (bootstrap), clusters;
* `paths`: how deceptive a path is, node by node and as a whole (Masters & Sardina 2017);
* `capability`: what a test says of a capability, and the gap that sandbagging leaves;
* `extensive`: exact values, best responses and exploitability in small game trees;
* `aggregates`: interquartile mean, probability of improvement, stratified bootstrap, over tasks;
* `verdict`: honest, damaged, collapsed, unchanged or partial, computed with one set of thresholds.

It needs numpy and scipy only, and loads `scipy.stats` when an interval is first asked for.
"""

from feint.metrics.aggregates import (
    iqm,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)
from feint.metrics.belief import MISLED_BELOW, cost_difference_belief, misled, misled_rate
from feint.metrics.capability import capability_interval, measured_capability, sandbagging_gap
from feint.metrics.intention import WardDeception, ward_deception
from feint.metrics.observer import Observer, fit_observer
from feint.metrics.paths import (
    PathScore,
    cost_differences,
    deceptive_density,
    deceptive_extent,
    deceptive_magnitude,
    goal_posterior,
    last_deceptive_point,
    radius_of_maximum_probability,
    score_path,
    truthful_nodes,
)
from feint.metrics.probes import Probe, auroc, fit_probe, probe_auroc
from feint.metrics.rates import (
    bluff_rate,
    counterfactual_difference,
    informative,
    lie_rate,
    omission_rate,
    paired_difference,
    share,
)
from feint.metrics.scores import Metric
from feint.metrics.statistics import (
    Interval,
    bootstrap,
    bootstrap_by_group,
    bootstrap_seeds,
    clustered,
    clustered_error,
    summary,
    wilson,
)
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
    "Observer",
    "Outcome",
    "PathScore",
    "Probe",
    "Verdict",
    "WardDeception",
    "auroc",
    "bluff_rate",
    "bootstrap",
    "bootstrap_by_group",
    "bootstrap_seeds",
    "capability_interval",
    "clustered",
    "clustered_error",
    "cost_difference_belief",
    "cost_differences",
    "counterfactual_difference",
    "deceptive_density",
    "deceptive_extent",
    "deceptive_magnitude",
    "fit_observer",
    "fit_probe",
    "gap_closed",
    "goal_posterior",
    "informative",
    "iqm",
    "judge",
    "last_deceptive_point",
    "lie_rate",
    "measured_capability",
    "misled",
    "misled_rate",
    "omission_rate",
    "optimality_gap",
    "paired_difference",
    "performance_profile",
    "probability_of_improvement",
    "probe_auroc",
    "radius_of_maximum_probability",
    "sandbagging_gap",
    "score_path",
    "share",
    "stratified_bootstrap",
    "summary",
    "truthful_nodes",
    "ward_deception",
    "wilson",
]
