"""Architectures that Timeloop's programs read directly: trees of 0.2 and 0.3, the flat trees that the front end writes.

Source of the semantics: Timeloop's ``topology.cpp``, ``buffer.cpp``, ``constraints.cpp``, ``parser.cpp``: one entry per
``subtree``; a name may end in a range ``[a..b]``, and instances multiply down the tree; loops over space belong to
the level above the fan-out; hyphens in keys are underscores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.arch import COMPUTE, NETWORK, STORAGE
from tqhw.frontend.sections import VERSION
from tqhw.spec import yamlio
from tqhw.spec.architecture import COMPUTE_CLASSES, STORAGE_CLASSES
from tqhw.spec.constraints import parse_factors, parse_permutation
from tqhw.spec.fields import is_whole
from tqhw.spec.yamlio import Map, tagged

_RANGE = re.compile(r"(.*?)\[(.*)\]")
_ATTRIBUTES = {  # names that the programs take beside those of 0.4
    "word_bits": "datawidth",
    "word_width": "datawidth",
    "memory_width": "width",
    "data_storage_width": "width",
    "memory_depth": "depth",
    "data_storage_depth": "depth",
    "n_words": "block_size",
}
_ADDED: dict[str, tuple[Any, ...]] = {  # what the front end writes into every level
    "has_power_gating": (False,),
    "power_gated_at": (),
    "n_banks": (2,),
    "cluster_size": (1,),
    "reduction_supported": (True,),
    "multiple_buffering": (1,),
    "min_utilization": (0,),
    "allow_overbooking": (False,),
}
_TYPES = {"bypassing": "dataspace", "bypass": "dataspace", "datatype": "dataspace", "dataspace": "dataspace"}
_SPARSE = ("sparse_optimizations", "max_overbooked_proportion")


@dataclass
class _LegacyLevel:
    """One entry of a ``local``: instances and mesh in all, attributes with those of the subtrees above."""

    name: str
    class_: str
    subclass: str | None
    attributes: Map
    mesh: tuple[int, int]
    entry: Map
    array: str

    @property
    def computes(self) -> bool:
        return not any(word in self.class_ for word in STORAGE) and any(word in self.class_ for word in COMPUTE)


def is_tree(top: Mapping[str, Any]) -> bool:
    """Whether the architecture has the form of the programs."""
    body = top.get("architecture")
    return (isinstance(body, Map) and "subtree" in body) or is_list(top)


def is_list(top: Mapping[str, Any]) -> bool:
    """Whether the architecture has the form before trees: ``arch`` with ``arithmetic`` and ``storage``."""
    body = top.get("arch")
    return isinstance(body, Map) and "arithmetic" in body and "storage" in body


def _as_tree(arch: Map) -> Map:
    """``arch: {arithmetic, storage}``, whose memories stand innermost first, as a tree of one subtree."""
    local: list[Map] = []
    for item in [*reversed(arch["storage"] or []), arch["arithmetic"]]:
        given = as_checked(item, "an entry of `arch`")
        attributes = Map({key: value for key, value in given.items() if key not in ("name", "instances")})
        dram = attributes.get("technology") == "DRAM"
        class_ = "intmac" if item is arch["arithmetic"] else "DRAM" if dram else "SRAM"
        count = _whole(given.get("instances", 1), str(given.get("name", "arithmetic")), given)
        entry = Map({"name": f"{given.get('name', 'MAC')}[1..{count}]", "class": class_, "attributes": attributes})
        if dram:
            del attributes["technology"]
        attributes.source = entry.source = given.source
        attributes.line = entry.line = given.line
        local.append(entry)
    body = Map(version=VERSION, subtree=[Map(name="system", local=local)])
    body.source, body.line = arch.source, arch.line
    return body


def document(top: Map, more: Iterable[tuple[str, Any, str]]) -> Map:
    """The tree as a document of version 0.4 with its constraints at their nodes.

    ``variables`` beside the tree, which the programs do not know, say what the attributes of its root do not.
    """
    sections = {name: underscored(value) for name, value in top.items()}
    body = _as_tree(sections["arch"]) if is_list(top) else as_checked(sections["architecture"], "architecture")
    for name in _SPARSE:
        if sections.get(name):
            raise TqhwError(f"not modelled: {name}", place=top.place(name), lever="remove it")
    levels: list[_LegacyLevel] = []
    for subtree in body["subtree"] or []:
        _walk(as_checked(subtree, "a subtree"), Map(), (1, 1, 1), "", levels)
    if not levels:
        raise TqhwError("the tree has no level", place=body.place(), lever="give `local:` entries")
    targets = _targets(sections, more)
    nodes = _nodes(levels, targets)
    if targets:
        name, entries = next(iter(targets.items()))
        known = [level.name for level in levels]
        raise unknown("target", name, known, entries[0].place() if entries[0].source else None)
    first = as_checked(body["subtree"][0], "a subtree")
    beside = [*top.items(), *((name, value) for name, value, _ in more)]
    given = [as_checked(value, name) for name, value in beside if name == "variables" and value is not None]
    given.append(first.get("attributes") or Map())
    variables = Map({key: value for part in given for key, value in part.items() if key not in _ADDED})
    result = Map(architecture=Map(version=VERSION, nodes=nodes), variables=variables)
    result.source, result["architecture"].source = body.source, body.source
    return result


def components(top: Map, more: Iterable[tuple[str, Any, str]]) -> str:
    """The component classes beside a tree, as YAML, or ""."""
    classes: list[Any] = []
    for name, value in [*top.items(), *((name, value) for name, value, _ in more)]:
        if "components" in name and isinstance(value, Map):
            classes += value.get("classes") or []
    return yamlio.dump(Map(compound_components=Map(version=VERSION, classes=classes))) if classes else ""


def as_checked(value: Any, what: str) -> Map:
    if not isinstance(value, Map):
        raise TqhwError(f"{what} must be a mapping, found {str(value)[:60]!r}", place=what)
    return value


def underscored(value: Any) -> Any:
    """Keys with underscores in place of hyphens, here and below."""
    if isinstance(value, Map):
        result = Map()
        result.line, result.source, result.tag = value.line, value.source, value.tag
        for key, item in value.items():
            result[key.replace("-", "_")] = underscored(item)
            if key in value.lines:
                result.lines[key.replace("-", "_")] = value.lines[key]
        return result
    if isinstance(value, list):
        return [underscored(item) for item in value]
    return value


def _named(entry: Map) -> tuple[str, int]:
    """(name, instances) of ``PE[0..15]``. Raises TqhwError for a broken range."""
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise TqhwError("an entry of the tree has no name", place=entry.place(), lever="add `name:`")
    match = _RANGE.fullmatch(name)
    if match is None:
        if "[" in name or "]" in name:
            raise TqhwError(f"'{name}' has a broken range", place=entry.place("name"), lever="write NAME[0..3]")
        return name, 1
    bounds = re.fullmatch(r"\s*(\d{1,9})\s*(?:\.\.\s*(\d{1,9})\s*)?", match[2])
    if bounds is None or (bounds[2] is not None and int(bounds[2]) < int(bounds[1])):
        raise TqhwError(f"'{name}' has a broken range", place=entry.place("name"), lever="write NAME[0..3]")
    return match[1], 1 if bounds[2] is None else int(bounds[2]) - int(bounds[1]) + 1


def _walk(subtree: Map, inherited: Map, above: tuple[int, int, int], array: str, levels: list[_LegacyLevel]) -> None:
    name, count = _named(subtree)
    instances = above[0] * count
    array = name if count > 1 else array
    scope = Map({**inherited, **(subtree.get("attributes") or {})})
    for item in subtree.get("local") or []:
        entry = as_checked(item, "an entry of `local`")
        level = _level(entry, scope, instances, array)
        if level is not None:
            levels.append(level)
    inner = subtree.get("subtree") or []
    if len(inner) > 1:
        raise TqhwError("a subtree has two branches", place=subtree.place("subtree"), lever="Timeloop takes one")
    for item in inner:
        _walk(as_checked(item, "a subtree"), scope, (instances, 1, 1), array, levels)


def _level(entry: Map, scope: Map, instances: int, array: str) -> _LegacyLevel | None:
    name, count = _named(entry)
    class_ = entry.get("class")
    if not isinstance(class_, str):
        raise TqhwError(f"'{name}' has no class", place=entry.place(), lever="add `class:`")
    if not any(word in class_ for word in (*STORAGE, *COMPUTE)):
        if any(word in class_ for word in NETWORK):
            raise TqhwError(f"not modelled: the network '{name}'", place=entry.place(), lever="remove it")
        raise unknown("component class", class_, (*STORAGE, *COMPUTE), entry.place("class"))
    own = entry.get("attributes") or Map()
    attributes = Map({**scope, **own})
    if isinstance(own, Map):
        attributes.line, attributes.source = own.line, own.source
    if any(word in class_ for word in STORAGE):
        _check_words(name, attributes, entry)
    for old, new in _ATTRIBUTES.items():
        if old in attributes:
            attributes.setdefault(new, attributes[old])
            del attributes[old]
    # `instances` of an entry stands for the ranges above it (ParseSpecs of buffer.cpp and arithmetic.cpp).
    given = own.get("instances") if isinstance(own, Map) else None
    total = instances * count if given is None else _whole(given, name, entry)
    mesh_x = attributes.pop("meshX", None)
    mesh_y = attributes.pop("meshY", None)
    columns = total if mesh_x is None else _whole(mesh_x, name, entry)
    rows = (total // columns if total % columns == 0 else 0) if mesh_y is None else _whole(mesh_y, name, entry)
    if columns * rows != total:
        raise TqhwError(
            f"the {total} instances of '{name}' are no mesh of {columns} columns",
            place=entry.place(),
            lever="let meshX divide them",
        )
    if attributes.get("instances") == total:
        del attributes["instances"]
    _drop_second_size(attributes)
    _add_cluster_size(attributes)
    for key, values in _ADDED.items():
        if key in attributes and (attributes[key] is None or attributes[key] in values or key == "power_gated_at"):
            del attributes[key]
    subclass = entry.get("subclass")
    return _LegacyLevel(name, class_, subclass, attributes, (columns, rows), entry, array)


def _check_words(name: str, attributes: Map, entry: Map) -> None:
    """Refuses two widths of a word: Timeloop counts with one, Accelergy's energies may take the other."""
    bits = attributes.get("datawidth")
    for old in ("word_bits", "word_width"):
        if bits is not None and attributes.get(old, bits) != bits:
            message = f"'{name}' has {old} {attributes[old]} and datawidth {bits}"
            lever = f"keep one: Timeloop counts with {old}, Accelergy's energies may take datawidth"
            raise TqhwError(message, place=entry.place(), lever=lever)


def _drop_second_size(attributes: Map) -> None:
    """Takes out ``entries`` where ``depth`` and the row say the same."""
    try:
        words = attributes["depth"] * (attributes["width"] // attributes["datawidth"])
    except (KeyError, TypeError, ZeroDivisionError):
        return
    if attributes.get("entries") == words:
        del attributes["entries"]


def _add_cluster_size(attributes: Map) -> None:
    """Timeloop takes a row that is several blocks wide for that of several instances (ParseSpecs of buffer.cpp)."""
    sizes: list[Any] = [attributes.get(key) for key in ("width", "block_size", "datawidth")]
    if "cluster_size" not in attributes and all(is_whole(size) for size in sizes):
        width, block_size, bits = sizes
        if width % (block_size * bits) == 0:
            attributes["cluster_size"] = width // (block_size * bits)


def _whole(value: Any, name: str, entry: Map) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TqhwError(f"the mesh of '{name}', {value}, must be a whole number of at least 1", place=entry.place())
    return value


def _targets(sections: Mapping[str, Any], more: Iterable[tuple[str, Any, str]]) -> dict[str, list[Map]]:
    """All constraint entries by their target."""
    found: dict[str, list[Map]] = {}
    given = [*sections.items(), *((name, underscored(value)) for name, value, _ in more)]
    for name, value in given:
        if "ignore" in name or ("constraints" not in name and name != "mapspace"):
            continue
        section = value.get("targets", value.get("constraints")) if isinstance(value, Map) else value
        for item in section or []:
            entry = as_checked(item, "a constraint")
            if "target" not in entry or "type" not in entry:
                raise TqhwError("a constraint has a target and a type", place=entry.place(), lever="add both")
            found.setdefault(str(entry["target"]), []).append(entry)
    return found


def _nodes(levels: list[_LegacyLevel], targets: dict[str, list[Map]]) -> list[Map]:
    """One node per level, and a container where the mesh grows; takes what it uses out of ``targets``."""
    nodes: list[Map] = []
    names = {level.name for level in levels}
    mesh = (1, 1)
    waiting: Map | None = None  # loops over space of the level above
    spread = ""  # the node whose fan-out the level above stands for
    for level in levels:
        grown = (level.mesh[0] // mesh[0], level.mesh[1] // mesh[1])
        if level.mesh != (mesh[0] * grown[0], mesh[1] * grown[1]):
            raise TqhwError(
                f"the mesh of '{level.name}', {level.mesh[0]} x {level.mesh[1]}, is no multiple of the one above",
                place=level.entry.place(),
                lever="let every level have a multiple of the instances above it",
            )
        fan = Map(spatial=Map(meshX=grown[0], meshY=grown[1])) if grown != (1, 1) or waiting else Map()
        if waiting:
            fan["constraints"] = Map(spatial=waiting)
        mesh = level.mesh
        own, waiting = _constraints(targets.pop(level.name, []))
        if fan and spread != level.name:
            nodes.append(_array(spread or _array_name(level, names), fan, level))
            names.add(str(nodes[-1]["name"]))
            fan = Map()
        if _is_spread(level):
            spread = level.name.removeprefix("inter_").removesuffix("_spatial")
            continue
        spread = ""
        own.update(fan.pop("constraints", {}))
        nodes.append(_node(level, own, fan))
    return nodes


def _array(name: str, fan: Map, level: _LegacyLevel) -> Map:
    node = tagged("!Container", name=name, **fan)
    node.line, node.source = level.entry.line, level.entry.source
    return node


def _is_spread(level: _LegacyLevel) -> bool:
    return level.class_ == "dummy_storage" and level.name.startswith("inter_")


def _array_name(level: _LegacyLevel, names: set[str]) -> str:
    wanted = level.array or f"{level.name}_array"
    while wanted in names:
        wanted += "_array"
    return wanted


def _node(level: _LegacyLevel, constraints: Map, fan: Map) -> Map:
    known = COMPUTE_CLASSES if level.computes else STORAGE_CLASSES
    node = tagged("!Component", name=level.name, **fan)
    node["class"] = level.class_
    if level.class_.partition("_")[0] not in known:
        node["class"] = "compute" if level.computes else "storage"
        node["subclass"] = level.subclass or level.class_
    elif level.subclass:
        node["subclass"] = level.subclass
    node["attributes"] = level.attributes
    for key in ("area_scale", "energy_scale"):
        if level.entry.get(key) is not None:
            node[key] = level.entry[key]
    if constraints:
        node["constraints"] = constraints
    node.line, node.source = level.entry.line, level.entry.source
    return node


def _constraints(entries: list[Map]) -> tuple[Map, Map | None]:
    """(constraints of the node, those of the fan-out below it)."""
    own, spatial = Map(), None
    for entry in entries:
        kind = _TYPES.get(str(entry["type"]), str(entry["type"]))
        rest = Map({key: value for key, value in entry.items() if key not in ("type", "target")})
        rest.line, rest.source, rest.lines = entry.line, entry.source, entry.lines
        _as_lists(rest)
        if kind in ("utilization", "parallelism"):
            minimum = rest.get("min", (rest.get("attributes") or {}).get("min"))
            own["utilization"] = minimum
        elif kind == "spatial":
            spatial = rest
        elif kind in ("temporal", "dataspace"):
            own[kind] = rest
        else:
            known = ("temporal", "spatial", *_TYPES, "utilization", "parallelism")
            raise unknown("constraint type", str(entry["type"]), known, entry.place())
    return own, spatial


def _as_lists(constraint: Map) -> None:
    """Factors and permutation as version 0.4 has them, in place."""
    if constraint.get("factors") is not None:
        found = parse_factors(without_rests(constraint), constraint.place("factors"))
        constraint["factors"] = [f"{d}{sign}{n}" for sign, of in found.items() for d, n in of.items()]
    if isinstance(constraint.get("permutation"), str):
        prefix, suffix = parse_permutation(constraint["permutation"], constraint.place("permutation"))
        constraint["permutation"] = [*prefix, *(("_", *suffix) if suffix else ())]


def without_rests(entry: Map) -> Any:
    """Factors without the remainders that the programs write where there is none: ``C3,3``."""
    factors = entry["factors"]
    items = factors if isinstance(factors, list) else re.split(r"[\s,]+(?=[A-Za-z_])", str(factors).strip())
    return [re.sub(r"(\d+)\s*,\s*\1\s*$", r"\1", item) if isinstance(item, str) else item for item in items]
