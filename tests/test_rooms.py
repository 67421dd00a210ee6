"""Who may import whom: read off the syntax trees, so that imports inside functions and for types count too."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tqhw

ROOT = Path(tqhw.__file__).parent

# From the ground up: a room may import those that its line names, which all stand above it.
ROOMS = {
    "version": "",
    "errors": "",
    "registry": "errors",
    "system": "version errors",
    "spec": "errors system",
    "results": "errors system",
    "drawing": "spec",
    "objectives": "errors registry",
    "options": "errors system spec results",
    "datasets": "errors registry",
    "models": "errors",
    "quant": "errors registry system options",
    "frontend": "errors spec",
    "energy": "errors spec",
    "architecture": "errors system spec drawing frontend",
    "engine": "errors system spec",
    "workload": "errors spec quant models",
    "train": "errors registry system results options datasets models quant",
    "mapper": "errors objectives system spec engine",
    "backends": "version errors registry objectives system spec drawing options energy engine mapper",
    "scenario": "errors registry spec results options energy",
    "report": "version errors registry system spec drawing results engine",
    "experiment": "errors objectives datasets quant spec results options train scenario",
    "allocation": "errors system results datasets quant workload train scenario report",
    "pipeline": "version errors objectives system spec options results datasets models quant energy architecture"
    " workload train backends scenario report experiment allocation",
    "sweep": "version errors objectives system spec frontend options results architecture mapper engine"
    " train backends scenario report experiment pipeline",
    "comparison": "version errors system results report",
    "cli": "errors objectives system frontend energy spec drawing options datasets quant architecture engine workload"
    " allocation train version backends results report experiment pipeline sweep comparison",
    "run": "pipeline cli",
    "__main__": "cli",
    "api": "errors objectives system frontend spec datasets quant architecture workload backends results report"
    " experiment pipeline",
    "": "version errors api",
}
FLOORS_OF_THE_MAPPER = ("space", "bound", "branch")


def _modules() -> dict[str, Path]:
    names = {path: ".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in ROOT.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def _named(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of every import of ours, wherever in a module it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports of ours are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


@cache
def _imports() -> dict[str, set[str]]:
    modules = _modules()
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        named = [pair for pair in _named(ast.parse(path.read_text("utf-8"))) if pair[0].split(".")[0] == "tqhw"]
        targets = {f"{of}.{name}" if f"{of}.{name}" in modules else of for of, name in named}
        assert targets <= {*modules}, f"{module} imports what is not there: {targets - {*modules}}"
        found[module] = targets - {module}
    return found


def _room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def _wrong(table: dict[str, str], imports: dict[str, set[str]]) -> list[str]:
    return sorted(
        f"{module} imports {target}"
        for module, targets in imports.items()
        for target in targets
        if _room(target) != _room(module) and _room(target) not in table.get(_room(module), "").split()
    )


def test_the_table_stands_on_its_ground() -> None:
    above: set[str] = set()
    for room, may in ROOMS.items():
        assert {*may.split()} <= above, f"{room} would import what stands above it"
        above.add(room)
    assert {_room(module) for module in _imports()} == above, "every room has a line in the table"


def test_rooms_import_what_the_table_says() -> None:
    assert _wrong(ROOMS, _imports()) == []


def test_the_table_names_nothing_that_is_not_imported() -> None:
    used = {(_room(module), _room(target)) for module, targets in _imports().items() for target in targets}
    assert {(room, other) for room, may in ROOMS.items() for other in may.split()} <= used


def test_every_room_that_is_a_folder_is_told_to_whoever_comes_to_change_it() -> None:
    page = ROOT.parent / "CONTRIBUTING.md"
    if not page.exists():
        pytest.skip("an installed package has no CONTRIBUTING.md")
    text = page.read_text("utf-8")
    told = re.findall(r"^\| (`.*?`) \|", text, flags=re.MULTILINE)
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == {name for row in told for name in re.findall(r"`(\w+)`", row)}


def test_an_import_that_runs_back_up_is_found() -> None:
    assert _wrong(ROOMS, {"tqhw.spec.stats": {"tqhw.engine.model"}}) == ["tqhw.spec.stats imports tqhw.engine.model"]


def test_modules_import_each_other_in_no_circle() -> None:
    try:
        TopologicalSorter(_imports()).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_mappers_floors_import_downwards() -> None:
    for module, targets in _imports().items():
        here = _floor(module)
        for target in targets:
            there = _floor(target)
            assert here is None or there is None or there <= here, f"{module} imports {target}"


def _floor(module: str) -> int | None:
    _, room, *inner = f"{module}.".split(".")
    return FLOORS_OF_THE_MAPPER.index(inner[0]) if room == "mapper" and inner[0] in FLOORS_OF_THE_MAPPER else None


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for module, path in _modules().items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}
