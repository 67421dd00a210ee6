"""The page of a comparison in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browsing import HOSTILE, PHONE, browser, luminance, needs_chromium, opened, unfold, violations
from tests.comparison.test_tables import SIDES
from tqhw.comparison import Side, write_page

__all__ = ["browser", "opened"]

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("comparison") / "page.html"
    write_page((SIDES[0], Side(HOSTILE, SIDES[1].results)), path)
    return path


def test_totals_come_first_and_the_rest_is_folded(opened: Any) -> None:
    page = opened()
    assert page.evaluate("window.hacked") is None
    assert page.is_visible(".block[data-title='Totals'] table")
    assert page.locator("#details ~ details").count() > 4
    assert page.locator("#details ~ details[open]").count() == 0


def test_totals_sort_by_their_ratio(opened: Any) -> None:
    page = opened()
    head = page.locator(".block[data-title='Totals'] thead th").last
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("width", [PHONE, 720])
def test_the_page_itself_does_not_scroll_sideways(opened: Any, width: int) -> None:
    page = opened(width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark_and_print(opened: Any) -> None:
    page = opened(color_scheme="dark")
    assert luminance(page) < 150
    page.emulate_media(media="print")
    assert luminance(page) > 700
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Any, scheme: str) -> None:
    assert violations(opened(color_scheme=scheme)) == []
