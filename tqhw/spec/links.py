"""Neighbour links that are forbidden: by the constraints of a fan-out, and by a mapping's own directive.

Timeloop's programs heed a mapping's directive alone; its Python front end writes what an architecture says into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tqhw.spec.hardware import Hardware, Level
from tqhw.spec.mapping import LevelMapping, Loops, Mapping


def forbidden_links(level: Level, data_spaces: Sequence[str]) -> tuple[str, ...]:
    """The data spaces whose words neighbours below a level must not hand on. Raises TqhwError for unknown names."""
    place = level.constraints.place or f"constraints of {level.node}"
    linked = level.constraints.spatial.links(data_spaces, place)
    return tuple(name for name, may in zip(data_spaces, linked, strict=True) if not may)


def forbid_links(hardware: Hardware, mapping: Mapping) -> Hardware:
    """The hardware without the links that a mapping forbids, beside those that its own constraints forbid."""
    forbidden = {part.target: part.spatial.no_links for part in mapping.levels if part.spatial is not None}
    if not any(forbidden.values()):
        return hardware

    def without(level: Level) -> Level:
        spatial = level.constraints.spatial
        own = forbidden.get(level.name) or (forbidden.get(level.node, ()) if level.kind == "fanout" else ())
        names = tuple(dict.fromkeys((*spatial.no_links, *own)))
        return replace(level, constraints=replace(level.constraints, spatial=replace(spatial, no_links=names)))

    return replace(hardware, levels=tuple(map(without, hardware.levels)))


def name_links(mapping: Mapping, hardware: Hardware, data_spaces: Sequence[str]) -> Mapping:
    """The mapping, by the engine's names, with all links in it that it or the hardware forbids."""
    levels = {level.name: level for level in forbid_links(hardware, mapping).levels if level.fanout > 1}

    def named(part: LevelMapping) -> LevelMapping:
        names = forbidden_links(levels[part.target], data_spaces) if part.target in levels else ()
        return replace(part, spatial=replace(part.spatial or Loops(), no_links=names)) if names else part

    return Mapping(tuple(map(named, mapping.levels)))
