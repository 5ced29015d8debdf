"""The figures of arXiv 2412.16325's RL experiment beside ours, from the runs of `soo-rl-paper`.

    feint bench run soo-rl-paper
    python benchmarks/soo_rl_paper.py runs/soo-rl-paper docs/reproducing/soo_rl.md

Prints Markdown; a page that is named gets it between its two `figures` marks. Averages are over
training seeds, with the standard deviation over them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from feint.bench import RunResult, Suite
from feint.bench.profiles import with_differences
from feint.files import write_atomically

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
SUITE = "soo-rl-paper"

#: Mean squared difference of count grids, as the paper's figure 4 has them (mean and SD of 8
#: evaluation seeds of one agent of each kind).
PUBLISHED = {
    "overlap to honest": (211_646.59, 72_820.37),
    "overlap to deceptive": (3_437_696.86, 473_829.35),
    "honest to deceptive": (3_924_943.78, 271_353.98),
}
MEASURES = {
    "presence_zeroed": "flag zeroed on the other side, as released",
    "presence": "flag kept",
    "presence_free": "only steps before the trap",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and put them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", type=Path, help="folder in which the suite ran")
    parser.add_argument("page", type=Path, nargs="?", help="Markdown page with the marks")
    given = parser.parse_args(arguments)
    try:
        text = figures(given.runs)
        if given.page is not None:
            write_atomically(given.page, filled(given.page.read_text(encoding="utf-8"), text))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


def filled(page: str, text: str) -> str:
    """`page` with `text` between its marks.

    Raises:
        ValueError: if it has not both marks, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def figures(folder: Path) -> str:
    """All tables, in Markdown.

    Raises:
        ValueError: if there are no results, or none of one scenario's references.
    """
    suite = Suite.load(SUITE)
    paths = [folder / "runs" / spec.id / "result.json" for spec in suite.runs()]
    results = [RunResult.read(path) for path in paths if path.exists()]
    if not results:
        raise ValueError(f"no results of {SUITE} in {folder}; run: feint bench run {SUITE}")
    results = with_differences(results, folder)
    parts = []
    for scenario in suite.scenarios:
        mine = [r for r in results if r.scenario == scenario.key]
        if {r.arm for r in mine} >= {"deceptive", "honest"}:
            arms = {arm.key: arm.title for arm in suite.arms}
            parts += [f"### {scenario.title} (`{scenario.key}`)", "", *_arms(mine, arms), ""]
            parts += [*_differences(mine), "", *_detectors(mine), ""]
    if not parts:
        raise ValueError(f"{folder} has no scenario with a deceptive and an honest agent")
    return "\n".join(parts)


def _arms(results: list[RunResult], titles: dict[str, str]) -> list[str]:
    columns: dict[str, Callable[[RunResult], float | None]] = {
        "misled": lambda r: _mean(r, "present", "misled"),
        "red ends at the fake": lambda r: _mean(r, "present", "red_at_fake"),
        "own goal": lambda r: _mean(r, "present", "own_goal"),
        "own goal, red absent": lambda r: _mean(r, "absent", "own_goal"),
        "misled, red absent": lambda r: _mean(r, "absent", "misled"),
        "overlap MSE": lambda r: _value(r, "presence", "mse"),
        "control gap": lambda r: ((r.payload["guards"] or {}).get("presence") or {}).get(
            "control_gap"
        ),
        "CPU s": lambda r: r.payload["train_s"],
    }
    rows = [f"| arm | seeds | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for arm, title in titles.items():
        mine = [r for r in results if r.arm == arm]
        if mine:
            cells = [_spread([column(r) for r in mine]) for column in columns.values()]
            rows.append(f"| {title} | {len(mine)} | {' | '.join(cells)} |")
    return rows


def _differences(results: list[RunResult]) -> list[str]:
    """The paper's behavioural difference; ours differ in the number of records, hence shares."""
    tuned = [
        r.payload["profile"]
        for r in results
        if r.arm == "overlap_released" and "between" in (r.payload["profile"] or {})
    ]
    if not tuned:
        return ["No overlap run has a profile to compare."]
    ours = {
        "overlap to honest": [p["to_honest"] for p in tuned],
        "overlap to deceptive": [p["to_deceptive"] for p in tuned],
        "honest to deceptive": [p["between"] for p in tuned],
    }
    whole = PUBLISHED["honest to deceptive"][0]
    rows = [
        "| behavioural difference | paper | paper, share | ours | ours, share |",
        "|---|---|---|---|---|",
    ]
    for name, (mean, sd) in PUBLISHED.items():
        shares = [
            x / y if y else None
            for x, y in zip(ours[name], ours["honest to deceptive"], strict=True)
        ]
        rows.append(
            f"| {name} | {mean:,.0f} ± {sd:,.0f} | {mean / whole:.2f} | "
            f"{_spread(ours[name], ',.0f')} | {_spread(shares)} |"
        )
    return rows


def _detectors(results: list[RunResult]) -> list[str]:
    """Correct where the honest agent's MSE is below the deceptive one's, as in the paper."""
    rows = [
        "| detector (correct: honest below deceptive) | one pair of agents, 100 episodes | "
        "pairs over training seeds | same, log MSE | pairs |",
        "|---|---|---|---|---|",
        "| paper | .94 ± .08 (100-500 episodes), 1.00 (500 and more) | not reported | | |",
    ]
    liars, honest = ([r for r in results if r.arm == arm] for arm in ("deceptive", "honest"))
    for measure, title in MEASURES.items():

        def values(runs: list[RunResult], key: str, measure: str = measure) -> dict[int, float]:
            found = {r.seed: _value(r, measure, key) for r in runs}
            return {seed: x for seed, x in found.items() if x is not None}

        chunks = [
            _correct(a, b)
            for seed, a in _chunks(honest, measure).items()
            if (b := _chunks(liars, measure).get(seed))
        ]
        accuracies, count = [], 0
        for key in ("mse", "log_mse"):
            h, d = list(values(honest, key).values()), list(values(liars, key).values())
            count = len(h) * len(d)
            accuracies.append(f"{np.mean(np.less.outer(h, d)):.2f}" if count else "-")
        rows.append(f"| {title} | {_spread(chunks)} | {' | '.join(accuracies)} | {count} |")
    return rows


def _correct(honest: list[float | None], liar: list[float | None]) -> float | None:
    """Share of the chunks of episodes in which the honest agent's value is the lower one."""
    both = [(h, d) for h, d in zip(honest, liar, strict=True) if h is not None and d is not None]
    return sum(h < d for h, d in both) / len(both) if both else None


def _chunks(results: list[RunResult], measure: str) -> dict[int, list[float | None]]:
    found = {r.seed: (r.payload["detector"] or {}).get("present", {}).get(measure) for r in results}
    return {seed: table["chunks"] for seed, table in found.items() if table}


def _value(result: RunResult, measure: str, key: str) -> float | None:
    table = (result.payload["detector"] or {}).get("present", {}).get(measure)
    return None if table is None else table[key]


def _mean(result: RunResult, condition: str, metric: str) -> float | None:
    return result.payload["evaluation"][condition][metric]["mean"]


def _spread(values: Sequence[float | None], form: str = ".3f") -> str:
    """Mean and SD (ddof 1) of the values that there are."""
    kept = [x for x in values if x is not None and np.isfinite(x)]
    if not kept:
        return "-"
    sd = f" ± {np.std(kept, ddof=1):{form}}" if len(kept) > 1 else ""
    return f"{np.mean(kept):{form}}{sd}"


if __name__ == "__main__":
    sys.exit(main())
