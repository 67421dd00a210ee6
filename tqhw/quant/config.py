"""How a model is to be quantized, checked against the layers it has."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tqhw.errors import TqhwError, unknown
from tqhw.options import LayerBits, QuantizationOptions, section
from tqhw.quant.bits import check_bits, check_precisions
from tqhw.quant.normalization import Normalizer
from tqhw.quant.schemes import gradient_named, scheme_named
from tqhw.quant.slices import WHOLE, Slices


@section
class QuantConfig(QuantizationOptions):
    """How a model is quantized: the quantizer, the precisions, and what can be chosen beside them."""

    scheme: str = "truncquant"
    """The quantizer, by name."""
    precisions: tuple[int, ...] = (2, 4, 6, 8)
    """The bits that the model can be switched to: 1 to 8, and 32 for unquantized weights."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "precisions", check_precisions(self.precisions))
        gradient_named(Normalizer(self.normalization).scheme(scheme_named(self.scheme)), self.gradient)
        self.normalization.check_bits(self.precisions[0], "precisions")
        if self.through_maximum and self.normalization.offset:
            raise TqhwError(
                "with an offset, the largest and the smallest weight move the middle as well as the range",
                place="through_maximum",
                lever="leave out one of through_maximum and normalization.offset",
            )
        if self.unswitched and self.norms == "shared":
            raise TqhwError(
                "shared norms are one for all precisions already",
                place="unswitched",
                lever="leave out one of the two",
            )
        if isinstance(self.granularity, int) and self.normalization.kind == "auto":
            raise TqhwError("auto takes no groups", place="granularity", lever="use normalization: {kind: linear}")
        if isinstance(self.granularity, int):
            Normalizer(self.normalization).check(self.slices(0), "granularity")

    def slices(self, axis: int) -> Slices:
        """What has a scale of its own in a weight whose output channels lie along ``axis``."""
        if self.granularity == "tensor":
            return WHOLE
        return Slices(axis, None if self.granularity == "channel" else self.granularity)

    def served(self, stored: int) -> tuple[int, ...]:
        """The precisions that codes of ``stored`` bits serve; a TqhwError where that is none."""
        check_bits(stored, place="stored")
        found = tuple(bits for bits in self.precisions if bits <= stored)
        if not found:
            known = list(self.precisions)
            raise TqhwError(f"none of the precisions {known} can be had from {stored} bits", place="stored")
        return found


def ends(names: Sequence[str], order: Sequence[str] | None = None) -> tuple[str, str]:
    """The first and the last layer: as they run where that is known, else as the model registers them."""
    ran = [name for name in order or () if name in names] or list(names)
    return ran[0], ran[-1]


def bits_by_layer(
    names: Sequence[str], config: QuantConfig, order: Sequence[str] | None = None
) -> dict[str, LayerBits]:
    """The bits of each of the model's quantizable layers, given in the order it registers them.

    ``order``: those that run, in the order in which they do; the first and the last are taken from it.
    Raises TqhwError for a pattern that names no layer, bits out of range, and where nothing is quantized.
    """
    chosen: dict[str, LayerBits] = dict.fromkeys(names)
    first, last = ends(names, order)
    chosen[first] = config.first
    chosen[last] = config.last
    for pattern, bits in config.layers.items():
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            raise unknown("layer", pattern, names, place="layers")
        chosen.update(dict.fromkeys(matching, bits))
    for name, bits in chosen.items():
        if bits is not None and bits != "full":
            check_bits(bits, place=f"bits of layer '{name}'")
            config.normalization.check_bits(bits, place=f"bits of layer '{name}'")
    if all(bits == "full" for bits in chosen.values()):
        kept = f"all {len(names)} layers are" if len(names) > 1 else f"the only layer to quantize, '{names[0]}', is"
        raise TqhwError(
            f"{kept} kept at full precision",
            place="quantization",
            lever="quantization.first: null or quantization.last: null quantizes it; so does a null in its layers",
        )
    return chosen
