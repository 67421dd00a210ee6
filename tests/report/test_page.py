import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from tests.report.sample import BITS, drawn, sample, with_hardware
from tqhw.report.figures import Picture, pictures
from tqhw.report.page import html
from tqhw.results import STATES, Results

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Checker(HTMLParser):
    """Whether tags close in order, ids are unique, references are inside, and nothing is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href", "src"):
                (self.references if (value or "").startswith("#") else self.fetched).append(value or "")
            self.references += re.findall(r"url\((#[^)]*)\)", value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(results: Results, figures: tuple[Picture, ...] = ()) -> Checker:
    checker = Checker()
    checker.feed(html(results, figures))
    checker.close()
    return checker


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = checked(sample(), drawn())
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {r.removeprefix("#") for r in page.references} <= set(page.ids)
    assert page.fetched and all(found.startswith("data:text/csv;charset=utf-8,") for found in page.fetched)
    script = re.findall("<script>(.*?)</script>", html(sample(), ()), flags=re.DOTALL)
    assert len(script) == 1 and html(sample(), ()).count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html(sample(), ())


def test_every_table_has_its_csv() -> None:
    links = [unquote(found.partition(",")[2]) for found in checked(sample()).fetched]
    overview = next(text for text in links if text.startswith("Bits,State,"))
    rows = list(csv.reader(io.StringIO(overview)))
    assert len(rows) == 1 + len(BITS) * len(STATES) and rows[0][2] == "Top-1 in %, TruncQuant, truncated"
    assert any(text.startswith("Option,Value\n") and "model.options.num_classes,10" in text for text in links)


def test_a_figure_has_the_colours_of_the_page() -> None:
    text = html(sample(), drawn())
    plots = re.findall('<svg class="plot".*?</svg>', text, flags=re.DOTALL)
    assert len(plots) == len(drawn())
    assert not any(re.search("(fill|stroke): #(ffffff|000000)", plot) for plot in plots)
    assert all("var(--paper)" in plot and "currentColor" in plot for plot in plots)


def test_the_headline_comes_first() -> None:
    text = checked(sample(), drawn()).text
    places = [
        text.index(part)
        for part in (
            "10.3x",
            "What each precision gives and costs",
            "Headline ratios",
            "Energy in mJ",
            "Schedule",
            "6.2 % padding",
            "scenario.quantizer_pj",
            "wall_seconds",
        )
    ]
    assert places == sorted(places)


def test_every_option_and_all_provenance_is_there() -> None:
    text = checked(sample()).text
    for part in ("model.options.num_classes", "bitplane", "versions.tqhw", "tqhw, run", "51.2", "0.340 MB"):
        assert part in text


def test_what_strangers_named_is_text_not_markup() -> None:
    assert "scratchpads interpolated <a>" in checked(sample()).text
    named = replace(sample(), experiment={"name": "<script>alert(1)</script>", "bits": [2]})
    text = html(named, ())
    assert text.count("<script") == 1 and "<h1>&lt;script&gt;alert(1)&lt;/script&gt;:" in text


def test_results_without_rows_make_a_page_too() -> None:
    nothing = Results(experiment={"bits": [2, 8]})
    text = checked(nothing, pictures(nothing)).text
    assert "This experiment compares nothing with TruncQuant." in text
    assert text.count("not measured") >= 3
    assert "Nothing was reported as estimated or padded." in text


def test_the_accelerator_and_every_mapping_are_drawn(tmp_path: Path) -> None:
    results = with_hardware(tmp_path, "a<b&c")
    page = Checker()
    page.feed(html(results, (), tmp_path))
    page.close()
    assert page.open == []
    for part in ("hardware/sram/fetch8_weights8", "act_glb", "PE: 12 along Y", "The mapping of each layer at 8 bits"):
        assert part in page.text
    assert "a<b&c on hardware/sram/fetch8_weights8" in page.text and "computes, utilization" in page.text
    assert "The accelerator is eyeriss_like" not in page.text  # the sample's experiment names none
    assert "Accelerator and mappings" not in checked(results).text
