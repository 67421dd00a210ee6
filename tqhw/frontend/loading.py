"""What the commands read: an architecture, a problem or a mapping of any of the field's files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tqhw import spec
from tqhw.errors import TqhwError
from tqhw.frontend import engine, legacy, legacy_mapping, legacy_problem
from tqhw.frontend.arch import COMPUTE, check_names
from tqhw.frontend.base import BARE_WORDS, Key
from tqhw.frontend.clean import as_map, clean_files
from tqhw.frontend.macros import attach, attach_sparse, leave_out_sized, write_out
from tqhw.frontend.sections import ProblemNode
from tqhw.frontend.specification import Specification, given_files, joined_files
from tqhw.frontend.warnings import doubtful_nodes
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map

TABLES = ("ERT", "ART")
"""Read as ``--ert`` and ``--art`` read them: whole numbers, no arguments, keys of other programs."""


_ENDINGS: Final = re.compile(r"(?<=.)(\.(ya?ml|jinja2?|j2))+$", re.IGNORECASE)


class _Machine(Specification):
    """A specification that needs no problem."""

    fields = {"problem": Key((ProblemNode,), None)}  # noqa: RUF012


class _Sections(dict[str, Any]):
    """The sections that expressions see as ``spec``; ``asked`` once one looks at the problem."""

    asked = False

    def __getitem__(self, name: str) -> Any:
        self.asked |= name == "problem"
        return super().__getitem__(name)

    def public(self) -> Mapping[str, Any]:
        return self


class _LayerSpecification(Specification):
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
        """The first file's or folder's own name, less the endings of YAML and templates; of a pattern, its folder's."""
        path = Path(os.path.abspath(self.files[0]))  # noqa: PTH100 - a link keeps the name that it was given by
        if path.exists():
            return (path.name if path.is_dir() else _ENDINGS.sub("", path.name)) or "architecture"
        return path.parent.name or "architecture"

    def joined(self) -> tuple[Map, list[tuple[str, Any, str]], str]:
        top, more, reader = joined_files(self.files, self.data, self.allow)
        return top, more, ", ".join(str(path) for path in reader.given)


@dataclass(frozen=True)
class Machine:
    """An architecture as the engines read it. ``components``: its own classes, as YAML, or ""; its notes: warnings.

    ``sized``: constraints were left out that are factors only once a problem is known, or expressions look at it.
    """

    architecture: spec.Architecture
    document: Map
    components: str
    sized: bool = False

    @property
    def text(self) -> str:
        return yamlio.dump(self.document)


def load_machine(sources: Sources, problem: spec.Problem | None = None, per_problem: bool = False) -> Machine:
    """The architecture in files, with the energies and areas that stand beside it.

    Expressions see ``problem``, or the one among the files. Constraint macros that depend on its sizes are written out
    where it is given; ``per_problem`` leaves them out, for whoever asks again with each.

    Raises TqhwError for whatever the front end refuses, two architectures, and what is not modelled.
    """
    top, more, place = sources.joined()
    if twice := [where for name, _, where in more if name == "architecture"]:
        first = top.place("architecture")
        raise TqhwError(f"two architectures are given, at {first} and at {twice[0]}", place=place, lever="give one")
    tables = _tables(top, more)
    more = [entry for entry in more if entry[0] not in TABLES]
    if legacy.is_tree(top):
        document = legacy.document(top, more)
        components = legacy.components(top, more)
        warnings: tuple[str, ...] = ()
        sized = False
    else:
        _check_compute(top.get("architecture"), place)
        found = _Machine(top, more, place)
        if problem is not None:
            found["problem"] = _section(problem)
        bare: list[str] = []
        seen = _Sections(found.public())
        try:
            found.evaluate({BARE_WORDS: bare, "spec": seen})
        except TqhwError as error:
            if not seen.asked or found["problem"] is not None:
                raise
            lever = "give the problem, too: --problem FILE, or its file among these"
            said = error.message.partition("': ")[0]
            message = f"{said}': no problem is given"
            raise TqhwError(message, place=error.place, lever=lever) from None
        architecture = found["architecture"]
        warnings = (*bare, *doubtful_nodes(architecture))
        attach(architecture, found["constraints"]["targets"])
        attach(architecture, found["mapping"])
        attach_sparse(architecture, found["sparse_optimizations"]["targets"])
        found["sparse_optimizations"]["targets"].clear()
        if problem is not None and not per_problem:
            write_out(architecture, found["problem"])
        sized = (per_problem and leave_out_sized(architecture)) or seen.asked
        document = engine.document(found)
        components = yamlio.dump(Map(compound_components=as_map(found["components"])))
        components = components if found["components"]["classes"] else ""
    document.update(tables)
    for name, reader in (("ERT", spec.parse_ert), ("ART", spec.parse_art)):
        if name in document:
            reader(document, place)
    try:
        parsed = spec.parse_architecture(document, place, sources.name)
    except TqhwError as error:
        if not legacy.is_tree(top):
            raise
        read = "the file was read as a tree of version 0.2 or 0.3"
        raise TqhwError(error.message, place=error.place, lever="; ".join(filter(None, (error.lever, read)))) from None
    return Machine(replace(parsed, notes=(*parsed.notes, *warnings)), document, components, sized)


def convert(sources: Sources) -> dict[str, Map]:
    """The files as clean documents of version 0.4, by file name; trees of 0.2 and 0.3 in parts, too.

    Raises TqhwError as the readers here do.
    """
    top, more, place = sources.joined()
    given = {*top, *(name for name, _, _ in more)}
    problem = top.get("problem")
    if (
        "problem" in given
        and "architecture" in given
        and not (legacy.is_tree(top) or (isinstance(problem, Map) and legacy_problem.is_problem(problem)))
    ):
        found = Specification(top, more, place)
        found.evaluate()
        check_names(found["architecture"].nodes)
        return clean_files(found)
    files: dict[str, Map] = {}
    layer = machine = None
    if "problem" in given:
        layer = load_problem(sources)
        files["problem.yaml"] = yamlio.parse(spec.dump_problem(layer))
    if "architecture" in given or legacy.is_list(top):
        machine = load_machine(sources, layer)
        files["architecture.yaml"] = machine.document
        if machine.components:
            files["components.yaml"] = yamlio.parse(machine.components)
        for component in machine.architecture.components():
            if component.constraints.min_utilization:
                lever = "keep it where a command reads the tree itself"
                raise TqhwError("version 0.4 has no utilization constraint", place=component.place, lever=lever)
    if "mapping" in given and layer is not None and machine is not None:
        hardware = spec.flatten(machine.architecture)
        loops = load_mapping(sources, layer, hardware)
        files["mapping.yaml"] = Map(mapping=legacy_mapping.clean_mapping(loops, hardware))
    if not files:
        raise TqhwError(
            f"nothing here is converted alone: {', '.join(sorted(given))}",
            place=place,
            lever="give the architecture and the problem too",
        )
    return files


def _tables(top: Map, more: list[tuple[str, Any, str]]) -> dict[str, Any]:
    """Takes the ERT and the ART out of the files, as they are; none without tables. Raises TqhwError for two of one."""
    found: dict[str, Any] = {}
    for name in TABLES:
        given = [(value, where) for key, value, where in more if key == name]
        if name in top:
            given.insert(0, (top.pop(name), top.place(name)))
        given = [(value, where) for value, where in given if not (isinstance(value, Map) and value.get("tables") == [])]
        if len(given) > 1:
            message = f"two {name}s are given, at {given[0][1]} and at {given[1][1]}"
            raise TqhwError(message, place=given[0][1], lever="give one")
        if given:
            found[name] = given[0][0]
    return found


def _check_compute(architecture: Any, place: str) -> None:
    """Says that nothing computes before it says what else is missing at a component whose class is mistaken."""
    stack, classes = [architecture], []
    while stack:
        item = stack.pop()
        if isinstance(item, Map) and item.tag == "!Component":
            classes.append(str(item.get("class")))
        elif isinstance(item, Map):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    if classes and not any(any(word in class_ for word in COMPUTE) for class_ in classes):
        raise TqhwError(
            "an architecture needs exactly one compute component, found 0",
            place=place,
            lever=f"give one component a class of {', '.join(COMPUTE)}",
        )


def _section(problem: spec.Problem) -> ProblemNode:
    section = ProblemNode(yamlio.parse(spec.dump_problem(problem))["problem"])
    section.evaluate({})
    return section


def load_problem(sources: Sources) -> spec.Problem:
    """The problem in files, in the form of version 0.4 or of 0.2 and 0.3."""
    top, more, place = sources.joined()
    if "problem" not in top:
        raise TqhwError("no file has 'problem'", place=place, lever="give a file with `problem:`")
    given = top["problem"]
    if isinstance(given, Map) and legacy_problem.is_problem(given):
        found = spec.parse_problem(Map(problem=legacy_problem.problem(given)), top.place("problem"), sources.name)
        note = (legacy_problem.default_note(given),) if legacy_problem.has_no_shape(given) else ()
        return replace(found, notes=(*note, *found.notes))
    only = Map({name: top[name] for name in ("variables", "problem") if name in top})
    only.lines, only.source = top.lines, top.source
    later = [entry for entry in more if entry[0] in only]
    specification = _LayerSpecification(only, later, place)
    specification.evaluate()
    section = specification["problem"]
    _refuse_densities(section)
    document = as_map(section)
    return spec.parse_problem(Map(problem=document), place, sources.name)


def _refuse_densities(problem: ProblemNode) -> None:
    for name, density in problem["instance"]["densities"].items():
        if density["density"] != 1:
            place = problem["instance"].place_of("densities")
            raise TqhwError(
                f"not modelled: a density of {density['density']} of {name}",
                place=place,
                lever="remove `densities:` for the dense problem",
            )


def load_mapping(sources: Sources, problem: spec.Problem, hardware: spec.Hardware | None = None) -> spec.Mapping:
    """The mapping in files: a list under ``mapping``, of the front end or of Timeloop's programs.

    A factor of 0 is what the others leave of its dimension. Loops over space that are given to a memory of ``hardware``
    go to the fan-out below it.
    """
    top, more, place = sources.joined()
    if "mapping" not in top:
        raise TqhwError("no file has 'mapping'", place=place, lever="give a file with `mapping:`")
    directives: list[Any] = []
    for value in (top["mapping"], *(value for name, value, _ in more if name == "mapping")):
        if not isinstance(value, list):
            raise TqhwError("a mapping is a list of directives", place=place)
        directives += value
    mapping = spec.parse_mapping(Map(mapping=legacy_mapping.directives(directives, hardware)), place)
    return spec.filled(mapping, problem.bounds)


def sources(
    given: str | Path | Sequence[str | Path], data: Mapping[str, Any] | None = None, allow: Iterable[str | Path] = ()
) -> Sources:
    """One name or several as :class:`Sources`. Raises TqhwError where one finds no file."""
    files = [given] if isinstance(given, str | Path) else given
    given_files(files)
    return Sources(tuple(str(file) for file in files), data, tuple(str(folder) for folder in allow))
