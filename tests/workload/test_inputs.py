"""The input shape as text and as a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tqhw.errors import TqhwError
from tqhw.workload import check_shape, parse_shape, shape_text


@pytest.mark.parametrize(
    ("text", "shape"), [("1,3,224,224", (1, 3, 224, 224)), (" 2, 3 ,32,32 ", (2, 3, 32, 32)), ("7", (7,))]
)
def test_shapes_read_and_written(text: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(text) == shape
    assert parse_shape(shape_text(shape)) == shape


@pytest.mark.parametrize(
    ("text", "position", "shown"),
    [
        ("1,3,0,224", 3, "0"),
        ("-1,3", 1, "-1"),
        ("1,x,3", 2, "'x'"),
        ("1x3x224x224", 1, "'1x3x224x224'"),
        ("1,3,2.5", 3, "'2.5'"),
        ("1,3,nan", 3, "'nan'"),
        ("1,3,", 3, "''"),
        ("", 1, "''"),
        ("1,--3", 2, "'--3'"),
        ("1,٣", 2, "'٣'"),
        ("9" * 5000, 1, "'999"),
    ],
)
def test_bad_text(text: str, position: int, shown: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse_shape(text)
    message = str(caught.value)
    assert message.startswith(f"input, position {position}: {shown}")
    assert message.endswith("is not a size (give whole numbers from 1 up, batch first, as in 1,3,224,224)")


@pytest.mark.parametrize("shape", [(), [1, 3.0], [True, 3], [None], ["3"]])
def test_bad_sequences(shape: list[object]) -> None:
    with pytest.raises(TqhwError, match=r"is not a size|input shape is empty"):
        check_shape(shape)


@pytest.mark.parametrize("given", [5, object(), b"1,3", np.zeros((1, 3)), np.int64(3)])
def test_what_is_neither_a_shape_nor_a_tensor(given: Any) -> None:
    with pytest.raises(TqhwError) as caught:
        check_shape(given)
    assert str(caught.value) == (
        f"input: {type(given).__name__} is the type of neither a shape nor a tensor, and no tensor is in it "
        "(give whole numbers from 1 up, batch first, as in 1,3,224,224; "
        "or make tensors of it, as torch.from_numpy does)"
    )
