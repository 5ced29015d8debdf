"""Every command that the documents give: understood by what it calls, and run by some test."""

import ast
import contextlib
import importlib.util
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from feint.bench import Suite
from feint.cli import _parse, main
from feint.envs import scenario_class
from tests.reading import NOT_TYPED, ROOT, Words, blocks, lines, longest, words

DOCS = ROOT / "docs"
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")})
#: Pages whose commands are all typed, by test_readme, test_tutorials and test_recipes.
FOLLOWED = (
    ROOT / "README.md",
    *(DOCS / "tutorials").glob("*.md"),
    DOCS / "recipes" / "rl_zoo3.md",
    DOCS / "recipes" / "single_file_ppo.md",
)
PROGRAMS = ("feint", "make", "python", "python3", "inspect", "accelerate")
#: What a page leaves to its reader, and something that may stand there.
STANDS_FOR = {"ID": "RoomSignal", "MyGame": "RoomSignal", "mine/Whisper-v0": "RoomSignal"}

_TUTORIAL = "docs/tutorials/leaderboard.md does the same with a suite of its own"
_MODEL = "minutes with a real model; README and a tutorial have smaller ones of its kind"
_TIMING = "minutes of timing; tests/benchmarks runs its pieces"
#: What is too much for a test, by how it begins, and why; beside `NOT_TYPED`.
TOO_MUCH = {
    "feint bench run soo-rl": "five hours",
    "feint bench run soo-rl-paper": "50 minutes; tests/bench/test_soo_rl_paper.py",
    "feint bench run soo-rl-recurrent": "40 minutes; tests/bench/test_soo_rl_recurrent.py",
    "feint bench run selfmodel": "three hours; tests/bench/test_selfmodel.py has it, small",
    "feint bench run reasons": "20 minutes; tests/llm/reasons has its job at a small size",
    "feint bench run mine.toml --out": "the reader's own suite; the next reason holds, too",
    "feint bench run smoke --out": "tests/bench/test_runner.py runs some runs by their names",
    "feint bench slurm": "test_recipes.py runs it, and tests/bench/test_slurm.py what it writes",
    "bash": "submits to SLURM; tests/bench/test_slurm.py has stand-ins for its commands",
    "feint bench export": "needs a whole suite; tests/cli/test_bench.py stores a small one",
    "feint bench report soo-rl-paper": "needs a whole suite; with --stored it is run here",
    "feint leaderboard submit": _TUTORIAL,
    "feint leaderboard verify": _TUTORIAL,
    "feint leaderboard build --from submissions": _TUTORIAL,
    "feint train --env mine/Whisper-v0": "test_docs.py trains on that scenario",
    "feint train --env ID": "README trains on several",
    "feint eval liar.safetensors": "needs that agent; README and a tutorial judge some",
    "feint eval agent.safetensors": "the same",
    "feint enjoy agent.safetensors": "the same",
    "feint export liar.safetensors": "the same; tests/agents/test_model_card.py exports",
    "feint check mine/Game-v0": "the reader's own scenario; tests/cli/test_check.py has one",
    "python -m build": "a package of PyPI; tests/test_wheel.py builds the wheel",
    "feint llm demo": "a quarter of an hour; tests/llm/test_suite.py",
    "feint llm organism": _MODEL,
    "feint llm tune": _MODEL,
    "feint llm eval": _MODEL,
    "feint llm reasons run": "a server or a large model; tests/llm/reasons has both, small",
    "feint llm reasons report": "the same",
    "feint llm reasons agreement --scorer": "a judge behind a server",
    "feint selfmodel run": "minutes to hours; tests/cli/test_selfmodel.py runs the smallest",
    "feint selfmodel agents": "an hour or two; tests/bench/test_selfmodel_rl.py",
    "inspect eval": "needs a model; docs/tutorials/inspect.md has a small one",
    "accelerate launch": "tests/llm/test_distributed.py does it",
    "python benchmarks/throughput.py": _TIMING,
    "python benchmarks/training.py": _TIMING,
    "python benchmarks/llm_step.py": _TIMING,
    "python benchmarks/selfmodel.py": _TIMING,
    "python benchmarks/soo_rl_paper.py": "needs a whole suite; tests/bench/test_soo_rl_figures.py",
    "python benchmarks/soo_rl_sweep.py": "hours",
}


@dataclass(frozen=True)
class Command:
    """A command, where it stands, and whether it is in a block, to be typed, or in a sentence."""

    line: Words
    page: str
    in_block: bool

    @property
    def is_mention(self) -> bool:
        """Whether it stands in a sentence without any arguments: `feint llm tune` asks for some."""
        return not self.in_block and self.line[0] == "feint" and is_name(self.line)

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.line)}"


def commands_of(page: Path) -> Iterator[Command]:
    """All commands on a page: of fenced and of indented blocks, and in sentences."""
    text = page.read_text(encoding="utf-8")
    fenced = [
        line for one in blocks(page) if one.language in ("sh", "") for line in lines(one.text)
    ]
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    rest = rest.replace("\\\n", "")
    indented = re.findall(r"^ {4}(.*)$", rest, re.MULTILINE)
    in_block = [*fenced, *indented]
    for line in (*in_block, *re.findall(r"`([^`]+)`", rest)):
        for part in line.split("&&"):
            with contextlib.suppress(ValueError):  # an apostrophe: prose
                first, *others = words(part.partition(" > ")[0]) or ("",)
                first = first.removeprefix(".venv/bin/")
                if others and first in PROGRAMS:
                    name = page.relative_to(ROOT).as_posix()
                    yield Command((first, *others), name, line in in_block)


def is_name(line: Words) -> bool:
    """Whether these words are the name of a command or of a group of commands, and no more."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        _parse([*line[1:], "--help"])
    return out.getvalue().startswith(f"usage: {' '.join(line)} ")


COMMANDS = list(dict.fromkeys(found for page in PAGES for found in commands_of(page)))
TYPED = {
    found.line
    for page in FOLLOWED
    for found in commands_of(page)
    if found.in_block and longest(found.line, NOT_TYPED) is None
}


def excuse(line: Words) -> str | None:
    """The entry of the tables above that says why no test runs it."""
    return longest(line, NOT_TYPED) or longest(line, TOO_MUCH)


HERE = [
    found for found in COMMANDS
    if not (found.line in TYPED or excuse(found.line) or found.is_mention)
]  # fmt: skip


def understood(command: Command) -> None:
    """Fails on a command that what it calls would not take."""
    program, *given = command.line
    {
        "feint": check_feint,
        "make": check_make,
        "python": check_python,
        "python3": check_python,
        "inspect": check_inspect,
        "accelerate": check_accelerate,
    }[program](given)


def check_feint(given: list[str]) -> None:
    given = [STANDS_FOR.get(word, word) for word in given]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            parsed = _parse(given)
    except SystemExit as stopped:
        assert stopped.code == 0, errors.getvalue()  # 0: --help
        return
    parsed = getattr(parsed, "command", getattr(parsed, "action", parsed))
    name = getattr(parsed, "suite", None)
    if name is not None and not name.endswith(".toml"):
        asked = [getattr(parsed, what, None) or None for what in ("scenarios", "arms")]
        suite = Suite.load(name).select(*asked)
        assert set(getattr(parsed, "runs", None) or ()) <= {spec.id for spec in suite.runs()}
    if (env := getattr(parsed, "env", None)) is not None:
        scenario_class(env)


def check_make(given: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in given:
        name, is_variable, _ = word.partition("=")
        form = rf"^{name} \?=" if is_variable else rf"^{name}:.*## "
        assert re.search(form, makefile, re.MULTILINE), f"the Makefile has no {name}"


def check_python(given: list[str]) -> None:
    if given[0] == "-m":
        if given[1].startswith("rl_zoo3"):
            pytest.importorskip("rl_zoo3", reason="wants newer versions than the lowest")
        known = importlib.util.find_spec(given[1]) is not None
        assert known or given[1] == "build"  # needed for a release alone
    elif given[0] != "-c" and (ROOT / given[0]).parent != ROOT:  # else it is the reader's own
        taken = set()
        for node in ast.walk(ast.parse((ROOT / given[0]).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                taken.add(node.value)  # argparse
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                taken.add("--" + node.target.id.replace("_", "-"))  # tyro
        assert {word for word in given[1:] if word.startswith("--")} <= taken


def check_inspect(given: list[str]) -> None:
    pytest.importorskip("inspect_ai", reason="extra `evals`")
    from feint.llm.inspect_tasks import TASKS

    assert given[0] in ("eval", "view")
    if given[0] == "eval":
        known = inspect.signature(TASKS[given[1].removeprefix("feint/")]).parameters
        asked = {what.partition("=")[0] for flag, what in pairwise(given) if flag == "-T"}
        assert asked <= set(known)


def check_accelerate(given: list[str]) -> None:
    if "--config_file" in given:
        assert (ROOT / given[given.index("--config_file") + 1]).exists()


@pytest.mark.parametrize("page", sorted({found.page for found in COMMANDS}))
def test_commands_are_understood(page: str) -> None:
    for command in COMMANDS:
        if command.page == page and not command.is_mention:
            understood(command)


def test_what_stands_in_a_shells_block_is_known() -> None:
    """Nothing is passed over in silence because its program is not among those above."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in lines(block.text):
                known = words(line)[0] in PROGRAMS or page in FOLLOWED or excuse(words(line))
                assert known, f"{page}: {line}"


def test_examples_of_the_commands_themselves_are_understood() -> None:
    examples = []
    for path in (ROOT / "feint" / "commands").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                shown = re.search(r"^Examples?:\n(.*)", ast.get_docstring(node) or "", re.S | re.M)
                examples += lines(shown[1]) if shown else []
    assert len(examples) > 10
    for line in examples:
        for part in line.partition(" > ")[0].split("&&"):
            check_feint(list(words(part)[1:]))


def test_no_excuse_is_left_of_a_command_that_is_gone() -> None:
    needed = {excuse(found.line) for found in COMMANDS if found.line not in TYPED}
    shells = {
        excuse(words(line))
        for page in PAGES
        for block in blocks(page)
        if block.language in ("sh", "")
        for line in lines(block.text)
    }
    assert {*NOT_TYPED, *TOO_MUCH} <= needed | shells


@pytest.mark.slow
@pytest.mark.parametrize("command", HERE, ids=str)
def test_what_costs_little_is_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *given = command.line
    assert program == "feint", f"add to the tables above why {command} is not run"
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        main([STANDS_FOR.get(word, word) for word in given])
    assert done.value.code == 0


@pytest.mark.parametrize(
    "line",
    [
        "feint train --env RoomSignal --nope 1",
        "feint train --env Nope",
        "feint eval",
        "feint bench run nope",
        "feint bench run smoke --arms nope",
        "feint llm nope",
        "make nope",
        "make test NOPE=1",
        "python benchmarks/training.py --nope",
        "python benchmarks/nope.py",
        "python -m nope",
        "inspect eval feint/burglar -T nope=1",
    ],
)
def test_what_would_not_be_taken_is_found(line: str) -> None:
    with pytest.raises((AssertionError, ValueError, OSError)):
        understood(Command(words(line), "a page", True))
