"""The page of a sweep in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.browsing import HOSTILE, PHONE, browser, contrasts, luminance, needs_chromium, opened, unfold, violations
from tqhw.sweep import write_page
from tqhw.sweep.outcomes import COLUMNS
from tqhw.sweep.store import Finished
from tqhw.sweep.store import opened as opened_store

__all__ = ["browser", "opened"]

OWN = "a method of a package"  # without a colour that we chose
DOTS = "svg.scatter >> nth=0 >> .dot"
pytestmark = needs_chromium


def _outcome(number: int, method: str, bits: int) -> tuple[Any, ...]:
    energy, cycles = 10.0 + bits - number % 5, 1e6 * (1 + number % 7)
    row = dict.fromkeys(COLUMNS) | {"method": method, "bits": bits, "state": "steady", "energy_mj": energy}
    row |= {"cycles": int(cycles), "area_mm2": 1.0 + number % 3, "dram_bits": int(1e6 * energy), "top1": 50.0 + bits}
    return tuple(row.values())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of 40 points, one of them impossible, two with reports."""
    folder = tmp_path_factory.mktemp("sweep")
    with opened_store(folder, write=True) as store:
        store.put_meta(name=HOSTILE)
        reason = f"no mapping: {HOSTILE}"
        settings = [
            f'{{"search.objective": "{HOSTILE}", "architecture.params.pe_columns": {n % 5}}}' for n in range(40)
        ]
        store.plan_points((n, text, "plan", None if n else reason) for n, text in enumerate(settings))
        of_series = [(method, bits) for method in ("truncquant", OWN) for bits in (2, 8)]
        store.finish_points(Finished(n, None, [_outcome(n, *one) for one in of_series]) for n in range(1, 40))
    for point in (4, 9):
        (folder / "points" / str(point)).mkdir(parents=True)
        (folder / "points" / str(point) / "report.html").write_text("<!doctype html><title>report</title>")
    return write_page(folder, reports=False)


def test_names_stay_text(opened: Any) -> None:
    page = opened()
    assert page.evaluate("window.hacked") is None
    assert page.text_content("h1").startswith(HOSTILE)
    assert page.evaluate("document.scripts.length") == 1


def test_a_dot_is_told_and_marked_in_every_picture(opened: Any) -> None:
    page = opened()
    assert page.locator("svg.scatter").count() == 4
    page.locator(f"{DOTS}[data-point='4'][data-method='truncquant'][data-bits='2']").dispatch_event(
        "pointerover", {"bubbles": True}
    )
    box = page.locator(".told-box").first
    assert "point 4: TruncQuant at 2 bits" in box.text_content()
    assert "pe_columns 4" in box.text_content() and HOSTILE in box.text_content()
    marked = page.eval_on_selector_all(".dot.told", "dots => dots.map(dot => dot.dataset.point + dot.dataset.bits)")
    assert marked == ["42"] * 4
    assert box.get_by_role("link").get_attribute("href") == "points/4/report.html"


def test_a_click_opens_the_report_and_so_does_the_keyboard(opened: Any) -> None:
    page = opened()
    figure = page.locator("figure.sweep", has=page.locator("a > .dot")).first
    link = figure.locator("svg.scatter a").first
    went = "event => { event.preventDefault(); window.went = event.target.closest('a').getAttribute('href'); }"
    page.evaluate(f"document.addEventListener('click', {went})")
    link.focus()
    told = link.get_attribute("aria-label")
    assert told.startswith(("point 4: ", "point 9: "))
    assert figure.locator(".told-box").text_content().startswith(told.partition("; ")[0])
    page.keyboard.press("Enter")
    assert page.evaluate("window.went") == link.get_attribute("href")
    page.evaluate("window.went = null")
    link.locator(".dot").dispatch_event("click", {"bubbles": True, "cancelable": True})
    assert page.evaluate("window.went") == link.get_attribute("href")


def test_methods_and_precisions_can_be_put_away(opened: Any) -> None:
    page = opened()
    assert page.locator(f"{DOTS}:visible").count() == 4 * 39
    page.get_by_role("button", name=OWN).first.click()
    assert page.locator(f"{DOTS}:visible").count() == 2 * 39
    page.get_by_role("button", name="2 bits").first.click()
    assert page.locator(f"{DOTS}:visible").count() == 39
    assert {b.get_attribute("aria-pressed") for b in page.get_by_role("button", name=OWN).all()} == {"false"}
    page.get_by_role("button", name=OWN).last.click()
    assert page.locator(f"{DOTS}:visible").count() == 2 * 39


def test_light_and_dark_and_print(opened: Any) -> None:
    page = opened(color_scheme="dark")
    assert luminance(page) < 150
    page.emulate_media(media="print")
    assert luminance(page) > 700
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("width", [PHONE, 720, 1100])
def test_the_page_itself_does_not_scroll_sideways(opened: Any, width: int) -> None:
    page = opened(width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_can_be_read_without_the_script(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("button, .told-box").count() == 0
    titles = page.locator(f"{DOTS} title").all_text_contents()
    assert len(titles) == 4 * 39 and all(title.startswith("point ") for title in titles)
    assert "no mapping: " in page.text_content("#impossible ~ details")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Any, scheme: str) -> None:
    assert violations(opened(color_scheme=scheme)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dots_lines_and_their_keys_stand_out(opened: Any, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    beaten, best = contrasts(page, ".dot:not(.best)", "stroke"), contrasts(page, ".dot.best, .keys .series", "fill")
    assert beaten and best
    assert min([*beaten, *best, *contrasts(page, "polyline.series", "stroke")]) >= 3.0
