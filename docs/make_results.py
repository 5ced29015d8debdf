"""The pages of results: prose that is written by hand, tables from what benchmarks/results holds.

make results    # fills the marked block of each page in docs/results
"""

import re
from pathlib import Path

from feint.bench import plots
from feint.bench.analysis import Study, analyse
from feint.bench.report import as_markdown
from feint.bench.store import load
from feint.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "results"
STORED = ROOT / "benchmarks" / "results"
#: Page -> the stored suite that its tables are of.
PAGES = {
    "soo_rl.md": "soo-rl",
    "soo_rl_recurrent.md": "soo-rl-recurrent",
    "soo_rl_sweep.md": "soo-rl-sweep",
}
BLOCK = re.compile(r"(<!-- tables: begin -->\n).*(<!-- tables: end -->)", re.DOTALL)


def study(page: str) -> Study:
    """What the page's stored results show."""
    return analyse(*load(STORED / PAGES[page]))


def filled(page: str) -> str:
    """The page with its tables made anew.

    Raises:
        ValueError: if it has no marked block.
    """
    text = (FOLDER / page).read_text(encoding="utf-8")
    if not BLOCK.search(text):
        raise ValueError(f"{page} lacks <!-- tables: begin --> and <!-- tables: end -->")
    tables = as_markdown(study(page))
    return BLOCK.sub(lambda found: f"{found[1]}\n{tables}\n{found[2]}", text)


if __name__ == "__main__":
    for name in PAGES:
        write_atomically(FOLDER / name, filled(name))
        found = study(name)
        if len(found.scenarios) > 1:
            picture = plots.svg(plots.all_scenarios(found))
            write_atomically((FOLDER / name).with_suffix(".svg"), picture)
        print(f"wrote {FOLDER / name}")
