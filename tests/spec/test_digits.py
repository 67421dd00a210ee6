"""A problem whose weights are taken digit by digit: one more dimension, which only they have."""

from __future__ import annotations

import pytest

from tqhw.errors import TqhwError
from tqhw.spec import BMM, CONV2D, MATMUL, Digits, dump_problem, in_digits, make_problem, parse_problem, yamlio

LAYER = make_problem(CONV2D, {"C": 4, "M": 6, "R": 3, "S": 3, "N": 1, "P": 5, "Q": 5, "G": 1}, "layer")


def test_weights_have_so_many_times_the_words_and_nothing_else_changes() -> None:
    found = in_digits(LAYER, Digits("B", 3))
    before = {space.name: LAYER.tensor_words(space) for space in LAYER.shape.data_spaces}
    after = {space.name: found.tensor_words(space) for space in found.shape.data_spaces}
    assert after == {**before, "Weights": 3 * before["Weights"]}
    assert found.computes == 3 * LAYER.computes
    assert found.shape.dimensions == (*LAYER.shape.dimensions, "B")
    assert {space.name: "B" in space.dimensions for space in found.shape.data_spaces} == {
        "Weights": True,
        "Inputs": False,
        "Outputs": False,
    }


def test_it_is_done_once_and_survives_a_file() -> None:
    found = in_digits(LAYER, Digits("B", 3))
    assert in_digits(found, Digits("B", 3)) is found
    again = parse_problem(yamlio.parse(dump_problem(found), "file"), "file")
    assert (again.shape, again.bounds) == (found.shape, found.bounds)
    assert in_digits(again, Digits("B", 3)) is again


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_digits_is_another_problem(count: int) -> None:
    with pytest.raises(TqhwError, match=rf"layer: the dimension B is to be the {count} digits of Weights"):
        in_digits(in_digits(LAYER, Digits("B", 3)), Digits("B", count))


def test_names_that_do_not_fit() -> None:
    batch = make_problem(BMM, {"B": 2, "M": 3, "K": 4, "N": 5}, "products")
    with pytest.raises(TqhwError, match=r"products: the dimension B is to be .* and is another one \(rename it\)"):
        in_digits(batch, Digits("B", 8))
    product = make_problem(MATMUL, {"M": 3, "K": 4, "N": 5}, "product")
    with pytest.raises(TqhwError, match="product: unknown data space 'Weight'"):
        in_digits(product, Digits("B", 8, "Weight"))
