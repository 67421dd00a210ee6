"""One ONNX file for all precisions: uint8 codes, shifted right inside the graph by a run-time input ``bits``.

The plain model is exported by torch, then every quantized weight is replaced by the operators that compute it
from its codes, and every switchable batch norm's tensor by a choice among those of the precisions.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.files import write_bytes
from tqhw.quant.bits import MAX_BITS, check_bits, top_code
from tqhw.quant.codes import fixed_bits, integer_codes
from tqhw.quant.convert import revert
from tqhw.quant.layers import quantization_of, weight_name
from tqhw.quant.norm import SwitchableBatchNorm
from tqhw.quant.precision import set_bits
from tqhw.quant.tensor import QuantizedTensor

_OPSET: Final = 18
_NORM_TENSORS: Final = ("weight", "bias", "running_mean", "running_var")
_UNKNOWN: Final = 1 << 30
"""Index of a precision without batch norms: out of range, so that the runtime refuses it."""


def save_onnx(model: nn.Module, path: str | Path, input_shape: tuple[int, ...], *, stored: int = MAX_BITS) -> int:
    """Writes ``model`` for inputs ``images`` (float32, any batch size) and ``bits`` (int64, one number).

    ``input_shape``: without the batch. Returns the file's size in bytes. Needs the extra ``onnx``. Raises
    TqhwError for quantized activations, which ONNX's own operators would have to redo, and for a model that
    torch cannot export.
    """
    check_bits(stored, place="stored")
    config = quantization_of(model)
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
    served = tuple(bits for bits in config.precisions if bits <= stored)
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
    revert(twin)
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
        self.constant("tqhw/stored", np.array(stored, np.int64))
        self.constant("tqhw/one", np.array(1, np.float32))
        self.constant("tqhw/two", np.array(2, np.float32))
        self.node("Sub", ["tqhw/stored", "bits"], "tqhw/shift_int64")
        self.node("Cast", ["tqhw/shift_int64"], "tqhw/shift", to=onnx.TensorProto.UINT8)
        self.node("BitShift", ["tqhw/top", "tqhw/shift"], "tqhw/top_now", direction="RIGHT")
        self.node("Cast", ["tqhw/top_now"], "tqhw/top_real", to=onnx.TensorProto.FLOAT)
        self.node("Gather", ["tqhw/norm_index", "bits"], "tqhw/norm")

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
                self.node("Gather", [f"{name}.{part}/all", "tqhw/norm"], f"{name}.{part}")

    def finish(self, served: tuple[int, ...]) -> None:
        index = [served.index(bits) if bits in served else _UNKNOWN for bits in range(self.stored + 1)]
        self.constant("tqhw/norm_index", np.array(index, np.int64))
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
