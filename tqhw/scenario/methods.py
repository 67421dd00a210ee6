"""The methods: what each one fetches, and what it does when a precision is first used or switched to.

Per layer l with N_l weights; b: bits at run time, B: stored bits, F = 32: bits of FP32. docs/scenarios.md has the
formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tqhw.errors import TqhwError, unknown
from tqhw.results import METHODS
from tqhw.scenario.network import Width

FLOAT_BITS = 32
LAYOUTS = ("bitplane", "packed")
REQUANTIZE = ("writeback", "streaming", "fused", "best")
RESIDENCY = ("auto", "always", "never")


@dataclass(frozen=True)
class Options:
    """The choices behind the scenarios; energies in pJ per weight.

    ``quantizer_pj``: float to integer, of any_precision, for all precisions or by precision; the default is the low
    end of the sourced range. ``truncation_pj``: of truncquant in the packed layout (a mask of 8 AND gates); in the
    bit-plane layout the planes that are not needed are not fetched, and there is nothing to cut off.
    """

    stored_bits: int = 8
    layout: str = "bitplane"
    requantize: str = "best"
    residency: str = "auto"
    quantizer_pj: float | Mapping[int, float] = 4.5
    truncation_pj: float = 0.145

    def __post_init__(self) -> None:
        for name, value, known in (
            ("layout", self.layout, LAYOUTS),
            ("requantize", self.requantize, REQUANTIZE),
            ("residency", self.residency, RESIDENCY),
        ):
            if value not in known:
                raise unknown(name, value, known, f"scenario.{name}")

    def quantize_pj(self, bits: int) -> float:
        """What quantizing one FP32 weight to ``bits`` costs."""
        return self.quantizer_pj[bits] if isinstance(self.quantizer_pj, Mapping) else self.quantizer_pj


@dataclass(frozen=True)
class Plan:
    """One way of a method to run at ``bits``.

    ``first``: rendering of the inference that follows a switch, ``steady``: of all later ones; ``first_pj`` and
    ``steady_pj``: energy per weight that the DRAM delivers in them (quantizer or shifter). ``read_bits``: a pass
    over all weights before the first inference, each read at these bits and quantized for ``load_pj``;
    ``write_bits``: every weight is written back at these bits. ``load_bits``: bits at which resident weights are
    loaded, ``kept_bits``: bits at which they could stay so that no switch loads anything.
    """

    mode: str
    bits: int
    first: Width
    steady: Width
    load_bits: int
    read_bits: int | None = None
    write_bits: int | None = None
    kept_bits: int | None = None
    first_pj: float = 0.0
    steady_pj: float = 0.0
    load_pj: float = 0.0
    switches: bool = True


def plans(method: str, bits: int, options: Options) -> tuple[Plan, ...]:
    """The ways of ``method`` to run at ``bits``; more than one only where ``requantize: best`` has to choose."""
    stored, narrow = options.stored_bits, Width(bits, bits)
    if not 1 <= bits <= stored:
        raise TqhwError(f"{bits} bits cannot be run", place="bits", lever=f"1 to {stored}, the stored bits")
    if method == "truncquant":
        if options.layout == "bitplane":
            return (Plan("bitplane", bits, narrow, narrow, load_bits=bits, kept_bits=stored),)
        whole = Width(stored, bits)
        cut = options.truncation_pj if bits < stored else 0.0
        return (Plan("packed", bits, whole, whole, stored, first_pj=cut, steady_pj=cut, load_pj=cut),)
    if method == "any_precision":
        wide, pj = Width(FLOAT_BITS, bits), options.quantize_pj(bits)
        ways = {
            "writeback": Plan("writeback", bits, narrow, narrow, FLOAT_BITS, FLOAT_BITS, bits, load_pj=pj),
            "streaming": Plan("streaming", bits, wide, wide, FLOAT_BITS, first_pj=pj, steady_pj=pj, load_pj=pj),
            "fused": Plan("fused", bits, wide, narrow, FLOAT_BITS, write_bits=bits, first_pj=pj, load_pj=pj),
        }
        return tuple(ways.values()) if options.requantize == "best" else (ways[options.requantize],)
    if method == "multi_model":
        return (Plan("copy", bits, narrow, narrow, load_bits=bits),)
    if method == "fixed":
        whole = Width(stored, stored)
        return (Plan("fixed", stored, whole, whole, load_bits=stored, switches=False),)
    raise unknown("method", method, METHODS, "methods")


def precisions(method: str, bits: tuple[int, ...], options: Options) -> tuple[int, ...]:
    """The precisions that ``method`` really runs at; ``fixed`` knows only the stored bits."""
    return (options.stored_bits,) if method == "fixed" else bits


def widths(methods: tuple[str, ...], bits: tuple[int, ...], options: Options) -> tuple[Width, ...]:
    """The renderings of the architecture that these methods need, each once, in ascending order."""
    needed = {
        width
        for method in methods
        for b in precisions(method, bits, options)
        for plan in plans(method, b, options)
        for width in (plan.first, plan.steady)
    }
    return tuple(sorted(needed))
