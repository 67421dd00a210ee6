"""Accuracy by precision: on shifted integers, and by quantizing anew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import torch
from torch import nn

from tqhw.datasets.base import Data
from tqhw.errors import TqhwError
from tqhw.quant import (
    FULL,
    MAX_BITS,
    QuantizedTensor,
    holds_codes,
    integer_codes,
    quantized_layers,
    refuse_held,
    running_on_codes,
    set_bits,
    shift_is_exact,
)
from tqhw.quant.calls import called, first_tensor, moved
from tqhw.quant.modes import evaluating
from tqhw.train.metrics import ACCURACY, Metric, metric_of_targets
from tqhw.train.reproducible import reproducible

_NOTHING_TO_QUANTIZE: Final = ("there are no real weights to quantize anew", "use evaluate_shifted")


Answer = tuple[torch.Tensor, torch.Tensor]
"""Outputs of a batch and its targets, on the CPU."""


@dataclass(frozen=True)
class Measured:
    """What a metric says, with the ends of its 95 % interval over test samples drawn anew."""

    metric: str
    value: float
    low: float
    high: float
    unit: str
    lower_is_better: bool


@dataclass(frozen=True)
class Accuracy:
    """How good one precision is on the test set: its top-1 accuracy, or what another metric says.

    ``top1``: in percent; None where the metric is another one, which ``other`` holds then. ``weights``: ``shifted``
    (integer codes stored once, shifted right) or ``requantized`` (the real weights quantized at ``bits``).
    ``verified``: the shifted codes of every layer equal the codes of the quantizer at ``bits``, and the outputs of the
    two are equal bit for bit; never true of ``requantized``, nor of ``full``, a network that was never quantized.
    ``seed``: of the training, where that is known.
    """

    scheme: str
    bits: int
    top1: float | None
    samples: int
    verified: bool
    weights: Literal["shifted", "requantized", "full"]
    other: Measured | None = None
    seed: int | None = None

    @property
    def value(self) -> float:
        """What was measured, by the metric's own name."""
        return self.other.value if self.other is not None else float(self.top1 or 0.0)

    @property
    def metric(self) -> str:
        """The metric's name."""
        return ACCURACY if self.other is None else self.other.metric

    @property
    def row(self) -> dict[str, Any]:
        """As JSON has it: ``top1``, or the metric's own fields."""
        document: dict[str, Any] = asdict(self)
        other: dict[str, Any] | None = document.pop("other")
        if other is None:
            return document
        del document["top1"]
        return document | other


def evaluate_shifted(
    model: nn.Module,
    data: Data,
    bits_list: Iterable[int],
    *,
    stored: int = MAX_BITS,
    batch_size: int = 256,
    metric: Metric | None = None,
) -> list[Accuracy]:
    """Stores the codes once at ``stored`` bits, shifts them to each of ``bits_list`` and measures.

    For a scheme whose codes do not survive the shift this is the Quant-Trunc row of the paper's table. A model that
    was read from its file is measured on the codes it has, and never verified: there are no real weights to do it by.
    ``metric``: None for that of the targets: accuracy, of labels by position that of positions, of numbers the RMSE.
    """
    if holds_codes(model):
        codes = integer_codes(model, stored)
        return [_on_codes(model, codes, bits, data, batch_size, metric) for bits in bits_list]
    both = evaluate_both(model, data, bits_list, stored=stored, batch_size=batch_size, metric=metric)
    return [shifted for _, shifted in both]


def _on_codes(
    model: nn.Module,
    codes: Mapping[str, QuantizedTensor],
    bits: int,
    data: Data,
    batch_size: int,
    metric: Metric | None,
) -> Accuracy:
    with running_on_codes(model, codes, bits):
        answers = answers_of(model, data, batch_size)
    return _accuracy(_scheme(model), bits, answers, False, "shifted", metric)


def evaluate_both(
    model: nn.Module,
    data: Data,
    bits_list: Iterable[int],
    *,
    stored: int = MAX_BITS,
    batch_size: int = 256,
    metric: Metric | None = None,
) -> list[tuple[Accuracy, Accuracy]]:
    """Of each of ``bits_list`` what :func:`evaluate_requantized` and :func:`evaluate_shifted` give, in two passes."""
    refuse_held(model, *_NOTHING_TO_QUANTIZE)
    codes = integer_codes(model, stored)
    results = []
    for bits in bits_list:
        with running_on_codes(model, codes, bits):
            shifted = answers_of(model, data, batch_size)
        set_bits(model, bits)
        requantized = answers_of(model, data, batch_size)
        verified = shift_is_exact(model, codes, bits) and same_answers(shifted, requantized)
        scheme = _scheme(model)
        anew = _accuracy(scheme, bits, requantized, False, "requantized", metric)
        results.append((anew, _accuracy(scheme, bits, shifted, verified, "shifted", metric)))
    return results


def evaluate_requantized(
    model: nn.Module,
    data: Data,
    bits_list: Iterable[int],
    *,
    batch_size: int = 256,
    metric: Metric | None = None,
) -> list[Accuracy]:
    """Quantizes the real weights at each of ``bits_list``: the Quant-Quant row of the paper's table."""
    refuse_held(model, *_NOTHING_TO_QUANTIZE)
    results = []
    for bits in bits_list:
        set_bits(model, bits)
        answers = answers_of(model, data, batch_size)
        results.append(_accuracy(_scheme(model), bits, answers, False, "requantized", metric))
    return results


def evaluate_full(model: nn.Module, data: Data, *, batch_size: int = 256, metric: Metric | None = None) -> Accuracy:
    """The accuracy of a network in floating point."""
    return _accuracy("fp32", FULL, answers_of(model, data, batch_size), False, "full", metric)


@torch.no_grad()
def answers_of(model: nn.Module, data: Data, batch_size: int, threads: int = 1) -> list[Answer]:
    """Outputs and targets of the whole test set by batch, the model in evaluation mode meanwhile."""
    with evaluating(model), reproducible(0, threads):
        at = next(model.parameters()).device
        batches = data.test_batches(batch_size)
        return [(first_tensor(called(model, moved(inputs, at))).cpu(), targets) for inputs, targets in batches]


def rows_of(metric: Metric, answers: Iterable[Answer]) -> torch.Tensor:
    """The metric's numbers of every sample, (N, k)."""
    return torch.cat([metric.sums(outputs.float(), targets) for outputs, targets in answers])


def same_answers(one: Sequence[Answer], other: Sequence[Answer]) -> bool:
    """Whether the outputs are equal, bit for bit."""
    return all(torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))


def value_of(metric: Metric, rows: torch.Tensor) -> float:
    """What the metric says of its numbers of every sample. Raises TqhwError where that is no number."""
    value = metric.value(rows)
    if not math.isfinite(value):
        told = f"the {metric.name} of these test samples is {value:g}"
        raise TqhwError(told, place="training.metric", lever="use another metric: targets may all be alike")
    return value


def _scheme(model: nn.Module) -> str:
    return quantized_layers(model)[0].quantizer.scheme.name


def _accuracy(
    scheme: str,
    bits: int,
    answers: Sequence[Answer],
    verified: bool,
    weights: Literal["shifted", "requantized", "full"],
    metric: Metric | None,
) -> Accuracy:
    metric = metric or metric_of_targets(answers[0][1])
    rows = rows_of(metric, answers)
    value = value_of(metric, rows)
    if metric.name == ACCURACY:
        return Accuracy(scheme, bits, value, int(rows[:, 1].sum()), verified, weights)
    ends = metric.interval(rows)
    other = Measured(metric.name, value, *ends, metric.unit, metric.lower_is_better)
    return Accuracy(scheme, bits, None, len(rows), verified, weights, other)
