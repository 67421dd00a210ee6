"""Which moves loops outside of a tile can make, against nests of loops that are written out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest

from tests.mapper.space.test_chains import nests
from tests.mapper.tables import small
from tqhw.mapper.bound.moves import may_move, outer_grid
from tqhw.mapper.bound.outside import list_moves, make_outside
from tqhw.mapper.space.arrays import Space

SIZES = {"R": 3, "P": 12, "S": 2, "Q": 8, "Wstride": 2, "Wdilation": 3}
CASE = small("two_level_array", "latency", **SIZES)
TABLES, DIMS = CASE.search.tables, CASE.space.problem.shape.dimensions
INPUTS = CASE.space.problem.shape.data_space_names.index("Inputs")
TILES = [{}, {"P": 4}, {"P": 2, "R": 3}, {"P": 12, "S": 2, "Q": 4}, {"P": 12, "R": 3}]


def array(sizes: dict[str, int]) -> np.ndarray:
    return np.array([sizes.get(d, 1) for d in DIMS], np.int64)


def rank_dims(rank: int) -> list[int]:
    return [d for d in range(len(DIMS)) if TABLES.rank[INPUTS, d] == rank]


def interleaved(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Every way to nest the loops of two dimensions, each in its own order."""
    n = len(one) + len(other)
    for places in combinations(range(n), len(one)):
        first, second = iter(one), iter(other)
        yield [next(first) if i in places else next(second) for i in range(n)]


def moves_along(rank: int, tile: np.ndarray) -> set[int]:
    """Words that a visit may lie from the one before it, along a rank: by its loops, or by those of another rank."""
    x, y = rank_dims(rank)
    found = set()
    for steps_x in nests(int(TABLES.bounds[x] // tile[x])):
        for steps_y in nests(int(TABLES.bounds[y] // tile[y])):
            loops = [[(d, step * int(tile[d])) for step in steps] for d, steps in ((x, steps_x), (y, steps_y))]
            for nest in interleaved(*loops):
                words = [step * int(TABLES.coefficient[INPUTS, d]) for d, step in nest]
                for j, word in enumerate(words):
                    found |= {abs(word - sum(words[:j])), sum(words[: j + 1])}
    return found - {0}


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("sizes", TILES)
def test_just_what_some_nest_can_do(sizes: dict[str, int], rank: int) -> None:
    tile = array(sizes)
    if not any(TABLES.bounds[d] > tile[d] for d in rank_dims(rank)):
        assert may_move(TABLES, INPUTS, rank, tile, 1, 1)  # nothing is known without loops
        return
    made = moves_along(rank, tile)
    assert made
    for move in range(1, max(made) + 2):
        assert may_move(TABLES, INPUTS, rank, tile, move, move) == (move in made)
    for reach in range(max(made) + 2):
        for grid in (1, 2, 3, 4, 6):
            expected = any(move <= reach and move % grid == 0 for move in made)
            assert may_move(TABLES, INPUTS, rank, tile, reach, grid) == expected


def drawn(r: random.Random, tile: np.ndarray) -> list[tuple[int, int, int]]:
    """(dimension, bound, step) of loops around a tile, innermost first; some factors are units'."""
    left, inside, loops = [int(b // t) for b, t in zip(TABLES.bounds, tile, strict=True)], tile.copy(), []
    while any(n > 1 for n in left):
        d = r.choice([d for d, n in enumerate(left) if n > 1])
        factor = r.choice([f for f in range(2, left[d] + 1) if left[d] % f == 0])
        if r.random() < 0.8:
            loops.append((d, factor, int(inside[d])))
        inside[d] *= factor
        left[d] //= factor
    return loops


@pytest.mark.parametrize("seed", range(20))
def test_moves_of_a_context_are_among_them(seed: int) -> None:
    r = random.Random(seed)
    out, seen = make_outside(len(TABLES.level), len(DIMS), 3, 0), 0
    for _ in range(20):
        tile = array(r.choice(TILES))
        loops = drawn(r, tile)
        for i, (d, bound, step) in enumerate(loops):
            out.dim[i], out.bound[i], out.step[i] = d, bound, step
        list_moves(TABLES, INPUTS, 0, len(loops), out)
        for n in range(out.n_moves[INPUTS]):
            for rank in (0, 1):
                move = int(out.moves[INPUTS, n, rank])
                if move > 0:
                    seen += 1
                    assert may_move(TABLES, INPUTS, rank, tile, move, move)
    assert seen > 20


def test_without_a_list_all_multiples_of_what_divides_the_steps_count() -> None:
    loose: Space = TABLES._replace(falls_at=np.zeros_like(TABLES.falls_at), known=np.zeros_like(TABLES.known))
    tile = array({"P": 4})  # P moves it by 8 words, R by 3
    assert outer_grid(loose, INPUTS, 0, tile) == 1
    moves = range(1, 30)
    assert all(may_move(loose, INPUTS, 0, tile, move, move) for move in moves)
    assert not all(may_move(TABLES, INPUTS, 0, tile, move, move) for move in moves)
    assert not may_move(loose, INPUTS, 0, array({"R": 3, "P": 4}), 7, 1)  # less than a step
