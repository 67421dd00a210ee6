"""Places of elements and the moves between them, against sets."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest

from tests.mapper.tables import Small, small
from tqhw.mapper.bound.places import distinct_offsets, overlap_share, richest_mean
from tqhw.mapper.bound.unit_gains import share_along_all
from tqhw.mapper.space.arrays import Space


def sizes(case: Small, **given: int) -> np.ndarray:
    return np.array([given.get(d, 1) for d in case.space.problem.shape.dimensions], np.int64)


def halo(case: Small) -> tuple[Space, int, int]:
    """Tables, the data space with a halo, and the rank."""
    s = case.space.problem.shape.data_space_names.index("Inputs")
    return case.search.tables, s, int(case.search.tables.rank[s].max())


STEPS = [*product((1, 2, 3, 7), (1, 2, 3, 5), (1, 2), (1, 2, 3))]  # elements along P and R, tile, stride


def test_elements_of_a_unit_lie_in_so_many_places() -> None:
    for n, m, inside, stride in STEPS:
        case = small("two_level_array", P=2 * 7, R=5, Wstride=stride)
        tables, s, rank = halo(case)
        factors, tile = sizes(case, P=n, R=m), sizes(case, P=inside)
        places = {i * inside * stride + j for i in range(n) for j in range(m)}
        assert distinct_offsets(tables, s, rank, factors, tile, float(max(n, m))) == len(places)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("n", "m", "inside"), [(1, 3, 1), (4, 1, 1), (2, 3, 1), (4, 3, 1), (4, 2, 2), (3, 5, 2)])
def test_a_move_leads_from_so_many_places_to_another(n: int, m: int, inside: int, stride: int) -> None:
    case = small("two_level_array", P=8, R=5, Wstride=stride)
    tables, s, rank = halo(case)
    places = {i * inside * stride + j for i in range(n) for j in range(m)}
    unit, tile = sizes(case, P=n, R=m), sizes(case, P=inside)
    for move in range(1, 20):
        moves = [place + move in places for place in places]
        assert overlap_share(tables, s, rank, move, unit, tile) == sum(moves) / len(places)


UNITS = [(1, 3, 1), (4, 1, 1), (2, 3, 1), (4, 3, 1), (4, 2, 2), (3, 5, 2)]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("n", "m", "inside"), UNITS)
def test_what_a_move_leaves_is_no_richer(n: int, m: int, inside: int, stride: int) -> None:
    """Of all ways to take away elements of places that the move leads from; alone along one rank it is the richest."""
    case = small("two_level_array", P=8, R=5, Wstride=stride)
    tables, s, rank = halo(case)
    here = Counter(i * inside * stride + j for i in range(n) for j in range(m))
    unit, tile = sizes(case, P=n, R=m), sizes(case, P=inside)
    for move in range(1, 20):
        led = [place for place in here if place + move in here]
        richest = max(
            mean_of([here[place] for place in here if place not in gone]) for gone in subsets(led, whole=len(here))
        )
        assert richest_mean(tables, s, rank, move, unit, tile, 1.0, 1.0) == pytest.approx(richest, rel=1e-12)


def subsets(places: list[int], whole: int) -> list[set[int]]:
    """All of ``places``' subsets but the one that is everything."""
    found = [{p for p, bit in zip(places, bits, strict=True) if bit} for bits in product((0, 1), repeat=len(places))]
    return [one for one in found if len(one) < whole]


def mean_of(values: list[int]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("columns", [3, 4, 64])
@pytest.mark.parametrize("units", [(2, 3, 1, 1), (2, 3, 2, 2), (3, 2, 1, 2), (4, 3, 1, 1), (2, 2, 2, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_no_layout_leaves_more(units: tuple[int, ...], columns: int, stride: int) -> None:
    """Elements along two ranks, in every order on the mesh, and every move along the first rank: what neighbours of the
    previous visit cannot serve has no more elements per place than the bound says."""
    case = small("two_level_array", P=8, R=3, Q=4, S=3, Wstride=stride)
    tables, s, _ = halo(case)
    dims = dict(zip("PRQS", units, strict=True))
    unit, tile = sizes(case, **dims), sizes(case)
    shape = case.space.problem.shape.dimensions
    rank = int(tables.rank[s, shape.index("P")])
    step = {d: int(tables.coefficient[s, shape.index(d)]) for d in "PRQS"}
    shared, most = share_along_all(tables, s, unit, tile)
    along = Counter(p * step["P"] + r for p in range(dims["P"]) for r in range(dims["R"]))
    mean_along, most_along = sum(along.values()) / len(along), float(min(dims["P"], dims["R"]))
    for order in permutations("PRQS"):
        at = [dict(zip(order, e[::-1], strict=True)) for e in product(*(range(dims[d]) for d in order[::-1]))]
        keys = [(e["P"] * step["P"] + e["R"], e["Q"] * step["Q"] + e["S"]) for e in at]
        for move in range(1, 10):
            left = Counter(key for i, key in enumerate(keys) if not served(keys, i, move, columns))
            if left:
                bound = richest_mean(tables, s, rank, move, unit, tile, shared / mean_along, most / most_along)
                assert sum(left.values()) / len(left) <= bound * (1 + 1e-12)


def served(keys: list[tuple[int, int]], i: int, move: int, columns: int) -> bool:
    """Whether an element beside number i on the mesh had its words before the move."""
    wanted = (keys[i][0] + move, keys[i][1])
    beside = [i - columns, i + columns] + [i - 1] * (i % columns > 0) + [i + 1] * (i % columns < columns - 1)
    return any(0 <= j < len(keys) and keys[j] == wanted for j in beside)
