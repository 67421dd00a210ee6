"""What a picture of a mapping says: the loop nest, the tiles that levels keep, how much of all is used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tqhw.drawing.svg import ordered
from tqhw.spec import DataSpaceStats, Hardware, Level, Loops, Mapping, Stats


@dataclass(frozen=True)
class NestLoop:
    """A loop that turns ``factor`` times; in parallel along ``axis``, X or Y, or one after the other ("").

    ``remainder``: how often in the last pass of the loops outside, where that is less.
    """

    dimension: str
    factor: int
    axis: str = ""
    remainder: int | None = None

    @property
    def text(self) -> str:
        turns = f"{self.dimension} in {self.factor:,}"
        if self.remainder is not None:
            turns += f" (last {self.remainder:,})"
        return f"parallel {turns} along {self.axis}" if self.axis else f"for {turns}"


@dataclass(frozen=True)
class Tile:
    """What a level keeps of a data space: so many words, that ``share`` of its capacity (None: it has no bound)."""

    data_space: str
    words: int
    share: float | None = None

    @property
    def text(self) -> str:
        full = "" if self.share is None else f" ({self.share:.0%})"
        return f"{self.data_space} {self.words:,}{full}"


@dataclass(frozen=True)
class NestLevel:
    """A level: its tiles, its loops, the outermost first, and how many of its instances are used."""

    name: str
    used: int
    instances: int
    tiles: tuple[Tile, ...]
    loops: tuple[NestLoop, ...]


@dataclass(frozen=True)
class LoopNest:
    """A mapping, the outermost level first. ``summary``: cycles and utilization."""

    title: str
    summary: str
    levels: tuple[NestLevel, ...]
    spaces: tuple[str, ...]


def loop_nest(mapping: Mapping, stats: Stats, hardware: Hardware | None = None, title: str = "mapping") -> LoopNest:
    """The nest of a valid mapping. Without ``hardware``, nothing is said of how full a level is."""
    levels = {} if hardware is None else {level.name: level for level in hardware.levels}
    order = [*levels] or [part.target for part in mapping.levels]
    spaces = ordered(name for found in stats.levels.values() for name in found.dataspaces)
    nest: list[NestLevel] = []
    for name in reversed(order):
        part, found = mapping.level(name), stats.levels.get(name)
        if found is None and name in levels:
            part = mapping.level(name if any(p.target == name for p in mapping.levels) else levels[name].node)
        tiles = () if found is None else found.dataspaces.items()
        loops = (*_loops(part.temporal, False), *(() if part.spatial is None else _loops(part.spatial, True)))
        if found is not None or loops:
            nest.append(
                NestLevel(
                    name.removeprefix("inter_").removesuffix("_spatial") if found is None else name,
                    0 if found is None else found.utilized_instances,
                    0 if found is None else found.instances,
                    tuple(_tile(space, tile, levels.get(name)) for space, tile in tiles if tile.tile_words),
                    loops,
                )
            )
    compute, unit = next(item for item in stats.levels.items() if item[1].kind == "compute")
    nest.append(NestLevel(compute, unit.utilized_instances, unit.instances, (), ()))
    summary = f"{stats.cycles:,} cycles, {stats.computes:,} computes, utilization {stats.utilization:.1%}"
    return LoopNest(title, summary, tuple(nest), spaces)


def _loops(loops: Loops, spatial: bool) -> Iterator[NestLoop]:
    order = [*loops.permutation, *(name for name in loops.factors if name not in loops.permutation)]
    split = len(order) if loops.split is None else loops.split
    for position in reversed(range(len(order))):
        name = order[position]
        if loops.factors.get(name, 1) != 1:
            axis = ("X" if position < split else "Y") if spatial else ""
            yield NestLoop(name, loops.factors[name], axis, loops.remainders.get(name))


def _tile(space: str, found: DataSpaceStats, level: Level | None) -> Tile:
    if level is None or level.effective_size is None:
        return Tile(space, found.tile_words)
    if level.packing is None or not level.packing.rows:
        return Tile(space, found.tile_words, found.tile_words / level.effective_size)
    row = level.row(space)
    return Tile(space, found.tile_words, math.ceil(found.tile_words * row.rows / row.words) / level.packing.rows)
