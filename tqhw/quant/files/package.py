"""Writing the deployable model: one file of bit planes, of which the first b give the b-bit model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS
from tqhw.quant.codes import integer_codes
from tqhw.quant.files.contents import VERSION, Tensors, at_precision, block_of, checksum, table_of
from tqhw.quant.files.planes import pack
from tqhw.quant.files.rangefile import DTYPES
from tqhw.quant.folding import fold as folded
from tqhw.quant.folding import foldable
from tqhw.quant.identity import aliases, identity
from tqhw.quant.layers import QuantizedLayer, every_name, plain, quantization_of, quantized_layers, share_names
from tqhw.quant.norm import switchable_norms
from tqhw.quant.tensor import Affine, QuantizedTensor
from tqhw.system.files import write_bytes

KIND: Final = "tqhw model"


def save(
    model: nn.Module,
    path: str | Path,
    *,
    stored: int = MAX_BITS,
    recipe: Mapping[str, Any] | None = None,
    fold: bool = False,
) -> int:
    """Writes ``model`` with codes of ``stored`` bits; returns the file's size in bytes. docs/format.md has the layout.

    ``recipe``: JSON of your own that travels with it, such as how to build the architecture. ``fold``: of batch norms,
    scale and shift per channel in the place of four numbers; what is read from the file answers as the model does but
    for rounding. Raises TqhwError for buffers of types that the file does not hold, and for extra state that is no
    tensor.
    """
    model = plain(model)
    config = quantization_of(model)
    served = config.served(stored)
    codes, layers = integer_codes(model, stored), quantized_layers(model)
    owners: dict[int, str] = {}  # layers with the same codes store them once, under the name of the first
    owner = {layer.name: owners.setdefault(id(codes[layer.name]), layer.name) for layer in layers}
    own = [layer for layer in layers if owner[layer.name] == layer.name]
    common, each = _numbers(own, codes, served)
    ties = _add_state(model, common, each)
    norms = foldable(model) if fold else {}
    common = folded(common, norms)
    each = {bits: folded(tensors, norms) for bits, tensors in each.items()}
    blocks = {**_planes(own, codes, stored), "common": block_of(common.values())}
    blocks |= {f"at/{bits}": block_of(tensors.values()) for bits, tensors in each.items()}
    blocks = {name: block for name, block in blocks.items() if len(block) or name.startswith("plane/")}
    header = {
        "kind": KIND,
        "version": VERSION,
        "stored": stored,
        "quantization": {**config.document(), "precisions": list(served)},
        "layers": [_entry(layer, codes[layer.name], owner[layer.name]) for layer in layers],
        "norms": norms,
        "ties": ties,
        "recipe": dict(recipe or {}),
        "common": table_of(common),
        "each": table_of(each[served[0]]),
        "sha256": {name: checksum(block) for name, block in blocks.items()},
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    content = to_safetensors(blocks, metadata={"tqhw": text, "tqhw_sha256": digest})
    write_bytes(path, content)
    return len(content)


def _entry(layer: QuantizedLayer, codes: QuantizedTensor, owner: str) -> dict[str, Any]:
    """What the header says of a layer; what is left out has the value that `docs/format.md` names.

    ``codes_of``: the layer whose codes it has, where they stand under that one.
    """
    entry: dict[str, Any] = {"name": layer.name, "shape": list(codes.codes.shape)}
    if layer.quantizer.fixed:
        entry["bits"] = codes.bits
    if codes.dtype != torch.float32:
        entry["dtype"] = str(codes.dtype).removeprefix("torch.")
    if layer.input_quantizer is not None:
        entry["reads_real"] = False
    for key, value in (("axis", codes.slices.axis), ("group", codes.slices.group)):
        if value is not None:
            entry[key] = value
    return entry if owner == layer.name else {**entry, "codes_of": owner}


def _planes(layers: Iterable[QuantizedLayer], codes: Mapping[str, QuantizedTensor], stored: int) -> Tensors:
    """The planes of all switching codes together, by block."""
    switching = [codes[layer.name].codes.reshape(-1) for layer in layers if not layer.quantizer.fixed]
    together = torch.cat(switching) if switching else torch.empty(0, dtype=torch.uint8)
    return {f"plane/{number}": plane for number, plane in enumerate(pack(together, stored))}


def _numbers(
    layers: Iterable[QuantizedLayer], codes: Mapping[str, QuantizedTensor], served: Iterable[int]
) -> tuple[Tensors, dict[int, Tensors]]:
    """Scales, offsets and the codes of fixed layers: of every precision, and of each."""
    common: Tensors = {}
    each: dict[int, Tensors] = {bits: {} for bits in served}
    for layer in layers:
        own = codes[layer.name]
        if layer.quantizer.fixed:
            common[f"fixed/{layer.name}"] = torch.cat(pack(own.codes, own.bits))
        if own.own and not layer.quantizer.fixed:
            for bits, tensors in each.items():
                tensors |= _affine(layer.name, own.own[bits])
        else:
            common |= _affine(layer.name, Affine(own.scale, own.offset))
    return common, each


def _affine(name: str, affine: Affine) -> Tensors:
    scale = {f"scale/{name}": affine.scale}
    return scale if affine.offset is None else {**scale, f"offset/{name}": affine.offset}


def _add_state(model: nn.Module, common: Tensors, each: dict[int, Tensors]) -> dict[str, str]:
    """Adds the state dict without quantized weights to what is of every precision and of each; says what is tied.

    Batch norms of precisions that are not served are left out; those that are one tensor at all of them are common.
    """
    norms = {name: norm.highest for name, norm in switchable_norms(model).items()}
    weights = {*every_name(model), *share_names(model)}
    state: Tensors = {}
    of: dict[int, Tensors] = {bits: {} for bits in each}
    for name, tensor in model.state_dict().items():
        place = at_precision(name, norms)
        if name not in weights and (place is None or place[1] in of):
            _check_storable(name, tensor)
            plain_name, bits = (name, None) if place is None else place
            (state if bits is None else of[bits])[f"state/{plain_name}"] = tensor
    shared = _one_for_all(of)
    state |= shared
    of = {bits: {name: t for name, t in tensors.items() if name not in shared} for bits, tensors in of.items()}
    found = [aliases({**state, **tensors}) for tensors in of.values()]
    ties = {name: owner for name, owner in found[0].items() if all(other.get(name) == owner for other in found)}
    common |= {name: tensor for name, tensor in state.items() if name not in ties}
    for bits, tensors in of.items():
        each[bits] |= {name: tensor for name, tensor in tensors.items() if name not in ties}
    return ties


def _one_for_all(of: Mapping[int, Tensors]) -> Tensors:
    """The tensors that several precisions have in common."""
    first, *others = of.values()
    return {
        name: tensor
        for name, tensor in first.items()
        if others and all(identity(other[name]) == identity(tensor) for other in others)
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
