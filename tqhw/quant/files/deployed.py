"""The deployable model as it is read: the planes of a precision and what else it needs, and later what it lacks."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import LayerBits
from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.config import QuantConfig
from tqhw.quant.files.contents import VERSION, Contents, Tensors, contents
from tqhw.quant.files.deploy import add_norms, fill, place
from tqhw.quant.files.package import KIND
from tqhw.quant.files.planes import unpack
from tqhw.quant.files.rangefile import RangeFile
from tqhw.quant.folding import unfold
from tqhw.quant.layers import plain, quantization_of
from tqhw.quant.normalization import Normalizer
from tqhw.quant.schemes import scheme_named
from tqhw.quant.slices import Slices
from tqhw.quant.tensor import Affine, QuantizedTensor

_VERSIONS: Final = (1, VERSION)
_DTYPES: Final = {
    str(t).removeprefix("torch."): t for t in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
}


@dataclass(frozen=True)
class Deployed:
    """A model as it was read from its file at ``bits`` bits.

    ``codes``: by layer, of ``planes`` bits where they switch. ``state``: every other tensor of the state dict, with
    the batch norms of this precision under the plain names. ``recipe``: what was given to :func:`save`.
    ``bytes_read`` of ``file_bytes``. ``layers``: the bits of each quantized layer, None where they switch;
    ``reads_real``: those whose inputs are not quantized.
    """

    bits: int
    codes: Mapping[str, QuantizedTensor]
    state: Mapping[str, torch.Tensor]
    quantization: QuantConfig
    recipe: Mapping[str, Any]
    bytes_read: int
    file_bytes: int
    planes: int
    layers: Mapping[str, LayerBits]
    reads_real: frozenset[str] | None
    path: Path
    checksum: str

    def into(self, model: nn.Module) -> nn.Module:
        """Makes ``model``, which is of the exported architecture and not quantized, compute with these codes.

        :func:`tqhw.quant.set_bits` switches it: to fewer bits with the batch norms of these, which are read from the
        file then, and to more with the missing planes, too. Layers, norms and parameters that are tied in the file
        are tied in ``model`` as far as it ties them. Raises TqhwError for another architecture, types other than the
        file's, and tensors that ``model`` ties and the file does not, and then leaves ``model`` as it was.
        """
        model = plain(model)
        try:
            self._fill(copy.deepcopy(model))  # what is refused half way through is refused here
        except RuntimeError as error:
            detail = str(error).splitlines()[-1].strip()
            raise TqhwError(f"the exported model is of another architecture: {detail}", place="into") from error
        self._fill(model)
        model.deployed = self  # type: ignore[assignment]
        return model.eval()

    def _fill(self, model: nn.Module) -> None:
        # Codes need no clip: that is in their scales.
        how = replace(self.quantization.normalization, clip="max")
        config = replace(self.quantization, precisions=(self.bits,), normalization=how)
        fill(model, config, self.layers, self.reads_real, self.codes, self.state)

    def at(self, bits: int) -> Deployed:
        """The same model at ``bits``. Read is what is missing alone: planes, and the batch norms of ``bits``."""
        with RangeFile(self.path) as file:
            if file.checksum != self.checksum:
                raise TqhwError(
                    "is another file than the one that the model was loaded from",
                    place=str(self.path),
                    lever="load it again",
                )
            with _described(file):
                config = check_precision(file, bits)
                reader = contents(file)
                own = _own(file, reader, bits)
                codes = _more(file, reader, self, bits, config, own)
                state = {**self.state, **_state(own)}
        return replace(
            self, bits=bits, codes=codes, state=state, planes=max(bits, self.planes), bytes_read=file.bytes_read
        )

    def serve(self, model: nn.Module, bits: int) -> None:
        """Gives ``model``, which was filled from this file, what it lacks to run at ``bits``."""
        config = quantization_of(model)
        lacks_norms = config.norms == "switchable" and bits not in config.precisions
        switching = [codes for name, codes in self.codes.items() if self.layers[name] is None]
        lacks_scales = any(codes.own and bits not in codes.own for codes in switching)
        if not lacks_norms and not lacks_scales and bits <= self.planes:
            return
        new = self.at(bits)
        if new.planes > self.planes or lacks_scales:
            place(model, new.codes)
        if lacks_norms:
            add_norms(model, bits, new.state)
        model.quantization = replace(config, precisions=tuple(sorted({*config.precisions, bits})))  # type: ignore[assignment]
        model.deployed = new  # type: ignore[assignment]


def load(path: str | Path, bits: int) -> Deployed:
    """Reads the ``bits``-bit model: the first ``bits`` planes, the norms of this precision, the rest.

    The other planes and norms are not read. Raises TqhwError for more bits than are stored, a precision without
    batch norms, and a file that is cut short, damaged, or of another kind or version.
    """
    with RangeFile(Path(path)) as file:
        header = file.header
        if header.get("kind") != KIND or header.get("version") not in _VERSIONS:
            raise TqhwError(
                f"holds {header.get('kind')} version {header.get('version')}, not {KIND} version "
                f"{' or '.join(map(str, _VERSIONS))}",
                place=str(path),
                lever="use the tqhw that wrote it",
            )
        with _described(file):
            return _read(file, header, bits)


@contextmanager
def _described(file: RangeFile) -> Iterator[None]:
    """Inside, whatever a header that does not describe its file leads to is told as that."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise file.damaged(f"its header does not describe it ({error!r})") from error


def check_precision(file: RangeFile, bits: int) -> QuantConfig:
    """The options of the file's model; a TqhwError where it cannot be had at ``bits``."""
    header = file.header
    try:
        config = QuantConfig(**header["quantization"])
    except TqhwError as error:
        raise ValueError(str(error)) from None
    if header["stored"] not in range(1, MAX_BITS + 1):
        raise ValueError(f"codes of {header['stored']} bits")
    check_bits(bits, place=str(file.path), stored=header["stored"])
    config.normalization.check_bits(bits, str(file.path))
    known = ", ".join(map(str, config.precisions))
    if config.norms == "switchable" and bits not in config.precisions:
        raise TqhwError(f"holds no batch norms for {bits} bits", place=str(file.path), lever=f"use one of {known}")
    if config.normalization.scales == "own" and bits not in config.precisions:
        raise TqhwError(f"holds no scales for {bits} bits", place=str(file.path), lever=f"use one of {known}")
    return config


def _read(file: RangeFile, header: dict[str, Any], bits: int) -> Deployed:
    if not isinstance(header["norms"], dict) or not isinstance(header["recipe"], dict):
        raise TypeError("norms and recipe are no objects")
    config = check_precision(file, bits)
    reader, entries = contents(file), header["layers"]
    tensors = unfold(reader.common(), _folded(file)) | _own(file, reader, bits)
    tensors |= {name: tensors[owner] for name, owner in _ties(file).items()}
    codes: dict[str, QuantizedTensor] = {}
    for entry, flat in _slices(entries, _switching(file, reader, 0, bits)):
        codes[entry["name"]] = (
            codes[entry["codes_of"]] if "codes_of" in entry else _codes(entry, flat, bits, config, tensors)
        )
    return Deployed(
        bits=bits,
        codes=codes,
        state=_state(tensors),
        quantization=config,
        recipe=header["recipe"],
        bytes_read=file.bytes_read,
        file_bytes=file.path.stat().st_size,
        planes=bits,
        layers={entry["name"]: _fixed(entry) for entry in entries},
        reads_real=_reading_real(header),
        path=file.path.absolute(),
        checksum=file.checksum,
    )


def _folded(file: RangeFile) -> Mapping[str, float]:
    norms: Mapping[str, float] = file.header["norms"]
    return norms if file.header["version"] == VERSION else {}


def _ties(file: RangeFile) -> Mapping[str, str]:
    ties: Mapping[str, str] = file.header["ties"]
    return ties if file.header["version"] == VERSION else {}


def _own(file: RangeFile, reader: Contents, bits: int) -> Tensors:
    """What ``bits`` has of its own, with its ties to itself."""
    own = unfold(reader.own(bits), _folded(file))
    return own | {name: own[owner] for name, owner in _ties(file).items() if owner in own}


def _state(tensors: Tensors) -> Tensors:
    return {name.removeprefix("state/"): t for name, t in tensors.items() if name.startswith("state/")}


def _fixed(entry: Mapping[str, Any]) -> int | None:
    """The bits of a layer that does not switch; version 1 says ``fixed`` beside the bits of any layer."""
    bits: int | None = entry.get("bits") if entry.get("fixed", True) else None
    if bits is not None and bits not in range(1, MAX_BITS + 1):
        raise ValueError(f"codes of {bits} bits")
    return bits


def _reading_real(header: Mapping[str, Any]) -> frozenset[str] | None:
    entries = header["layers"]
    if header["version"] != VERSION and not all("reads_real" in entry for entry in entries):
        return None
    return frozenset(entry["name"] for entry in entries if entry.get("reads_real", True))


def _codes(
    entry: Mapping[str, Any], flat: torch.Tensor | None, bits: int, config: QuantConfig, tensors: Tensors
) -> QuantizedTensor:
    shape, fixed = torch.Size(entry["shape"]), _fixed(entry)
    at = bits if fixed is None else fixed
    if flat is None:
        flat = unpack(list(tensors[f"fixed/{entry['name']}"].chunk(at)), shape.numel())
    slices, affine = _scales(entry, shape, tensors)
    scheme = Normalizer(config.normalization).scheme(scheme_named(config.scheme)).name
    own = {at: affine} if config.normalization.scales == "own" else {}
    dtype = _DTYPES[entry.get("dtype", "float32")]
    return QuantizedTensor(flat.reshape(shape), at, affine.scale, scheme, dtype, affine.offset, slices, own)


def _scales(entry: Mapping[str, Any], shape: torch.Size, tensors: Tensors) -> tuple[Slices, Affine]:
    """What makes numbers of a layer's codes."""
    scale, offset = tensors[f"scale/{entry['name']}"], tensors.get(f"offset/{entry['name']}")
    slices = Slices(entry.get("axis") if scale.ndim else None, entry.get("group"))
    for part in (scale,) if offset is None else (scale, offset):
        slices.spread(part, shape).expand(shape)  # RuntimeError where it does not fit
    return slices, Affine(scale, offset)


def _more(
    file: RangeFile, reader: Contents, held: Deployed, bits: int, config: QuantConfig, own: Tensors
) -> Mapping[str, QuantizedTensor]:
    """The codes that are held, with the planes up to ``bits`` below those they have, and the scales of ``bits``."""
    deeper = bits > held.planes
    lower = _switching(file, reader, held.planes, bits) if deeper else torch.empty(0, dtype=torch.uint8)
    codes: dict[str, QuantizedTensor] = {}
    for entry, flat in _slices(file.header["layers"], lower):
        name, known = entry["name"], held.codes[entry["name"]]
        if "codes_of" in entry:
            codes[name] = codes[entry["codes_of"]]
            continue
        if deeper and flat is not None:
            longer = (known.codes << (bits - held.planes)) | flat.reshape(known.codes.shape)
            known = replace(known, codes=longer, bits=bits)
        if config.normalization.scales == "own" and _fixed(entry) is None:
            every = dict(known.own)
            if bits not in every:
                every[bits] = _scales(entry, known.codes.shape, own)[1]
            now = every.get(known.bits, every[bits])
            known = replace(known, own=every, scale=now.scale, offset=now.offset)
        codes[name] = known
    return codes


def _switching(file: RangeFile, reader: Contents, first: int, end: int) -> torch.Tensor:
    """The codes of all switching layers after each other: their planes from ``first`` to ``end``."""
    own = [entry for entry in file.header["layers"] if _fixed(entry) is None and "codes_of" not in entry]
    return unpack(reader.planes(first, end), sum(torch.Size(entry["shape"]).numel() for entry in own))


def _slices(
    entries: Iterable[dict[str, Any]], together: torch.Tensor
) -> Iterator[tuple[dict[str, Any], torch.Tensor | None]]:
    """Every layer with its part of the switching codes; None for one that has none there."""
    start = 0
    for entry in entries:
        if _fixed(entry) is not None or "codes_of" in entry:
            yield entry, None
        else:
            count = torch.Size(entry["shape"]).numel()
            yield entry, together[start : start + count]
            start += count
