"""How much of soo-rl hangs on the coefficient and the layer, on development seeds.

    python benchmarks/soo_rl_sweep.py --out runs/soo-rl-sweep

Overlap with belief pairs on each scenario of the suite `soo-rl`, its coefficient times 0.1, 0.3, 1
and 3, and on one hidden layer at a time; beside every coefficient, shuffled pairs at its dose.
Does some setting close the gap where its sham does not? Interrupted, the same command goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feint.bench import Suite, SuiteFailed
from feint.bench.suite import merge
from feint.commands.bench import keep, run_and_report

FACTORS = (0.1, 0.3, 1.0, 3.0)
LAYERS = {"first": "mlp_extractor.policy_net.1", "second": "mlp_extractor.policy_net.3"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/soo-rl-sweep"))
    parser.add_argument("--scenarios", nargs="*", help="only these; all by default")
    parser.add_argument("--workers", type=int, help="runs at once; all cores by default")
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help="on a Ray cluster")
    parser.add_argument("--to", type=Path, help="store the results there, small")
    given = parser.parse_args(arguments)
    try:
        chosen, workers, executor = sweep().select(given.scenarios), given.workers, None
        if given.ray is not None:
            from feint.bench.ray_executor import RayExecutor

            workers, executor = None, RayExecutor(given.ray or None, workers)
        run_and_report(chosen, given.out, workers, markdown=True, executor=executor)
        if given.to is not None:
            keep(chosen, given.out, given.to)
        return 0
    except (ValueError, SuiteFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def sweep() -> Suite:
    """The suite: references as in `soo-rl`, and the sweep's arms in place of the others."""
    data = Suite.load("soo-rl").to_dict()
    arms = {arm["key"]: arm for arm in data["arm"]}
    made = [arms["deceptive"], arms["honest"]]
    for factor in FACTORS:
        name = f"x{factor:g}".replace(".", "_")
        overlap, sham = arms["overlap_belief"], arms["sham_shuffled"]
        needs = {"needs": ["deceptive", f"overlap_{name}"]}
        made.append(_arm(overlap, f"overlap_{name}", f"overlap, coefficient x {factor:g}"))
        made.append(_arm(sham, f"shuffled_{name}", f"sham: shuffled pairs, x {factor:g}") | needs)
        made[-1]["settings"]["dose_from"] = f"overlap_{name}"
        for scenario in data["scenario"]:
            soo = scenario["settings"]["finetune"]["soo"]
            coef = {"finetune": {"soo": {"coef": factor * soo["coef"]}}}
            for arm in made[-2:]:
                arm["per_scenario"][scenario["key"]] = coef
    for which, layer in LAYERS.items():
        arm = _arm(arms["overlap_belief"], f"overlap_{which}", f"overlap, {which} hidden layer")
        made.append(merge(arm, {"settings": {"soo": {"layers": [layer]}}}))
    changed = {"name": "soo-rl-sweep", "seeds": data["dev_seeds"], "dev_seeds": [], "arm": made}
    return Suite.from_dict({**data, **changed})


def _arm(like: dict[str, Any], key: str, title: str) -> dict[str, Any]:
    return merge(like, {"key": key, "title": title, "family": key, "per_scenario": {}})


if __name__ == "__main__":
    sys.exit(main())
