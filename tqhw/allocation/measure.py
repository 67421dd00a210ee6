"""The accuracy that an allocation really has: on the test images, on integer codes that are shifted layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from tqhw.datasets import Data
from tqhw.quant import integer_codes, running_on_codes, set_bits
from tqhw.train.evaluate import answers_of, rows_of, same_answers, value_of
from tqhw.train.interval import interval
from tqhw.train.metrics import ACCURACY, Metric, metric_of_targets


@dataclass(frozen=True)
class MeasuredTop1:
    """Percent, or what another metric says, with the ends of its 95 % interval.

    ``verified``: every layer's shifted codes are those that its quantizer gives at that width, and the logits of both
    are equal bit for bit. ``rows``: the metric's numbers of every sample, (N, k), in an
    array: processes can be sent these.
    """

    top1: float
    low: float
    high: float
    samples: int
    verified: bool
    rows: np.ndarray = field(compare=False, repr=False)


def measure(
    model: nn.Module,
    data: Data,
    bits: Mapping[str, int],
    stored: int,
    batch_size: int = 256,
    metric: Metric | None = None,
) -> MeasuredTop1:
    """Of ``model`` with the layers of ``bits`` at their widths; ``metric``: None for that of the targets."""
    codes = integer_codes(model, stored)
    with running_on_codes(model, codes, stored):
        set_bits(model, bits)
        shifted = answers_of(model, data, batch_size)
    set_bits(model, stored)
    set_bits(model, bits)
    anew = answers_of(model, data, batch_size)
    fresh = {width: integer_codes(model, width) for width in sorted({*bits.values()})}
    same = all(torch.equal(codes[name].truncate(width).codes, fresh[width][name].codes) for name, width in bits.items())
    metric = metric or metric_of_targets(shifted[0][1])
    return of_rows(rows_of(metric, shifted), same and same_answers(shifted, anew), metric)


def of_rows(rows: torch.Tensor, verified: bool, metric: Metric) -> MeasuredTop1:
    """What the metric says of its numbers of every sample. Raises TqhwError where that is no number."""
    value = value_of(metric, rows)
    low, high = interval([value], len(rows)) if metric.name == ACCURACY else metric.interval(rows)
    return MeasuredTop1(value, low, high, len(rows), verified, rows.double().numpy())
