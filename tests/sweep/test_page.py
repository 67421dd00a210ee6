"""The page of a sweep."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.sweep.sample import GRID, done, given
from tqhw.backends import Found
from tqhw.mapper.result import Whole
from tqhw.spec import Mapping, Stats
from tqhw.sweep import export, figures, write_page
from tqhw.sweep.fronts import pictures
from tqhw.sweep.outcomes import COLUMNS
from tqhw.sweep.scatter import Axis
from tqhw.sweep.store import Finished, opened


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
        ([1e-90, 1e100], True, ["1e-70", "1e-35", "1", "1e+35", "1e+70", "1e+105"]),
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


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("energies", "scores"),
    [
        ([1.0, INF, 2.0], [1.0, 2.0, 3.0]),
        ([NAN, 1.0, 2.0], [1.0, 5e-324, 1e299]),
        ([2.0, 1.0, 3.0, 4.0], [INF, -INF, NAN, 1.0]),
        ([NAN, INF], [NAN, INF]),
        ([0.0, 0.0, -1.0], [0.0, 1.0, 0.0]),
    ],
)
def test_what_is_no_finite_number_is_in_no_picture_and_breaks_nothing(
    energies: list[float], scores: list[float], tmp_path: Path
) -> None:
    names = {"seed.\u202e漢字": "x" * 3000, "architecture.params.a.b": "\0\"',<b>\n"}
    with opened(tmp_path, write=True) as store:
        store.put_meta(name="n")
        store.plan_points((n, json.dumps(names | {"seed": n}), "p", None) for n in range(len(energies)))
        for number, (energy, score) in enumerate(zip(energies, scores, strict=False)):
            row: dict[str, Any] = {"method": "truncquant", "bits": 2, "state": "steady", "proved": True, "cycles": 9}
            row |= {"energy_mj": energy, "area_mm2": energy, "metric": "rmse", "score": score, "lower_is_better": 1}
            store.finish_points([Finished(number, None, [tuple(row.get(name) for name in COLUMNS)])])
        drawn = pictures(store)
        for picture in drawn[:1]:  # one is as good as the other, and takes seconds
            figures.write([picture], tmp_path / "figures")
    page = write_page(tmp_path, reports=False).read_text().partition("<script>")[0]
    assert not re.search(r"\b(nan|inf|infinity)\b", page.lower())
    assert "&lt;b&gt;" in page
    assert export(tmp_path, tmp_path / "points.csv") == len(energies)
    with (tmp_path / "points.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["energy_mj"] for row in rows] == ["" if math.isnan(e) else str(e) for e in energies]
    assert {row["seed.\u202e漢字"] for row in rows} == {"x" * 3000}


def test_mappings_with_remainders_are_said_to_have_timeloops_counts(folder: Path, tmp_path: Path) -> None:
    told = "Mappings may have remainders: energies and cycles are Timeloop&#39;s"
    assert told not in write_page(folder, reports=False).read_text()
    shutil.copytree(folder, tmp_path / "out")
    answer = Found(Mapping(()), Stats(9, 72, 1.0, 10.5, {}), True, 3, 0.0, 1.0, 0.0, whole=Whole(12.5, 9))
    with opened(tmp_path / "out", write=True) as store:
        store.put_search("abc", answer, 1.0)
    assert told in write_page(tmp_path / "out", reports=False).read_text()
