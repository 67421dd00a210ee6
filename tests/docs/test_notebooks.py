"""The notebooks run, and say what their committed outputs say; cells tagged ``varies`` depend on the processor."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def said(cell: Any) -> list[str]:
    """The texts and tables of a cell's outputs; of a figure, that there is one."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        assert output.output_type != "error"
        found.append("a figure" if "image/png" in data else output.get("text") or data.get("text/html", ""))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # of the programs that run notebooks
def test_it_runs_and_says_the_same(path: Path, tmp_path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    source = "\n".join(cell.source for cell in committed.cells)
    if re.search(r"\btorch\b", source):
        pytest.importorskip("torch")
    ran = deepcopy(committed)
    for cell in ran.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(ran, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    compared = 0
    for old, new in zip(committed.cells, ran.cells, strict=True):
        if "varies" not in old.metadata.get("tags", []):
            assert said(new) == said(old), old.source
            compared += len(said(old))
        assert bool(said(old)) == bool(said(new))
    assert compared > 2


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-results", "mapping-one-layer", "truncating"]
