"""Pages in a real browser: headless Chromium, through Playwright. A test module has a fixture ``file``, its page.

axe-core, which checks for accessibility, is not a Python package: `npm install axe-core`, and name its axe.min.js in
the environment variable AXE_CORE.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra tqhw[browser]")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
HOSTILE = "<script>window.hacked = 1</script>"
PHONE = 320

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is on the PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=root)
        yield running
        running.close()


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    """Opens the page; whatever the console says, or asks for from elsewhere, fails the test."""
    contexts, said = [], []

    def at(width: int = 1100, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        return page

    yield at
    assert said == []
    for context in contexts:
        context.close()


def luminance(page: Any) -> int:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(", "))


def unfold(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


def violations(page: Any) -> list[Any]:
    """What axe-core finds; skips the test where it is not there."""
    if not AXE.is_file():
        pytest.skip("axe-core is not there: name its axe.min.js in AXE_CORE")
    unfold(page)
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [(v["id"], v["impact"], v["nodes"][0]["html"][:200], len(v["nodes"])) for v in found["violations"]]


_CONTRASTS = """([what, property]) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll(what)].map((one) => {
    const ink = light(getComputedStyle(one)[property]);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
}"""


def contrasts(page: Any, what: str, of: str) -> list[float]:
    """WCAG's contrast of the property ``of`` of elements to the page behind them."""
    found: list[float] = page.evaluate(_CONTRASTS, [what, of])
    return found
