"""An ONNX file in onnxruntime: does it run, and does it give the model's answers?"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from tqhw.quant.activation import input_quantizers
from tqhw.quant.calls import Inputs, called, each, first_tensor, samples
from tqhw.quant.codes import integer_codes, running_on_codes
from tqhw.quant.onnx.feeds import BITS_INPUT, for_session

_TOLERANCE: Final = 1e-3
"""Of the largest logit: programs add up in different orders."""


def session(file: Path | bytes, threads: int = 1) -> Any:
    """The file in onnxruntime, on the CPU; what it raises for a file it refuses comes through."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what fails is raised, and need not be printed as well
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def answer(running: Any, inputs: Inputs, bits: int) -> torch.Tensor | str:
    """Its logits for ``inputs``; why there are none where it fails."""
    feeds = {name: value.numpy() for name, value in for_session(running, inputs).items()}
    feeds[BITS_INPUT] = np.array(bits, np.int64)
    known = {entry.name for entry in running.get_inputs()}
    try:
        return torch.from_numpy(running.run(None, {name: value for name, value in feeds.items() if name in known})[0])
    except Exception as error:  # noqa: BLE001 - onnxruntime has a class for every status
        return _short(str(error))


@torch.no_grad()
def disagreement(
    content: bytes, model: nn.Module, example: Inputs, precisions: Iterable[int], stored: int
) -> str | None:
    """Where the file does not give the answers of ``model`` on two batch sizes; None where it does.

    Nothing is said where onnxruntime is not there.
    """
    if find_spec("onnxruntime") is None:
        return None
    try:
        running = session(content)
    except Exception as error:  # noqa: BLE001 - as above
        return f"onnxruntime refuses it: {_short(str(error))}"
    codes, steps = integer_codes(model, stored), bool(input_quantizers(model))
    for bits in dict.fromkeys(precisions):
        for inputs in (example, each(example, _longer)):
            with running_on_codes(model, codes, bits):
                expected = first_tensor(called(model, inputs))
            got = answer(running, inputs, bits)
            if isinstance(got, str):
                return _bound(example, inputs, got)
            if got.shape != expected.shape:
                return _bound(example, inputs, f"it answers with {list(got.shape)} for {list(expected.shape)}")
            apart = _apart(got, expected, steps)
            if not apart <= _TOLERANCE * max(1.0, float(expected.abs().max())):
                return _bound(example, inputs, f"logits are {apart:.2g} apart at {bits} bits")
    return None


def _apart(got: torch.Tensor, expected: torch.Tensor, steps: bool) -> float:
    """The largest difference; with ``steps``, quantized inputs, of the median row: a sum in another order may carry a
    number over a bin's edge.
    """
    if not got.numel():
        return 0.0
    rows = (got - expected).abs().reshape(len(got), -1).amax(dim=1)
    return float(rows.median() if steps else rows.max())


def _longer(example: torch.Tensor) -> torch.Tensor:
    """One row more, in another order, and other numbers where they are real ones."""
    rows = torch.cat([example.flip(0), example[:1]])
    return rows * 1.5 - 0.25 if rows.is_floating_point() else rows


def _bound(example: Inputs, inputs: Inputs, why: str) -> str:
    if inputs is example:
        return f"the file does not give the model's answers: {why}"
    return (
        f"the file gives the model's answers on the batch of {samples(example)} that it was made with, and not on "
        f"another of {samples(inputs)}: {why} (a number taken from the shape or the values of the input, "
        "int(x.shape[0]) or a loop over the batch, is written down as it was once)"
    )


def _short(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else "it fails without a word"
