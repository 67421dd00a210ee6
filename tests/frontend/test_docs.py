"""docs/timeloop-files.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import tqhw.frontend
from tqhw.frontend.arch import Nodes

TEXT = (Path(__file__).parents[2] / "docs" / "timeloop-files.md").read_text()


def test_it_names_every_tag_and_function_of_templates() -> None:
    for tag in Nodes.fields:
        assert f"`{tag}`" in TEXT
    row = next(line for line in TEXT.splitlines() if line.startswith("| templates"))
    assert set(re.findall(r"`(\w+)`", row)) == {
        *("include", "include_all", "include_text", "find_path", "find_paths", "path_exists", "add_to_path", "cwd")
    }


def test_the_functions_of_the_python_interface_exist() -> None:
    last = TEXT.split("In Python:")[1]
    for name in re.findall(r"`(?:tqhw\.frontend\.)?(\w+)", last):
        assert hasattr(tqhw.frontend, name), name
