"""The graph that torch's exporter makes of a plain model, and the batch by which it follows it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS
from tqhw.quant.calls import Inputs, called, shapes_of
from tqhw.quant.convert import revert
from tqhw.quant.layers import QuantizedLayer, quantized_layers
from tqhw.quant.onnx.feeds import ANSWER, batch_of_two, take_tensors
from tqhw.quant.onnx.inputs import PlainInput, started_inputs

_OPSET: Final = 18


def followed(model: nn.Module, input: tuple[int, ...] | Inputs) -> tuple[Inputs, set[str]]:
    """A batch of two, by which torch follows the model, and the layers that run on it."""
    if isinstance(input, torch.Tensor | Mapping) or any(isinstance(part, torch.Tensor) for part in input):
        given = batch_of_two(input)
        return given, _layers_that_run(model, given)
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *input, generator=generator)
    try:
        return example, _layers_that_run(model, example)
    except TqhwError:
        tables = [module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding)]
        if len(input) != 1 or not tables:
            raise
        example = torch.randint(min(tables), (2, *input), generator=generator)  # ids that every table has
        return example, _layers_that_run(model, example)


@torch.no_grad()
def _layers_that_run(model: nn.Module, example: Inputs) -> set[str]:
    ran: set[str] = set()

    def note(layer: QuantizedLayer) -> Any:
        return layer.quantizer.register_forward_hook(lambda *_: ran.add(layer.name))

    hooks = [note(layer) for layer in quantized_layers(model)]
    try:
        called(model, example)
    except TqhwError:
        raise
    except Exception as error:  # the model may be the user's own
        refused = f"it refuses an input of shape {shapes_of(example)}"
        raise TqhwError(f"torch cannot export the model to ONNX: {refused}: {_told(error)}", place="export") from error
    finally:
        for hook in hooks:
            hook.remove()
    return ran


def plain_graph(model: nn.Module, example: Inputs, given: Mapping[str, torch.Tensor]) -> bytes:
    """The graph of the reverted ``model``, in which every layer has a weight of its own."""
    layers, inputs = quantized_layers(model), started_inputs(model)
    for layer in layers:
        layer.quantizer.read_by(None)  # weights are looked at beside their layers
    revert(model)
    for layer in layers:
        if layer.name in inputs:
            quantizer = PlainInput(inputs[layer.name], MAX_BITS, layer.quantizer.fixed)
            layer.module.add_module("input_quantizer", quantizer)
            layer.module.register_forward_pre_hook(quantizer.before, with_kwargs=True)
    for layer in layers:  # the exporter would keep one name of a weight that several layers share
        weight = getattr(layer.module, layer.tensor).detach().clone()
        layer.module.register_parameter(layer.tensor, nn.Parameter(weight))
    take_tensors(model, example)
    with tempfile.TemporaryDirectory() as folder, _quietly():
        output = Path(folder) / "plain.onnx"
        try:
            # The newer exporter needs another package, and renames the parameters that are replaced here.
            torch.onnx.export(
                model,
                tuple(given.values()),
                output,
                dynamo=False,
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                input_names=[*given],
                output_names=[ANSWER],
                dynamic_axes={name: {0: "batch"} for name in [*given, ANSWER]},
            )
        except Exception as error:  # of any kind: it calls the model, and asserts
            raise TqhwError(f"torch cannot export the model to ONNX: {_told(error)}", place="export") from error
        return output.read_bytes()


class _Off:
    """False, asked or called: torch asks whether its log is on, and means to call."""

    def __bool__(self) -> bool:
        return False

    __call__ = __bool__


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter warns of itself and of what the run afterwards finds out, and prints its graph where it fails."""
    logging, fast = torch._C._jit_is_onnx_log_enabled, torch.backends.mha.get_fastpath_enabled()
    torch._C._jit_is_onnx_log_enabled = _Off()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole attention, which ONNX lacks
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", kind)
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            yield
    finally:
        torch._C._jit_is_onnx_log_enabled = logging
        torch.backends.mha.set_fastpath_enabled(fast)


def _told(error: Exception) -> str:
    """The first line of what was raised."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
