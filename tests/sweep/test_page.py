"""The page of a sweep."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.sweep.sample import GRID, done, given
from tqhw.sweep import write_page
from tqhw.sweep.scatter import Axis


class _Reader(HTMLParser):
    """Links, titles of dots, and tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("href", "src", "xlink:href")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page")
    done(given(place, name="a-b", grid={**GRID, "stored_bits": [8, 2], "model.options": [{"width": 4}]}), place / "out")
    return place / "out"


def test_dots_say_what_they_are_and_those_with_reports_lead_there(folder: Path) -> None:
    page = write_page(folder).read_text()
    reader = _Reader()
    reader.feed(page)
    linked = {link for link in reader.links if link.startswith("points/")}
    assert linked
    assert all((folder / link).is_file() for link in linked)
    assert not [link for link in reader.links if "//" in link], "nothing comes from elsewhere"
    assert reader.tags.count("script") == 1, "the page's own"
    titles = re.findall(r"<title>(point \d+: [^<]*)</title>", page)
    assert any(
        re.match(r"point 0: TruncQuant at 2 bits; .*pe_columns 2, .*; [\d.e+-]+ mJ, Cycles of an inference", title)
        for title in titles
    )
    assert "a-b: a sweep of 8 points" in page
    assert "4 bits cannot be shifted out of a model stored with 2" in page


def test_without_reports_no_dot_leads_anywhere(tmp_path: Path) -> None:
    done(given(tmp_path), tmp_path / "out")
    page = write_page(tmp_path / "out", reports=False).read_text()
    assert 'class="dot' in page
    assert 'href="points/' not in page


def test_names_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    done(given(tmp_path, grid={"quantization.layers": [{evil: 4}, {}]}), tmp_path / "out")
    page = write_page(tmp_path / "out", reports=False).read_text()
    assert page.count("<script") == 1, "the page's own"
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("values", "log", "ticks"),
    [
        ([1.0, 5.0], False, ["1", "2", "3", "4", "5"]),
        ([1.0, 1000.0], True, ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1000"]),
        ([0.0, 0.001], False, ["0", "0.0002", "0.0004", "0.0006", "0.0008", "0.001"]),
        ([7.0], False, ["6.8", "6.9", "7", "7.1", "7.2"]),
    ],
)
def test_ticks_are_round_and_within(values: list[float], log: bool, ticks: list[str]) -> None:
    axis = Axis(values, 0.0, 100.0)
    assert axis.log == log
    found = [*axis.ticks()]
    assert [text for _, text in found] == ticks
    assert all(0 <= at <= 100 for at, _ in found)
    assert [axis.at(float(text)) for text in ticks] == pytest.approx([at for at, _ in found])


def test_what_is_best_says_how_many_are_alike(folder: Path) -> None:
    page = write_page(folder, reports=False).read_text()
    area = re.search(r"the smallest area</?[^>]*>\s*<[^>]*>([^<]*)<", page)
    assert area is not None and re.fullmatch(r"point 0, TruncQuant at 2 bits; 1 more alike", area[1]), area
    assert not re.search(r"([\d.]+) to \1 mJ", page), "a range of one figure is that figure"
