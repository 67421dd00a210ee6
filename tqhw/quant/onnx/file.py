"""One ONNX file for all precisions: uint8 codes, shifted right inside the graph by a run-time input ``bits``.

The plain model is exported by torch, then every quantized weight is replaced by the operators that compute it
from its codes, and every switchable batch norm's tensor by a choice among those of the precisions.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.bits import MAX_BITS
from tqhw.quant.calls import Inputs
from tqhw.quant.codes import fixed_bits, integer_codes
from tqhw.quant.layers import every_name, plain, quantization_of, quantized_layers
from tqhw.quant.norm import norms_of, switchable_norms
from tqhw.quant.onnx.exporter import followed, plain_graph
from tqhw.quant.onnx.feeds import feeds, keep_inputs
from tqhw.quant.onnx.graph import GraphBuilder
from tqhw.quant.onnx.inputs import PlainInput, started_inputs
from tqhw.quant.onnx.integers import WrittenLayer, in_integers
from tqhw.quant.onnx.run import disagreement
from tqhw.quant.precision import set_bits
from tqhw.quant.tensor import QuantizedTensor
from tqhw.system.files import write_bytes


def save_onnx(
    model: nn.Module,
    path: str | Path,
    input: tuple[int, ...] | Inputs,
    *,
    stored: int = MAX_BITS,
    integers: bool = False,
) -> int:
    """Writes ``model`` for inputs ``images`` (any batch size) and ``bits`` (int64, one number).

    ``input``: the shape of one input, without the batch, or a whole input. A shape of one axis that the model does not
    take as float32 numbers is that of token ids, int64. A network of several inputs is given a tuple of tensors, by
    position, or a dictionary, by name: the file's inputs have the names of the parameters of its ``forward``, or of
    the dictionary. Returns the file's size in bytes. Needs the extra ``onnx``.
    A graph cannot raise errors of its own: for ``bits`` that are not
    served it looks up a row that is not there, which ONNX calls an error and onnxruntime refuses. Layers that share a
    weight share their codes; what does not run in evaluation is not in the file.

    Where onnxruntime is there, the file is run with two batch sizes. A warning says where it does not give the model's
    answers: a loop over the batch, or a choice by the values of the input, is written down as it went once.

    ``integers``: layers with quantized inputs are sums of integers where they can be, see
    :mod:`tqhw.quant.onnx.integers`; whether that is faster is up to the runtime.
    Quantized activations are written as operators that clamp, floor and scale; where they follow the weights, by the
    same input ``bits``. Raises TqhwError for ranges of theirs that wait for data, for batch norms without running
    statistics, for models of another type than float32, and for one that torch cannot export.
    """
    model = plain(model)
    config = quantization_of(model)
    served = config.served(stored)
    _refuse_unwritable(model)
    try:
        import onnx
    except ImportError:
        raise TqhwError("ONNX is not installed", place="export", lever="pip install 'tqhw[onnx]'") from None
    twin = copy.deepcopy(model).cpu().eval()
    inputs, fixed = started_inputs(twin), fixed_bits(twin)
    for quantizer in inputs.values():
        quantizer.started = True  # what it is followed by are no data
    set_bits(twin, config.precisions[-1])
    example, ran = followed(twin, input)
    given = feeds(twin, example)
    graph_model = onnx.load_from_string(plain_graph(copy.deepcopy(twin), example, given))
    keep_inputs(onnx, graph_model.graph, given)
    own = config.norms == "switchable" or config.normalization.scales == "own"
    rows = served if own else tuple(range(config.normalization.fewest, stored + 1))
    builder = GraphBuilder(onnx, graph_model.graph, stored, rows)
    written = _write_weights(builder, twin, ran, stored)
    for module, names in _by_module(switchable_norms(twin)).items():
        builder.of_precisions(names, [module.copy_of(bits) for bits in served])
    for name, quantizer in inputs.items():
        place = f"{name}.input_quantizer".removeprefix(".")
        builder.of_precisions([place], [PlainInput(quantizer, bits, name in fixed) for bits in rows])
    if integers:
        _write_sums(builder, written, integer_codes(twin, stored), inputs, fixed)
    builder.finish()
    onnx.checker.check_model(graph_model)
    content: bytes = graph_model.SerializeToString()
    write_bytes(path, content)
    odd = disagreement(content, twin, example, (served[-1], served[0]), stored)
    if odd is not None:
        warnings.warn(f"{path}: {odd}", stacklevel=2)
    return len(content)


def _refuse_unwritable(model: nn.Module) -> None:
    for name, norm in norms_of(model).items():
        if norm.running_mean is None:
            raise TqhwError(
                "a batch norm without running statistics cannot be exported to ONNX",
                place=name,
                lever="train it with track_running_stats=True",
            )
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise TqhwError(
                f"'{name}' is {kind}, and the file's graph computes in float32",
                place="export",
                lever="export model.float(), whose codes are the same where its weights are",
            )


def _write_weights(builder: GraphBuilder, model: nn.Module, ran: set[str], stored: int) -> dict[str, str]:
    """Returns the name in the graph of each layer's own weight."""
    names: dict[str, list[str]] = {}
    for alias, owner in every_name(model).items():
        names.setdefault(owner, []).append(alias)
    codes = integer_codes(model, stored)
    found = {layer.name: builder.known(names[layer.name]) for layer in quantized_layers(model)}
    builder.own(name for name in found.values() if name is not None)
    written: dict[int, str] = {}
    placed: dict[str, str] = {}
    for layer in quantized_layers(model):
        name, own = found[layer.name], codes[layer.name]
        if name is None and layer.name in ran:
            raise TqhwError(
                f"torch exported the model without '{names[layer.name][0]}', or as a constant",
                place="export",
                lever="use the layer's weight as it is, not its .data",
            )
        if name is None:
            continue
        if id(own) in written:
            builder.same(name, written[id(own)])
        else:
            builder.weight(name, own, layer.quantizer.fixed)
            written[id(own)] = name
            placed[layer.name] = name
    return placed


def _write_sums(
    builder: GraphBuilder,
    written: Mapping[str, str],
    codes: Mapping[str, QuantizedTensor],
    inputs: Mapping[str, InputQuantizer],
    fixed: Collection[str],
) -> None:
    """Makes sums of integers of the layers with quantized ``inputs``; ``written`` names the layers' weights."""
    layers = {
        name: WrittenLayer(codes[layer], layer in fixed, PlainInput(inputs[layer], builder.served[-1], layer in fixed))
        for layer, name in written.items()
        if layer in inputs
    }
    if not in_integers(builder, layers):
        raise TqhwError(
            "no layer can be a sum of integers",
            place="integers",
            lever="quantize activations, with a scale per tensor or channel and no offset",
        )


def _by_module(named: dict[str, Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for name, module in named.items():
        found.setdefault(module, []).append(name)
    return found
