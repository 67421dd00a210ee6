"""What loops over one dimension do to a tile, against nests of loops that are written out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tqhw.mapper.space.chains import MOST, falls_of, leads_of, steps_of


def nests(bound: int, inside: int = 1) -> Iterator[tuple[int, ...]]:
    """Steps of the loops over one dimension, from the inside out; units may stand between them."""
    if inside == bound:
        yield ()
    for factor in range(2, bound // inside + 1):
        if bound % (inside * factor) == 0:
            for outside in nests(bound, inside * factor):
                yield outside  # a unit
                yield (inside, *outside)  # a loop


@pytest.mark.parametrize("bound", [1, 2, 7, 12, 16, 36, 56, 60])
def test_what_all_nests_can_do(bound: int) -> None:
    falls, leads = {0}, set()
    for steps in nests(bound):
        for j, step in enumerate(steps):
            falls.add(sum(steps[: j + 1]))
            leads.add(step - sum(steps[:j]))
    assert falls_of(bound).tolist() == sorted(falls)
    assert leads_of(bound).tolist() == sorted(leads)


def test_tables_of_the_tiles_of_every_dimension_that_slides() -> None:
    bounds, lists = np.array([12, 8, 1]), [(1, 3, 12), (1, 2, 4, 8), (1,)]
    steps = steps_of(bounds, lists, np.array([True, False, True]))
    for d, tiles in enumerate(lists):
        for b, tile in enumerate(tiles):
            listed = d != 1
            falls = steps.falls[steps.falls_at[d, b] : steps.falls_at[d, b + 1]]
            leads = steps.leads[steps.leads_at[d, b] : steps.leads_at[d, b + 1]]
            assert falls.tolist() == (falls_of(int(bounds[d]) // tile).tolist() if listed else [])
            assert leads.tolist() == (leads_of(int(bounds[d]) // tile).tolist() if listed else [])


def test_nothing_is_listed_of_large_bounds() -> None:
    for bound, listed in ((MOST, True), (2 * MOST, False)):
        steps = steps_of(np.array([bound]), [(1, bound)], np.array([True]))
        assert (len(steps.falls) > 0) == listed
