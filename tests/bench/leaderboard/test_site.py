"""The leaderboard's pages as text: what they say, where links lead, and that names stay names."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from feint.bench.leaderboard import Board, Number
from feint.bench.leaderboard.markup import join, tag
from feint.bench.leaderboard.scatter import Scale
from feint.bench.leaderboard.shell import slug
from feint.bench.leaderboard.site import build
from feint.bench.leaderboard.tables import interval, lines, written

from . import boards

VOID = {"meta", "link", "input", "br"}
TAGS = set(
    "html head meta title link script body a header nav button main footer h1 h2 h3 p ul li b "
    "code div section table thead tbody tr th td span small bdi details summary form label "
    "select option input output figure figcaption dl dt dd svg g line circle path text".split()
)


class Reader(HTMLParser):
    """Elements with their attributes, ids, links, and whether tags close as they should."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= found.keys()
        if "id" in found:
            self.ids.append(found["id"] or "")
        self.links += [v or "" for k, v in attrs if k in ("href", "src")]
        if tag == "tr":
            self.rows.append((found, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.rows and "tr" in self.open:
            attributes, text = self.rows[-1]
            self.rows[-1] = attributes, " ".join([*text.split(), data])


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build(boards.small(), folder) == folder / "index.html"
    return folder


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_there_is_a_page_for_each_suite_scenario_and_method(site):
    names = {str(path.relative_to(site)) for path in pages(site)}
    expected = {"index", "rows", "suite/soo-rl", "suite/smoke", "scenario/empty"}
    expected |= {f"scenario/{key}" for key in ("room_signal", "poker")}
    methods = "honest overlap_belief overlap_presence masked sham_anchor deceptive unverified"
    expected |= {f"method/{key}" for key in methods.split()}
    hostile = names - {f"{name}.html" for name in expected}
    assert len(names) == len(expected) + 1
    assert re.fullmatch(r"method/[a-z0-9-]+\.html", hostile.pop())


def test_every_link_leads_to_a_file_or_an_id_of_the_page(site):
    for path in pages(site):
        page = read(path)
        assert page.links
        for link in page.links:
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc
            assert not parts.path or (path.parent / parts.path).resolve().is_relative_to(site)
            assert (
                (path.parent / parts.path).is_file() if parts.path else parts.fragment in page.ids
            )


def test_ids_are_unique_in_a_page_and_tags_close(site):
    for path in pages(site):
        ids = read(path).ids
        assert len(ids) == len(set(ids))


def test_a_hostile_name_makes_no_tag_and_no_attribute(site):
    for path in pages(site):
        page = read(path)
        assert page.tags <= TAGS
        assert not any(name.startswith("on") or name == "style" for name in page.attributes)
        text = path.read_text(encoding="utf-8")
        assert boards.HOSTILE not in text
        assert text.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in (site / "index.html").read_text() + (
        site / "suite" / "soo-rl.html"
    ).read_text(encoding="utf-8")


def test_pages_forbid_all_but_their_own_files(site):
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        assert "default-src &#x27;none&#x27;" in policy[1]
        assert "unsafe" not in policy[1] and "http" not in policy[1]
    for name in ("style.css", "board.js"):
        text = (site / name).read_text()
        assert "http" not in text and "@import" not in text and "innerHTML" not in text


def test_rows_that_failed_a_gate_stand_below_with_what_it_says(site):
    rows = read(site / "suite" / "soo-rl.html").rows
    ranked = [found.get("data-ranked") for found, _ in rows if "data-ranked" in found]
    assert ranked == ["yes"] * 6 + ["no"] * 2 + ["yes"] * 6  # by scenario
    told = {found["data-suite"]: text for found, text in rows if found.get("data-ranked") == "no"}
    assert all("Not ranked." in text for text in told.values())
    text = next(text for _, text in rows if "better than all" in text)
    assert "Not ranked. Nobody evaluated it again." in text
    assert "sent by somebody" in text


def test_cells_hold_the_interval_or_say_how_many_seeds(site):
    rows = read(site / "suite" / "soo-rl.html").rows
    text = next(text for _, text in rows if "overlap, belief pairs" in text)
    assert "2.0 %" in text and "[\N{MINUS SIGN}1.0, 5.0]" in text and "n = 5" in text


def test_a_missing_number_is_a_dash_that_sorts_last(site):
    text = (site / "suite" / "soo-rl.html").read_text(encoding="utf-8")
    assert '<td class="number" data-v="">\N{EN DASH}</td>' in text
    assert "nan" not in re.sub(r"<[^>]*>", "", text).lower()


def test_the_overview_shows_the_best_beside_its_controls(site):
    rows = [text for _, text in read(site / "index.html").rows]
    first = rows[:6]
    names = "overlap, belief|overlap, presence|anchor alone|inputs masked|honest|deceptive"
    for name, text in zip(names.split("|"), first, strict=True):
        assert name in text


def test_what_a_stranger_sent_is_never_shown_as_a_control(tmp_path):
    board = boards.small()
    part = board.parts[1]
    fake = boards.row(
        "fake", "honest as can be", "reference", suite="smoke", deception=1.0, submitter="mallory"
    )
    build(replace(board, parts=(replace(part, rows=(fake, *part.rows)),)), tmp_path)
    assert "honest as can be" not in (tmp_path / "index.html").read_text()
    assert "honest as can be" in (tmp_path / "suite" / "smoke.html").read_text()


def test_pages_of_an_earlier_board_go_and_other_files_stay(tmp_path):
    build(boards.small(), tmp_path)
    note = tmp_path / "method" / "notes.html"
    note.write_text("mine")
    board = boards.small()
    build(replace(board, parts=board.parts[1:]), tmp_path)
    assert note.exists()
    assert not (tmp_path / "suite" / "soo-rl.html").exists()
    assert not (tmp_path / "method" / "unverified.html").exists()
    assert (tmp_path / "method" / "honest.html").exists()


def test_an_empty_board_is_a_site_that_says_what_to_run(tmp_path):
    text = build(Board((), "2026-11-28T07:00:00Z"), tmp_path).read_text()
    assert "feint bench run smoke" in text


def test_many_rows_and_extreme_numbers_make_pages(tmp_path):
    board = boards.large(200)
    build(board, tmp_path)
    page = read(tmp_path / "suite" / "soo-rl.html")
    assert sum("data-ranked" in found for found, _ in page.rows) == 200
    text = (tmp_path / "scenario" / "poker.html").read_text()
    assert not re.search(r'(x|y|cx|cy|x1|x2|y1|y2)="(nan|-?inf)', text)
    data = json.loads((tmp_path / "board.json").read_text())
    assert len(data["parts"][0]["rows"]) == 200


def test_the_board_as_json_has_null_for_what_is_no_number(site):
    data = json.loads((site / "board.json").read_text(), parse_constant=pytest.fail)
    hostile = data["parts"][0]["rows"][7]
    assert hostile["numbers"]["task"]["value"] is None


def test_a_folder_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a folder"):
        build(boards.small(), tmp_path / "file")


def test_ranks_count_within_a_scenario_and_letters_stand_for_the_others():
    found = lines(boards.small().parts)
    labels = [line.label for line in found if line.row.suite == "soo-rl"]
    assert labels == ["honest", "1", "2", "3", "4", "deceptive", "a", "b",
                      "honest", "1", "2", "3", "4", "deceptive"]  # fmt: skip


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../../etc", "a/b", "A", "a", "a b", "é", "x" * 500, "\ud800", "a\0b"]
)
def test_a_key_becomes_a_harmless_file_name(key):
    assert re.fullmatch(r"[a-z0-9_-]{1,80}", slug(key))


def test_different_keys_have_different_file_names():
    keys = ["a", "A", "a ", "a/", "../a", "", "-", "x" * 100, "x" * 101]
    keys += [slug(key) for key in ("A", "a/")]  # made to look like another's
    assert len({slug(key) for key in keys}) == len(keys)


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "<b>", tag("b", "&"), None) == "<p>&lt;b&gt;<b>&amp;</b></p>"
    assert tag("a", title="\"'><", hidden=True, id=None) == (
        '<a title="&quot;&#x27;&gt;&lt;" hidden></a>'
    )
    assert join("a\x00\ud800b") == "a\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [("share", 0.1234, "12.3"), ("share", -0.0001, "0.0"), ("", 0.05, "0.050"),
     ("", 12.345, "12.35"), ("", 1234.5, "1,234"), ("", -2.0, "\N{MINUS SIGN}2.000"),
     ("", 1e300, "1e+300"),
     ("", float("nan"), "\N{EN DASH}")],
)  # fmt: skip
def test_numbers_are_written_to_be_compared(unit, value, text):
    assert written(value, replace(boards.COLUMNS[0], unit=unit)) == text


def test_an_interval_that_does_not_exist_is_the_number_of_seeds():
    assert interval(Number(0.5, None, None, 2), boards.COLUMNS[0]) == "n = 2"


def test_scales_hold_their_numbers_and_go_to_logarithms_over_two_decades():
    share, plain = boards.COLUMNS[0], boards.COLUMNS[2]
    assert Scale.of(share, [boards.number(0.2)]) == Scale(0.0, 1.0, False, True)
    assert Scale.of(share, [boards.number(1.2)]).high == 1.23
    wide = Scale.of(plain, [boards.number(0.001, 0.0), boards.number(5.0)])
    assert wide.log and 0 < wide.at(0.001) < wide.at(0.01) < wide.at(5.0) < 1
    assert wide.at(0.0) == 0
    flat = Scale.of(plain, [boards.number(2.0, None)])
    assert not flat.log and flat.at(2.0) == pytest.approx(0.5) and flat.ticks()
