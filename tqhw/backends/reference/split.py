"""A mapping on memories with words of several widths, as one of unmodified Timeloop: a component per data space.

Timeloop knows one word size per memory. So every memory is split into one component for each data space that the
mapping keeps there, as deep as its rows in that mapping, and each costs what the whole memory costs. The innermost of
the parts carries the memory's loops; the others have none, so that all of them hold the same tile.

Counts are the same but for words over neighbour links right below a fan-out: of the parts of a memory there, Timeloop
gives links to the outermost alone, so the count of every other data space takes a split with its part ``outermost``.
Cycles are the same where no bandwidth is shared; parts have their own.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import replace
from typing import Any, NamedTuple

from tqhw.errors import TqhwError
from tqhw.spec import ERT, Component, Compute, Hardware, Level, LevelMapping, Mapping, Problem, Spatial, yamlio
from tqhw.spec.constraints import NO_LINKS, Constraints, LoopConstraint
from tqhw.spec.hardware import PackedSpace
from tqhw.spec.memory import BANDWIDTHS, NAMES, underscored

_OWN = (  # attributes of a memory that a part has its own of, under all their names
    *(name for names in NAMES.values() for name in names),
    *("entries", "sizeKB", "multiple_buffering"),
    *BANDWIDTHS,
)


class Split(NamedTuple):
    """What unmodified Timeloop is given. ``parts``: the components of every memory, by data space."""

    hardware: Hardware
    ert: ERT
    mapping: Mapping
    parts: dict[str, dict[str, str]]


def split(
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    mapping: Mapping,
    rows: MappingABC[str, MappingABC[str, int]],
    outermost: str | None = None,
) -> Split:
    """Splits all memories of packed hardware for one valid mapping of a problem.

    ``rows``: of the tile that one instance holds, by level and data space (words, where a word takes several rows).
    ``outermost``: the data space whose part is
    the outermost of every memory that keeps it. Raises TqhwError for memories of packing ``ideal``, whose rows no
    memory has.
    """
    names = problem.shape.data_space_names
    levels: list[Level] = []
    energies = {name: dict(actions) for name, actions in ert.energies.items()}
    loops: list[LevelMapping] = []
    parts: dict[str, dict[str, str]] = {}
    for level in hardware.levels:
        found = mapping.level(level.name)
        if level.packing is None:
            levels.append(level)
            loops.append(found)
            continue
        kept = [s for s in level.packing.spaces if s.name in found.keep or s.name not in found.bypass]
        kept.sort(key=lambda space: space.name == outermost)
        parts[level.name] = {}
        for i, space in enumerate(kept or level.packing.spaces[:1]):
            name = f"{level.name}_{space.name}"
            keep = (space.name,) if kept else ()
            bypass = tuple(n for n in names if n not in keep)
            parts[level.name][space.name] = name
            levels.append(part_of(level, space, name, rows[level.name].get(space.name, 1)))
            # A word may take several rows, each of them an access; the whole memory leaks once.
            whole = {action: pj if action == "leak" else pj * space.rows for action, pj in energies[level.name].items()}
            energies[name] = {**whole, **({"leak": 0.0} if i else {})}
            loops.append(LevelMapping(name, keep, bypass, *((found.temporal,) if not i else ())))
    return Split(replace(hardware, levels=tuple(levels)), ERT(energies), Mapping(tuple(loops)), parts)


def part_of(level: Level, space: PackedSpace, name: str, rows: int) -> Level:
    """A memory for the words of one data space alone, ``rows`` deep, without constraints. Raises as :func:`split`."""
    if space.rows > 1 and space.words > 1:
        raise TqhwError(
            f"{level.name}: {space.words} words of {space.name} in {space.rows} rows (packing: ideal)",
            place=level.name,
            lever="no memory has such rows; verify with packing: pack",
        )
    words = {key: getattr(level, key) for key in BANDWIDTHS if key != "bandwidth"}
    words = {key: None if b is None else b * level.word_bits / space.bits for key, b in words.items()}
    size = None if level.size is None else rows * space.words
    return replace(
        level,
        name=name,
        word_bits=space.bits,
        block_size=space.words,
        size=size,
        effective_size=size,
        multiple_buffering=1.0,
        **words,
        packing=None,
        constraints=Constraints(),
        component=None if level.component is None else _component(level.component, name, space, size, rows, words),
    )


def _component(
    whole: Component, name: str, space: PackedSpace, size: int | None, rows: int, bandwidths: dict[str, float | None]
) -> Component:
    attributes = {key: value for key, value in whole.attributes.items() if underscored(key) not in _OWN}
    attributes |= {"datawidth": space.bits, "block_size": space.words}
    if size is not None:
        attributes["depth"] = rows
    attributes |= {key: value for key, value in bandwidths.items() if value is not None}
    return replace(whole, name=name, attributes=attributes, own=attributes, spatial=Spatial())


def text_of(hardware: Hardware, variables: MappingABC[str, Any]) -> str:
    """A v0.4 architecture with these levels, one below the other, and nothing inherited.

    Their constraints say by ``keep`` and ``bypass`` what they say of data spaces.
    """
    nodes: list[yamlio.Map] = []
    fanout: Level | None = None
    levels: list[Level | Compute] = [*reversed(hardware.levels), hardware.compute]
    for level in levels:
        if isinstance(level, Level) and level.kind == "fanout":
            nodes += [] if fanout is None else [_container(fanout)]
            fanout = level
            continue
        spatial = {}
        if fanout is not None and fanout.node == level.name:
            spatial = {"spatial": _mesh(fanout)}
        nodes += [] if fanout is None or spatial else [_container(fanout)]
        nodes.append(_node(level, {**spatial, **_constraints(level, fanout if spatial else None)}))
        fanout = None
    return yamlio.dump({"architecture": {"version": "0.4", "nodes": nodes}, "variables": _plain(variables)})


def _container(level: Level) -> yamlio.Map:
    return yamlio.tagged("!Container", name=level.node, spatial=_mesh(level), **_constraints(None, level))


def _constraints(level: Level | Compute | None, fanout: Level | None) -> dict[str, Any]:
    """What a node says: ``level`` of its data spaces and loops over time, its ``fanout`` of those in space."""
    found: dict[str, Any] = {}
    if isinstance(level, Level):
        own = level.constraints
        spaces = {key: list(names) for key, names in (("keep", own.keep), ("bypass", own.bypass)) if names}
        found = {"dataspace": spaces, "temporal": _loops(own.temporal)}
        found |= {"utilization": own.min_utilization} if own.min_utilization else {}
    if fanout is not None:
        found["spatial"] = _loops(fanout.constraints.spatial)
    said = {key: value for key, value in found.items() if value}
    return {"constraints": said} if said else {}


def _loops(loops: LoopConstraint) -> dict[str, Any]:
    factors = [f"{d}={n}" for d, n in loops.factors.items()]
    factors += [f"{d}<={n}" for d, n in loops.at_most.items()] + [f"{d}>={n}" for d, n in loops.at_least.items()]
    found: dict[str, Any] = {"factors_only": factors} if loops.others_one else {"factors": factors} if factors else {}
    if loops.permutation or loops.suffix:
        found["permutation"] = [*loops.permutation, *(("_", *loops.suffix) if loops.suffix else ())]
    if loops.not_over:
        found["no_iteration_over_dataspaces"] = list(loops.not_over)
    if loops.no_links:
        found[NO_LINKS] = list(loops.no_links)
    return {**found, **({} if loops.split is None else {"split": loops.split})}


def _mesh(level: Level) -> dict[str, int]:
    return {"meshX": level.fanoutX, "meshY": level.fanoutY}


def _node(level: Level | Compute, spatial: dict[str, Any]) -> yamlio.Map:
    component = level.component
    assert component is not None
    subclass = {} if component.subclass is None else {"subclass": yamlio.Quoted(component.subclass)}
    given = {"name": level.name, "class": component.class_, **subclass, "attributes": _plain(component.attributes)}
    scales = {"energy_scale": component.energy_scale, "area_scale": component.area_scale}
    return yamlio.tagged("!Component", **given, **{k: v for k, v in scales.items() if v != 1.0}, **spatial)


def _plain(values: MappingABC[str, Any]) -> dict[str, Any]:
    """Values as they are: no text among them is an expression any more."""
    return {key: yamlio.Quoted(value) if isinstance(value, str) else value for key, value in values.items()}
