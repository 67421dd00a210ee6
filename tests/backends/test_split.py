"""Counts with words of several widths in one memory are those of a machine with a memory per data space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest

from tests.mapper.places import conv, machine
from tests.sampling import some
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.backends.reference.split import split
from tqhw.engine import evaluate
from tqhw.errors import TqhwError
from tqhw.spec import Hardware, Mapping, Stats
from tqhw.spec.word_bits import apply_word_bits, parse_word_bits

PROBLEM = conv(N=2, C=4, M=8, P=6, Q=6, R=3, S=3)
NAMES = PROBLEM.shape.data_space_names


def rows(hardware: Hardware, stats: Stats) -> dict[str, dict[str, int]]:
    found = {}
    for level in hardware.levels:
        if level.packing is not None:
            spaces = stats.levels[level.name].dataspaces
            packed = [space for space in level.packing.spaces if space.name in spaces]
            found[level.name] = {s.name: -(-spaces[s.name].tile_words // s.words) for s in packed}
    return found


def valid(name: str, text: str, number: int) -> Iterator[tuple[Hardware, Mapping, Stats]]:
    hardware = apply_word_bits(machine(name)[0], parse_word_bits(text), NAMES)
    for mapping in itertools.islice(random_mappings(PROBLEM, hardware, seed=1), number):
        stats = evaluate(PROBLEM, hardware, machine(name)[1], mapping)
        if isinstance(stats, Stats):
            yield hardware, mapping, stats


@pytest.mark.parametrize("name", some(["two_level", "eyeriss_like", "simba_like"]))
@pytest.mark.parametrize("text", ["Weights=2,Inputs=8,Outputs=16", "Weights=5,Inputs=3,Outputs=7,Weights@DRAM=8"])
def test_the_split_machine_counts_the_same(name: str, text: str) -> None:
    ert = machine(name)[1]
    compared = 0
    for hardware, mapping, stats in valid(name, text, 300):
        parts = split(PROBLEM, hardware, ert, mapping, rows(hardware, stats))
        theirs = evaluate(PROBLEM, parts.hardware, parts.ert, parts.mapping)
        assert isinstance(theirs, Stats)
        for level, by_space in parts.parts.items():
            for space, found in stats.levels[level].dataspaces.items():
                other = theirs.levels[by_space[space]].dataspaces[space]
                assert (found.tile_words, found.reads, found.fills, found.updates, found.utilized_instances) == (
                    other.tile_words,
                    other.reads,
                    other.fills,
                    other.updates,
                    other.utilized_instances,
                )
                assert math.isclose(found.energy_pj, other.energy_pj, rel_tol=1e-9)
                compared += 1
        # Parts have bandwidths of their own; a shared one can only be slower.
        assert stats.cycles >= theirs.cycles
        if stats.cycles == theirs.cycles:
            assert math.isclose(stats.energy_pj, theirs.energy_pj, rel_tol=1e-9)
    assert compared > 300


def test_parts_are_exactly_as_deep_as_needed() -> None:
    ert = machine("two_level")[1]
    hardware, mapping, stats = next(valid("two_level", "Weights=2,Inputs=8,Outputs=16", 300))
    needed = rows(hardware, stats)
    level = next(name for name, spaces in needed.items() if name != "DRAM" and spaces)
    short = {name: {k: v - (name == level) for k, v in spaces.items()} for name, spaces in needed.items()}
    parts = split(PROBLEM, hardware, ert, mapping, short)
    assert not evaluate(PROBLEM, parts.hardware, parts.ert, parts.mapping).valid


def test_ideal_rows_are_no_memory() -> None:
    hardware = apply_word_bits(machine("two_level")[0], parse_word_bits("Weights=5", "ideal"), NAMES)
    mapping = next(random_mappings(PROBLEM, hardware, seed=1))
    with pytest.raises(TqhwError, match="packing: pack"):
        split(PROBLEM, hardware, machine("two_level")[1], mapping, {level: {} for level in hardware.level_names})
