import re
from dataclasses import replace
from html.parser import HTMLParser

from tests.report.sample import drawn, sample
from tqhw.report.figures import Picture, pictures
from tqhw.report.page import html
from tqhw.results import Results

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
    assert page.fetched == []
    assert "script" not in html(sample(), ())


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
    assert "<script" not in html(named, ())


def test_results_without_rows_make_a_page_too() -> None:
    nothing = Results(experiment={"bits": [2, 8]})
    text = checked(nothing, pictures(nothing)).text
    assert "This experiment compares nothing with TruncQuant." in text
    assert text.count("not measured") >= 3
    assert "Nothing was reported as estimated or padded." in text
