"""The examples in docstrings, run as they stand."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def text_of(name: str) -> str:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")


MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "feint").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
#: Modules with examples that are only shown.
LEFT_OUT = [name for name in MODULES if "# doctest: +SKIP" in text_of(name)]
#: Runs every check on a scenario; test_conformance.py does so with the same arguments.
HEAVY = {"feint.testing.suite"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(m, marks=[pytest.mark.slow] if m in HEAVY else []) for m in MODULES],
)
def test_the_examples_of_a_module_give_what_stands_there(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert not found.failed, capsys.readouterr().out
    assert found.attempted or name in LEFT_OUT


def test_what_is_left_out_needs_a_language_model():
    assert MODULES and all(name.startswith("feint.llm.") for name in LEFT_OUT)
