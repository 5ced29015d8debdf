"""`feint report`: one page from any results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Report:
    """Make one self-contained HTML page, with tables and plots, from any results.

    Takes folders in which suites ran, folders of stored results, and single result.json files;
    several give one page with a section for each. Nothing is trained.

    Examples:
      feint report runs/demo

      feint report runs/demo benchmarks/results/soo-rl --to both.html

      feint report runs/demo/runs/room_signal/honest/seed0/result.json
    """

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...")]
    """What to report on."""
    to: Path = Path("report.html")
    """The page."""

    def run(self) -> int:
        """Write the page."""
        if not self.runs:
            raise ValueError("name at least one folder or result.json, such as runs/demo")
        from feint.bench import page
        from feint.bench.sections import sections
        from feint.files import check_writable, write_atomically

        check_writable(self.to)
        made = sections(self.runs)
        if len(made) == 1:
            text = page.page(made[0].title, made[0].parts)
        else:
            text = page.together(f"{len(made)} reports", made)
        write_atomically(self.to, text)
        for section in made:
            print(section.title)
        print(f"open {self.to}")
        return 0
