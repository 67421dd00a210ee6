"""What the tests of ONNX files share: a converted network with ranges, and how far its file is from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("onnxruntime")
from torch import nn  # noqa: E402

from tqhw.quant import (  # noqa: E402
    OnnxModel,
    QuantConfig,
    convert,
    integer_codes,
    running_on_codes,
    set_bits,
)

BITS = (2, 4, 8)


def started(network: nn.Module, *given: torch.Tensor, calls: int = 1, **options: Any) -> nn.Module:
    """Converted, with the ranges that so many calls of ``given`` gave at every precision."""
    chosen = {"activations": "pact", "precisions": BITS, "first": None, "last": None, **options}
    model = convert(network, QuantConfig(**chosen)).train()
    with torch.no_grad():
        for bits in reversed(BITS):
            set_bits(model, bits)
            for _ in range(calls):
                model(*given)
    return model.eval()


def differences(model: nn.Module, path: Path, *given: torch.Tensor) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """By precision, how far the file's answers are from those of the model on integer codes, and these."""
    found, codes = OnnxModel(path, 8), integer_codes(model)
    for bits in BITS:
        with running_on_codes(model, codes, bits), torch.no_grad():
            expected = model(*given).numpy()
        found.set_bits(bits)
        answers = found(*(x.numpy() for x in given))
        assert answers.shape == expected.shape
        yield bits, np.abs(answers - expected), expected
