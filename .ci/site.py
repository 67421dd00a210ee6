"""What `mkdocs build` makes beside the pages of docs/: the reference of the commands, and pages of the notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

COMMANDS = "<!-- commands -->"
NOTEBOOK = re.compile(r"(notebooks/[\w-]+)\.ipynb")


def on_files(files: Any, config: Any) -> Any:
    """Every notebook gets a page of its name."""
    from mkdocs.structure.files import File

    for notebook in sorted(Path(config.docs_dir).glob("notebooks/*.ipynb")):
        place = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, place, content=notebook_page(notebook)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The commands, in the place that the page leaves for them; links to notebooks lead to their pages."""
    linked = NOTEBOOK.sub(r"\1.md", markdown)
    return linked.replace(COMMANDS, "\n".join(command_reference())) if COMMANDS in linked else linked


def notebook_page(notebook: Path) -> str:
    """A notebook with its outputs as Markdown."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    link = f"[The notebook]({notebook.name}) itself can be downloaded and run."
    return "\n\n".join([*parts, link]) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            image = "".join(data["image/png"]).replace("\n", "")
            yield f'<img alt="What the cell draws" src="data:image/png;base64,{image}">'
        elif "text/html" in data:
            yield "".join(data["text/html"])
        else:
            yield f"```text\n{''.join(output.get('text') or data.get('text/plain', '')).rstrip()}\n```"


def command_reference() -> Iterator[str]:
    """What every command says with ``--help``."""
    from tqhw.cli import app

    for name in _names(typer.main.get_command(app), ""):
        found = CliRunner().invoke(app, [*name.split(), "--help"], prog_name="tqhw", env={"COLUMNS": "100"})
        yield f"## tqhw {name}\n\n```text\n{found.output.strip()}\n```\n"


def _names(group: Any, prefix: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _names(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"
