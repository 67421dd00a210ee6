"""Accuracy by precision: on shifted integers, and by quantizing anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import nn

from tqhw.datasets.base import Data
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
from tqhw.quant.modes import evaluating
from tqhw.train.reproducible import reproducible

_NOTHING_TO_QUANTIZE: Final = ("there are no real weights to quantize anew", "use evaluate_shifted")


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy of one precision on the test set.

    ``top1``: in percent. ``weights``: ``shifted`` (integer codes stored once, shifted right) or
    ``requantized`` (the real weights quantized at ``bits``). ``verified``: the shifted codes of every layer
    equal the codes of the quantizer at ``bits``, and the logits of the two are equal bit for bit; never true
    of ``requantized``, nor of ``full``, a network that was never quantized.
    """

    scheme: str
    bits: int
    top1: float
    samples: int
    verified: bool
    weights: Literal["shifted", "requantized", "full"]


def evaluate_shifted(
    model: nn.Module, data: Data, bits_list: Iterable[int], *, stored: int = MAX_BITS, batch_size: int = 256
) -> list[Accuracy]:
    """Stores the codes once at ``stored`` bits, shifts them to each of ``bits_list`` and measures.

    For a scheme whose codes do not survive the shift this is the Quant-Trunc row of the paper's table. A model that
    was read from its file is measured on the codes it has, and never verified: there are no real weights to do it by.
    """
    if holds_codes(model):
        codes = integer_codes(model, stored)
        return [_on_codes(model, codes, bits, data, batch_size) for bits in bits_list]
    return [shifted for _, shifted in evaluate_both(model, data, bits_list, stored=stored, batch_size=batch_size)]


def _on_codes(
    model: nn.Module, codes: Mapping[str, QuantizedTensor], bits: int, data: Data, batch_size: int
) -> Accuracy:
    with running_on_codes(model, codes, bits):
        logits, labels = logits_of(model, data, batch_size)
    return _accuracy(model, bits, logits, labels, False, "shifted")


def evaluate_both(
    model: nn.Module, data: Data, bits_list: Iterable[int], *, stored: int = MAX_BITS, batch_size: int = 256
) -> list[tuple[Accuracy, Accuracy]]:
    """Of each of ``bits_list`` what :func:`evaluate_requantized` and :func:`evaluate_shifted` give, in two passes."""
    refuse_held(model, *_NOTHING_TO_QUANTIZE)
    codes = integer_codes(model, stored)
    results = []
    for bits in bits_list:
        with running_on_codes(model, codes, bits):
            shifted, labels = logits_of(model, data, batch_size)
        set_bits(model, bits)
        requantized, _ = logits_of(model, data, batch_size)
        verified = shift_is_exact(model, codes, bits) and torch.equal(shifted, requantized)
        anew = _accuracy(model, bits, requantized, labels, False, "requantized")
        results.append((anew, _accuracy(model, bits, shifted, labels, verified, "shifted")))
    return results


def evaluate_requantized(
    model: nn.Module, data: Data, bits_list: Iterable[int], *, batch_size: int = 256
) -> list[Accuracy]:
    """Quantizes the real weights at each of ``bits_list``: the Quant-Quant row of the paper's table."""
    refuse_held(model, *_NOTHING_TO_QUANTIZE)
    results = []
    for bits in bits_list:
        set_bits(model, bits)
        logits, labels = logits_of(model, data, batch_size)
        results.append(_accuracy(model, bits, logits, labels, False, "requantized"))
    return results


def evaluate_full(model: nn.Module, data: Data, *, batch_size: int = 256) -> Accuracy:
    """The accuracy of a network in floating point."""
    logits, labels = logits_of(model, data, batch_size)
    right = int((logits.argmax(dim=1) == labels).sum())
    return Accuracy("fp32", FULL, 100 * right / len(labels), len(labels), False, "full")


@torch.no_grad()
def logits_of(model: nn.Module, data: Data, batch_size: int, threads: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, classes) and labels (N,) of the whole test set, the model in evaluation mode meanwhile."""
    with evaluating(model), reproducible(0, threads):
        at = next(model.parameters()).device
        pairs = [(model(images.to(at)).cpu(), labels) for images, labels in data.test_batches(batch_size)]
    return torch.cat([logits for logits, _ in pairs]), torch.cat([labels for _, labels in pairs])


def _accuracy(
    model: nn.Module,
    bits: int,
    logits: torch.Tensor,
    labels: torch.Tensor,
    verified: bool,
    weights: Literal["shifted", "requantized"],
) -> Accuracy:
    right = int((logits.argmax(dim=1) == labels).sum())
    scheme = quantized_layers(model)[0].quantizer.scheme.name
    return Accuracy(scheme, bits, 100 * right / len(labels), len(labels), verified, weights)
