"""The site builds without a warning, from the disk alone, with what it makes beside the pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.docs.pages import ROOT
from tqhw.cli import app

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def test_the_commands_are_all_there(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = [f"-{inner}" for inner in getattr(command, "commands", {"": None}) if inner] or [""]
        assert all(f'id="tqhw-{name}{rest}"' in page for rest in inner)
    assert "--word-bits" in page


def test_the_functions_have_their_docstrings(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    listed = re.findall(r"^::: (\S+)", (ROOT / "docs" / "reference" / "api.md").read_text("utf-8"), flags=re.MULTILINE)
    assert len(listed) > 20
    for name in listed[1:]:  # the first one is the front door, whose functions are listed
        assert f'id="{name}"' in page, name
    assert 'id="tqhw.api.search"' in page and "the best mapping of a problem" in page.lower()
    assert not re.search(r":(?:func|class|meth|data):", page)


def test_the_notebooks_are_pages(site: Path) -> None:
    page = (site / "notebooks" / "mapping-one-layer.html").read_text(encoding="utf-8")
    assert "proved: True" in page and "word_bits" in page and "<table" in page
    assert "data:image/png" in (site / "notebooks" / "first-results.html").read_text(encoding="utf-8")
    assert 'href="notebooks/first-results.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(?:https?:)?//', text), page
