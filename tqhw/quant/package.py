"""The deployable model: one file of bit planes, of which the first b give the b-bit model."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.codes import fixed_bits, integer_codes
from tqhw.quant.config import QuantConfig
from tqhw.quant.convert import convert
from tqhw.quant.layers import quantization_of, quantized_layers, weight_name
from tqhw.quant.norm import SwitchableBatchNorm
from tqhw.quant.planes import pack, unpack
from tqhw.quant.rangefile import DTYPES, RangeFile, digest
from tqhw.quant.tensor import QuantizedTensor
from tqhw.system.files import write_bytes

KIND: Final = "tqhw model"
VERSION: Final = 1
_DTYPES: Final = {
    str(t).removeprefix("torch."): t for t in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
}


@dataclass(frozen=True)
class Deployed:
    """A model as it was read from its file at ``bits`` bits.

    ``codes``: by layer. ``state``: every other tensor of the state dict, with the batch norms of this precision
    under the plain names. ``recipe``: what was given to :func:`save`. ``bytes_read`` of ``file_bytes``.
    """

    bits: int
    codes: Mapping[str, QuantizedTensor]
    state: Mapping[str, torch.Tensor]
    quantization: QuantConfig
    recipe: Mapping[str, Any]
    bytes_read: int
    file_bytes: int

    def into(self, model: nn.Module) -> nn.Module:
        """Makes ``model``, which is of the exported architecture and not quantized, compute with these codes.

        Raises TqhwError for another architecture, and then leaves ``model`` as it was.
        """
        real = {weight_name(name): codes.dequantize() for name, codes in self.codes.items()}
        try:
            self._fill(copy.deepcopy(model), real)  # what is refused half way through is refused here
        except RuntimeError as error:
            detail = str(error).splitlines()[-1].strip()
            raise TqhwError(f"the exported model is of another architecture: {detail}", place="into") from error
        return self._fill(model, real)

    def _fill(self, model: nn.Module, real: Mapping[str, torch.Tensor]) -> nn.Module:
        convert(model, replace(self.quantization, precisions=(self.bits,), norms="shared"))
        model.load_state_dict({**self.state, **real})
        layers = quantized_layers(model)
        odd = {layer.name for layer in layers} ^ {*self.codes}
        if odd:
            raise TqhwError(
                f"the exported model is of another architecture: layer '{min(odd)}' is quantized in one of them only",
                place="into",
            )
        for layer in layers:
            layer.quantizer.codes = self.codes[layer.name]
        return model.eval()


def save(model: nn.Module, path: str | Path, *, stored: int = MAX_BITS, recipe: Mapping[str, Any] | None = None) -> int:
    """Writes ``model`` with codes of ``stored`` bits; returns the file's size in bytes.

    ``recipe``: JSON of your own that travels with it, such as how to build the architecture. Raises TqhwError for
    buffers of types that the file does not hold, and for extra state that is no tensor.
    """
    config = quantization_of(model)
    served = list(config.served(stored))
    codes, fixed = integer_codes(model, stored), fixed_bits(model)
    tensors: dict[str, torch.Tensor] = {}
    switching = [layer.codes.reshape(-1) for name, layer in codes.items() if name not in fixed]
    together = torch.cat(switching) if switching else torch.empty(0, dtype=torch.uint8)
    for number, plane in enumerate(pack(together, stored)):
        tensors[f"plane/{number}"] = plane
    for name, bits in fixed.items():
        tensors[f"fixed/{name}"] = torch.cat(pack(codes[name].codes, bits))
    for name, layer in codes.items():
        tensors[f"scale/{name}"] = layer.scale
    state = _other_state(model, served)
    for name, tensor in state.items():
        _check_storable(name, tensor)
    tensors.update({f"state/{name}": tensor for name, tensor in state.items()})
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {
        "kind": KIND,
        "version": VERSION,
        "stored": stored,
        "quantization": {**asdict(config), "layers": dict(config.layers), "precisions": served},
        "layers": [
            {
                "name": name,
                "shape": list(layer.codes.shape),
                "bits": layer.bits,
                "fixed": name in fixed,
                "dtype": str(layer.dtype).removeprefix("torch."),
            }
            for name, layer in codes.items()
        ],
        "norms": _norm_names(model),
        "recipe": dict(recipe or {}),
        "sha256": {name: digest(tensor) for name, tensor in tensors.items()},
    }
    text = json.dumps(header, sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    content = to_safetensors(tensors, metadata={"tqhw": text, "tqhw_sha256": checksum})
    write_bytes(path, content)
    return len(content)


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
        try:
            return _read(file, header, bits)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            raise file.damaged(f"its header does not describe it ({error!r})") from error


def _read(file: RangeFile, header: dict[str, Any], bits: int) -> Deployed:
    config = QuantConfig(**header["quantization"])
    norms, recipe = header["norms"], header["recipe"]
    if header["stored"] not in range(1, MAX_BITS + 1):
        raise ValueError(f"codes of {header['stored']} bits")
    if not isinstance(norms, dict) or not isinstance(recipe, dict):
        raise TypeError("norms and recipe are no objects")
    check_bits(bits, place=str(file.path), stored=header["stored"])
    if config.norms == "switchable" and bits not in config.precisions:
        raise TqhwError(
            f"holds no batch norms for {bits} bits",
            place=str(file.path),
            lever=f"use one of {', '.join(map(str, config.precisions))}",
        )
    sums = header["sha256"]
    codes = _read_codes(file, header, bits)
    plain_name = _names_at(norms, bits)
    state = {}
    for key in sums:
        if key.startswith("state/") and (name := plain_name(key.removeprefix("state/"))) is not None:
            state[name] = file.tensor(key, sums)
    size = file.path.stat().st_size
    return Deployed(bits, codes, state, config, recipe, file.bytes_read, size)


def _other_state(model: nn.Module, served: list[int]) -> dict[str, torch.Tensor]:
    """The state dict without quantized weights, and without batch norms of precisions that are not served."""
    weights = {weight_name(layer.name) for layer in quantized_layers(model)}
    names = [_names_at(_norm_names(model), bits) for bits in served]
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in weights and any(plain(name) is not None for plain in names)
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
    sums, layers = header["sha256"], header["layers"]
    counts = [torch.Size(layer["shape"]).numel() for layer in layers]
    total = sum(count for layer, count in zip(layers, counts, strict=True) if not layer["fixed"])
    planes = [file.tensor(f"plane/{number}", sums) for number in range(bits)]
    together = unpack(planes, total)
    codes, start = {}, 0
    for layer, count in zip(layers, counts, strict=True):
        name, own = layer["name"], bits
        if layer["fixed"]:
            own = layer["bits"]
            if own not in range(1, MAX_BITS + 1):
                raise ValueError(f"codes of {own} bits")
            flat = unpack(list(file.tensor(f"fixed/{name}", sums).chunk(own)), count)
        else:
            flat = together[start : start + count]
            start += count
        scale, dtype = file.tensor(f"scale/{name}", sums), _DTYPES[layer["dtype"]]
        scheme = header["quantization"]["scheme"]
        scale.expand(layer["shape"])  # RuntimeError where it does not fit
        codes[name] = QuantizedTensor(flat.reshape(layer["shape"]), own, scale, scheme, dtype)
    return codes


def _norm_names(model: nn.Module) -> dict[str, int]:
    """The switchable norms, with the precision whose tensors stand under the plain names."""
    return {name: m.highest for name, m in model.named_modules() if isinstance(m, SwitchableBatchNorm)}


def _names_at(norms: Mapping[str, int], bits: int) -> Callable[[str], str | None]:
    """A function from a name in the file to its plain name at ``bits``, or to None where it is of another."""

    def plain(name: str) -> str | None:
        parts = name.split(".")
        if len(parts) > 3 and parts[-3] == "at" and ".".join(parts[:-3]) in norms:
            return ".".join([*parts[:-3], parts[-1]]) if parts[-2] == str(bits) else None
        norm = ".".join(parts[:-1])
        return None if norm in norms and norms[norm] != bits else name

    return plain
