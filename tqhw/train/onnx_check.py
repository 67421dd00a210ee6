"""An exported ONNX file against the model it came from, on the whole test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from tqhw.datasets.base import Data
from tqhw.errors import TqhwError
from tqhw.quant import MAX_BITS, integer_codes, quantization_of, running_on_codes
from tqhw.train.evaluate import logits_of

TOLERANCE: Final = 1e-4
"""Of a logit: convolutions of two programs add up in different orders."""


@dataclass(frozen=True)
class Agreement:
    """Of one precision: how many of the test samples get the same answer, and how far logits are apart."""

    bits: int
    samples: int
    same: int
    largest_difference: float

    @property
    def agrees(self) -> bool:
        """Whether all answers are the same, and all logits within the tolerance."""
        return self.same == self.samples and self.largest_difference <= TOLERANCE


def compare_onnx(
    path: Path, model: nn.Module, data: Data, *, stored: int = MAX_BITS, batch_size: int = 256
) -> list[Agreement]:
    """Runs the file in onnxruntime, and ``model`` on its shifted integers, at every precision they serve.

    Raises TqhwError where onnxruntime is not installed or refuses the file.
    """
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidProtobuf, NoSuchFile
    except ImportError:
        raise TqhwError("onnxruntime is not installed", place=str(path), lever="pip install 'tqhw[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidProtobuf, NoSuchFile) as error:
        raise TqhwError(f"onnxruntime refuses it: {error}", place=str(path), lever="export it again") from None
    codes = integer_codes(model, stored)
    found = []
    for bits in quantization_of(model).precisions:
        if bits <= stored:
            with running_on_codes(model, codes, bits):
                expected, _ = logits_of(model, data, batch_size)
            at = np.array(bits, np.int64)
            parts = [session.run(None, {"images": x.numpy(), "bits": at})[0] for x, _ in data.test_batches(batch_size)]
            got = torch.from_numpy(np.concatenate(parts))
            same = int((got.argmax(1) == expected.argmax(1)).sum())
            found.append(Agreement(bits, len(got), same, float((got - expected).abs().max())))
    return found
