"""Mappings that Timeloop's programs read directly, where loops over space stand at the level above a fan-out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tqhw import spec
from tqhw.frontend.legacy import underscored, without_rests
from tqhw.spec.constraints import NO_LINKS
from tqhw.spec.yamlio import Map


def directives(items: list[Any], hardware: spec.Hardware | None) -> list[Any]:
    """The directives of a mapping; loops over space at the level above a fan-out, as in 0.3, go to the fan-out."""
    spreads = _spreads(hardware)
    result = []
    for item in items:
        entry = underscored(item)
        if isinstance(entry, Map):
            if entry.get("factors") is not None:
                entry["factors"] = without_rests(entry)
            if entry.get("type") == "spatial":
                entry["target"] = spreads.get(str(entry.get("target")), entry.get("target"))
        result.append(entry)
    return result


def _spreads(hardware: spec.Hardware | None) -> dict[str, str]:
    """The fan-out just below each memory."""
    if hardware is None:
        return {}
    levels = hardware.levels  # innermost first
    return {
        outer.name: inner.name
        for inner, outer in pairwise(levels)
        if inner.kind == "fanout" and outer.kind == "storage"
    }


def clean_mapping(mapping: spec.Mapping, hardware: spec.Hardware) -> list[Map]:
    """The directives in the front end's form: loops over space at the node that fans out."""
    nodes = {level.name: level.node for level in hardware.levels}
    found: list[Map] = []
    for level in mapping.levels:
        name = nodes.get(level.target, level.target)
        if level.keep or level.bypass:
            spaces = Map(target=name, type="dataspace", keep=list(level.keep), bypass=list(level.bypass))
            found += [] if level.target.startswith("inter_") else [spaces]
        loops = {"temporal": level.temporal, "spatial": level.spatial}
        for kind, loop in loops.items():
            if loop is None or (kind == "temporal" and level.target.startswith("inter_")):
                continue
            factors = [f"{d}={loop.factor(d)}" for d in loop.factors]
            entry = Map(target=name, type=kind, factors=factors, permutation=list(loop.permutation))
            if loop.split is not None:
                entry["split"] = loop.split
            if loop.no_links:
                entry[NO_LINKS] = list(loop.no_links)
            found.append(entry)
    return found
