"""An exported ONNX file against the model it came from, on the whole test set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tqhw.datasets.base import Data
from tqhw.errors import TqhwError
from tqhw.quant import MAX_BITS, input_quantizers, integer_codes, quantization_of, running_on_codes
from tqhw.quant.calls import samples
from tqhw.quant.onnx.run import answer, session
from tqhw.train.evaluate import answers_of

TOLERANCE: Final = 1e-4
"""Of a logit: convolutions of two programs add up in different orders. Of answers above 1, of the largest one."""

_SHARE: Final = 0.99


@dataclass(frozen=True)
class Agreement:
    """Of one precision: how many of the test samples get the same answer, and how far logits are apart.

    ``failure``: why there are no answers to compare; None where there are.
    """

    bits: int
    samples: int
    same: int
    largest_difference: float
    failure: str | None = None
    scale: float = 1.0
    """The largest answer where it is above 1: what the tolerance is a part of."""
    steps: bool = False
    """Whether inputs of layers are quantized: a sum in another order may then carry one over a bin's edge."""

    @property
    def agrees(self) -> bool:
        """Whether all answers are the same, and all logits within the tolerance; with steps, 99 of 100 answers."""
        if self.steps:
            return self.failure is None and self.same >= _SHARE * self.samples
        return self.failure is None and self.same == self.samples and self.largest_difference <= TOLERANCE * self.scale


def compare_onnx(
    path: Path, model: nn.Module, data: Data, *, stored: int = MAX_BITS, batch_size: int = 256
) -> list[Agreement]:
    """Runs the file in onnxruntime, and ``model`` on its shifted integers, at every precision they serve.

    Raises TqhwError where onnxruntime is not installed or refuses the file; a file that does not take the batches of
    the test set, or answers them with something else, is a finding.
    """
    try:
        import onnxruntime  # noqa: F401 - it says that it is there
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidProtobuf, NoSuchFile
    except ImportError:
        raise TqhwError("onnxruntime is not installed", place=str(path), lever="pip install 'tqhw[onnx]'") from None
    try:
        running = session(path)
    except (Fail, InvalidProtobuf, NoSuchFile) as error:
        raise TqhwError(f"onnxruntime refuses it: {error}", place=str(path), lever="export it again") from None
    codes = integer_codes(model, stored)
    found = []
    for bits in quantization_of(model).precisions:
        if bits <= stored:
            with running_on_codes(model, codes, bits):
                expected = torch.cat([outputs for outputs, _ in answers_of(model, data, batch_size)])
            found.append(
                _compared(bits, bool(input_quantizers(model)), expected, _answers(running, data, bits, batch_size))
            )
    return found


def _answers(running: Any, data: Data, bits: int, batch_size: int) -> torch.Tensor | str:
    """The file's logits for the whole test set; why there are none."""
    parts = []
    for inputs, _ in data.test_batches(batch_size):
        part = answer(running, inputs, bits)
        if isinstance(part, str):
            return f"a batch of {samples(inputs)} fails: {part}"
        if part.ndim == 0 or len(part) != samples(inputs):
            return f"a batch of {samples(inputs)} is answered with logits of shape {tuple(part.shape)}"
        parts.append(part)
    return torch.cat(parts)


def _like(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Where answers are the same: the largest class of two axes or more, of one the number within the tolerance."""
    if got.ndim > 1 and got.shape[-1] > 1:
        return got.argmax(-1) == expected.argmax(-1)
    return (got - expected).abs() <= TOLERANCE * max(1.0, float(expected.abs().max()))


def _compared(bits: int, steps: bool, expected: torch.Tensor, got: torch.Tensor | str) -> Agreement:
    if isinstance(got, torch.Tensor) and got.shape != expected.shape:
        got = f"logits are of shape {tuple(got.shape)}, not {tuple(expected.shape)}"
    if isinstance(got, str):
        return Agreement(bits, len(expected), 0, math.inf, got, steps=steps)
    same = int(_like(got, expected).reshape(len(got), -1).all(dim=1).sum())
    apart = float((got - expected).abs().max())
    return Agreement(bits, len(got), same, apart, scale=max(1.0, float(expected.abs().max())), steps=steps)
