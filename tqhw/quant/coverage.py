"""Which share of a model's weights switches its precision, and what stays as it is, where and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn.utils import parametrize

from tqhw.quant.identity import identity
from tqhw.quant.layers import plain, quantization_of, quantized_layers
from tqhw.quant.parts import parts_of, tensors_of
from tqhw.quant.weight import QuantizedWeight

_TABLES: Final = (nn.Embedding, nn.EmbeddingBag)
CHOSEN: Final = "in FP32 as first, last or layers say"
TABLE: Final = "looked up, not multiplied"
COMPUTED: Final = "in FP32: parts of a weight that is computed, by weight_norm say"
_NAMED: Final = 3


@dataclass(frozen=True)
class Unswitched:
    """Weights that do not switch: ``numbers`` of them at ``place``, and why."""

    place: str
    numbers: int
    why: str


@dataclass(frozen=True)
class Coverage:
    """Numbers in tensors of two axes or more, each tensor once: those that ``switch``, of ``total``.

    ``kept``: the others. A weight of which one use switches and another is in floating point is of both, ``tied``
    numbers in all.
    """

    switch: int
    total: int
    kept: tuple[Unswitched, ...]
    tied: int = 0

    @property
    def share(self) -> float:
        """Of all weights, between 0 and 1."""
        return self.switch / self.total if self.total else 0.0

    @property
    def unforeseen(self) -> bool:
        """Whether weights that may well be multiplied stay, which no option keeps."""
        return any(
            kept.why not in (CHOSEN, TABLE, COMPUTED) and not kept.why.startswith("always") for kept in self.kept
        )

    @property
    def text(self) -> str:
        """One line: the share, and what stays by reason, the largest first."""
        said = f"{100 * self.share:.1f} % of the weights switch their bits ({self.switch:,} of {self.total:,})"
        by_reason: dict[str, list[Unswitched]] = {}
        for kept in sorted(self.kept, key=lambda kept: -kept.numbers):
            by_reason.setdefault(kept.why, []).append(kept)
        parts = []
        for why, found in by_reason.items():
            names = ", ".join(kept.place for kept in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            parts.append(f"{100 * sum(k.numbers for k in found) / self.total:.1f} % {names}{more} ({why})")
        return f"{said}; what stays: {'; '.join(parts)}" if parts else said


def coverage(model: nn.Module) -> Coverage:
    """What of a converted ``model`` switches. Vectors (biases, norms) are no weights here."""
    model = plain(model)
    quantization_of(model)
    quantized = {identity(layer.real_weight): layer for layer in quantized_layers(model)}
    switching = {key: layer for key, layer in quantized.items() if not layer.quantizer.fixed}
    found: dict[object, int] = {key: layer.real_weight.numel() for key, layer in quantized.items()}
    kept = [
        Unswitched(layer.weight_name, layer.real_weight.numel(), f"always at {layer.quantizer.bits} bits")
        for key, layer in quantized.items()
        if layer.quantizer.fixed
    ]
    tied: dict[object, int] = {}
    quantizable = {part.parameter for part in parts_of(model)}
    for prefix, module in model.named_modules():
        if isinstance(module, QuantizedWeight) or (
            isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], QuantizedWeight)
        ):
            continue  # the weight itself, which is counted, and where it is clipped
        for name, tensor in module._parameters.items():
            if tensor is None or _axes(tensor) < 2:
                continue
            place = f"{prefix}.{name}" if prefix else name
            key = identity(tensor)
            known = key in found and key not in quantized
            found.setdefault(key, tensor.numel())
            if key in switching:
                tied[key] = tensor.numel()
            if not known:
                kept.append(Unswitched(place, tensor.numel(), _why(module, place in quantizable)))
    switch = sum(layer.real_weight.numel() for layer in switching.values())
    return Coverage(switch, sum(found.values()), tuple(kept), sum(tied.values()))


def beside_products(model: nn.Module, multiplied: Collection[str]) -> dict[int | None, int]:
    """Quantized numbers that no product reads, such as those of embeddings, by their bits; None: they switch.

    ``multiplied``: the layers that products read; what these share with an embedding is theirs.
    """
    layers = quantized_layers(model)
    products = {part.name for part in parts_of(plain(model))} | {*multiplied}
    found = {identity(layer.real_weight): layer for layer in layers}
    for layer in layers:
        if layer.name in products:
            found.pop(identity(layer.real_weight), None)
    numbers: dict[int | None, int] = {}
    for layer in found.values():
        bits = layer.quantizer.bits if layer.quantizer.fixed else None
        numbers[bits] = numbers.get(bits, 0) + layer.real_weight.numel()
    return numbers


def _axes(tensor: torch.Tensor) -> int:
    return sum(size > 1 for size in tensor.shape)


def _why(module: nn.Module, quantizable: bool) -> str:
    if quantizable:
        return CHOSEN
    if isinstance(module, _TABLES):
        return TABLE
    if isinstance(module, parametrize.ParametrizationList) or tensors_of(module):
        return COMPUTED
    return f"in FP32: a {type(module).__name__} is no layer that can be quantized"
