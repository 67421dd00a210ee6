"""A model that tqhw exported, read with NumPy alone: copy this file. docs/format.md says how the bytes lie.

model = Model("digits.tqhw", bits=2)         # reads the header, two planes, and what 2 bits have of their own
model.set_bits(8)                            # reads the six planes that are missing
with model.using(4):                         # in this thread, until the end of the block
    codes, scale = model.signed("conv1")     # whole numbers 2 k - M, and what to multiply them with
"""

import hashlib
import json
import math
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np

TYPES = {"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F16": "<f2", "F32": "<f4"}
TYPES |= {"F64": "<f8", "BF16": "<u2"}  # NumPy has no bfloat16: its bits


class Model:
    """Layers by name, at the bits of :meth:`using` where that is under way in this thread, else of :meth:`set_bits`."""

    def __init__(self, path, bits):
        self.path, self.bytes_read, self._lock, self._here = Path(path), 0, threading.Lock(), threading.local()
        self.header = header = self._head()
        if header["kind"] != "tqhw model" or header["version"] != 2:
            raise ValueError(f"{path}: holds {header['kind']} version {header['version']}, not 2")
        self.served = header["quantization"]["precisions"] if header["each"] else range(1, header["stored"] + 1)
        self.layers, start = {}, 0
        for entry in header["layers"]:
            self.layers[entry["name"]] = self.layers.get(entry.get("codes_of"), {**entry, "start": start})
            start += 0 if "bits" in entry or "codes_of" in entry else math.prod(entry["shape"])
        self._codes, self._own = (np.zeros(start, np.uint8), 0), {}  # the second: of how many planes they are
        self._common = self._table("common", header["common"])
        self.set_bits(bits)

    bits = property(lambda self: getattr(self._here, "bits", None) or self._bits)

    def set_bits(self, bits):
        self._bits = self._serve(bits)

    @contextmanager
    def using(self, bits):
        before, self._here.bits = getattr(self._here, "bits", None), self._serve(bits)
        try:
            yield self
        finally:
            self._here.bits = before

    def codes(self, layer):
        """The codes of ``layer`` as uint8 in the shape of the weight, and their bits."""
        entry = self.layers[layer]
        count = math.prod(entry["shape"])
        if "bits" in entry:  # the layer's own
            planes = self._common[f"fixed/{entry['name']}"].reshape(entry["bits"], -1)
            return _unpacked(planes, count).reshape(entry["shape"]), entry["bits"]
        (codes, held), bits, start = self._codes, self.bits, entry["start"]
        return (codes[start : start + count] >> (held - bits)).reshape(entry["shape"]), bits

    def weight(self, layer):
        """The weight of ``layer``, float32."""
        codes, bits = self.codes(layer)
        if self.header["quantization"]["normalization"]["zero"]:  # a sign and a magnitude
            half = 1 << (bits - 1)
            magnitude = (codes % half).astype(np.float32)
            level = (magnitude + np.float32(0.5)) * (magnitude > 0) / half * np.where(codes >= half, -1, 1)
        else:
            level = codes.astype(np.float32) / ((1 << bits) - 1) * 2 - 1
        scale, offset = (self._spread(self.layers[layer], part) for part in ("scale", "offset"))
        return (level * scale + (0 if offset is None else offset)).astype(np.float32)

    def signed(self, layer):
        """The weight as whole numbers 2 k - M and the scale to multiply them with; has it an offset or a 0, not so."""
        codes, bits = self.codes(layer)
        top = (1 << bits) - 1
        return 2 * codes.astype(np.int16) - top, self._spread(self.layers[layer], "scale") / top

    def norm(self, name, eps=1e-5):
        """Scale and shift of a batch norm per channel; ``eps`` is its own, for a file that has it whole."""
        if (folded := self.tensor(name, "norm")) is not None:
            return tuple(folded)
        scale = self.tensor(f"{name}.weight") / np.sqrt(self.tensor(f"{name}.running_var") + np.float32(eps))
        return scale, self.tensor(f"{name}.bias") - self.tensor(f"{name}.running_mean") * scale

    def tensor(self, name, kind="state"):
        """A tensor of the state dict, or a norm, scale or offset, at the present bits; None where there is none."""
        name = self.header["ties"].get(f"{kind}/{name}", f"{kind}/{name}")
        return self._own[self.bits].get(name, self._common.get(name))

    def _spread(self, entry, part):
        """Scales or offsets in a shape that broadcasts to the weight's."""
        found, axis, shape = self.tensor(entry["name"], part), entry.get("axis"), entry["shape"]
        if found is None or "group" not in entry:
            return found
        moved = [shape[axis], *(size for at, size in enumerate(shape) if at != axis)]
        return np.moveaxis(np.repeat(found, entry["group"], axis=1).reshape(moved), 0, axis)

    def _serve(self, bits):
        if bits not in self.served:
            raise ValueError(f"{self.path}: {bits} bits cannot be had, but {self.served}")
        with self._lock:
            codes, held = self._codes
            if bits > held:
                lower = [self._block(f"plane/{number}") for number in range(held, bits)]
                self._codes = codes << (bits - held) | _unpacked(lower, len(codes)), bits
            self._own = {bits: self._own.get(bits) or self._table(f"at/{bits}", self.header["each"]), **self._own}
        return bits

    def _table(self, block, table):
        content, start, found = self._block(block) if table else b"", 0, {}
        for name, shape, *kind in table:
            flat = np.frombuffer(content, TYPES[kind[0] if kind else "F32"], math.prod(shape), start)
            found[name], start = flat.reshape(shape), start + flat.nbytes
        return found

    def _head(self):
        length = int.from_bytes(self._read(0, 8), "little")
        head, self._data = self._read(8, length), 8 + length
        try:
            self._entries = json.loads(head)
            text, digest = (self._entries["__metadata__"][key] for key in ("tqhw", "tqhw_sha256"))
            return json.loads(self._check(text.encode(), digest, "the header"))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{self.path}: is no file of tqhw, or its header is damaged") from error

    def _block(self, name):
        start, end = self._entries.get(name, {}).get("data_offsets", (0, 0))
        return self._check(self._read(self._data + start, end - start), self.header["sha256"][name], name)

    def _check(self, content, digest, name):
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{self.path}: {name} does not have its checksum")
        return content

    def _read(self, start, length):
        if not 0 <= start <= start + length <= self.path.stat().st_size:
            raise ValueError(f"{self.path}: has no bytes {start} to {start + length}, it was cut off or is damaged")
        with self.path.open("rb") as file:
            file.seek(start)
            self.bytes_read += length
            return file.read(length)


def _unpacked(planes, count):
    codes = np.zeros(count, np.uint8)
    for plane in planes:  # the most significant first
        codes = codes << 1 | np.unpackbits(np.frombuffer(plane, np.uint8), count=count)
    return codes
