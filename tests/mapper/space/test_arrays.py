from __future__ import annotations

import numpy as np

from tests.mapper.tables import small
from tqhw.mapper.space.arrays import tile_words


def test_tiles_are_numbered_with_their_words_and_iterations() -> None:
    _, model, search = small("two_level", C=4, P=6, R=3, Wstride=2)
    tables = search.tables
    assert len(tables.digits) == np.prod(tables.n_divisors)
    for t in range(len(tables.digits)):
        sizes = tables.divisor[np.arange(len(model.bounds)), tables.digits[t]]
        assert tables.words[:, t].tolist() == tile_words(model, sizes)
        assert tables.iterations[t] == sizes.prod()
        assert (tables.digits[t] * tables.radix).sum() == t
