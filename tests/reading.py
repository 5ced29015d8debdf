"""A reader of the documents: what a page has one write and type, and somebody who does it."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Words = tuple[str, ...]

#: What would take long takes a little in tests: flags in addition, after words like these.
SHORTER: dict[str, str] = {
    "feint llm organism": "--params steps:2 items:1",
    "feint llm organism --model": "--params steps:2 items:1 first_layer:0",  # a model of four
    "feint llm tune": "--params steps:2 n_pairs:4",
    "feint llm eval": "--n 2",
    "feint llm reasons run": "--wordings 1 --samples 1 --arms rebuttal",
    "feint bench run": "--scenarios kuhn_poker --seeds 1",
    "inspect eval": "-T n=4 --limit 4",
}

#: What tests do not type, by how it begins, and why. It is still parsed: see `test_commands.py`.
NOT_TYPED: dict[str, str] = {
    "make": "sets up an environment from PyPI; `.ci/run` runs test, check and test-slow",
    "pip": "installs from PyPI",
    "ln -s": "tests put a tiny random model there",
    "python -m http.server": "serves until it is stopped",
    "inspect view": "serves until it is stopped",
    "ray": "`ray stop` would end every Ray of this machine; tests/bench/test_ray.py has a cluster",
    "feint bench run smoke --ray head:6379": "needs the cluster of the lines around it",
    "feint bench run soo-rl --ray": "the same, and hours",
    "feint bench run llm-burglar --ray": "the same, and hours",
}

_WHERE = "import importlib.util as u; spec = u.find_spec('feint'); print(spec and spec.origin)"
_FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"[+-]?\d[\d.,]*")
_FRAME = re.compile(r"[\u2500-\u257f\s]+")  # rules of tables, and how far things stand apart


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is the text of ("" for none), and its text."""

    language: str
    file: str
    text: str


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, or those in one language."""
    found = [Block(*parts) for parts in _FENCE.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if language in (None, block.language)]


def lines(text: str) -> list[str]:
    """The lines of a shell's text that do something, continued ones joined."""
    joined = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if words(line)]


def words(line: str) -> Words:
    """A command as words, without its comment."""
    return tuple(shlex.split(line, comments=True))


def longest(line: Words, starts: dict[str, str]) -> str | None:
    """Of the beginnings that a command has, the longest."""
    fitting = [start for start in starts if line[: len(words(start))] == words(start)]
    return max(fitting, key=len, default=None)


class Reader:
    """Somebody in a folder, with this checkout's Feint, whatever is installed.

    Args:
        folder: where files are written and commands typed; `feint` itself is put beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = folder.with_name(folder.name + "-bin")
        own.mkdir()
        (own / "feint").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m feint.cli "$@"\n')
        (own / "feint").chmod(0o755)
        path = os.pathsep.join([str(own), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        # Beside a `feint.egg-info` on the path Inspect takes the package for one not installed.
        if ROOT not in Path(self.runs(sys.executable, "-c", _WHERE).strip()).parents:
            self.env["PYTHONPATH"] = str(ROOT)

    def types(self, line: str) -> str:
        """What a command answers, which must not fail; it is made shorter if `SHORTER` has it."""
        start = longest(words(line), SHORTER)
        line = f"{strip_comment(line)} {SHORTER[start]}" if start else line
        return self.runs("bash", "-c", line)

    def runs(self, *command: str) -> str:
        """What a program says, errors included; it must end well."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.env,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}"
        return done.stdout

    def follows(self, page: Path) -> str:
        """Does what a page says from top to bottom, and gives all that was answered.

        Files are written; commands are typed but for those in `NOT_TYPED`. What a page shows as
        text must come out of the commands before it, line by line, but for the numbers.
        """
        everything, said = "", ""
        for block in blocks(page):
            if block.file:
                (self.folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "sh":
                todo = [one for one in lines(block.text) if not longest(words(one), NOT_TYPED)]
                said = "".join(self.types(line) for line in todo)
                everything += said
            elif block.language == "text" and said:
                missing = not_in(block.text, said)
                assert missing is None, f"{page.name} shows {missing!r}, and this came out:\n{said}"
        return everything


def strip_comment(line: str) -> str:
    """A command without the comment behind it; quotes and wildcards stay as they are."""
    cut = [found.start() for found in re.finditer(r"\s#", line)]
    whole = words(line)
    return next((line[:k] for k in cut if words(line[:k]) == whole), line)


def not_in(shown: str, said: str) -> str | None:
    """The first line that is shown and was not said, in that order, whatever the numbers.

    In what is shown, `...` stands for anything, also for lines.
    """
    rest = iter([_form(line) for line in said.splitlines()])
    for line in shown.splitlines():
        pattern = ".*".join(map(re.escape, _form(line).split("...")))
        if pattern.strip(".*") and not any(re.search(pattern, other) for other in rest):
            return line
    return None


def _form(line: str) -> str:
    return _FRAME.sub(" ", _NUMBER.sub("#", line)).strip()
