"""The page of a run in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import HOSTILE, PHONE, browser, luminance, needs_chromium, opened, unfold, violations
from tests.report.sample import drawn, sample, with_hardware
from tqhw.report.page import html

__all__ = ["browser", "opened"]

SCHEDULE = ".block[data-title='Schedule']"
ENERGY = ".block[data-title^='Energy in mJ']"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    layers = with_hardware(folder, HOSTILE).layers
    results = replace(sample(), experiment={**sample().experiment, "name": HOSTILE}, layers=layers)
    (folder / "report.html").write_text(html(results, drawn(), folder), "utf-8")
    return folder / "report.html"


def column(page: Any, block: str, number: int) -> list[str]:
    cells = f"{block} tbody tr:not([hidden]) td:nth-child({number})"
    return list(page.eval_on_selector_all(cells, "cells => cells.map(cell => cell.textContent)"))


def test_names_stay_text(opened: Any) -> None:
    page = opened()
    assert page.evaluate("window.hacked") is None
    assert page.text_content("h1").startswith(HOSTILE)
    assert page.locator("#machine ~ details summary").first.text_content().startswith(HOSTILE)
    assert page.evaluate("document.scripts.length") == 1


def test_a_column_sorts_up_and_down_and_back(opened: Any) -> None:
    page = opened()
    given = column(page, ENERGY, 4)
    head = page.locator(f"{ENERGY} thead th").nth(3)
    unfold(page)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, ENERGY, 4) == sorted(given, key=float)
    head.get_by_role("button").click()
    assert [float(v) for v in column(page, ENERGY, 4)] == sorted(map(float, given), reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None and column(page, ENERGY, 4) == given


def test_what_has_no_value_stays_last(opened: Any) -> None:
    page = opened()
    unfold(page)
    quantizer = page.locator(f"{ENERGY} thead th").nth(6)
    assert quantizer.text_content() == "Quantizer (estimate)"
    for _ in range(2):
        quantizer.get_by_role("button").click()
        found = column(page, ENERGY, 7)
        assert "-" not in found[: len(found) - found.count("-")] and found.count("-") > 1


def test_a_table_filters(opened: Any) -> None:
    page = opened()
    block = page.locator(SCHEDULE)
    unfold(page)
    block.get_by_role("searchbox").fill("any-precision 2 bits")
    assert column(page, SCHEDULE, 1) == ["Any-Precision"]
    assert block.get_by_role("status").text_content() == "1 of 8 rows"
    block.get_by_role("searchbox").fill("")
    assert len(column(page, SCHEDULE, 1)) == 8


def test_long_tables_are_folded_and_open_by_keyboard(opened: Any) -> None:
    page = opened()
    fold = page.locator("details", has=page.locator(ENERGY))
    assert fold.get_attribute("open") is None
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None
    page.keyboard.press("Tab")  # into the filter, the CSV, the table, then the head of its first column
    assert page.evaluate("document.activeElement.type") == "search"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator(f"{ENERGY} thead th").first.get_attribute("aria-sort") == "ascending"


def test_everything_that_can_be_operated_is_reached_by_tab(opened: Any) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent"))
    assert {"Summary", "Figures", "Provenance", "Dark colours"} <= reached


def test_a_csv_is_saved_under_the_tables_name(opened: Any) -> None:
    page = opened()
    with page.expect_download() as saved:
        page.locator(".csv").first.click()
    assert saved.value.suggested_filename == "what_each_precision_gives_and_costs.csv"
    assert Path(saved.value.path()).read_text("utf-8").startswith('Bits,State,"Top-1 in %, TruncQuant, truncated"')


def test_light_and_dark_follow_the_reader_and_the_button(opened: Any) -> None:
    page = opened(color_scheme="dark")
    assert luminance(page) < 150
    page.click("#theme")
    assert luminance(page) > 700 and page.text_content("#theme") == "Dark colours"
    other = opened(color_scheme="light")
    assert luminance(other) > 700
    other.click("#theme")
    assert luminance(other) < 150


def test_print_is_light_and_shows_what_is_folded(opened: Any) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert luminance(page) > 700
    for selector, shown in (("nav", False), (".tools >> nth=0", False), (f"{SCHEDULE} table", True)):
        assert page.is_visible(selector) is shown, selector
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("folded", [True, False])
def test_on_a_phone_the_page_itself_does_not_scroll_sideways(opened: Any, folded: bool) -> None:
    page = opened(PHONE)
    if not folded:
        unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_everything_can_be_read_without_the_script(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#theme, thead button, input").count() == 0
    fold = page.locator("details", has=page.locator(SCHEDULE))
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    assert page.is_visible(f"{SCHEDULE} table")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Any, scheme: str) -> None:
    assert violations(opened(color_scheme=scheme)) == []
