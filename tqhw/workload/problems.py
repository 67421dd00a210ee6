"""Problems out of tensor shapes. Everything becomes Timeloop's ``conv2d``, so that one architecture takes it all.

An architecture's constraints name dimensions (``factors: [N=1, C=1, ...]``). Were a linear layer written with the
``matmul`` shape, these names would be missing or, as ``M`` and ``N``, mean something else. A matrix product is the
convolution with a 1x1 kernel on a 1x1 picture: rows are its batch N, the summed dimension is C, columns are M, a
batch of products is the groups G. This is also how the recorded Timeloop searches give the classifier of ResNet-18.

Width comes with R, P and the W coefficients, height with S, Q and the H coefficients. C and M are per group. The
input of a problem includes the padding: Timeloop has no word for it, and counts the zeros as data.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqhw.spec import CONV2D, Problem, make_problem


def convolution(
    name: str,
    weight: Sequence[int],
    output: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Problem:
    """A convolution over one or two spatial axes.

    ``weight`` is ``[outputs, inputs per group, (height,) width]``, ``output`` is ``[N, outputs, (height,) width]``;
    ``stride`` and ``dilation`` have one entry per spatial axis, or one for all.
    """
    axes = len(output) - 2
    q, p = (1, *output[2:])[-2:]
    s, r = (1, *weight[2:])[-2:]
    h_stride, w_stride = (1, *_per_axis(stride, axes))[-2:]
    h_dilation, w_dilation = (1, *_per_axis(dilation, axes))[-2:]
    kernel = {"C": weight[1], "M": weight[0] // groups, "R": r, "S": s}
    picture = {"N": output[0], "P": p, "Q": q, "G": groups}
    strides = {"Wstride": w_stride, "Hstride": h_stride}
    dilations = {"Wdilation": w_dilation, "Hdilation": h_dilation}
    return make_problem(CONV2D, {**kernel, **picture, **strides, **dilations}, name, place=name)


def product(name: str, *, batch: int, rows: int, inner: int, columns: int) -> Problem:
    """``batch`` products ``[rows, inner] x [inner, columns]``; the right factor is the Weights data space."""
    instance = {"C": inner, "M": columns, "R": 1, "S": 1, "N": rows, "P": 1, "Q": 1, "G": batch}
    return make_problem(CONV2D, instance, name, place=name)


def _per_axis(values: Sequence[int], axes: int) -> tuple[int, ...]:
    return tuple(values) if len(values) == axes else tuple(values) * axes
