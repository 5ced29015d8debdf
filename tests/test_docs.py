"""The documentation site: it builds without a warning, and its code and commands run."""

import importlib.util
import os
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.reading import ROOT, Reader, blocks

DOCS = ROOT / "docs"


def test_the_code_on_the_first_page_runs(tmp_path: Path):
    code = "\n".join(block.text for block in blocks(DOCS / "index.md", "python"))
    assert "'belief'" in Reader(tmp_path).runs("python", "-c", code)


@pytest.mark.slow
def test_what_extending_tells_a_reader_to_write_runs(tmp_path: Path):
    reader, files = Reader(tmp_path), blocks(DOCS / "extending.md", "python")
    assert {block.file for block in files} == {"whisper.py", "check.py", "sham.py", "calm.py"}
    for block in files:
        (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    said = reader.runs("python", "check.py").splitlines()
    assert said[-2:] == ["honest 0.0", "deceptive 1.0"]
    assert "'calm/size'" in reader.runs("python", "calm.py")
    reader.runs("python", "sham.py")


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


#: What a page shows or links to and does not have: pictures, and places in it.
BROKEN = """[
    ...[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
    ...[...document.querySelectorAll('a[href*="#"]')]
        .filter(a => a.href.split('#')[0] === location.href.split('#')[0] && a.hash.length > 1
            && !document.getElementById(decodeURIComponent(a.hash.slice(1))))
        .map(a => a.href),
]"""


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
def test_every_page_in_a_browser_fits_a_phone_and_all_are_searched_offline(
    site: Path, tmp_path: Path
):
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
        for k, file in enumerate(sorted(site.rglob("*.html"))):
            page, scheme = file.relative_to(site).as_posix(), ("light", "dark")[k % 2]
            browser.prefer(scheme)
            browser.goto(home + page)
            assert browser.js("document.documentElement.scrollWidth") <= 375, page
            assert browser.js(BROKEN) == [], page
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
