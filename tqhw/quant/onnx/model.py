"""An exported ONNX file in onnxruntime, switched at run time: the weights of a precision are made once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from tqhw.errors import TqhwError
from tqhw.quant.onnx.nbits import BITS, pack_products
from tqhw.quant.onnx.run import session


class OnnxModel:
    """The file at ``path``, at ``bits`` bits; called with inputs by position or name it gives its first output (NumPy).

    The file has one graph for all precisions, which shifts and dequantizes the codes in every call. With its input
    ``bits`` made a constant, onnxruntime folds all of that when a precision is first used, and a switch to it later is
    a choice among sessions; each keeps the weights of its precision in FP32. ``packed``: linear layers
    at 4 bits and fewer keep their codes instead, four bits each (:mod:`tqhw.quant.onnx.nbits`), and with
    ``rounded_inputs`` round what they read to eight bits, which is faster and not exact. Threads may call it, at bits
    of their own inside of :meth:`using`. Raises TqhwError where the extra ``onnx`` is not installed, for a file that is
    not one of :func:`tqhw.quant.save_onnx`, bits that it does not serve, and packed codes where no layer can have them.
    """

    def __init__(
        self, path: str | Path, bits: int, *, threads: int = 1, packed: bool = False, rounded_inputs: bool = False
    ) -> None:
        try:
            import onnx
            import onnxruntime  # noqa: F401 - it says that it is there
        except ImportError:
            raise TqhwError("ONNX is not installed", place=str(path), lever="pip install 'tqhw[onnx]'") from None
        if rounded_inputs and not packed:
            raise TqhwError(
                "inputs are rounded with packed codes alone", place="rounded_inputs", lever="add packed=True"
            )
        self._place, self._threads = str(path), threads
        self._packed, self._rounded = packed, rounded_inputs
        try:
            self._graph = onnx.load(path)
        except OSError as error:
            raise TqhwError(f"cannot be read: {error.strerror}", place=self._place) from None
        except Exception as error:  # noqa: BLE001 - protobuf has classes of its own
            raise TqhwError(f"is no ONNX file: {error}", place=self._place, lever="export it again") from None
        rows = [entry for entry in self._graph.graph.initializer if entry.name == "tqhw/rows"]
        if not rows or "bits" not in [entry.name for entry in self._graph.graph.input]:
            raise TqhwError("is no ONNX file of tqhw", place=self._place, lever="write it with tqhw export")
        table = onnx.numpy_helper.to_array(rows[0])
        self.served = tuple(bits for bits in range(1, len(table)) if table[bits] < len(table))
        self._lock = threading.Lock()
        self._sessions: dict[int, Any] = {}
        self._here: ContextVar[int | None] = ContextVar("bits", default=None)
        self._bits = bits
        self.set_bits(bits)

    @property
    def bits(self) -> int:
        """The precision of the next call here."""
        return self._here.get() or self._bits

    def set_bits(self, bits: int) -> None:
        """Switches whoever is not inside of :meth:`using`."""
        self._session(bits)
        self._bits = bits

    @contextmanager
    def using(self, bits: int) -> Iterator[OnnxModel]:
        """Inside, in this thread or task alone, calls are at ``bits``."""
        self._session(bits)
        token = self._here.set(bits)
        try:
            yield self
        finally:
            self._here.reset(token)

    def __call__(self, *inputs: np.ndarray[Any, Any], **named: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        running = self._session(self.bits)
        names = [entry.name for entry in running.get_inputs()]
        given = dict(zip(names, inputs, strict=False)) | named
        if {*given} != {*names} or len(inputs) + len(named) != len(names):
            count = len(inputs) + len(named)
            raise TqhwError(f"{count} inputs for {len(names)}", place=self._place, lever=f"give {names}")
        found: np.ndarray[Any, Any] = running.run(None, given)[0]
        return found

    def _session(self, bits: int) -> Any:
        found = self._sessions.get(bits)
        if found is not None:
            return found
        if bits not in self.served:
            known = ", ".join(map(str, self.served))
            raise TqhwError(f"does not serve {bits} bits", place=self._place, lever=f"use one of {known}")
        with self._lock:
            if bits not in self._sessions:
                self._sessions[bits] = session(self._at(bits), self._threads)
            return self._sessions[bits]

    def _at(self, bits: int) -> bytes:
        content = at_precision(self._graph, bits)
        if not self._packed:
            return content
        import onnx

        found = onnx.load_from_string(content)
        count = pack_products(found.graph, bits, rounded_inputs=self._rounded)
        if bits <= BITS and not count:
            raise TqhwError(
                "no layer can keep packed codes",
                place=self._place,
                lever="linear layers can, with one scale per tensor, channel or group of 16, 32, 64 or 128",
            )
        found.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        whole: bytes = found.SerializeToString()
        return whole


def at_precision(graph: Any, bits: int) -> bytes:
    """The file ``graph``, an onnx.ModelProto, with ``bits`` for its input of that name."""
    import onnx

    at = onnx.ModelProto()
    at.CopyFrom(graph)
    inputs = [entry for entry in at.graph.input if entry.name != "bits"]
    del at.graph.input[:]
    at.graph.input.extend(inputs)
    at.graph.initializer.append(onnx.numpy_helper.from_array(np.array(bits, np.int64), "bits"))
    content: bytes = at.SerializeToString()
    return content
