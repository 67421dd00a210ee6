"""The methods: what each one fetches, and what it does when a precision is first used or switched to.

Per layer l with N_l weights; b: bits at run time, B: stored bits, F = 32: bits of FP32. docs/scenarios.md has the
formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.energy import quantizer_energy_pj, truncation_energy_pj
from tqhw.errors import TqhwError, unknown
from tqhw.options import ScenarioOptions, section
from tqhw.options.section import Bits
from tqhw.results import METHODS
from tqhw.scenario.network import Width

FLOAT_BITS = 32


@section
class Options(ScenarioOptions):
    """The choices behind the scenarios, and the energies that they come to."""

    stored_bits: Bits = 8
    """Bits of the model in DRAM."""

    def quantize_pj(self, bits: int) -> float:
        """What quantizing one FP32 weight to ``bits`` costs, in pJ: float to integer, of any_precision."""
        chosen = self.quantizer
        return quantizer_energy_pj(bits, chosen) if isinstance(chosen, str) else chosen

    @property
    def truncation_pj(self) -> float:
        """pJ per weight that is cut down, of truncquant in the packed layout; of bit planes none is fetched in vain."""
        chosen = self.truncation
        return truncation_energy_pj(self.stored_bits, chosen) if isinstance(chosen, str) else chosen


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
