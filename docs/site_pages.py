"""What the documentation site has beside the Markdown in docs: commands, API, and their navigation.

MkDocs calls these functions (mkdocs.yml names this file); `make docs` runs it.
"""

import contextlib
import io
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from feint.cli import _COMMANDS, main
from feint.envs import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 44  #: characters of a line of help: as many as a phone has room for

#: Page of the API -> the modules on it.
API = {
    "envs": ["feint.envs.registry", "feint.envs.core", "feint.envs.views"],
    "overlap": ["feint.overlap"],
    "metrics": ["feint.metrics"],
    "agents": ["feint.agents"],
    "selfmodel": ["feint.selfmodel"],
    "llm": [f"feint.llm.{name}" for name in ("trainer", "recipes", "tune", "organism", "evaluate")],
    "bench": ["feint.bench", "feint.bench.ray_executor", "feint.bench.store"],
    "testing": ["feint.testing"],
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the parts of the navigation that nobody should have to keep by hand."""
    parts: dict[str, list[Any]] = {
        "Scenarios": ["scenarios/README.md"]
        + [{entry.name: f"scenarios/{entry.snake}.md"} for entry in SCENARIOS],
        "Commands": [{f"feint {name}": f"commands/{name}.md"} for name in _COMMANDS],
        "API": [{f"feint.{name}": f"api/{name}.md"} for name in API],
    }
    assert config.nav is not None
    for entry in config.nav:
        for title in entry:
            entry[title] = parts.get(title, entry[title])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of commands and API."""
    for name, command in _COMMANDS.items():
        text = command_page(name, command)
        files.append(File.generated(config, f"commands/{name}.md", content=text))
    for name, modules in API.items():
        files.append(File.generated(config, f"api/{name}.md", content=api_page(name, modules)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name what lies outside docs, where a page links to it: the site does not have it."""
    folder = Path(config.docs_dir) / Path(page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = (folder / link[2].partition("#")[0]).resolve()
        if "://" in link[2] or not target.exists() or target.is_relative_to(config.docs_dir):
            return link[0]
        return f"{link[1]} (`{target.relative_to(ROOT).as_posix()}`)"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#][^)\s]*)\)", named, markdown)


def command_page(name: str, command: type) -> str:
    """A command and its subcommands: what each says of itself, and its help."""
    parts = [f"# feint {name}"]
    for words, cls in [((name,), command), *subcommands((name,), command)]:
        if len(words) > 1:
            parts.append(f"## feint {' '.join(words)}")
        parts.append(f"```text\n{help_of(words)}\n```")
        if examples := re.search(r"^\s*Examples?:\n(.*)", cls.__doc__ or "", re.DOTALL | re.M):
            lines = [line.strip() for line in examples[1].splitlines() if line.strip()]
            parts.append("For example:\n\n```sh\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts) + "\n"


def subcommands(words: tuple[str, ...], command: type) -> Iterator[tuple[tuple[str, ...], type]]:
    """Every subcommand, with all the words that it is called by."""
    hints = get_type_hints(command, include_extras=True)
    for name, cls in _named(hints.get("command")):
        yield (*words, name), cls
        yield from subcommands((*words, name), cls)


def _named(hint: Any) -> Iterator[tuple[str, type]]:
    """The classes in a type, each with the name that `tyro.conf.subcommand` gave it."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        names = [mark.name for mark in marks if isinstance(getattr(mark, "name", None), str)]
        if names and isinstance(inner, type):
            yield names[0], inner
        else:
            yield from _named(inner)
    elif get_origin(hint) is not None and get_origin(hint) in (Union, type(int | str)):
        for part in get_args(hint):
            yield from _named(part)


def help_of(words: tuple[str, ...]) -> str:
    """What `feint WORDS --help` prints."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=str(WIDTH)),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        main([*words, "--help"])
    lines = out.getvalue().strip().splitlines()
    return "\n".join(textwrap.fill(line, WIDTH) if len(line) > WIDTH else line for line in lines)


def api_page(name: str, modules: list[str]) -> str:
    """The public names of some modules, from their docstrings."""
    parts = [f"# feint.{name}"]
    for module in modules:
        if len(modules) > 1:
            parts.append(f"## {module}")
        level = 2 + (len(modules) > 1)
        parts.append(f"::: {module}\n    options:\n      heading_level: {level}")
    return "\n\n".join(parts) + "\n"
