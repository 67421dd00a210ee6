"""What the commands read: an architecture, a problem or a mapping of any of the field's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqhw import spec
from tqhw.errors import TqhwError
from tqhw.frontend import engine, legacy
from tqhw.frontend.clean import as_map
from tqhw.frontend.macros import attach, attach_sparse, write_out
from tqhw.frontend.nodes import Key
from tqhw.frontend.sections import Problem
from tqhw.frontend.specification import Specification, joined_files
from tqhw.frontend.warnings import mistakes
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map


class _Machine(Specification):
    """A specification that needs no problem."""

    fields = {"problem": Key((Problem,), None)}  # noqa: RUF012


class _Layer(Specification):
    """A specification that needs no architecture."""

    fields = {"architecture": Key(default=None)}  # noqa: RUF012


@dataclass(frozen=True)
class Sources:
    """Files, patterns and folders, what their templates use, and the folders beside theirs that includes may read."""

    files: tuple[str, ...]
    data: Mapping[str, Any] | None = None
    allow: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first file's or folder's own name, for what is called after it."""
        return Path(self.files[0]).name.partition(".")[0] or "architecture"

    def joined(self) -> tuple[Map, list[tuple[str, Any, str]], str]:
        top, more, reader = joined_files(self.files, self.data, self.allow)
        return top, more, ", ".join(str(path) for path in reader.given)


@dataclass(frozen=True)
class Machine:
    """An architecture as the engines read it. ``components``: its own classes, as YAML, or ""."""

    architecture: spec.Architecture
    document: Map
    components: str
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return yamlio.dump(self.document)


def load_machine(sources: Sources, problem: spec.Problem | None = None) -> Machine:
    """The architecture in files. Constraint macros that depend on the sizes are written out where a problem is given.

    Raises TqhwError for whatever the front end refuses, two architectures, and what is not modelled.
    """
    top, more, place = sources.joined()
    if twice := [where for name, _, where in more if name == "architecture"]:
        first = top.place("architecture")
        raise TqhwError(f"two architectures are given, at {first} and at {twice[0]}", place=place, lever="give one")
    if legacy.is_tree(top):
        document = legacy.document(top, more)
        components = legacy.components(top, more)
        warnings: tuple[str, ...] = ()
    else:
        found = _Machine(top, more, place)
        if problem is not None:
            found["problem"] = _section(problem)
        found.evaluate()
        warnings = tuple(mistakes(found)) if found["problem"] is not None else ()
        architecture = found["architecture"]
        attach(architecture, found["constraints"]["targets"])
        attach(architecture, found["mapping"])
        attach_sparse(architecture, found["sparse_optimizations"]["targets"])
        found["sparse_optimizations"]["targets"].clear()
        if problem is not None:
            write_out(architecture, found["problem"])
        document = engine.document(found)
        components = yamlio.dump(Map(compound_components=as_map(found["components"])))
        components = components if found["components"]["classes"] else ""
    parsed = spec.parse_architecture(document, place, sources.name)
    return Machine(parsed, document, components, warnings)


def _section(problem: spec.Problem) -> Problem:
    section = Problem(yamlio.parse(spec.dump_problem(problem))["problem"])
    section.evaluate({})
    return section


def load_problem(sources: Sources) -> spec.Problem:
    """The problem in files, in the form of version 0.4 or of 0.2 and 0.3."""
    top, more, place = sources.joined()
    if "problem" not in top:
        raise TqhwError("no file has 'problem'", place=place, lever="give a file with `problem:`")
    given = top["problem"]
    if isinstance(given, Map) and legacy.is_problem(given):
        return spec.parse_problem(Map(problem=legacy.problem(given)), top.place("problem"), sources.name)
    only = Map({name: top[name] for name in ("variables", "problem") if name in top})
    only.lines, only.source = top.lines, top.source
    later = [entry for entry in more if entry[0] in only]
    found = _Layer(only, later, place)
    found.evaluate()
    section = found["problem"]
    _refuse_densities(section)
    document = as_map(section)
    names = {*section.shape.dimensions, *(entry.get("name") for entry in section.shape["coefficients"])}
    for name in [key for key in document["instance"] if key not in names]:
        del document["instance"][name]  # Timeloop reads dimensions and coefficients only
    return spec.parse_problem(Map(problem=document), place, sources.name)


def _refuse_densities(problem: Problem) -> None:
    for name, density in problem["instance"]["densities"].items():
        if density["density"] != 1:
            place = problem["instance"].place_of("densities")
            raise TqhwError(
                f"not modelled: a density of {density['density']} of {name}",
                place=place,
                lever="remove `densities:` for the dense problem",
            )


def load_mapping(sources: Sources, problem: spec.Problem, machine: Machine | None = None) -> spec.Mapping:
    """The mapping in files: a list under ``mapping``, of the front end or of Timeloop's programs.

    A factor of 0 is what the others leave of its dimension.
    """
    top, more, place = sources.joined()
    if "mapping" not in top:
        raise TqhwError("no file has 'mapping'", place=place, lever="give a file with `mapping:`")
    directives: list[Any] = []
    for value in (top["mapping"], *(value for name, value, _ in more if name == "mapping")):
        if not isinstance(value, list):
            raise TqhwError("a mapping is a list of directives", place=place)
        directives += value
    directives = legacy.directives(directives, problem, machine.document if machine is not None else None)
    return spec.parse_mapping(Map(mapping=directives), place)


def sources(
    given: str | Path | Sequence[str | Path], data: Mapping[str, Any] | None = None, allow: Iterable[str | Path] = ()
) -> Sources:
    """One name or several as :class:`Sources`."""
    files = [given] if isinstance(given, str | Path) else given
    return Sources(tuple(str(file) for file in files), data, tuple(str(folder) for folder in allow))
