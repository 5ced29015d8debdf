"""The pages of results: prose that is written by hand, tables from what benchmarks/results holds.

make results    # fills the marked blocks of the documents
"""

import io
import json
import re
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from feint.bench import plots
from feint.bench.analysis import analyse
from feint.bench.store import load
from feint.commands.bench import show
from feint.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STORED = ROOT / "benchmarks" / "results"
#: Page -> the stored suite that its tables are of.
PAGES = {
    "results/soo_rl.md": "soo-rl",
    "results/soo_rl_recurrent.md": "soo-rl-recurrent",
    "results/soo_rl_sweep.md": "soo-rl-sweep",
    "reasons.md": "reasons",
    "results/selfmodel_rl.md": "selfmodel_rl",
    "self_modeling.md": "selfmodel",
}
#: Those with a picture of all scenarios beside them.
PICTURED = ("results/soo_rl.md", "results/soo_rl_sweep.md")
#: Pages with tables of timings.
TIMED = (ROOT / "docs" / "performance.md", ROOT / "README.md")


def filled(page: str) -> str:
    """The page with its tables made anew: what `feint bench report --stored --markdown` prints.

    Raises:
        ValueError: if it has no marked block.
    """
    with redirect_stdout(io.StringIO()) as printed:
        show(*load(STORED / PAGES[page]), None, True)
    return fill(DOCS / page, {"tables": printed.getvalue().removesuffix("\n")})


def timed(page: Path) -> str:
    """A page of `TIMED` with its tables made anew."""
    text = page.read_text(encoding="utf-8")
    return fill(page, {name: make() for name, make in TIMINGS.items() if f"<!-- {name}:" in text})


def fill(page: Path, tables: dict[str, str]) -> str:
    """The page's text with each table between the marks of its name.

    Raises:
        ValueError: if it lacks a pair of marks.
    """
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        block = re.compile(f"({begin}).*?({end})", re.DOTALL)
        if not block.search(text):
            raise ValueError(f"{page.name} lacks {begin.strip()} and {end}")
        text = block.sub(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)
    return text


# -- timings --------------------------------------------------------------------------------


def throughput() -> str:
    """Steps per CPU second of Feint and its peers, and Feint's over theirs."""
    found = stored("throughput")
    ratios = {(each["ours"], each["peer"]): each for each in found["ratios"]}
    ours = ("Feint", "Feint, labels")
    rows = []
    for name, row in found["rows"].items():
        if row["kind"] == "our scenarios":
            continue
        against = [ratios.get((mine, name)) for mine in ours]
        rate = "absent" if row["absent"] else rate_of(row["steps_per_cpu_s"])
        rows.append((name, rate, *map(ratio_of, against), row["note"]))
    head = ("", "steps per CPU second", "Feint / it", "Feint with labels / it", "what it does")
    return table(head, rows) + measured(found)


def scenarios() -> str:
    """Steps per CPU second of every scenario, by batch."""
    found = stored("throughput")
    shown = found["scenarios"]
    columns = list(next(iter(shown.values()))["steps_per_cpu_s"])
    rows = [
        (name, *(rate_of(rate) for rate in one["steps_per_cpu_s"].values()),
         f"{rate_of(one['floor'])}: {'met' if one['floor_met'] else 'missed'}")
        for name, one in shown.items()
    ]  # fmt: skip
    return table(("batch", *columns, "asked, at 1024"), rows)


def overlap() -> str:
    """Wall time of PPO with overlap over without, beside the deception before and after."""
    found = stored("training")
    rows = []
    for each in found["overlap"]:
        before, after = (f"{value:.2f}" for value in each["deception"])
        met = asked(each["target"], each["met"])
        low, high = each["spread"]
        times = f"{each['ratio']:.2f}x [{low:.2f}, {high:.2f}]"
        rows.append(
            (each["label"], times, f"{each['cpu_ratio']:.2f}x", f"{before} to {after}", met)
        )
    head = ("", "wall time [least, most]", "CPU time", "deception, before and after", "asked")
    return table(head, rows) + measured(found)


def training() -> str:
    """Learner steps per second beside SuperSuit's way, and where their time goes."""
    found = stored("training")
    rows = []
    for each in found["speed"]:
        parts = found["rows"][each["label"]]["us_per_step"]
        times = [f"{parts[name]:.1f}" for name in ("env", "policy, bookkeeping", "update")]
        met = asked(each["target"], each["met"])
        rate = f"{each['steps_per_wall_s']:,.0f}"
        rows.append((each["label"], rate, f"{each['ratio']:.1f}x", *times, met))
    head = ("", "learner steps a second", "/ SuperSuit's", "environment, µs a step",
            "policy and bookkeeping", "update", "asked")  # fmt: skip
    return table(head, rows)


def llm() -> str:
    """Steps of overlap on a language model, by way, where something was asked of one."""
    steps = stored("llm_step")["steps"]
    judged = {each["group"] for each in steps if each["target"]}
    rows = [
        (each["group"], each["way"], f"{each['seconds']:.2f}", f"{each['speedup']:.2f}x",
         f"{each['peak_mib']:.0f}", asked(each["target"], each["speedup"] >= (each["target"] or 0)))
        for each in steps if each["group"] in judged
    ]  # fmt: skip
    return table(("what", "way", "CPU seconds", "times faster", "peak MiB", "asked"), rows)


TIMINGS = {
    make.__name__: make for make in (throughput, scenarios, overlap, training, llm)
}  #: mark -> table


def stored(name: str) -> dict[str, Any]:
    """What a benchmark wrote."""
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


def measured(found: dict[str, Any]) -> str:
    """When and where."""
    return f"\nMeasured on {found['date'][:10]}, {found['cpu']}, {found['cores']} cores.\n"


def rate_of(rate: float) -> str:
    """Steps per second, for reading."""
    return f"{rate / 1e6:.2f} M" if rate >= 1e5 else f"{rate / 1e3:.1f} k"


def ratio_of(each: dict[str, Any] | None) -> str:
    """A ratio of two rates, and what was asked of it."""
    if each is None:
        return ""
    verdict = asked(each["target"], each["met"])
    return f"{each['ratio']:,.1f}x" + (verdict and f" (asked {verdict})")


def asked(target: float | None, met: bool | None) -> str:
    """What was asked, and whether it was met; empty where nothing was."""
    return f"{target:,g}x: {'met' if met else 'missed'}" if target and met is not None else ""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * lines[0].count(" | ") + "|---|", *lines[1:]]) + "\n"


if __name__ == "__main__":
    for name in PAGES:
        write_atomically(DOCS / name, filled(name))
        print(f"wrote {DOCS / name}")
    for name in PICTURED:
        picture = plots.svg(plots.all_scenarios(analyse(*load(STORED / PAGES[name]))))
        write_atomically((DOCS / name).with_suffix(".svg"), picture)
    for page in TIMED:
        write_atomically(page, timed(page))
        print(f"wrote {page}")
