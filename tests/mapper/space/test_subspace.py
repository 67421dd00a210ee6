from __future__ import annotations

import pytest

from tests.mapper.tables import small
from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.subspace import count_pairs, narrowed, whole


@pytest.mark.parametrize("architecture", ["eyeriss_like", "simba_like"])
def test_parts_grow_towards_the_whole(architecture: str) -> None:
    space = small(architecture, C=16, M=16, P=14).space
    bounds = [space.problem.bounds[d] for d in space.problem.shape.dimensions]
    assert whole(space) == tuple(divisors(bound) for bound in bounds)
    sizes = []
    for most in (0, 1_000, 10_000):
        lists = narrowed(space, most)
        assert all(
            set(part) <= set(full) and {1, full[-1]} <= set(part)
            for part, full in zip(lists, whole(space), strict=True)
        )
        sizes.append(count_pairs(space, lists))
    assert sizes == sorted(sizes)
    assert sizes[-1] <= min(10_000, count_pairs(space, whole(space)))
