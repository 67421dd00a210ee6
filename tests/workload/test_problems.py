"""Shapes of tensors into problems: which size becomes which dimension."""

from __future__ import annotations

from tqhw.spec import CONV2D
from tqhw.workload import problems


def words(problem, name: str) -> int:
    return problem.tensor_words(next(d for d in CONV2D.data_spaces if d.name == name))


def test_width_comes_with_r_and_p_height_with_s_and_q() -> None:
    # 3 high, 5 wide; rows step by 1 and are dilated by 2, columns step by 2; the output is 7 high, 9 wide.
    problem = problems.convolution("c", (6, 4, 3, 5), (2, 6, 7, 9), stride=(1, 2), dilation=(2, 1), groups=1)
    assert problem.name == "c"
    assert problem.bounds == {"C": 4, "M": 6, "R": 5, "S": 3, "N": 2, "P": 9, "Q": 7, "G": 1}
    assert problem.coefficients == {"Wstride": 2, "Hstride": 1, "Wdilation": 1, "Hdilation": 2}
    assert words(problem, "Weights") == 6 * 4 * 3 * 5
    assert words(problem, "Outputs") == 2 * 6 * 7 * 9
    # The input as the kernel sees it, padding included: (7 - 1) * 1 + (3 - 1) * 2 + 1 high, 8 * 2 + 4 + 1 wide.
    assert words(problem, "Inputs") == 2 * 4 * 11 * 21


def test_channels_are_per_group() -> None:
    problem = problems.convolution("c", (12, 2, 3, 3), (1, 12, 8, 8), stride=(1,), dilation=(1,), groups=4)
    assert problem.bounds == {"C": 2, "M": 3, "R": 3, "S": 3, "N": 1, "P": 8, "Q": 8, "G": 4}
    assert problem.computes == 12 * 2 * 9 * 64


def test_one_axis_is_the_width() -> None:
    problem = problems.convolution("c", (6, 4, 3), (2, 6, 9), stride=(2,), dilation=(3,), groups=1)
    assert problem.bounds == {"C": 4, "M": 6, "R": 3, "S": 1, "N": 2, "P": 9, "Q": 1, "G": 1}
    assert problem.coefficients == {"Wstride": 2, "Hstride": 1, "Wdilation": 3, "Hdilation": 1}


def test_a_product_is_a_convolution_on_one_pixel() -> None:
    problem = problems.product("p", batch=3, rows=5, inner=7, columns=11)
    assert problem.bounds == {"C": 7, "M": 11, "R": 1, "S": 1, "N": 5, "P": 1, "Q": 1, "G": 3}
    assert [words(problem, d) for d in CONV2D.data_space_names] == [3 * 7 * 11, 3 * 5 * 7, 3 * 5 * 11]
    assert problem.computes == 3 * 5 * 7 * 11


def test_the_classifier_of_resnet18_as_the_recorded_searches_have_it() -> None:
    """Values of ``r18_fc`` in the recorded timeloop-mapper searches."""
    problem = problems.product("fc", batch=1, rows=1, inner=512, columns=1000)
    assert problem.bounds == {"C": 512, "M": 1000, "R": 1, "S": 1, "N": 1, "P": 1, "Q": 1, "G": 1}
    assert set(problem.coefficients.values()) == {1}
