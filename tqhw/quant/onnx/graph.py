"""A graph of ONNX, in which named tensors are replaced by operators that compute them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from tqhw.quant.bits import top_code
from tqhw.quant.schemes import SignAndMagnitude
from tqhw.quant.tensor import Affine, QuantizedTensor

_UNKNOWN: Final = 1 << 30
"""Index of a precision that is not served: out of range, which ONNX calls an error of Gather."""


class GraphBuilder:
    """Replaces named values of a graph by operators that compute them; the new ones come first."""

    def __init__(self, onnx: Any, graph: Any, stored: int, served: tuple[int, ...]) -> None:
        self.onnx = onnx
        self.graph = graph
        self.stored = stored
        self.served = served
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

    def known(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` that the graph has a tensor for, which may be that of another name."""
        there = {entry.name for entry in self.graph.initializer}
        there |= {node.output[0] for node in self.graph.node if node.op_type == "Identity"}
        return next((name for name in names if name in there), None)

    def own(self, names: Iterable[str]) -> None:
        """Undoes the exporter's sharing of equal tensors where one of ``names`` is among them: by chance only."""
        replaced = set(names)
        values = {entry.name: entry for entry in self.graph.initializer}
        for node in list(self.graph.node):
            source, name = (node.input[0], node.output[0]) if node.op_type == "Identity" else ("", "")
            if source in values and (name in replaced or source in replaced):
                copied = self.onnx.TensorProto()
                copied.CopyFrom(values[source])
                copied.name = name
                self.graph.initializer.append(copied)
                values[name] = copied
                self.graph.node.remove(node)

    def same(self, name: str, other: str) -> None:
        """Replaces ``name`` by ``other``, which was replaced before."""
        self._drop(name)
        self.node("Identity", [other], name)

    def weight(self, name: str, codes: QuantizedTensor, fixed: bool) -> None:
        """``scale level(codes >> shift) + offset``, in the order of :meth:`QuantizedTensor.dequantize`."""
        self._drop(name)
        self.constant(f"{name}/codes", _grouped(codes).cpu().numpy())
        shifted, top = f"{name}/codes", "tqhw/top_real"
        if fixed:
            top = f"{name}/top"
            self.constant(top, np.array(top_code(codes.bits), np.float32))
        else:
            self.node("BitShift", [shifted, "tqhw/shift"], f"{name}/shifted", direction="RIGHT")
            shifted = f"{name}/shifted"
        self.node("Cast", [shifted], f"{name}/real", to=self.onnx.TensorProto.FLOAT)
        level = self._sign_and_magnitude if codes.scheme == SignAndMagnitude.name else self._level
        level(name, top)
        grouped = codes.slices.group is not None
        numbers = (
            [codes.own[codes.bits]] if fixed and codes.own else [codes.own[bits] for bits in self.served if codes.own]
        )
        numbers = numbers or [Affine(codes.scale, codes.offset)]
        scales = [affine.scale for affine in numbers]
        offsets = [affine.offset for affine in numbers if affine.offset is not None]
        last = name if not grouped and not offsets else f"{name}/scaled"
        self.node("Mul", [f"{name}/level", self._of_precision(f"{name}/scale", scales, grouped)], last)
        if offsets:
            scaled, last = last, f"{name}/moved" if grouped else name
            self.node("Add", [scaled, self._of_precision(f"{name}/offset", offsets, grouped)], last)
        if grouped:
            self._ungroup(name, last, codes)

    def _level(self, name: str, top: str) -> None:
        """``2 k / M - 1``."""
        self.node("Div", [f"{name}/real", top], f"{name}/unit")
        self.node("Mul", [f"{name}/unit", "tqhw/two"], f"{name}/doubled")
        self.node("Sub", [f"{name}/doubled", "tqhw/one"], f"{name}/level")

    def _sign_and_magnitude(self, name: str, top: str) -> None:
        """``+-(m + 1/2) / half`` with half = (M + 1) / 2, and 0 for m = 0."""
        self.constant(f"{name}/middle", np.array(0.5, np.float32))
        self.node("Add", [top, "tqhw/one"], f"{name}/count")
        self.node("Mul", [f"{name}/count", f"{name}/middle"], f"{name}/half")
        self.node("GreaterOrEqual", [f"{name}/real", f"{name}/half"], f"{name}/negative")
        self.node("Cast", [f"{name}/negative"], f"{name}/sign_bit", to=self.onnx.TensorProto.FLOAT)
        self.node("Mul", [f"{name}/sign_bit", f"{name}/half"], f"{name}/sign_code")
        self.node("Sub", [f"{name}/real", f"{name}/sign_code"], f"{name}/magnitude")
        self.node("Sign", [f"{name}/magnitude"], f"{name}/not_zero")
        self.node("Add", [f"{name}/magnitude", f"{name}/middle"], f"{name}/in_bin")
        self.node("Mul", [f"{name}/in_bin", f"{name}/not_zero"], f"{name}/kept")
        self.node("Div", [f"{name}/kept", f"{name}/half"], f"{name}/size")
        self.node("Neg", [f"{name}/size"], f"{name}/minus")
        self.node("Where", [f"{name}/negative", f"{name}/minus", f"{name}/size"], f"{name}/level")

    def _of_precision(self, name: str, tensors: Sequence[torch.Tensor], grouped: bool) -> str:
        """The one tensor, or the row of the current precision; those of groups broadcast over their weights."""
        values = [
            tensor.float().cpu().numpy()[..., None] if grouped else tensor.float().cpu().numpy() for tensor in tensors
        ]
        if len(values) == 1:
            self.constant(name, values[0])
        else:
            self.constant(f"{name}/all", np.stack(values))
            self.node("Gather", [f"{name}/all", "tqhw/row"], name)
        return name

    def _ungroup(self, name: str, source: str, codes: QuantizedTensor) -> None:
        """Gives (channels, groups, group) the shape of the weight, whose channels may lie along another axis."""
        shape, axis = codes.codes.shape, codes.slices.axis or 0
        moved = [shape[axis], *(size for at, size in enumerate(shape) if at != axis)]
        self.constant(f"{name}/shape", np.array(moved, np.int64))
        flat = name if axis == 0 else f"{name}/flat"
        self.node("Reshape", [source, f"{name}/shape"], flat)
        if axis:
            order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape))]
            self.node("Transpose", [flat], name, perm=order)

    def of_precisions(self, names: Sequence[str], modules: Sequence[nn.Module]) -> None:
        """Chooses the row of the current precision out of the tensors of ``modules``, where they are not all alike.

        ``names``: those of the one module that the graph was made with. What does not run is not in the graph.
        """
        for part, tensor in [*modules[0].named_parameters(), *modules[0].named_buffers()]:
            name = self.known(f"{module}.{part}" if module else part for module in names)
            tensors = [dict([*module.named_parameters(), *module.named_buffers()])[part] for module in modules]
            if name is None:
                continue
            self.own([name])
            self._drop(name)
            if all(torch.equal(tensor, other) for other in tensors):
                self.constant(name, tensor.detach().cpu().numpy())
            else:
                self.constant(f"{name}/all", torch.stack(tensors).detach().cpu().numpy())
                self.node("Gather", [f"{name}/all", "tqhw/row"], name)

    def finish(self) -> None:
        served = self.served
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
        raise KeyError(name)


def _grouped(codes: QuantizedTensor) -> torch.Tensor:
    """The codes as (channels, groups, group) where groups have scales of their own; otherwise as they are."""
    slices, shape = codes.slices, codes.codes.shape
    if slices.group is None:
        return codes.codes
    return slices.rows(codes.codes).reshape(shape[slices.axis or 0], -1, slices.group).contiguous()
