"""Places of elements and the moves between them, against sets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.mapper.tables import Small, small
from tqhw.mapper.bound.places import distinct_offsets, overlap_share
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
