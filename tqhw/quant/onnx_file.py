"""One ONNX file for all precisions: uint8 codes, shifted right inside the graph by a run-time input ``bits``.

The plain model is exported by torch, then every quantized weight is replaced by the operators that compute it
from its codes, and every switchable batch norm's tensor by a choice among those of the precisions.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS, top_code
from tqhw.quant.codes import fixed_bits, integer_codes
from tqhw.quant.convert import revert
from tqhw.quant.layers import quantization_of, quantized_layers, weight_name
from tqhw.quant.norm import SwitchableBatchNorm, norms_of
from tqhw.quant.precision import set_bits
from tqhw.quant.tensor import QuantizedTensor
from tqhw.system.files import write_bytes

_OPSET: Final = 18
_NORM_TENSORS: Final = ("weight", "bias", "running_mean", "running_var")
_UNKNOWN: Final = 1 << 30
"""Index of a precision that is not served: out of range, which ONNX calls an error of Gather."""


def save_onnx(model: nn.Module, path: str | Path, input_shape: tuple[int, ...], *, stored: int = MAX_BITS) -> int:
    """Writes ``model`` for inputs ``images`` (float32, any batch size) and ``bits`` (int64, one number).

    ``input_shape``: without the batch. Returns the file's size in bytes. Needs the extra ``onnx``. A graph cannot
    raise errors of its own: for ``bits`` that are not served it looks up a row that is not there, which ONNX
    calls an error and onnxruntime refuses. Layers that share a weight get codes each.

    Raises TqhwError for quantized activations, which ONNX's own operators would have to redo, for batch norms
    without running statistics, and for a model that torch cannot export.
    """
    config = quantization_of(model)
    served = config.served(stored)
    for name, norm in norms_of(model).items():
        if norm.running_mean is None:
            raise TqhwError(
                "a batch norm without running statistics cannot be exported to ONNX",
                place=name,
                lever="train it with track_running_stats=True",
            )
    if config.activations != "full":
        raise TqhwError("quantized activations cannot be exported to ONNX yet", place="activations")
    try:
        import onnx
    except ImportError:
        raise TqhwError("ONNX is not installed", place="export", lever="pip install 'tqhw[onnx]'") from None
    graph_model = onnx.load_from_string(_plain_graph(model, input_shape))
    builder = _Builder(onnx, graph_model.graph, stored)
    builder.own_every_initializer()
    fixed = fixed_bits(model)
    for name, codes in integer_codes(model, stored).items():
        builder.weight(weight_name(name), codes, name in fixed)
    for name, module in model.named_modules():
        if isinstance(module, SwitchableBatchNorm):
            builder.norm(name, module, served)
    builder.finish(served if config.norms == "switchable" else tuple(range(1, stored + 1)))
    onnx.checker.check_model(graph_model)
    content = graph_model.SerializeToString()
    write_bytes(path, content)
    return len(content)


def _plain_graph(model: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    twin = copy.deepcopy(model).cpu().eval()
    set_bits(twin, quantization_of(twin).precisions[-1])
    layers = [layer.module for layer in quantized_layers(twin)]
    revert(twin)
    for layer in layers:  # the exporter would keep one name of a weight that several layers share
        layer.weight = nn.Parameter(cast(torch.Tensor, layer.weight).detach().clone())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        output = Path(folder) / "plain.onnx"
        # The newer exporter needs another package, and renames the parameters that are replaced here.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch.onnx.export(
                twin,
                (torch.zeros(2, *input_shape),),
                output,
                dynamo=False,
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            )
        except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
            raise TqhwError(f"torch cannot export the model to ONNX: {error}", place="export") from error
        return output.read_bytes()


class _Builder:
    """Replaces named values of a graph by operators that compute them; the new ones come first."""

    def __init__(self, onnx: Any, graph: Any, stored: int) -> None:
        self.onnx = onnx
        self.graph = graph
        self.stored = stored
        self.nodes: list[Any] = []
        self.constant("tqhw/top", np.array(top_code(stored), np.uint8))
        self.constant("tqhw/lowest", np.array(1, np.int64))
        self.constant("tqhw/unknown", np.array(_UNKNOWN, np.int64))
        self.constant("tqhw/one", np.array(1, np.float32))
        self.constant("tqhw/two", np.array(2, np.float32))
        # Gather counts negative indices from the end, so what is below 1 goes beyond it.
        self.node("Less", ["bits", "tqhw/lowest"], "tqhw/below")
        self.node("Where", ["tqhw/below", "tqhw/unknown", "bits"], "tqhw/bits")
        self.node("Gather", ["tqhw/rows", "tqhw/bits"], "tqhw/row")
        self.node("Gather", ["tqhw/shifts", "tqhw/row"], "tqhw/shift")
        self.node("BitShift", ["tqhw/top", "tqhw/shift"], "tqhw/top_now", direction="RIGHT")
        self.node("Cast", ["tqhw/top_now"], "tqhw/top_real", to=onnx.TensorProto.FLOAT)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))

    def constant(self, name: str, value: Any) -> None:
        self.graph.initializer.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))

    def own_every_initializer(self) -> None:
        """Undoes the exporter's sharing of equal tensors, which are equal by chance only."""
        values = {entry.name: entry for entry in self.graph.initializer}
        for node in list(self.graph.node):
            if node.op_type == "Identity" and node.input[0] in values:
                copied = self.onnx.TensorProto()
                copied.CopyFrom(values[node.input[0]])
                copied.name = node.output[0]
                self.graph.initializer.append(copied)
                values[copied.name] = copied
                self.graph.node.remove(node)

    def weight(self, name: str, codes: QuantizedTensor, fixed: bool) -> None:
        """``E (2 (codes >> shift) / M - 1)``, in the order of :func:`tqhw.quant.tensor.to_real`."""
        self._drop(name)
        self.constant(f"{name}/codes", codes.codes.cpu().numpy())
        self.constant(f"{name}/scale", codes.scale.float().cpu().numpy())
        shifted, top = f"{name}/codes", "tqhw/top_real"
        if fixed:
            top = f"{name}/top"
            self.constant(top, np.array(top_code(codes.bits), np.float32))
        else:
            self.node("BitShift", [shifted, "tqhw/shift"], f"{name}/shifted", direction="RIGHT")
            shifted = f"{name}/shifted"
        self.node("Cast", [shifted], f"{name}/real", to=self.onnx.TensorProto.FLOAT)
        self.node("Div", [f"{name}/real", top], f"{name}/unit")
        self.node("Mul", [f"{name}/unit", "tqhw/two"], f"{name}/doubled")
        self.node("Sub", [f"{name}/doubled", "tqhw/one"], f"{name}/centred")
        self.node("Mul", [f"{name}/centred", f"{name}/scale"], name)

    def norm(self, name: str, module: SwitchableBatchNorm, precisions: tuple[int, ...]) -> None:
        """Chooses the row of the current precision out of the norms' tensors."""
        norms = [module.copy_of(bits) for bits in precisions]
        for part in _NORM_TENSORS:
            tensors = [getattr(norm, part) for norm in norms]
            if tensors[0] is not None:
                self._drop(f"{name}.{part}")
                self.constant(f"{name}.{part}/all", torch.stack(tensors).detach().cpu().numpy())
                self.node("Gather", [f"{name}.{part}/all", "tqhw/row"], f"{name}.{part}")

    def finish(self, served: tuple[int, ...]) -> None:
        rows = [served.index(bits) if bits in served else _UNKNOWN for bits in range(self.stored + 1)]
        self.constant("tqhw/rows", np.array(rows, np.int64))
        self.constant("tqhw/shifts", np.array([self.stored - bits for bits in served], np.uint8))
        bits = self.onnx.helper.make_tensor_value_info("bits", self.onnx.TensorProto.INT64, [])
        self.graph.input.append(bits)
        old = list(self.graph.node)
        del self.graph.node[:]
        self.graph.node.extend([*self.nodes, *old])

    def _drop(self, name: str) -> None:
        for entry in self.graph.initializer:
            if entry.name == name:
                self.graph.initializer.remove(entry)
                return
        raise TqhwError(f"torch exported the model without '{name}'", place="export")
