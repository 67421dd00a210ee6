"""Every page of docs/ is true: its links lead somewhere, its commands can be given, its files load, its code runs."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.docs.pages import DOCS, PAGES, ROOT, Block, called, commands, fenced, indented, links
from tests.test_citations import anchors
from tqhw import experiment, sweep
from tqhw.cli import app
from tqhw.options import hints, read
from tqhw.results import COMPONENTS, STATES, Results
from tqhw.scenario import METHODS
from tqhw.spec import yamlio
from tqhw.sweep.document import SweepDocument

ELSEWHERE = {
    "extending.md": "tests/test_extending.py",
    "python.md": "tests/test_api.py",
    "quantization.md": "tests/train/test_docs.py",
}
"""Pages whose Python is run by a test of their own."""
TEMPLATE = {"params.yaml", "arch.yaml.j2"}
LINES = [(page, line) for page in PAGES for line in commands(page)]
YAML = [(page, block) for page in PAGES for block in fenced(page) if block.language == "yaml"]
PYTHON = [page for page in PAGES if any(block.language == "python" for block in fenced(page))]


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The command of a line, and what its options were read as."""
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    if hasattr(command, "commands"):
        if arguments[0] in command.commands:
            name, *arguments = arguments
        else:
            name = command.default
        command = command.commands[name]
    return name, dict(command.make_context(name, arguments).params)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be in, with what a clone has."""
    for name in ("arch", "experiments", "workloads"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert target.is_relative_to(DOCS), f"{link} leaves docs/, where the site cannot follow"
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(("page", "line"), LINES, ids=lambda value: value if isinstance(value, str) else called(value))
def test_every_command_can_be_given(page: Path, line: str, folder: Path) -> None:
    name, given = parsed(line)
    for block in fenced(page):
        if block.name:
            (folder / block.name).write_text(block.text)
    if (swept := given.get("sweep")) is not None and swept.exists():
        sweep.load(swept)
    if name == "run" and given.get("experiment") is not None:
        experiment.load(given["experiment"], given["settings"] or [])
    for files in (given.get("arch") or [], given.get("problem") or []):
        packaged = [file for file in files if str(file).startswith(("arch/", "workloads/"))]
        assert all((ROOT / file).exists() for file in packaged)


def test_the_pages_show_every_command() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert {line.split()[0] for _, line in LINES} == known


@pytest.mark.parametrize(
    ("page", "block"), YAML, ids=lambda value: value.name if isinstance(value, Block) else called(value)
)
def test_every_yaml_block_is_an_experiment_or_a_recipe(page: Path, block: Block) -> None:
    if block.name in TEMPLATE:
        assert called(page) == "architecture.md"  # tests/architecture/test_docs.py renders them
        return
    document = yamlio.parse(block.text, block.name or called(page))
    if called(page) == "sweeps.md":
        given = read(SweepDocument, document, called(page))
        assert [*sweep.Sweep(given, yamlio.load(ROOT / str(given.experiment)), called(page))]
        return
    if called(page) == "how-to/other-tasks.md":
        pytest.importorskip("torch")  # names of losses and metrics are those of the training room
    experiment.parse(document, block.name)
    assert not [*hints(document)], "pages show today's keys"


@pytest.mark.torch
@pytest.mark.parametrize("page", [page for page in PYTHON if called(page) not in ELSEWHERE], ids=called)
def test_its_python_runs(page: Path, folder: Path) -> None:
    pytest.importorskip("torch")
    space: dict[str, object] = {"__name__": "page"}
    for block in (block for block in fenced(page) if block.language == "python"):
        if block.name:
            (folder / block.name).write_text(block.text)
            importlib.invalidate_caches()
        else:
            exec(compile(block.text, called(page), "exec"), space)


def test_python_that_is_run_elsewhere_is_named_there() -> None:
    for page, test in ELSEWHERE.items():
        assert DOCS / page in PYTHON
        assert page in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.torch
@pytest.mark.parametrize("page", PAGES, ids=called)
def test_what_other_python_imports_is_there(page: Path) -> None:
    pytest.importorskip("torch")
    for text in indented(page):
        if re.match(r"(from|import) tqhw", text):
            imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), called(page), "exec"), {})
    for block in (block for block in fenced(page) if not block.language):
        for code in re.findall(r'^python -c "(.*)"$', block.text, flags=re.MULTILINE):
            ast.parse(code)


def test_the_lists_of_results_json_are_those_of_the_page() -> None:
    text = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    table = text.split("| list | a row is |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE) == list(Results.__dataclass_fields__)


def test_the_glossary_has_the_words_that_the_code_is_written_in() -> None:
    text = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    mapper = ("partial costs", "Pareto front", "look-ahead bound", "dominance", "incumbent", "warm start", "subspace")
    for word in (*mapper, "temporal reuse", "loop order", "dive", *STATES, *COMPONENTS, *METHODS):
        assert re.search(rf"\b{re.escape(word)}\b", text), word
    terms = re.findall(r"^(\S.*)\n: {3}\S", text, flags=re.MULTILINE)
    assert len(terms) == len({*terms}) > 40
