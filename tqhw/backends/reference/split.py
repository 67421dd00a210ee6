"""A mapping on memories with words of several widths, as one of unmodified Timeloop: a component per data space.

Timeloop knows one word size per memory. So every memory is split into one component for each data space that the
mapping keeps there, as deep as its rows in that mapping, and each costs what the whole memory costs. The innermost of
the parts carries the memory's loops; the others have none, so that all of them hold the same tile.

Counts are the same but for words over neighbour links right above a memory that several data spaces share: Timeloop
gives links to the outermost part alone. Cycles are the same where no bandwidth is shared; parts have their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from tqhw.errors import TqhwError
from tqhw.spec import ERT, Hardware, Level, LevelMapping, Mapping, Problem
from tqhw.spec.hardware import PackedSpace


class Split(NamedTuple):
    """What unmodified Timeloop is given. ``parts``: the components of every memory, by data space."""

    hardware: Hardware
    ert: ERT
    mapping: Mapping
    parts: dict[str, dict[str, str]]


def split(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping, rows: dict[str, dict[str, int]]) -> Split:
    """Splits all memories of packed hardware for one valid mapping of a problem.

    ``rows``: of the tile that one instance holds, by level and data space. Raises TqhwError for memories of packing
    ``ideal``, whose rows no memory has.
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
        parts[level.name] = {}
        for i, space in enumerate(kept or level.packing.spaces[:1]):
            name = f"{level.name}_{space.name}"
            keep = (space.name,) if kept else ()
            bypass = tuple(n for n in names if n not in keep)
            parts[level.name][space.name] = name
            levels.append(_part(level, space, name, rows[level.name].get(space.name, 1)))
            # The whole memory leaks once.
            energies[name] = {**ert.energies[level.name], **({"leak": 0.0} if i else {})}
            loops.append(LevelMapping(name, keep, bypass, *((found.temporal,) if not i else ())))
    return Split(replace(hardware, levels=tuple(levels)), ERT(energies), Mapping(tuple(loops)), parts)


def _part(level: Level, space: PackedSpace, name: str, rows: int) -> Level:
    if space.rows != 1:
        raise TqhwError(
            f"{level.name}: {space.words} words of {space.name} in {space.rows} rows (packing: ideal)",
            place=level.name,
            lever="no memory has such rows; verify with packing: pack",
        )

    def words(bandwidth: float | None) -> float | None:
        return None if bandwidth is None else bandwidth * level.word_bits / space.bits

    limited = level.size is not None
    return replace(
        level,
        name=name,
        word_bits=space.bits,
        block_size=space.words,
        size=rows * space.words if limited else None,
        effective_size=rows * space.words if limited else None,
        multiple_buffering=1.0,
        read_bandwidth=words(level.read_bandwidth),
        write_bandwidth=words(level.write_bandwidth),
        shared_bandwidth=words(level.shared_bandwidth),
        packing=None,
    )
