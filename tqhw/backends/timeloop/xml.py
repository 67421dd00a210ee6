"""The exact statistics in the archive that Timeloop's programs write beside their text (``map+stats.xml``).

Source of the form: Timeloop ``include/model/buffer.hpp`` and ``arithmetic.hpp`` (boost serialization). Doubles carry
17 digits there; the text has two decimals.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqhw.errors import TqhwError
from tqhw.spec.yamlio import read_text

MAX_BYTES = 128 * 1024 * 1024
_CLOSING = "</boost_serialization>"
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class RawCompute:
    """The compute level: energy in pJ of all instances, un-throttled cycles."""

    name: str
    energy_pj: float
    cycles: int
    utilized_instances: int
    computes: int


@dataclass(frozen=True)
class RawLevel:
    """A storage or pseudo level; lists have one entry per data space, in the shape's order.

    Counts are words per instance; ``energy_pj`` is per instance, dynamic only.
    """

    name: str
    instances: int
    cycles: int
    slowdown: float
    keep: tuple[int, ...]
    partition_size: tuple[int, ...]
    utilized_capacity: tuple[int, ...]
    utilized_instances: tuple[float, ...]
    utilized_clusters: tuple[float, ...]
    reads: tuple[int, ...]
    fills: tuple[int, ...]
    updates: tuple[int, ...]
    address_generations: tuple[int, ...]
    temporal_reductions: tuple[int, ...]
    read_bandwidth: tuple[float, ...]
    write_bandwidth: tuple[float, ...]
    energy_pj: tuple[float, ...]


@dataclass(frozen=True)
class Raw:
    """What the archive holds of one mapping's evaluation, innermost level first."""

    compute: RawCompute
    levels: tuple[RawLevel, ...]

    def by_name(self) -> Mapping[str, RawLevel]:
        return {level.name: level for level in self.levels}


def read_archive(path: Path, data_spaces: int) -> Raw:
    """Reads the archive of a problem with that many data spaces.

    Raises TqhwError where it is missing, truncated, far too large, or of another make.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise TqhwError(f"no statistics were written: {error.strerror}", place=str(path)) from None
    if size > MAX_BYTES:
        raise TqhwError(f"{size} bytes are far more than statistics of a mapping take", place=str(path))
    text = read_text(path)
    if _CLOSING not in text:
        text += _CLOSING  # newer builds write the file before they close the archive
    try:
        root = ET.fromstring(text[max(0, text.find("<boost_serialization")) :])
    except ET.ParseError as error:
        lever = "was the disk full, or the program killed? run again"
        raise TqhwError(f"the statistics are truncated or damaged: {error}", place=str(path), lever=lever) from None
    reader = _XmlReader(str(path), data_spaces)
    levels = root.find("engine/topology_/levels_")
    if levels is None:
        raise TqhwError("no statistics of levels in it", place=str(path), lever="is it of another Timeloop version?")
    compute: RawCompute | None = None
    storage = []
    for node in levels.iterfind("item/px"):
        if node.find("stats_") is None:
            compute = reader.compute(node)
        else:
            storage.append(reader.level(node))
    if compute is None or not storage:
        raise TqhwError("the statistics lack a compute or a storage level", place=str(path))
    return Raw(compute, tuple(storage))


class _XmlReader:
    def __init__(self, place: str, data_spaces: int) -> None:
        self.place = place
        self.data_spaces = data_spaces

    def compute(self, node: ET.Element) -> RawCompute:
        return RawCompute(
            self.text(node, "specs_/LevelSpecs/level_name"),
            self.one(node, "energy_", float),
            self.one(node, "cycles_", int),
            self.one(node, "utilized_instances_", int),
            self.one(node, "algorithmic_computes_", int),
        )

    def level(self, node: ET.Element) -> RawLevel:
        stats = node.find("stats_")
        assert stats is not None
        return RawLevel(
            name=self.text(node, "specs_/LevelSpecs/level_name"),
            instances=self.one(node, "specs_/instances/t_", int),
            cycles=self.one(stats, "cycles", int),
            slowdown=self.one(stats, "slowdown", float),
            keep=self.many(stats, "keep", int),
            partition_size=self.many(stats, "partition_size", int),
            utilized_capacity=self.many(stats, "utilized_capacity", int),
            utilized_instances=self.many(stats, "utilized_instances", float),
            utilized_clusters=self.many(stats, "utilized_clusters", float),
            reads=self.many(stats, "reads", int),
            fills=self.many(stats, "fills", int),
            updates=self.many(stats, "updates", int),
            address_generations=self.many(stats, "address_generations", int),
            temporal_reductions=self.many(stats, "temporal_reductions", int),
            read_bandwidth=self.many(stats, "read_bandwidth", float),
            write_bandwidth=self.many(stats, "write_bandwidth", float),
            energy_pj=self.many(stats, "energy", float),
        )

    def text(self, node: ET.Element, path: str) -> str:
        found = node.findtext(path)
        if found is None:
            lever = "is it of another Timeloop version, or truncated?"
            raise TqhwError(f"the statistics lack '{path}'", place=self.place, lever=lever)
        return found

    def one(self, node: ET.Element, path: str, kind: Callable[[str], _Number]) -> _Number:
        return self.number(self.text(node, path), path, kind)

    def many(self, node: ET.Element, path: str, kind: Callable[[str], _Number]) -> tuple[_Number, ...]:
        items = node.findall(f"{path}/PerDataSpace/item")
        if len(items) < self.data_spaces:
            raise TqhwError(f"'{path}' has {len(items)} entries for {self.data_spaces} data spaces", place=self.place)
        return tuple(self.number(item.text or "", path, kind) for item in items[: self.data_spaces])

    def number(self, text: str, path: str, kind: Callable[[str], _Number]) -> _Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not 0 <= value < 2**63:
            # An unsigned count below zero wraps around to something near 2^64.
            raise TqhwError(f"'{path}' is '{text}', which cannot be", place=self.place) from None
        return value
