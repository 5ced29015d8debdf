"""The leaderboard in a real browser: what a reader sees, presses and types."""

import functools
import http.server
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from feint.bench.leaderboard.site import build

from . import boards

if sys.platform == "win32":
    pytest.skip("the browser is driven over POSIX pipes", allow_module_level=True)

from .browser import NAMES, Browser, chromium

pytestmark = pytest.mark.skipif(
    chromium() is None, reason=f"no Chromium is installed (looked for {', '.join(NAMES)})"
)

METHODS = "[...document.querySelectorAll('.board tbody tr:not(.break)')]"
VISIBLE = f"{METHODS}.filter((row) => !row.hidden)"
NAMES_SHOWN = f"{VISIBLE}.map((row) => row.querySelector('.what a').textContent)"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sites")
    build(boards.small(), folder / "small")
    build(boards.large(60), folder / "large")
    return folder


@pytest.fixture(scope="module")
def served(sites) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(sites))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def _browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(chromium() or "", tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def browser(_browser) -> Iterator[Browser]:
    """The browser, which must have nothing to complain about when the test is over."""
    _browser.errors.clear()
    _browser.requested.clear()
    _browser.window(1300)
    _browser.prefer("light")
    yield _browser
    assert _browser.errors == []


def all_pages(sites: Path) -> list[str]:
    return [str(path.relative_to(sites)) for path in sorted((sites / "small").rglob("*.html"))]


def column(browser: Browser, title: str) -> int:
    heads = browser.js("[...document.querySelectorAll('.board thead th')].map((h) => h.innerText)")
    return next(k for k, text in enumerate(heads) if text.strip() == title)


def test_every_page_opens_without_an_error_and_asks_for_its_own_files_only(browser, served, sites):
    for name in all_pages(sites):
        browser.goto(f"{served}/{name}")
        assert browser.js("document.styleSheets[0].cssRules.length") > 50
    own = re.compile(
        re.escape(f"{served}/small/") + r"([a-z0-9_/-]+\.html|style\.css|board\.js|icon\.svg)"
    )
    assert browser.requested
    assert [url for url in browser.requested if not own.fullmatch(url)] == []


def test_every_link_resolves(browser, served, sites):
    found = set()
    for name in all_pages(sites):
        browser.goto(f"{served}/{name}")
        found |= set(browser.js("[...document.querySelectorAll('a')].map((a) => a.href)"))
    assert len({url.partition("#")[0] for url in found}) > 15
    for url in sorted(found):
        assert url.startswith(f"{served}/small/")
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200


def test_a_page_works_from_a_file(browser, sites):
    browser.goto((sites / "small" / "suite" / "soo-rl.html").as_uri())
    assert browser.js("getComputedStyle(document.querySelector('.wide')).overflowX") == "auto"
    assert browser.js("document.querySelector('.filter output').textContent") == "14 of 14 rows"
    browser.follow("nav a[href$='rows.html']")
    assert browser.js("location.pathname").endswith("rows.html")


def test_a_column_sorts_by_its_better_end_then_the_other_then_as_before(browser, served):
    browser.goto(f"{served}/small/suite/soo-rl.html")
    before = browser.js(NAMES_SHOWN)
    k = column(browser, "Own task")
    button = f".board th:nth-child({k + 1}) button"
    values = (
        "[...document.querySelector('.board').tBodies].map((body) => [...body.rows]"
        f".filter((row) => row.id).map((row) => row.cells[{k}].dataset.v))"
    )
    state = f"document.querySelector('{button}').closest('th').ariaSort"

    browser.click(button)
    assert browser.js(state) == "descending"  # more is better
    room, below, poker = browser.js(values)
    assert room == poker == [*["0.9"] * 5, "0.7"]
    assert below == ["0.9", ""]  # those that failed a gate stay below, and what is missing last

    browser.click(button)
    assert browser.js(state) == "ascending"
    room, below, poker = browser.js(values)
    assert room == poker == ["0.7", *["0.9"] * 5]
    assert below == ["0.9", ""]

    browser.click(button)
    assert browser.js(state) == "none"
    assert browser.js(NAMES_SHOWN) == before


def test_only_one_column_is_the_sorted_one(browser, served):
    browser.goto(f"{served}/small/suite/soo-rl.html")
    for title in ("Deception", "Method"):
        browser.click(f".board th:nth-child({column(browser, title) + 1}) button")
    states = browser.js("[...document.querySelectorAll('th[aria-sort]')].map((h) => h.ariaSort)")
    assert sorted(set(states)) == ["ascending", "none"] and states.count("ascending") == 1
    names = [name.lower() for name in browser.js(NAMES_SHOWN)[:6]]
    assert names == sorted(names)


def test_filters_narrow_the_rows_and_dim_the_points(browser, served):
    browser.goto(f"{served}/small/suite/soo-rl.html")
    assert browser.js(f"{VISIBLE}.length") == 14
    browser.choose("select[name=scenario]", "poker")
    assert browser.js(f"{VISIBLE}.length") == 6
    browser.choose("select[name=role]", "treatment")
    assert browser.js(NAMES_SHOWN) == ["overlap, belief pairs", "overlap, presence pairs"]
    browser.write("input[name=text]", "PRESENCE")
    assert browser.js(NAMES_SHOWN) == ["overlap, presence pairs"]
    assert browser.js("document.querySelector('.filter output').textContent") == "1 of 14 rows"
    assert browser.js("[...document.querySelectorAll('.break')].map((line) => line.hidden)") == [
        True, True, False,
    ]  # fmt: skip
    points = "[...document.querySelectorAll('.plot [data-row]')]"
    assert browser.js(f"{points}.filter((p) => !p.classList.contains('out')).length") == 2
    browser.click(".filter button")
    assert browser.js(f"new Promise((done) => setTimeout(() => done({VISIBLE}.length)))") == 14


def test_rows_filter_by_suite_and_by_whether_they_are_ranked(browser, served):
    browser.goto(f"{served}/small/rows.html")
    browser.choose("select[name=suite]", "smoke")
    assert browser.js(f"{VISIBLE}.length") == 6
    browser.choose("select[name=suite]", "")
    browser.choose("select[name=ranked]", "no")
    assert browser.js(f"{VISIBLE}.length") == 2


def test_sorting_keeps_the_filter(browser, served):
    browser.goto(f"{served}/large/rows.html")
    browser.choose("select[name=role]", "treatment")
    count = browser.js(f"{VISIBLE}.length")
    browser.click(f".board th:nth-child({column(browser, 'Value') + 1}) button")
    assert 0 < count < 60 and browser.js(f"{VISIBLE}.length") == count


@pytest.mark.parametrize("site", ["small", "large"])
def test_nothing_overflows_a_phone(browser, served, sites, site):
    browser.window(375, phone=True)
    chosen = [n for n in all_pages(sites) if site == "small" or not n.startswith("small/method")]
    for name in [
        n.replace("small/", f"{site}/", 1) for n in chosen if "smoke" not in n and "empty" not in n
    ]:
        browser.goto(f"{served}/{name}")
        wide = browser.js("document.documentElement.scrollWidth")
        assert wide <= 375, f"{name} is {wide} px wide"
        assert browser.js(
            "[...document.querySelectorAll('.wide')].every((box) => box.clientWidth <= 375)"
        )


def test_dark_comes_from_the_system_or_the_button_and_stays(browser, served):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.plot .label')).fill"
    url = f"{served}/small/suite/soo-rl.html"
    browser.goto(url)
    light = browser.js(ground), browser.js(ink)
    browser.prefer("dark")
    dark = browser.js(ground), browser.js(ink)
    assert (
        sum(map(int, re.findall(r"\d+", light[0])))
        > 600
        > 200
        > sum(map(int, re.findall(r"\d+", dark[0])))
    )
    assert light[1] != dark[1]
    browser.click("#theme")  # light, against the system
    assert browser.js("document.querySelector('#theme').textContent") == "Theme: light"
    assert browser.js(ground) == light[0]
    browser.goto(f"{served}/small/index.html")
    assert browser.js(ground) == light[0]
    browser.click("#theme")
    browser.prefer("light")
    assert browser.js(ground) == dark[0]
    browser.click("#theme")  # automatic again
    assert browser.js(ground) == light[0]


def test_a_hostile_name_is_text(browser, served):
    browser.goto(f"{served}/small/suite/soo-rl.html")
    browser.write("input[name=text]", "alert(1)")
    (name,) = browser.js(NAMES_SHOWN)
    assert name == boards.HOSTILE + boards.BREAKOUT
    assert browser.js("document.querySelectorAll('script').length") == 1
    assert browser.js("document.querySelectorAll('img').length") == 0
    browser.goto(browser.js(f"{VISIBLE}[0].querySelector('.what a').href"))
    assert browser.js("document.querySelector('h1').textContent") == name


def test_what_a_gate_says_opens_by_mouse_and_by_keyboard(browser, served):
    browser.goto(f"{served}/small/suite/soo-rl.html")
    said = "document.querySelector('#row1 .gates').open"
    text = "document.querySelector('#row1 .gates').innerText"
    assert browser.js(said) is False
    assert "5 training seeds" not in browser.js(text)
    browser.click("#row1 .gates summary")
    assert browser.js(said) is True
    assert "5 training seeds, of at least 5." in browser.js(text)
    browser.click("#row1 .gates summary")
    browser.js("document.querySelector('#row1 .gates summary').focus()")
    browser.press("Enter")
    assert browser.js(said) is True


def test_keys_reach_the_skip_link_and_the_sort_buttons_with_a_visible_focus(browser, served):
    browser.goto(f"{served}/small/scenario/poker.html")
    browser.press("Tab")
    assert browser.js("document.activeElement.textContent") == "Skip to the content"
    assert browser.js("document.activeElement.getBoundingClientRect().left") >= 0
    browser.press("Enter")
    assert browser.js("location.hash") == "#content"
    seen = []
    for _ in range(40):
        browser.press("Tab")
        seen.append(browser.js("document.activeElement.closest('th[aria-sort]')?.innerText.trim()"))
        if seen[-1] == "Deception":
            break
    assert seen[-1] == "Deception"
    assert browser.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    assert browser.js("document.activeElement.closest('th').ariaSort") == "ascending"


def test_without_scripts_all_rows_are_there_and_no_dead_controls(browser, served):
    browser.scripts(False)
    try:
        browser.goto(f"{served}/small/suite/soo-rl.html")
        browser.scripts(True)  # for our own questions; the page's script did not run
        assert browser.js(f"{VISIBLE}.length") == 14
        assert browser.js("document.querySelector('.filter').offsetHeight") == 0
        assert browser.js("document.querySelector('#theme').offsetHeight") == 0
        assert browser.js("document.querySelectorAll('th button').length") == 0
        browser.click("#row1 .gates summary")
        assert browser.js("document.querySelector('#row1 .gates').open") is True
    finally:
        browser.scripts(True)


def test_a_row_and_its_points_light_up_together(browser, served):
    browser.goto(f"{served}/small/scenario/poker.html")
    browser.click("#row9 .role")
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    spot = browser.js(
        "(() => { const r = document.querySelector('#row9 .role').getBoundingClientRect();"
        "return [r.x + 3, r.y + 3]; })()"
    )
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])
    assert browser.js("document.querySelectorAll('.plot .lit[data-row=row9]').length") == 2
    browser("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert browser.js("document.querySelectorAll('.lit').length") == 0
