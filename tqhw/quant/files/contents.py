"""What the file of a deployable model holds, by name and precision: docs/format.md has the layout.

Version 2 puts what is read together into one block: ``plane/0`` to ``plane/7``, ``common``, and ``at/4`` for what a
precision has of its own. Version 1 has a tensor, with a checksum and a name that says the precision, for each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import torch

from tqhw.quant.files.rangefile import DTYPES, RangeFile

VERSION: Final = 2
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}
_PLAIN: Final = "F32"
"""The type that a table leaves out."""
Tensors = dict[str, torch.Tensor]


class Contents(Protocol):
    """An open file. Tensors are named ``fixed/LAYER``, ``scale/LAYER``, ``offset/LAYER``, ``norm/NORM``, ``state/NAME``
    with the plain names of one precision.
    """

    def planes(self, first: int, end: int) -> list[torch.Tensor]:
        """The planes from ``first`` up to, and without, ``end``."""
        ...

    def common(self) -> Tensors:
        """What serves every precision."""
        ...

    def own(self, bits: int) -> Tensors:
        """What ``bits`` has of its own."""
        ...


def contents(file: RangeFile) -> Contents:
    """The reader of the file's version."""
    return Blocks(file) if file.header["version"] == VERSION else Separate(file)


class Blocks:
    """Version 2."""

    def __init__(self, file: RangeFile) -> None:
        self._file = file
        self._sums: Mapping[str, str] = file.header["sha256"]

    def planes(self, first: int, end: int) -> list[torch.Tensor]:
        return [self._file.block(f"plane/{number}", self._sums) for number in range(first, end)]

    def common(self) -> Tensors:
        return self._table("common", self._file.header["common"])

    def own(self, bits: int) -> Tensors:
        return self._table(f"at/{bits}", self._file.header["each"])

    def _table(self, block: str, table: Sequence[Sequence[Any]]) -> Tensors:
        if not table:
            return {}
        content, start, found = self._file.block(block, self._sums), 0, {}
        for name, shape, *kind in table:
            dtype = DTYPES[kind[0] if kind else _PLAIN]
            end = start + math.prod(shape) * dtype.itemsize
            found[name] = content[start:end].clone().view(dtype).reshape(shape)  # cloned: a view wants to be aligned
            start = end
        if start != len(content):
            raise ValueError(f"block {block} has {len(content)} bytes, its table {start}")
        return found


class Separate:
    """Version 1, which is read and no longer written."""

    def __init__(self, file: RangeFile) -> None:
        self._file = file
        self._sums: Mapping[str, str] = file.header["sha256"]

    def planes(self, first: int, end: int) -> list[torch.Tensor]:
        return [self._file.tensor(f"plane/{number}", self._sums) for number in range(first, end)]

    def common(self) -> Tensors:
        found = {name: self._file.tensor(name, self._sums) for name in self._sums if name.startswith("fixed/")}
        for entry in self._own_layers():
            found |= self._scales(entry, f"/{entry['bits']}" if entry["fixed"] else "")
            found |= self._scales(entry, "")
        return found | self._state(None)

    def own(self, bits: int) -> Tensors:
        found: Tensors = {}
        for entry in self._own_layers():
            if not entry["fixed"]:
                found |= self._scales(entry, f"/{bits}")
        return found | self._state(bits)

    def _own_layers(self) -> Iterator[Mapping[str, Any]]:
        return (entry for entry in self._file.header["layers"] if "codes_of" not in entry)

    def _scales(self, entry: Mapping[str, Any], end: str) -> Tensors:
        names = [f"{part}/{entry['name']}" for part in ("scale", "offset")]
        return {n: self._file.tensor(f"{n}{end}", self._sums) for n in names if f"{n}{end}" in self._sums}

    def _state(self, bits: int | None) -> Tensors:
        """The state dict under plain names: of the norms of ``bits``, or all that is of no norm; each read once."""
        norms = self._file.header["norms"]
        stored = [key.removeprefix("state/") for key in self._sums if key.startswith("state/")]
        owners = {**{name: name for name in stored}, **self._file.header.get("ties", {})}
        read: Tensors = {}
        found = {}
        for name, owner in owners.items():
            place = at_precision(name, norms)
            if place is None and bits is None:
                plain = name
            elif place is not None and place[1] == bits:
                plain = place[0]
            else:
                continue
            if owner not in read:
                read[owner] = self._file.tensor(f"state/{owner}", self._sums)
            found[f"state/{plain}"] = read[owner]
        return found


def at_precision(name: str, norms: Mapping[str, int]) -> tuple[str, int] | None:
    """The plain name of a switchable norm's tensor and its precision; None for what is of no such norm.

    ``norms``: their names, each with the precision whose tensors stand under the plain names.
    """
    parts = name.split(".")
    for end in range(len(parts)):  # a norm of its own class may hold modules
        norm = ".".join(parts[:end])
        if norm in norms:
            if parts[end] != "at":
                return name, norms[norm]
            return ".".join([*parts[:end], *parts[end + 2 :]]), int(parts[end + 1])
    return None


def table_of(tensors: Mapping[str, torch.Tensor]) -> list[list[Any]]:
    """Name, shape and, where it is not float32, type of what stands in a block, in order."""
    kinds = {name: _NAMES[tensor.dtype] for name, tensor in tensors.items()}
    return [
        [name, list(tensor.shape), *([] if kinds[name] == _PLAIN else [kinds[name]])]
        for name, tensor in tensors.items()
    ]


def block_of(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The tensors' bytes after each other."""
    flat = [t.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for t in tensors]
    return torch.cat(flat) if flat else torch.empty(0, dtype=torch.uint8)


def checksum(block: torch.Tensor) -> str:
    """SHA-256 of the bytes of a block."""
    return hashlib.sha256(block.numpy().tobytes()).hexdigest()
