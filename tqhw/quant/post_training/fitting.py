"""Scales and offsets with which codes give a layer's outputs back as well as they can: linear least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from tqhw.quant.post_training.nested import Line, regular

_NUMBERS: Final = 1 << 24
"""Of the matrices that are solved together."""
_DAMPING: Final = 1e-6
"""A share of the mean diagonal of a system, of a group that does nothing: it stays small."""
Weighted = tuple[torch.Tensor, float]
"""Levels in [-1, 1], the shape of the weight, and how much their error counts."""


def fit(
    weight: torch.Tensor, levels: Sequence[Weighted], moments: torch.Tensor | None, groups: int, *, offset: bool
) -> Line:
    """The one scale, and ``offset``, of each row and group of columns that is best for all of ``levels``.

    ``weight``: (rows, columns), ``groups`` of columns of a row. Least is the sum over ``levels`` of the expected
    squared error of the layer's outputs, d^T E[x x^T] d for a row's error d; without ``moments`` that of its weights.
    """
    rows, columns = weight.shape
    together = regular(torch.eye(columns) if moments is None else moments, 1e-3 if moments is not None else 0.0).float()
    unknown = groups * (2 if offset else 1)
    step = max(1, _NUMBERS // unknown**2)
    found = [
        _solved(weight[s : s + step], [(x[s : s + step], w) for x, w in levels], together, groups, offset)
        for s in range(0, rows, step)
    ]
    solution = torch.cat(found)
    scale = solution[:, :groups]
    return Line(scale, solution[:, groups:] if offset else torch.zeros_like(scale))


def fit_whole(weight: torch.Tensor, levels: Sequence[Weighted], moments: torch.Tensor | None, *, offset: bool) -> Line:
    """As :func:`fit` with one scale, and offset, for all of the weight; (rows, 1) of equal numbers."""
    columns = weight.shape[1]
    together = regular(torch.eye(columns) if moments is None else moments, 1e-3 if moments is not None else 0.0).float()
    matrix, right = _system(weight, levels, together, 1, offset)
    solution = _solve(matrix.sum(dim=0, keepdim=True), right.sum(dim=0, keepdim=True)).expand(len(weight), -1)
    scale = solution[:, :1]
    return Line(scale, solution[:, 1:] if offset else torch.zeros_like(scale))


def _solved(
    weight: torch.Tensor, levels: Sequence[Weighted], moments: torch.Tensor, groups: int, offset: bool
) -> torch.Tensor:
    return _solve(*_system(weight, levels, moments, groups, offset))


def _system(
    weight: torch.Tensor, levels: Sequence[Weighted], moments: torch.Tensor, groups: int, offset: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The normal equations of every row, (rows, unknown, unknown) and (rows, unknown): scales first, then offsets."""
    rows, columns = weight.shape
    unknown, width = groups * (2 if offset else 1), columns // groups
    matrix, right = torch.zeros(rows, unknown, unknown), torch.zeros(rows, unknown)
    towards = weight @ moments

    def by_group(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.reshape(rows, groups, width).sum(dim=2)

    for level, counts in levels:
        right[:, :groups] += counts * by_group(level * towards)
        if offset:
            right[:, groups:] += counts * by_group(towards)
        for group in range(groups):
            at = slice(group * width, (group + 1) * width)
            of_level = level[:, at] @ moments[at]
            matrix[:, group, :groups] += counts * by_group(of_level * level)
            if offset:
                of_one = moments[at].sum(dim=0).expand(rows, -1)
                matrix[:, group, groups:] += counts * by_group(of_level)
                matrix[:, groups + group, :groups] += counts * by_group(of_one * level)
                matrix[:, groups + group, groups:] += counts * by_group(of_one)
    return matrix, right


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    found = matrix.double()
    mean = found.diagonal(dim1=1, dim2=2).mean(dim=1)
    mean = torch.where(mean > 0, mean, torch.ones_like(mean))
    found = found + _DAMPING * mean[:, None, None] * torch.eye(found.shape[1], dtype=torch.float64)
    solution: torch.Tensor = torch.linalg.solve(found, right.double()[..., None])
    return solution[..., 0].float()
