from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.space.arrays import build_space, tile_words
from tqhw.mapper.space.subspace import whole


def test_tiles_are_numbered_with_their_words_and_iterations() -> None:
    _, model, search = small("two_level", C=4, P=6, R=3, Wstride=2)
    tables = search.tables
    assert len(tables.digits) == np.prod(tables.n_divisors)
    for t in range(len(tables.digits)):
        sizes = tables.divisor[np.arange(len(model.bounds)), tables.digits[t]]
        assert tables.words[:, t].tolist() == tile_words(model, sizes)
        assert tables.iterations[t] == sizes.prod()
        assert (tables.digits[t] * tables.radix).sum() == t


@pytest.mark.parametrize(
    "sizes", [{"Wstride": 2}, {"Wstride": 3, "R": 2}, {"Wdilation": 3, "Wstride": 2, "R": 2}, {"R": 3}]
)
def test_words_with_remainders_are_no_more_than_those_of_the_passes_that_there_are(sizes: dict[str, int]) -> None:
    """A stride that is wider than the window: what passes share out is less than the whole tile's share of them."""
    bounds = {"P": 11, "Q": 5, **sizes}
    case = small("two_level", **{**bounds, "P": 12, "Q": 6})
    names = case.space.problem.shape.dimensions
    actual = tuple(bounds.get(d, 1) for d in names)
    tables = build_space(replace(case.space, actual=actual), case.model, whole(case.space))
    s = case.space.problem.shape.data_space_names.index("Inputs")
    less = 0
    for t, digits in enumerate(tables.digits):
        tile = tables.divisor[np.arange(len(names)), digits]
        passes = [[min(e, b - at) for at in range(0, b, e)] for e, b in zip(tile, actual, strict=True)]
        words = sum(tile_words(case.model, at)[s] for at in product(*passes))
        padded = case.space.problem.bounds
        share = math.prod(actual) / math.prod(padded.values())
        perfect = math.prod(n // e for n, e in zip(padded.values(), tile, strict=True)) * tables.words[s, t] * share
        assert perfect <= words * (1 + 1e-12)
        less += tile_words(case.model, tile.tolist())[s] > tables.words[s, t]
    assert (less > 0) == (sizes.get("Wstride", 1) > 1 or sizes.get("Wdilation", 1) > 1)
