"""Problems out of tensor shapes. Almost all become Timeloop's ``conv2d``, so that one architecture takes them.

An architecture's constraints name dimensions (``factors: [N=1, C=1, ...]``). Were a linear layer written with the
``matmul`` shape, these names would be missing or, as ``M`` and ``N``, mean something else. A matrix product is the
convolution with a 1x1 kernel on a 1x1 picture: rows are its batch N, the summed dimension is C, columns are M, a
batch of products is the groups G. This is also how the recorded Timeloop searches give the classifier of ResNet-18.

Width comes with R, P and the W coefficients, height with S, Q and the H coefficients. C and M are per group. The
input of a problem includes the padding: Timeloop has no word for it, and counts the zeros as data. A convolution over
three axes is a ``conv3d``, the same with F and T for the depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tqhw.spec import CONV2D, CONV3D, Problem, make_problem
from tqhw.workload.operations import Convolution


def convolution(
    name: str,
    window: Sequence[int],
    picture: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    transposed: bool = False,
) -> Problem:
    """A convolution over one to three spatial axes: ``conv2d``, over three ``conv3d``.

    ``window`` is the weight's ``[outputs, inputs per group, (depth, height,) width]``, ``picture`` the output's
    ``[N, outputs, (depth, height,) width]``; ``stride`` and ``dilation`` have one entry per spatial axis, or one for
    all. ``transposed``: ``window`` is ``[inputs, outputs per group, ...]`` and ``picture`` the input's. Every pixel of
    the input is then multiplied with the whole window, so that the problem is a product of all pixels by all weights;
    where windows overlap, Outputs are the products before they are added up.
    """
    if transposed:
        return _transposed(name, window, picture, groups)
    axes = len(picture) - 2
    names = (("D", "F", "T"), ("H", "Q", "S"), ("W", "P", "R"))[-axes:]
    instance = {"C": window[1], "M": window[0] // groups, "R": 1, "S": 1, "N": picture[0], "P": 1, "Q": 1, "G": groups}
    per_axis = zip(names, window[2:], picture[2:], _per_axis(stride, axes), _per_axis(dilation, axes), strict=True)
    for (axis, out, kernel), size, pixels, step, spread in per_axis:
        instance |= {kernel: size, out: pixels, f"{axis}stride": step, f"{axis}dilation": spread}
    return make_problem(CONV3D if axes == 3 else CONV2D, instance, name, place=name)


def _transposed(name: str, window: Sequence[int], picture: Sequence[int], groups: int) -> Problem:
    q, p = (1, *picture[2:])[-2:]
    depth = math.prod(picture[2:-2])
    kernel = {"C": window[0] // groups, "M": math.prod(window[1:]), "R": 1, "S": 1}
    return make_problem(CONV2D, {**kernel, "N": picture[0] * depth, "P": p, "Q": q, "G": groups}, name, place=name)


def of_convolution(name: str, found: Convolution) -> Problem:
    """The problem of a convolution that was found in a model, whatever it was read from."""
    return convolution(
        name,
        found.window,
        found.picture,
        stride=found.stride,
        dilation=found.dilation,
        groups=found.groups,
        transposed=found.transposed,
    )


def product(name: str, *, batch: int, rows: int, inner: int, columns: int) -> Problem:
    """``batch`` products ``[rows, inner] x [inner, columns]``; the right factor is the Weights data space."""
    instance = {"C": inner, "M": columns, "R": 1, "S": 1, "N": rows, "P": 1, "Q": 1, "G": batch}
    return make_problem(CONV2D, instance, name, place=name)


def _per_axis(values: Sequence[int], axes: int) -> tuple[int, ...]:
    return tuple(values) if len(values) == axes else tuple(values) * axes
