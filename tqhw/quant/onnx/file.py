"""One ONNX file for all precisions: uint8 codes, shifted right inside the graph by a run-time input ``bits``.

The plain model is exported by torch, then every quantized weight is replaced by the operators that compute it
from its codes, and every switchable batch norm's tensor by a choice among those of the precisions.
"""

from __future__ import annotations

import copy
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
from tqhw.quant.codes import fixed_bits, integer_codes
from tqhw.quant.convert import revert
from tqhw.quant.layers import QuantizedLayer, every_name, plain, quantization_of, quantized_layers
from tqhw.quant.norm import norms_of, switchable_norms
from tqhw.quant.onnx.feeds import ANSWER, batch_of_two, feeds, keep_inputs, take_tensors
from tqhw.quant.onnx.graph import GraphBuilder
from tqhw.quant.onnx.inputs import PlainInput, started_inputs
from tqhw.quant.onnx.integers import WrittenLayer, in_integers
from tqhw.quant.onnx.run import disagreement
from tqhw.quant.precision import set_bits
from tqhw.system.files import write_bytes

_OPSET: Final = 18


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
    example, ran = _followed(twin, input)
    given = feeds(twin, example)
    graph_model = onnx.load_from_string(_plain_graph(copy.deepcopy(twin), example, given))
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
        plain_inputs = {name: PlainInput(quantizer, rows[-1], name in fixed) for name, quantizer in inputs.items()}
        layers = {name: layer for layer, name in written.items() if layer in plain_inputs}
        codes = integer_codes(twin, stored)
        if not in_integers(
            builder, {n: WrittenLayer(codes[layer], layer in fixed, plain_inputs[layer]) for n, layer in layers.items()}
        ):
            raise TqhwError(
                "no layer can be a sum of integers",
                place="integers",
                lever="quantize activations, with a scale per tensor or channel and no offset",
            )
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


def _followed(model: nn.Module, input: tuple[int, ...] | Inputs) -> tuple[Inputs, set[str]]:
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


def _plain_graph(model: nn.Module, example: Inputs, given: Mapping[str, torch.Tensor]) -> bytes:
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


def _by_module(named: dict[str, Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for name, module in named.items():
        found.setdefault(module, []).append(name)
    return found


def _told(error: Exception) -> str:
    """The first line of what was raised."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
