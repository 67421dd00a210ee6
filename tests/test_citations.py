"""What the code cites stands in docs/: every page and every heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = re.compile(r"docs/([\w/-]+\.md)(?:#([\w-]+))?")
SHORT = re.compile(r"#([a-z][a-z-]{4,})\b")
CITING = [path for path in sorted((ROOT / "tqhw").rglob("*.py")) if PAGE.search(path.read_text(encoding="utf-8"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as Markdown processors make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", CITING, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_citation_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cited = PAGE.findall(text)
    for page, anchor in cited:
        assert (ROOT / "docs" / page).exists(), page
        assert not anchor or anchor in anchors(ROOT / "docs" / page), f"{page}#{anchor}"
    if "Anchors (#...)" in text:
        (page,) = {page for page, _ in cited}
        short = set(SHORT.findall(text))
        assert short, "it announces anchors and has none"
        assert short <= anchors(ROOT / "docs" / page)


def test_the_engine_cites_its_semantics() -> None:
    citing = {path.stem for path in CITING if path.parent.name == "engine"}
    assert {"flow", "kernel", "links", "nest", "table", "unit", "walk"} <= citing


def test_nothing_cites_what_is_not_here() -> None:
    for path in sorted((ROOT / "tqhw").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"reference section|paper\.md|command contracts", text), path
