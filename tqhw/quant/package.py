"""The deployable model: one file of bit planes, of which the first b give the b-bit model."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import LayerBits
from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.codes import integer_codes
from tqhw.quant.config import QuantConfig
from tqhw.quant.deploy import add_norms, fill, place
from tqhw.quant.identity import aliases
from tqhw.quant.layers import QuantizedLayer, every_name, plain, quantization_of, quantized_layers, share_names
from tqhw.quant.norm import switchable_norms
from tqhw.quant.normalization import Normalizer
from tqhw.quant.planes import pack, unpack
from tqhw.quant.rangefile import DTYPES, RangeFile, digest
from tqhw.quant.schemes import scheme_named
from tqhw.quant.slices import Slices
from tqhw.quant.tensor import Affine, QuantizedTensor
from tqhw.system.files import write_bytes

KIND: Final = "tqhw model"
VERSION: Final = 1
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

    def _switching(self) -> list[QuantizedTensor]:
        return [codes for name, codes in self.codes.items() if self.layers[name] is None]

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
                check_precision(file, bits)
                codes = _more_planes(file, self, bits)
                state = {**self.state, **_read_state(file, bits, norms_only=True)}
        return replace(
            self, bits=bits, codes=codes, state=state, planes=max(bits, self.planes), bytes_read=file.bytes_read
        )

    def serve(self, model: nn.Module, bits: int) -> None:
        """Gives ``model``, which was filled from this file, what it lacks to run at ``bits``."""
        config = quantization_of(model)
        lacks_norms = config.norms == "switchable" and bits not in config.precisions
        lacks_scales = any(codes.own and not (codes.own.keys() & {bits}) for codes in self._switching())
        if not lacks_norms and not lacks_scales and bits <= self.planes:
            return
        new = self.at(bits)
        if new.planes > self.planes or lacks_scales:
            place(model, new.codes)
        if lacks_norms:
            add_norms(model, bits, new.state)
        model.quantization = replace(config, precisions=tuple(sorted({*config.precisions, bits})))  # type: ignore[assignment]
        model.deployed = new  # type: ignore[assignment]


def save(model: nn.Module, path: str | Path, *, stored: int = MAX_BITS, recipe: Mapping[str, Any] | None = None) -> int:
    """Writes ``model`` with codes of ``stored`` bits; returns the file's size in bytes.

    ``recipe``: JSON of your own that travels with it, such as how to build the architecture. Raises TqhwError for
    buffers of types that the file does not hold, and for extra state that is no tensor.
    """
    model = plain(model)
    config = quantization_of(model)
    served = list(config.served(stored))
    codes, layers = integer_codes(model, stored), quantized_layers(model)
    owners: dict[int, str] = {}  # layers with the same codes store them once, under the name of the first
    owner = {layer.name: owners.setdefault(id(codes[layer.name]), layer.name) for layer in layers}
    tensors: dict[str, torch.Tensor] = {}
    own = [layer for layer in layers if owner[layer.name] == layer.name]
    switching = [codes[layer.name].codes.reshape(-1) for layer in own if not layer.quantizer.fixed]
    together = torch.cat(switching) if switching else torch.empty(0, dtype=torch.uint8)
    for number, plane in enumerate(pack(together, stored)):
        tensors[f"plane/{number}"] = plane
    for layer in own:
        if layer.quantizer.fixed:
            tensors[f"fixed/{layer.name}"] = torch.cat(pack(codes[layer.name].codes, codes[layer.name].bits))
        for key, affine in _affine(codes[layer.name], served).items():
            tensors[f"scale/{layer.name}{key}"] = affine.scale
            if affine.offset is not None:
                tensors[f"offset/{layer.name}{key}"] = affine.offset
    state = _other_state(model, served)
    for name, tensor in state.items():
        _check_storable(name, tensor)
    ties = aliases(state)
    tensors.update({f"state/{name}": tensor for name, tensor in state.items() if name not in ties})
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {
        "kind": KIND,
        "version": VERSION,
        "stored": stored,
        "quantization": {**asdict(config), "layers": dict(config.layers), "precisions": served},
        "layers": [_entry(layer, codes[layer.name], owner[layer.name]) for layer in layers],
        "norms": _norm_names(model),
        "ties": ties,
        "recipe": dict(recipe or {}),
        "sha256": {name: digest(tensor) for name, tensor in tensors.items()},
    }
    text = json.dumps(header, sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    content = to_safetensors(tensors, metadata={"tqhw": text, "tqhw_sha256": checksum})
    write_bytes(path, content)
    return len(content)


def _entry(layer: QuantizedLayer, codes: QuantizedTensor, owner: str) -> dict[str, Any]:
    """What the header says of a layer. ``codes_of``: the layer whose codes it has, where they stand under that one."""
    entry = {
        "name": layer.name,
        "shape": list(codes.codes.shape),
        "bits": codes.bits,
        "fixed": layer.quantizer.fixed,
        "dtype": str(codes.dtype).removeprefix("torch."),
        "reads_real": layer.input_quantizer is None,
        "axis": codes.slices.axis,
        "group": codes.slices.group,
    }
    return entry if owner == layer.name else {**entry, "codes_of": owner}


def _affine(codes: QuantizedTensor, served: Iterable[int]) -> dict[str, Affine]:
    """What makes numbers of the codes, by the end of its name in the file: ``/4`` at 4 bits, nothing at all bits."""
    if not codes.own:
        return {"": Affine(codes.scale, codes.offset)}
    return {f"/{bits}": codes.own[bits] for bits in {*served, codes.bits} if bits in codes.own}


def load(path: str | Path, bits: int) -> Deployed:
    """Reads the ``bits``-bit model: the first ``bits`` planes, the norms of this precision, the rest.

    The other planes and norms are not read. Raises TqhwError for more bits than are stored, a precision without
    batch norms, and a file that is cut short, damaged, or of another kind or version.
    """
    with RangeFile(Path(path)) as file:
        header = file.header
        if header.get("kind") != KIND or header.get("version") != VERSION:
            raise TqhwError(
                f"holds {header.get('kind')} version {header.get('version')}, not {KIND} version {VERSION}",
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
    if config.norms == "switchable" and bits not in config.precisions:
        raise TqhwError(
            f"holds no batch norms for {bits} bits",
            place=str(file.path),
            lever=f"use one of {', '.join(map(str, config.precisions))}",
        )
    return config


def _read(file: RangeFile, header: dict[str, Any], bits: int) -> Deployed:
    norms, recipe = header["norms"], header["recipe"]
    if not isinstance(norms, dict) or not isinstance(recipe, dict):
        raise TypeError("norms and recipe are no objects")
    config = check_precision(file, bits)
    entries = header["layers"]
    codes = _read_codes(file, header, bits)
    state = _read_state(file, bits)
    known = all("reads_real" in entry for entry in entries)
    return Deployed(
        bits=bits,
        codes=codes,
        state=state,
        quantization=config,
        recipe=recipe,
        bytes_read=file.bytes_read,
        file_bytes=file.path.stat().st_size,
        planes=bits,
        layers={entry["name"]: entry["bits"] if entry["fixed"] else None for entry in entries},
        reads_real=frozenset(entry["name"] for entry in entries if entry["reads_real"]) if known else None,
        path=file.path.absolute(),
        checksum=file.checksum,
    )


def _read_state(file: RangeFile, bits: int, *, norms_only: bool = False) -> dict[str, torch.Tensor]:
    """By plain name, the tensors of the state dict at ``bits``, or of the batch norms of ``bits``; each read once."""
    header = file.header
    sums, norms = header["sha256"], header["norms"]
    stored = [key.removeprefix("state/") for key in sums if key.startswith("state/")]
    owners = {**{name: name for name in stored}, **header.get("ties", {})}
    plain_name = _names_at(norms, bits)
    read: dict[str, torch.Tensor] = {}
    state = {}
    for name, owner in owners.items():
        found = plain_name(name)
        if found is None or (norms_only and not _of_norm(found, norms)):
            continue
        if owner not in read:
            read[owner] = file.tensor(f"state/{owner}", sums)
        state[found] = read[owner]
    return state


def _of_norm(name: str, norms: Mapping[str, int]) -> bool:
    return any(name.startswith(f"{norm}." if norm else "") for norm in norms)


def _other_state(model: nn.Module, served: list[int]) -> dict[str, torch.Tensor]:
    """The state dict without quantized weights, and without batch norms of precisions that are not served."""
    weights = {*every_name(model), *share_names(model)}
    names = [_names_at(_norm_names(model), bits) for bits in served]
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in weights and any(plain_name(name) is not None for plain_name in names)
    }


def _check_storable(name: str, value: object) -> None:
    if not isinstance(value, torch.Tensor):
        raise TqhwError(
            f"a {type(value).__name__} cannot be stored, only tensors",
            place=name,
            lever="let get_extra_state give a tensor, or keep it outside of the state dict",
        )
    if value.dtype not in DTYPES.values() or value.layout != torch.strided:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())
        kind = str(value.dtype if value.layout == torch.strided else value.layout).removeprefix("torch.")
        raise TqhwError(
            f"a tensor of type {kind} cannot be stored",
            place=name,
            lever=f"use {known}, or register the buffer with persistent=False",
        )


def _read_codes(file: RangeFile, header: dict[str, Any], bits: int) -> dict[str, QuantizedTensor]:
    together = _switching(file, bits)
    codes: dict[str, QuantizedTensor] = {}
    for entry, flat in _slices(header["layers"], together):
        if "codes_of" in entry:
            codes[entry["name"]] = codes[entry["codes_of"]]
            continue
        own = bits
        if flat is None:
            own = entry["bits"]
            if own not in range(1, MAX_BITS + 1):
                raise ValueError(f"codes of {own} bits")
            packed = list(file.tensor(f"fixed/{entry['name']}", header["sha256"]).chunk(own))
            flat = unpack(packed, torch.Size(entry["shape"]).numel())
        shape = torch.Size(entry["shape"])
        slices, affine, own_scales = _read_scales(file, entry, shape, own)
        codes[entry["name"]] = QuantizedTensor(
            flat.reshape(shape),
            own,
            affine.scale,
            _scheme(header),
            _DTYPES[entry["dtype"]],
            affine.offset,
            slices,
            {own: affine} if own_scales else {},
        )
    return codes


def _read_scales(
    file: RangeFile, entry: Mapping[str, Any], shape: torch.Size, bits: int
) -> tuple[Slices, Affine, bool]:
    """What makes numbers of a layer's codes at ``bits``, and whether it is of these bits alone."""
    sums, name = file.header["sha256"], entry["name"]
    own = f"scale/{name}" not in sums
    end = f"{name}/{bits}" if own else name
    if own and f"scale/{end}" not in sums:
        known = sorted(int(key.rpartition("/")[2]) for key in sums if key.startswith(f"scale/{name}/"))
        raise TqhwError(
            f"holds no scales for {bits} bits",
            place=str(file.path),
            lever=f"use one of {', '.join(map(str, known))}",
        )
    scale = file.tensor(f"scale/{end}", sums)
    offset = file.tensor(f"offset/{end}", sums) if f"offset/{end}" in sums else None
    slices = Slices(entry.get("axis") if scale.ndim else None, entry.get("group"))
    for part in (scale,) if offset is None else (scale, offset):
        slices.spread(part, shape).expand(shape)  # RuntimeError where it does not fit
    return slices, Affine(scale, offset), own


def _scheme(header: Mapping[str, Any]) -> str:
    quantization = QuantConfig(**header["quantization"])
    return Normalizer(quantization.normalization).scheme(scheme_named(quantization.scheme)).name


def _more_planes(file: RangeFile, held: Deployed, bits: int) -> Mapping[str, QuantizedTensor]:
    """The codes that are held, with the planes up to ``bits`` below those they have, and the scales of ``bits``."""
    if bits <= held.planes:
        return {
            entry["name"]: _with_scales(file, entry, held.codes[entry["name"]], bits) for entry in file.header["layers"]
        }
    lower = _switching(file, bits, held.planes)
    codes: dict[str, QuantizedTensor] = {}
    for entry, flat in _slices(file.header["layers"], lower):
        name, known = entry["name"], held.codes[entry["name"]]
        if "codes_of" in entry:
            codes[name] = codes[entry["codes_of"]]
        elif flat is None:
            codes[name] = known
        else:
            longer = (known.codes << (bits - held.planes)) | flat.reshape(known.codes.shape)
            codes[name] = _with_scales(file, entry, replace(known, codes=longer, bits=bits), bits)
    return codes


def _with_scales(file: RangeFile, entry: Mapping[str, Any], codes: QuantizedTensor, bits: int) -> QuantizedTensor:
    """``codes`` with the scales of ``bits`` beside those they have; those of the bits that they are at now."""
    if not codes.own or entry["fixed"]:
        return codes
    own = dict(codes.own)
    if bits not in own:
        own[bits] = _read_scales(
            file, {**entry, "name": entry.get("codes_of", entry["name"])}, codes.codes.shape, bits
        )[1]
    now = own.get(codes.bits, own[bits])
    return replace(codes, own=own, scale=now.scale, offset=now.offset)


def _switching(file: RangeFile, bits: int, above: int = 0) -> torch.Tensor:
    """The codes of all switching layers after each other: their planes from ``above`` to ``bits``."""
    entries, sums = file.header["layers"], file.header["sha256"]
    own = [entry for entry in entries if not entry["fixed"] and "codes_of" not in entry]
    total = sum(torch.Size(entry["shape"]).numel() for entry in own)
    return unpack([file.tensor(f"plane/{number}", sums) for number in range(above, bits)], total)


def _slices(
    entries: Iterable[dict[str, Any]], together: torch.Tensor
) -> Iterator[tuple[dict[str, Any], torch.Tensor | None]]:
    """Every layer with its part of the switching codes; None for one that has none there."""
    start = 0
    for entry in entries:
        if entry["fixed"] or "codes_of" in entry:
            yield entry, None
        else:
            count = torch.Size(entry["shape"]).numel()
            yield entry, together[start : start + count]
            start += count


def _norm_names(model: nn.Module) -> dict[str, int]:
    """The switchable norms, with the precision whose tensors stand under the plain names."""
    return {name: norm.highest for name, norm in switchable_norms(model).items()}


def _names_at(norms: Mapping[str, int], bits: int) -> Callable[[str], str | None]:
    """A function from a name in the file to its plain name at ``bits``, or to None where it is of another."""

    def plain_name(name: str) -> str | None:
        parts = name.split(".")
        for end in range(len(parts)):  # a norm of its own class may hold modules
            norm = ".".join(parts[:end])
            if norm in norms:
                if parts[end] != "at":
                    return name if norms[norm] == bits else None
                return ".".join([*parts[:end], *parts[end + 2 :]]) if parts[end + 1] == str(bits) else None
        return name

    return plain_name
