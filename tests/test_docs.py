"""The documentation site: it builds without a warning, and its code and commands run."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from feint.cli import _parse

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = ["index.md", "concepts.md", "extending.md", "limits.md", "recipes/cluster.md"]


def blocks(page: str, language: str) -> list[str]:
    fenced = (DOCS / page).read_text(encoding="utf-8").split("```")[1::2]
    parts = [text.partition("\n") for text in fenced]
    return [body for head, _, body in parts if head.split(" ")[0] == language]


def commands(page: str) -> list[list[str]]:
    text = "".join(blocks(page, "sh")).replace("\\\n", "")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line[1:] for line in lines if line and line[0] == "feint"]


def python(code: str, folder: Path) -> str:
    """What a script says; it finds this checkout's Feint, whatever is installed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_code_on_the_first_page_runs(tmp_path: Path):
    assert "'belief'" in python("\n".join(blocks("index.md", "python")), tmp_path)


@pytest.mark.slow
def test_what_extending_tells_a_reader_to_write_runs(tmp_path: Path):
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    files = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', text, re.DOTALL))
    assert set(files) == {"whisper.py", "check.py", "sham.py", "calm.py"}
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    said = python(files["check.py"], tmp_path).splitlines()
    assert said[-2:] == ["honest 0.0", "deceptive 1.0"]
    assert "'calm/size'" in python(files["calm.py"], tmp_path)
    python(files["sham.py"], tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page: str):
    for words in commands(page):
        _parse(words)


def test_some_commands_are_there():
    assert {page: bool(commands(page)) for page in PAGES} == {
        "index.md": True,
        "concepts.md": False,
        "extending.md": True,
        "limits.md": False,
        "recipes/cluster.md": True,
    }


class Links(HTMLParser):
    """What a page takes from elsewhere by itself, without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = {"script": "src", "img": "src", "link": "href"}.get(tag)
        found = dict(attrs)
        if found.get("rel") not in ("canonical", "icon", "prev", "next") and name in found:
            self.taken.append(found[name] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built without a warning."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install 'feint[docs]'")
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_every_command_and_takes_nothing_from_elsewhere(site: Path):
    bench = (site / "commands/bench.html").read_text(encoding="utf-8")
    for subcommand in ("run", "slurm", "report", "export", "list"):
        assert f"usage: feint bench {subcommand}" in bench
    assert "--array-size" in bench
    assert "register_sham" in (site / "api/overlap.html").read_text(encoding="utf-8")
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        assert links.taken and not [url for url in links.taken if "//" in url], page


@pytest.mark.slow
def test_the_site_in_a_browser_fits_a_phone_and_is_searched_offline(site: Path, tmp_path: Path):
    spec = importlib.util.spec_from_file_location(
        "browser", ROOT / "tests/bench/leaderboard/browser.py"
    )
    assert spec is not None and spec.loader is not None
    browsing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browsing)
    if (binary := browsing.chromium()) is None:
        pytest.skip("no Chromium is installed")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    with server, browsing.Browser(binary, tmp_path) as browser:
        browser.window(375, phone=True)
        grounds = set()
        for page, scheme in [
            ("index.html", "light"),
            ("commands/bench.html", "dark"),
            ("api/overlap.html", "light"),
            ("results/soo_rl.html", "dark"),
        ]:
            browser.prefer(scheme)
            browser.goto(home + page)
            assert browser.js("document.documentElement.scrollWidth") <= 375, page
            grounds.add((scheme, browser.js("getComputedStyle(document.body).backgroundColor")))
        assert len(grounds) == 2  # one for each scheme
        browser.goto(f"{home}index.html?q=Whisper")
        deadline = time.monotonic() + 60
        found = "[...document.querySelectorAll('.md-search-result__item a')].map(e => e.href)"
        while not (links := browser.js(found)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert any("extending.html" in link for link in links)
        assert browser.errors == []
        assert all(url.startswith((home, "data:", "blob:")) for url in browser.requested)
        server.shutdown()
