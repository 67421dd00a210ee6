"""A specification as the front end makes it of files: read, joined, evaluated, flattened."""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from tqhw.errors import TqhwError, shown
from tqhw.frontend.arch import ArchitectureNode
from tqhw.frontend.base import Key, Node
from tqhw.frontend.constraints import ConstraintList, ConstraintsNode
from tqhw.frontend.expressions import MAX_ALL_STEPS, STEPS, Word
from tqhw.frontend.flattening import Flat
from tqhw.frontend.folders import Folders
from tqhw.frontend.macros import attach, attach_sparse, write_out
from tqhw.frontend.nodes import Section
from tqhw.frontend.sections import (
    Art,
    Components,
    Ert,
    Globals,
    Mapper,
    MapspaceNode,
    ProblemNode,
    Sparse,
    Variables,
)
from tqhw.frontend.templates import Reader
from tqhw.frontend.warnings import mistakes
from tqhw.spec.yamlio import Map

_ENDINGS: Final = (".yaml", ".yml", ".jinja", ".jinja2")


class Specification(Section):
    """All sections, by their own names."""

    fields: ClassVar = {
        "architecture": Key((ArchitectureNode,)),
        "components": Key((Components,), {}, part=True),
        "constraints": Key((ConstraintsNode,), {}, part=True),
        "mapping": Key((ConstraintList,), [], part=True),
        "mapper": Key((Mapper,), {}),
        "problem": Key((ProblemNode,)),
        "sparse_optimizations": Key((Sparse,), {}),
        "variables": Key((Variables,), {}),
        "mapspace": Key((MapspaceNode,), {}),
        "globals": Key((Globals,), {}, part=True),
        "ERT": Key((Ert,), {"version": 0.4, "tables": []}),
        "ART": Key((Art,), {"version": 0.4, "tables": []}),
    }

    def __init__(self, given: Any, more: Iterable[tuple[str, Any, str]] = (), place: str = "") -> None:
        super().__init__(given, place)
        for name, value, where in more:
            self.lines[name] = where
            self.parse(name, self.key_of(name), value)
        self.check_key("globals")
        _refuse_python(self["globals"])

    def check_key(self, name: str) -> None:
        """Raises TqhwError for a section of another type, one without anything above all."""
        self.known()[name].check(self[name], name, self.place_of(name))

    def missing(self, name: str) -> TqhwError:
        return TqhwError(f"no file has '{name}'", place=self.place, lever=f"give a file with `{name}:` too")

    def evaluate(self, names: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Evaluates the variables, then all sections in their order, and checks every key."""
        scope = {"spec": self, STEPS: [MAX_ALL_STEPS], **names}
        self.check_key("variables")
        found = self["variables"].evaluate(scope)
        scope.update(found)
        scope["variables"] = found
        for name, value in self.items():
            key = self.key_of(name)
            if name != "variables" and isinstance(value, Node):
                value.evaluate(scope)
            if key is not None:
                key.check(value, name, self.place_of(name))
            scope[name] = value
        self.check_all()
        return scope


@dataclass(frozen=True)
class Processed:
    """What the front end hands to Timeloop's programs.

    ``files``: all that were read, in order; ``warnings``: what it takes and what is surely a mistake.
    """

    top: Mapping[str, Any]
    levels: tuple[Mapping[str, Any], ...]
    constraints: tuple[Mapping[str, Any], ...]
    sections: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``keep``, ``bypass`` and actions sorted, infinities as text."""
        return {
            "top": _plain(self.top),
            "levels": [_plain(level) for level in self.levels],
            "constraints": [_sorted(_plain(constraint)) for constraint in self.constraints],
            **{name: _plain(section) for name, section in self.sections.items()},
        }


def read(
    given: Iterable[str | Path], data: Mapping[str, Any] | None = None, allow: Iterable[str | Path] = ()
) -> Specification:
    """The typed sections of files, of patterns of files and of folders (their ``.yaml`` files), joined.

    ``data``: what the templates may use. ``allow``: folders beside the given files' that includes may read.
    Raises TqhwError for whatever the front end refuses, and for files that ask for Python or leave the folders.
    """
    return _read(given, data, allow)[0]


def _read(
    given: Iterable[str | Path], data: Mapping[str, Any] | None, allow: Iterable[str | Path]
) -> tuple[Specification, Reader]:
    top, more, reader = joined_files(given, data, allow)
    return Specification(top, more, ", ".join(str(file) for file in reader.given)), reader


def joined_files(
    given: Iterable[str | Path], data: Mapping[str, Any] | None = None, allow: Iterable[str | Path] = ()
) -> tuple[Map, list[tuple[str, Any, str]], Reader]:
    """(top-level keys, those that a later file gives again with their places, the reader) of files, as trees."""
    files = given_files(given)
    reader = Reader(Folders.of([*(file.parent for file in files), *allow]), given=files)
    top = _Top()
    more: list[tuple[str, Any, str]] = []
    for file in files:
        tree = reader.tree(file, data or {}, (), str(file))
        if not isinstance(tree, Map):
            found = "nothing" if tree is None else shown(tree)
            raise TqhwError(f"a file holds a mapping of sections, found {found}", place=str(file))
        for name, value in tree.items():
            if name in top:
                more.append((name, value, tree.place(name)))
            else:
                top[name], top.places[name] = value, tree.place(name)
    return top, more, reader


class _Top(Map):
    """The top-level keys of several files with their places."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}

    def place(self, key: str | None = None) -> str:
        return self.places.get(key or "", "")


def process(
    given: Iterable[str | Path], data: Mapping[str, Any] | None = None, allow: Iterable[str | Path] = ()
) -> Processed:
    """Files as the flat specification that the front end hands to Timeloop's programs (see :func:`read`)."""
    specification, reader = _read(given, data, allow)
    specification.evaluate()
    architecture, problem = specification["architecture"], specification["problem"]
    warnings = tuple(mistakes(specification))
    attach(architecture, specification["constraints"]["targets"])
    attach(architecture, specification["mapping"])
    attach_sparse(architecture, specification["sparse_optimizations"]["targets"])
    write_out(architecture, problem)
    flat = Flat(architecture, specification["variables"], problem)
    sections: dict[str, Any] = {"problem": problem}
    classes = specification["components"]["classes"]
    sections["components"] = specification["components"] if classes else []
    sections.update({name: specification[name] for name in ("mapper", "mapspace", "globals")})
    if flat.sparse:
        sections["sparse_optimizations"] = {"targets": flat.sparse}
    if specification["ART"]["tables"]:
        sections.update({name: specification[name] for name in ("ART", "ERT")})
    return Processed(flat.top, tuple(flat.levels), tuple(flat.constraints), sections, tuple(reader.read), warnings)


def given_files(given: Iterable[str | Path]) -> tuple[Path, ...]:
    """The files that names, patterns and folders stand for, each once. Raises TqhwError where one finds none."""
    found: list[Path] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            hits = sorted(p for p in path.iterdir() if p.suffix in _ENDINGS)
        else:
            matches = sorted(glob.glob(str(one)))  # noqa: PTH207 - it may be absolute
            hits = [path] if path.is_file() else [Path(hit) for hit in matches]
        files = [hit.resolve() for hit in hits if hit.is_file()]
        if not files:
            rule = f"holds no {', '.join(_ENDINGS)} file" if path.is_dir() else "there is no such file"
            raise TqhwError(rule, place=str(one))
        found += files
    return tuple(dict.fromkeys(found))


def _refuse_python(section: Section) -> None:
    for name, what in (("expression_custom_functions", "functions in Python"), ("accelergy_plug_ins", "Python")):
        if section[name]:
            raise TqhwError(
                f"globals.{name} asks for {what}: {', '.join(map(str, section[name]))}",
                place=section.place_of(name),
                lever="nothing that is read is executed; write the values out",
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str | Word):
        return str(value)
    return value


def _sorted(constraint: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if key in ("keep", "bypass") else value for key, value in constraint.items()}
