"""One name for a row of accuracies, wherever it stands."""

from __future__ import annotations

import pytest

from tqhw.options import METHODS
from tqhw.report import labels
from tqhw.results.words import INFERRED, TRAINED, marked, series


@pytest.mark.parametrize("name", METHODS)
def test_a_method_and_its_rows_are_called_the_same(name: str) -> None:
    assert METHODS[name].label == TRAINED[name]
    for inferred, word in INFERRED.items():
        assert series(name, inferred) == series(TRAINED[name], inferred) == f"{TRAINED[name]}, {word}"
        assert labels.series(name, inferred) == series(name, inferred)
    assert series(name, "full") == "FP32"


def test_what_was_verified_has_a_star() -> None:
    assert (marked("98.0", True), marked("98.0", False)) == ("98.0 *", "98.0")
