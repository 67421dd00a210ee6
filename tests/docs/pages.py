"""The pages of docs/ taken apart: links, blocks of code, command lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:\A|\n\n)((?: {4}\S.*\n|\n(?= {4})| {5,}.*\n)+)")
COMMAND = re.compile(r"^(?:torchrun \S+ -m )?tqhw (.*?)(?: +#.*)?$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A piece of code. ``name``: the file that its first line names, "" without one."""

    language: str
    text: str

    @property
    def name(self) -> str:
        found = re.match(r"# ([\w./-]+\.(?:py|yaml\.j2|yaml))\b", self.text)
        return found.group(1) if found else ""


def called(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def fenced(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def indented(page: Path) -> list[str]:
    rest = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [re.sub(r"^ {4}", "", text, flags=re.MULTILINE) for text in INDENTED.findall(rest)]


def commands(page: Path) -> list[str]:
    """What follows ``tqhw`` on the command lines of a page."""
    blocks = [block.text for block in fenced(page) if not block.language] + indented(page)
    return [line for text in blocks for line in COMMAND.findall(re.sub(r"\\\n\s*", "", text))]


def links(page: Path) -> list[str]:
    """Targets that are no addresses."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
