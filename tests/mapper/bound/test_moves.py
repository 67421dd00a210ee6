"""Which moves loops outside of a tile can make, against nests of loops that are written out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.space.test_chains import nests
from tests.mapper.tables import along_three_halos, small, under_first_choice
from tqhw.mapper.bound.lower_bound import may_link
from tqhw.mapper.bound.moves import may_move, outer_grid
from tqhw.mapper.bound.outside import list_moves, look_outside, make_outside
from tqhw.mapper.bound.partial_cost import ALONG, LINK, reaches, reaches_along
from tqhw.mapper.bound.recall import recall
from tqhw.mapper.space.arrays import HALO_RANKS, Space, build_space
from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.subspace import whole

SIZES = {"R": 3, "P": 12, "S": 2, "Q": 8, "Wstride": 2, "Wdilation": 3}
ALIKE = [  # several loops over one or both dimensions of a rank; both ranks agree in all but one number
    {"R": 4, "P": 8, "S": 4, "Q": 12, "Wstride": 1, "Wdilation": 5, "Hstride": 1, "Hdilation": 5},
    {"R": 4, "P": 4, "S": 8, "Q": 4, "Wstride": 5, "Wdilation": 3, "Hstride": 5, "Hdilation": 3},
    {"R": 4, "P": 4, "S": 4, "Q": 4, "Wstride": 2, "Wdilation": 9, "Hstride": 2, "Hdilation": 5},
    {"R": 4, "P": 4, "S": 4, "Q": 4, "Wstride": 9, "Wdilation": 4, "Hstride": 3, "Hdilation": 4},
    {"R": 2, "P": 9, "S": 2, "Q": 9, "Wstride": 1, "Wdilation": 7, "Hstride": 3, "Hdilation": 7},
]
CASE = small("two_level_array", "latency", **SIZES)
TABLES, DIMS = CASE.search.tables, CASE.space.problem.shape.dimensions
INPUTS = CASE.space.problem.shape.data_space_names.index("Inputs")
TILES = [{}, {"P": 4}, {"P": 2, "R": 3}, {"P": 12, "S": 2, "Q": 4}, {"P": 12, "R": 3}]


def array(sizes: dict[str, int]) -> np.ndarray:
    return np.array([sizes.get(d, 1) for d in DIMS], np.int64)


def rank_dims(rank: int, tables: Space = TABLES) -> list[int]:
    return [d for d in range(len(DIMS)) if tables.rank[INPUTS, d] == rank]


def interleaved(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Every way to nest the loops of two dimensions, each in its own order."""
    n = len(one) + len(other)
    for places in combinations(range(n), len(one)):
        first, second = iter(one), iter(other)
        yield [next(first) if i in places else next(second) for i in range(n)]


def moves_along(rank: int, tile: np.ndarray, tables: Space = TABLES) -> set[int]:
    """Words that a visit may lie from the one before it, along a rank: by its loops, or by those of another rank."""
    x, y = rank_dims(rank, tables)
    found = set()
    for steps_x in set(nests(int(tables.bounds[x] // tile[x]))):
        for steps_y in set(nests(int(tables.bounds[y] // tile[y]))):
            loops = [[(d, step * int(tile[d])) for step in steps] for d, steps in ((x, steps_x), (y, steps_y))]
            for nest in interleaved(*loops):
                words = [step * int(tables.coefficient[INPUTS, d]) for d, step in nest]
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


@pytest.mark.parametrize("rows", [1, 4096])  # all share one, or hardly any do
@pytest.mark.parametrize("sizes", ALIKE)
def test_what_is_remembered_is_of_these_very_loops(sizes: dict[str, int], rows: int) -> None:
    tables = small("two_level_array", "latency", **sizes).search.tables
    tables = tables._replace(known=np.zeros((rows, 9)))
    made = []
    for rank in (0, 1):
        x, y = rank_dims(rank, tables)
        for tile_x, tile_y in product(divisors(int(tables.bounds[x])), divisors(int(tables.bounds[y]))):
            tile = array({DIMS[x]: tile_x, DIMS[y]: tile_y})
            if found := moves_along(rank, tile, tables):
                made.append((rank, tile, found))
    for reach, grid in product(range(1, 31), (1, 2, 3, 5, 9)):
        for rank, tile, found in made:
            expected = any(move <= reach and move % grid == 0 for move in found)
            assert may_move(tables, INPUTS, rank, tile, reach, grid) == expected


def test_what_is_remembered_of_units_is_not_of_moves() -> None:
    tables = TABLES._replace(known=np.zeros((1, 9)))
    tile = array({"R": 3})
    assert may_move(tables, INPUTS, 0, tile, 2, 2)
    of_a_unit = recall(tables.known, *tables.known[0, :6], -1.0, -1.0)
    tables.known[of_a_unit, 8] = 0.5
    assert may_move(tables, INPUTS, 0, tile, 2, 2)


def test_nothing_is_listed_where_links_are_not_strict() -> None:
    tables = build_space(CASE.space, CASE.model, whole(CASE.space), strict_links=False)
    assert len(tables.falls) == len(tables.leads) == 0
    assert all(may_move(tables, INPUTS, 0, array({}), move, move) for move in range(1, 60))


def test_moves_along_a_third_halo_may_be_of_any_length() -> None:
    case = along_three_halos()
    tables, partial = case.search.tables, case.search.work.start[0, 0].copy()
    tile = np.ones(len(tables.bounds), np.int64)
    partial[LINK:ALONG] = 0.0
    ranks = tables.rank[INPUTS].tolist()
    assert reaches(tables, INPUTS, ranks.index(HALO_RANKS), tile, partial)
    assert not reaches_along(tables, INPUTS, 0, tile, partial)


@pytest.mark.parametrize("unlisted", [0, 1])
def test_of_a_rank_with_one_list_all_multiples_count(unlisted: int) -> None:
    d = rank_dims(0)[unlisted]
    falls_at, leads_at = TABLES.falls_at.copy(), TABLES.leads_at.copy()
    falls_at[d] = leads_at[d] = 0
    loose: Space = TABLES._replace(falls_at=falls_at, leads_at=leads_at, known=np.zeros_like(TABLES.known))
    assert all(may_move(loose, INPUTS, 0, array({}), move, move) for move in range(1, 60))
    assert not all(may_move(TABLES, INPUTS, 0, array({}), move, move) for move in range(1, 60))


def test_of_a_rank_with_three_dimensions_left_all_multiples_count() -> None:
    problem = problem_of("triple", [1, 4, 2, 3], [15, 3, 3])
    tables = under_first_choice(*build(MACHINES["split_buffers"]), problem, "latency").search.tables
    tile = np.ones(4, np.int64)
    moves = [move for move in range(1, 60) if may_move(tables, 1, 0, tile, move, move)]
    assert moves == list(range(3, 60, 3))
    tile[3] = 3  # two are left: 15 and 30 by the one, 3 by the other
    moves = [move for move in range(1, 60) if may_move(tables, 1, 0, tile, move, move)]
    assert moves == [3, 12, 15, 18, 27, 30, 33, 42, 45, 48]


def drawn(r: random.Random, tile: np.ndarray, tables: Space = TABLES) -> list[tuple[int, int, int]]:
    """(dimension, bound, step) of loops around a tile, innermost first; some factors are units'."""
    left, inside, loops = [int(b // t) for b, t in zip(tables.bounds, tile, strict=True)], tile.copy(), []
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


@pytest.mark.parametrize("sizes", [SIZES, *ALIKE])
def test_links_that_some_loops_outside_can_make_are_counted_on(sizes: dict[str, int]) -> None:
    r = random.Random(1)
    case = small("two_level_array", "latency", **sizes)
    tables, partial = case.search.tables, case.search.work.start[0, 0].copy()
    out, possible, dropped = make_outside(len(tables.level), len(DIMS), 3, 0), 0, 0
    for _ in range(4000):
        tile = array({DIMS[d]: r.choice(divisors(int(tables.bounds[d]))) for d in rank_dims(0) + rank_dims(1)})
        loops = drawn(r, tile, tables)
        if not loops:
            continue
        for i, (d, bound, step) in enumerate(loops):
            out.dim[i], out.bound[i], out.step[i] = d, bound, step
        look_outside(tables, 0, len(loops), out)
        grids = [r.choice([0, 1, 2, 3, 5]) for _ in (0, 1)]
        partial[LINK:ALONG] = [*(r.randrange(12) * grid for grid in grids), *grids]
        counts = reaches(tables, INPUTS, loops[0][0], tile, partial)
        dropped += not counts
        moves = [move for move in out.moves[INPUTS, : out.n_moves[INPUTS]] if move.any()]  # a return to it links none
        out.n_moves[INPUTS] = len(moves)
        out.moves[INPUTS, : len(moves)] = moves
        if may_link(tables, out, INPUTS, partial):
            assert counts
            possible += 1
    assert possible > 100
    assert dropped > 100


def test_without_a_list_all_multiples_of_what_divides_the_steps_count() -> None:
    loose: Space = TABLES._replace(falls_at=np.zeros_like(TABLES.falls_at), known=np.zeros_like(TABLES.known))
    tile = array({"P": 4})  # P moves it by 8 words, R by 3
    assert outer_grid(loose, INPUTS, 0, tile) == 1
    moves = range(1, 30)
    assert all(may_move(loose, INPUTS, 0, tile, move, move) for move in moves)
    assert not all(may_move(TABLES, INPUTS, 0, tile, move, move) for move in moves)
    assert not may_move(loose, INPUTS, 0, array({"R": 3, "P": 4}), 7, 1)  # less than a step
