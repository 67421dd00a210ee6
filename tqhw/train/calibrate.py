"""What is measured on training images: where clamps of activations start, and batch-norm statistics anew."""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from tqhw.datasets.base import Data
from tqhw.errors import TqhwError
from tqhw.quant import input_quantizers, quantization_of, set_bits
from tqhw.quant.calls import called, moved
from tqhw.quant.modes import evaluating
from tqhw.quant.norm import norms_of
from tqhw.quant.statistics import measure_norms
from tqhw.train.reproducible import reproducible


def start_inputs(model: nn.Module, data: Data, batch_size: int, *, seed: int = 0, threads: int = 1) -> None:
    """Starts the ranges of quantized activations, where they wait for a first batch, by one of the training images.

    It runs at the highest precision, which ``model`` is then switched to, on the batch's own statistics: those that
    norms have counted may be of weights before they were normalised, or of none at all. They stay as they are. Raises
    TqhwError for a clamp that drops negative values; see :meth:`tqhw.quant.InputQuantizer.start`.
    """
    if all(quantizer.started for quantizer in input_quantizers(model)):
        return
    set_bits(model, quantization_of(model).precisions[-1])
    at = next(model.parameters()).device
    counted = [(buffer, buffer.clone()) for norm in norms_of(model).values() for buffer in norm.buffers()]
    with torch.no_grad(), evaluating(model), reproducible(seed, threads):
        for norm in norms_of(model).values():
            norm.train()
        inputs, _ = next(iter(data.train_batches(min(batch_size, data.train_size), seed, epoch=0)))
        called(model, moved(inputs, at))
        for buffer, before in counted:
            buffer.copy_(before)


def recalibrate(
    model: nn.Module,
    data: Data,
    bits: int,
    *,
    batch_size: int = 128,
    batches: int | None = None,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Sets the running statistics of the norms of ``bits`` to their means over training batches.

    ``batches``: how many, None for one epoch; fewer images than ``batch_size`` are one batch. Weights, and the norms
    of other precisions, stay as they are. Statistics of shared norms are those of the precision that was calibrated
    last; :func:`add_precision` gives each precision its own. Raises TqhwError for no batch, or no image in it.
    """
    for name, value in (("batch_size", batch_size), ("batches", 1 if batches is None else batches)):
        if value < 1:
            raise TqhwError(f"{value} leaves no images to measure statistics on", place=name, lever="use 1 or more")
    set_bits(model, bits)
    at, size = next(model.parameters()).device, min(batch_size, data.train_size)
    with reproducible(seed, threads):
        measure_norms(
            model,
            lambda: (
                called(model, moved(inputs, at))
                for inputs, _ in islice(data.train_batches(size, seed, epoch=0), batches)
            ),
        )
