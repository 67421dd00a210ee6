"""A specification written out again: every expression a value, no default that was not given, nothing merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tqhw.frontend.arch import NothingNode
from tqhw.frontend.base import Node
from tqhw.frontend.constraints import Constraint, Factor
from tqhw.frontend.expressions import Word
from tqhw.frontend.nodes import Items, Section
from tqhw.frontend.sections import VERSION
from tqhw.spec.yamlio import Map

_ALONE = ("problem", "mapper", "mapspace", "sparse_optimizations")


def clean_files(specification: Section) -> dict[str, Map]:
    """The documents of an evaluated specification, by file name; read together they give the same specification.

    Environment variables are left out.
    """
    files = {"architecture.yaml": Map(architecture=as_map(specification["architecture"]))}
    files["architecture.yaml"]["variables"] = as_map(specification["variables"])
    if specification["components"]["classes"]:
        files["components.yaml"] = Map(components=as_map(specification["components"]))
    if specification["constraints"]["targets"]:
        files["constraints.yaml"] = Map(constraints=as_map(specification["constraints"]))
    if specification["mapping"]:
        files["mapping.yaml"] = Map(mapping=as_list(specification["mapping"]))
    for name in _ALONE:
        document = as_map(specification[name])
        if set(document) - {"version"}:
            files[f"{name}.yaml"] = Map({name: document})
    if specification["ART"]["tables"]:
        files["tables.yaml"] = Map(ERT=as_map(specification["ERT"]), ART=as_map(specification["ART"]))
    return files


def as_map(section: Section) -> Map:
    """A section with what the files gave it, its tag and its place."""
    result = Map()
    result.tag = section.tag
    result.source, _, line = section.place.partition(": ")[0].rpartition(":")
    result.line = int(line) if line.isdigit() else 0
    if "version" in section.known():
        result["version"] = VERSION
    for name, value in section.items():
        if name == "version" or not _said(section, name, value):
            continue
        place, _, rest = section.lines.get(name, "").rpartition(":")
        number = place.rpartition(":")[2] if rest else ""
        if number.isdigit():
            result.lines[name] = int(number)
        result[name] = plain(value)
    return result


def as_list(items: Items) -> list[Any]:
    return [plain(item) for item in items]


def plain(value: Any) -> Any:
    """Sections as mappings, lists as lists, all else as it is."""
    if isinstance(value, Section):
        return as_map(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping) and not isinstance(value, Node):
        return Map({key: plain(item) for key, item in value.items()})
    return str(value) if isinstance(value, Factor | Word) else value


def _said(section: Section, name: str, value: Any) -> bool:
    """Whether a key says more than its absence would."""
    if value is None or (isinstance(section, NothingNode) and name in ("name", "class")):
        return False
    if name in section.lines:
        return True
    if isinstance(section, Constraint) and name == "type":
        return False
    key = section.key_of(name)
    if isinstance(value, Section):
        return bool(set(as_map(value)) - {"version"})
    return key is None or not key.takes_default(value)
