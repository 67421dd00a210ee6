"""Codes that serve every precision at once, rounded so that a layer's outputs, not its weights, stay what they were.

GPTQ (Frantar et al., 2210.17323) rounds a weight matrix column by column and lets the columns that are still to come
make up for the error. Codes that are shifted make one error at each precision, and a code's upper bits are common to
all. So there is one matrix of targets per precision here, each with the errors of its own precision taken up, and the
code of a weight is the one that is best for all of them, weighted by their priorities; MatGPTQ (2602.03537) minimises
such a sum, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from tqhw.quant.bits import top_code

_BLOCK: Final = 64
"""Columns whose errors are carried to the columns beyond them together."""


@dataclass(frozen=True)
class Line:
    """Numbers ``scale (2 k / M - 1) + offset`` of the codes of one precision; both (rows, groups of columns)."""

    scale: torch.Tensor
    offset: torch.Tensor

    def at(self, group: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and offset of the rows in a group of columns."""
        return self.scale[:, group], self.offset[:, group]


def level_of(codes: torch.Tensor, stored: int, bits: int) -> torch.Tensor:
    """The numbers in [-1, 1] of ``codes`` (whole numbers of ``stored`` bits) shifted to ``bits``."""
    return (codes >> (stored - bits)).float().mul_(2 / top_code(bits)).sub_(1)


def nested_codes(
    weight: torch.Tensor,
    moments: torch.Tensor,
    lines: Mapping[int, Line],
    priorities: Mapping[int, float],
    *,
    stored: int,
    damping: float,
) -> torch.Tensor:
    """Codes of ``stored`` bits, int32, for ``weight`` (rows, columns).

    ``moments``: E[x x^T] of what the columns are multiplied with. ``lines``: by precision, ``stored`` among them.
    ``damping``: of the moments, by this share of their mean diagonal.
    """
    bits = sorted(lines)
    rows, columns = weight.shape
    carry = _carry(moments, damping)
    targets = {b: weight.clone() for b in bits}
    codes = torch.empty(rows, columns, dtype=torch.int32)
    width = columns // lines[bits[0]].scale.shape[1]
    for start in range(0, columns, _BLOCK):
        end = min(start + _BLOCK, columns)
        errors = {b: torch.zeros(rows, end - start) for b in bits}
        for column in range(start, end):
            at = {b: lines[b].at(column // width) for b in bits}
            wanted = {b: targets[b][:, column] for b in bits}
            chosen, real = _best(wanted, at, priorities, bits, stored)
            codes[:, column] = chosen
            for b in bits:
                error = (wanted[b] - real[b]) / carry[column, column]
                errors[b][:, column - start] = error
                targets[b][:, column:end] -= error[:, None] * carry[column, column:end]
        for b in bits:
            targets[b][:, end:] -= errors[b] @ carry[start:end, end:]
    return codes


def _carry(moments: torch.Tensor, damping: float) -> torch.Tensor:
    """The upper Cholesky factor of the inverse: what an error in a column is worth in those after it."""
    damped = regular(moments, damping)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return upper.float()


def regular(moments: torch.Tensor, damping: float) -> torch.Tensor:
    """The moments in float64 with a share of their mean diagonal added; ones where all are zero."""
    found = moments.double()
    mean = float(found.diagonal().mean())
    return found + (damping * mean if mean > 0 else 1.0) * torch.eye(len(found), dtype=torch.float64)


def _best(
    wanted: Mapping[int, torch.Tensor],
    at: Mapping[int, tuple[torch.Tensor, torch.Tensor]],
    priorities: Mapping[int, float],
    bits: Sequence[int],
    stored: int,
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """The codes (rows,) with the least weighted squared error over the precisions, and the numbers they stand for."""
    candidates = _candidates(wanted, at, bits)
    cost = torch.zeros(candidates.shape)
    numbers = {}
    for b in bits:
        scale, offset = at[b]
        numbers[b] = level_of(candidates, stored, b).mul_(scale).add_(offset)
        cost += priorities[b] * (numbers[b] - wanted[b]).square_()
    best = cost.argmin(dim=0, keepdim=True)
    return candidates.gather(0, best)[0], {b: found.gather(0, best)[0] for b, found in numbers.items()}


def _candidates(
    wanted: Mapping[int, torch.Tensor], at: Mapping[int, tuple[torch.Tensor, torch.Tensor]], bits: Sequence[int]
) -> torch.Tensor:
    """Codes worth a try, (candidates, rows) at the most bits: the nearest one of each precision and its neighbours,
    followed up to more bits by what is nearest there among the codes that begin so.
    """
    nearest = {}
    for b in bits:
        scale, offset = at[b]
        safe = torch.where(scale == 0, torch.ones_like(scale), scale)
        nearest[b] = ((wanted[b] - offset) / safe).add_(1).mul_(top_code(b) / 2).round_().clamp_(0, top_code(b))
    found = []
    for number, b in enumerate(bits):
        for step in (-1, 0, 1) if b != bits[-1] else (0,):
            code, had = (nearest[b] + step).clamp_(0, top_code(b)), b
            for more in bits[number + 1 :]:
                first = code * (1 << (more - had))
                code, had = torch.minimum(torch.maximum(nearest[more], first), first + (1 << (more - had)) - 1), more
            found.append(code)
    return torch.stack(found).int()
