"""How a model is to be quantized, checked against the layers it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from tqhw.errors import TqhwError, unknown
from tqhw.quant.activation import ActivationKind
from tqhw.quant.bits import check_bits, check_precisions
from tqhw.quant.schemes import gradient_named, scheme_named

LayerBits = int | Literal["full"] | None
"""Of one layer: bits it always runs at, ``full`` for unquantized, None for the model's current precision."""


@dataclass(frozen=True)
class QuantConfig:
    """How a model is quantized.

    ``precisions``: the bits the model can be switched to (1..8, and 32 for unquantized weights).
    ``first``, ``last``: bits of the first and the last quantizable layer, in the order the model registers
    them; Any-Precision DNNs keep both full. ``layers``: bits by layer name or pattern (``layer3.*``), which
    win over ``first`` and ``last``. ``gradient``: see the scheme, None for its default. ``norms``: one batch
    norm per precision (``switchable``) or one for all (``shared``). ``granularity``: a scale per ``tensor``
    or output ``channel``. ``activations``: what the quantized layers read, but for the first layer of the
    model: ``full``, ``dorefa`` (clamped to [0, 1]; layers that read negative values are refused) or ``pact`` (to a
    learned [0, alpha], or [low alpha, alpha] where a layer reads negative values), at ``activation_bits`` (None: those
    of the weights, switched with them). ``alpha``: where PACT's clamp starts, None for what suits the first batch.
    """

    scheme: str = "truncquant"
    precisions: tuple[int, ...] = (2, 4, 6, 8)
    first: LayerBits = "full"
    last: LayerBits = "full"
    layers: Mapping[str, LayerBits] = field(default_factory=dict)
    gradient: str | None = None
    norms: Literal["switchable", "shared"] = "switchable"
    granularity: Literal["tensor", "channel"] = "tensor"
    activations: Literal["full"] | ActivationKind = "full"
    activation_bits: int | None = 8
    alpha: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "precisions", check_precisions(self.precisions))
        gradient_named(scheme_named(self.scheme), self.gradient)
        for option, allowed in (
            ("norms", ("switchable", "shared")),
            ("granularity", ("tensor", "channel")),
            ("activations", ("full", "dorefa", "pact")),
        ):
            if getattr(self, option) not in allowed:
                raise unknown(option, str(getattr(self, option)), allowed, place=option)
        for layer in ("first", "last"):
            bits = getattr(self, layer)
            if bits is not None and bits != "full":
                check_bits(bits, place=layer)
        if self.activation_bits is not None:
            check_bits(self.activation_bits, place="activation_bits")
        if self.alpha is not None and not (isinstance(self.alpha, int | float) and 0 < self.alpha < float("inf")):
            raise TqhwError(
                f"a clamp at {self.alpha} leaves no range of activations",
                place="alpha",
                lever="use a number above 0, or null to start from the first batch",
            )

    def served(self, stored: int) -> tuple[int, ...]:
        """The precisions that codes of ``stored`` bits serve; a TqhwError where that is none."""
        check_bits(stored, place="stored")
        found = tuple(bits for bits in self.precisions if bits <= stored)
        if not found:
            known = list(self.precisions)
            raise TqhwError(f"none of the precisions {known} can be had from {stored} bits", place="stored")
        return found


def bits_by_layer(names: list[str], config: QuantConfig) -> dict[str, LayerBits]:
    """The bits of each of the model's quantizable layers, given in the order it registers them.

    Raises TqhwError for a pattern that names no layer, bits out of range, and where nothing is quantized.
    """
    chosen: dict[str, LayerBits] = dict.fromkeys(names)
    chosen[names[0]] = config.first
    chosen[names[-1]] = config.last
    for pattern, bits in config.layers.items():
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            raise unknown("layer", pattern, names, place="layers")
        chosen.update(dict.fromkeys(matching, bits))
    for name, bits in chosen.items():
        if bits is not None and bits != "full":
            check_bits(bits, place=f"bits of layer '{name}'")
    if all(bits == "full" for bits in chosen.values()):
        kept = f"all {len(names)} layers are" if len(names) > 1 else f"the only layer to quantize, '{names[0]}', is"
        raise TqhwError(
            f"{kept} kept at full precision",
            place="quantization",
            lever="quantization.first: null or quantization.last: null quantizes it; so does a null in its layers",
        )
    return chosen
