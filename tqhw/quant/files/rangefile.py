"""A safetensors file read piece by piece: what is not asked for is not read, what is read is checked.

Format: 8 bytes with the header's length, the header as JSON, the tensors' bytes
(https://github.com/huggingface/safetensors, format).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import torch

from tqhw.errors import TqhwError

DTYPES: Final = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""What a file may hold, by safetensors' names."""
_LARGEST_HEADER: Final = 100_000_000


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 of type, shape and bytes of ``tensor``."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    kind = f"{tensor.dtype} {list(tensor.shape)}".encode()
    return hashlib.sha256(kind + flat.view(torch.uint8).numpy().tobytes()).hexdigest()


class RangeFile:
    """An open safetensors file; ``header`` is the JSON of its ``tqhw`` metadata with its ``checksum``, ``bytes_read``
    counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_read = 0
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise TqhwError(f"cannot be read: {error.strerror}", place=str(path)) from None
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RangeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def tensor(self, name: str, checksums: Mapping[str, str]) -> torch.Tensor:
        """Reads one tensor and compares it with its checksum, that of :func:`digest`."""
        tensor, checksum, _ = self._read_tensor(name, checksums)
        if digest(tensor) != checksum:
            raise self.damaged(f"tensor '{name}' does not have its checksum")
        return tensor

    def block(self, name: str, checksums: Mapping[str, str]) -> torch.Tensor:
        """Reads one tensor, which is bytes, and compares it with its checksum, that of the bytes alone."""
        tensor, checksum, content = self._read_tensor(name, checksums)
        if hashlib.sha256(content).hexdigest() != checksum or tensor.dtype != torch.uint8 or tensor.ndim != 1:
            raise self.damaged(f"tensor '{name}' does not have its checksum")
        return tensor

    def _read_tensor(self, name: str, checksums: Mapping[str, str]) -> tuple[torch.Tensor, str, bytes]:
        try:
            entry = self._entries[name]
            start, end = entry["data_offsets"]
            dtype, shape = DTYPES[entry["dtype"]], list(entry["shape"])
            checksum = checksums[name]
            if not all(type(number) is int and number >= 0 for number in (start, end, *shape)):
                raise ValueError
            if end > self._size - self._data_start or end - start != math.prod(shape) * dtype.itemsize:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise self.damaged(f"tensor '{name}' is missing or does not fill its place") from None
        content = self._read(self._data_start + start, end - start)
        tensor = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
        return tensor.reshape(shape), checksum, content

    def _read_header(self) -> None:
        self._size = os.fstat(self._file.fileno()).st_size
        length = int.from_bytes(self._read(0, 8), "little")
        if length > _LARGEST_HEADER:
            raise self.damaged("it has no header of safetensors")
        content = self._read(8, length)
        self._data_start = 8 + length
        try:
            self._entries: dict[str, Any] = json.loads(content)
            metadata = self._entries.pop("__metadata__")
            text, checksum = metadata["tqhw"], metadata["tqhw_sha256"]
            self.header: dict[str, Any] = dict(json.loads(text))
            self.checksum: str = checksum
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self.damaged("it has no header of tqhw") from None
        if hashlib.sha256(text.encode()).hexdigest() != checksum:
            raise self.damaged("its header does not have its checksum")

    def _read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        parts = []
        while length > 0:
            part = self._file.read(length)
            if not part:
                raise self.damaged("it ends early")
            parts.append(part)
            length -= len(part)
            self.bytes_read += len(part)
        return b"".join(parts)

    def damaged(self, why: str) -> TqhwError:
        """The error for a file that is not as it was written."""
        return TqhwError(
            f"is no whole model exported by tqhw: {why}", place=str(self.path), lever="export or copy it again"
        )
