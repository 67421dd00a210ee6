"""The methods: what each one fetches, what it does when a precision is first used or switched to, what it stores.

Per layer l with N_l weights; b: bits at run time, B: stored bits, F = 32: bits of FP32. docs/scenarios.md has the
formulas, docs/extending.md a method from outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from tqhw.errors import TqhwError
from tqhw.registry import Registry
from tqhw.results import STATES, MethodRow
from tqhw.scenario.network import Width
from tqhw.scenario.ways import FLOAT_BITS, Kept, Options, Way

# TruncQuant (arXiv 2506.11431), its claims about traffic and energy.
PAPER_TRAFFIC, PAPER_ENERGY = 20.0, 3.2
INITIAL, SWITCHING, STEADY = STATES


class ScenarioMethod(ABC):
    """One way to serve several precisions: all that tqhw knows of it.

    ``name``: in experiments and results; ``label`` and ``colour``: in tables and figures, ``style``: of its line there,
    as matplotlib has it. ``costlier_in``: the states in which it is held against truncquant; elsewhere the ratio is 1
    by construction. ``stores_more``: whether its storage is held against truncquant's. ``choice``: the option of the
    scenario that names its ways, where it has several.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    colour: ClassVar[str] = "#999999"
    style: ClassVar[Mapping[str, Any]] = {"marker": "v"}
    costlier_in: ClassVar[tuple[str, ...]] = ()
    stores_more: ClassVar[bool] = False
    choice: ClassVar[str] = ""
    switches: ClassVar[bool] = True

    @abstractmethod
    def ways(self, bits: int, options: Options) -> tuple[Way, ...]:
        """The ways to run at ``bits``; of several the cheapest is taken."""

    @abstractmethod
    def kept(self, bits: tuple[int, ...], options: Options) -> Kept:
        """What is kept in DRAM to serve all ``bits``."""

    def precisions(self, bits: tuple[int, ...], options: Options) -> tuple[int, ...]:
        """Those of ``bits`` that it really runs at."""
        return bits

    def claim(self, quantity: str, state: str) -> float | None:
        """What the paper says of its ratio to truncquant."""
        return None

    def row(self) -> MethodRow:
        """How the reports name and draw it."""
        return MethodRow(self.name, self.label, self.colour, dict(self.style), self.switches, self.choice)


class TruncQuantMethod(ScenarioMethod):
    """B bits stored once; the b upper ones are fetched, or all, and shifted on the chip."""

    name, label, colour = "truncquant", "TruncQuant", "#0072B2"
    style: ClassVar[Mapping[str, Any]] = {"marker": "o", "zorder": 4}

    def ways(self, bits: int, options: Options) -> tuple[Way, ...]:
        stored, narrow = options.stored_bits, Width(bits, bits)
        if options.layout == "bitplane":
            return (Way("bitplane", bits, narrow, narrow, load_bits=bits, kept_bits=stored),)
        whole = Width(stored, bits)
        cut = options.truncation_pj if bits < stored else 0.0
        return (Way("packed", bits, whole, whole, stored, first_pj=cut, steady_pj=cut, load_pj=cut),)

    def kept(self, bits: tuple[int, ...], options: Options) -> Kept:
        return Kept(options.stored_bits)


class AnyPrecision(ScenarioMethod):
    """FP32 weights, quantized anew at a switch."""

    name, label, colour = "any_precision", "Any-Precision", "#D55E00"
    style: ClassVar[Mapping[str, Any]] = {"marker": "s", "zorder": 3}
    costlier_in = (INITIAL, SWITCHING)
    stores_more = True
    choice = "requantize"

    def ways(self, bits: int, options: Options) -> tuple[Way, ...]:
        narrow, wide, pj = Width(bits, bits), Width(FLOAT_BITS, bits), options.quantize_pj(bits)
        ways = {
            "writeback": Way("writeback", bits, narrow, narrow, FLOAT_BITS, FLOAT_BITS, bits, load_pj=pj),
            "streaming": Way("streaming", bits, wide, wide, FLOAT_BITS, first_pj=pj, steady_pj=pj, load_pj=pj),
            "fused": Way("fused", bits, wide, narrow, FLOAT_BITS, write_bits=bits, first_pj=pj, load_pj=pj),
        }
        return tuple(ways.values()) if options.requantize == "best" else (ways[options.requantize],)

    def kept(self, bits: tuple[int, ...], options: Options) -> Kept:
        return Kept(FLOAT_BITS, copy=0 if options.requantize == "streaming" else max(bits))

    def claim(self, quantity: str, state: str) -> float | None:
        if quantity == "dram_traffic" and state == SWITCHING:
            return PAPER_TRAFFIC
        return PAPER_ENERGY if quantity == "energy" else None


class MultiModel(ScenarioMethod):
    """A model per precision."""

    name, label, colour = "multi_model", "Multi-model", "#009E73"
    # Often the same as truncquant: open and larger, so that both are seen.
    style: ClassVar[Mapping[str, Any]] = {"marker": "^", "markerfacecolor": "white", "markersize": 6.5, "zorder": 3}
    stores_more = True

    def ways(self, bits: int, options: Options) -> tuple[Way, ...]:
        narrow = Width(bits, bits)
        return (Way("copy", bits, narrow, narrow, load_bits=bits),)

    def kept(self, bits: tuple[int, ...], options: Options) -> Kept:
        return Kept(sum(bits), scale_sets=len(bits))


class Fixed(ScenarioMethod):
    """Always the stored bits."""

    name, label, colour = "fixed", "Fixed", "#000000"
    style: ClassVar[Mapping[str, Any]] = {"linestyle": ":", "zorder": 2}
    costlier_in = (STEADY,)
    switches = False

    def ways(self, bits: int, options: Options) -> tuple[Way, ...]:
        stored = options.stored_bits
        whole = Width(stored, stored)
        return (Way("fixed", stored, whole, whole, load_bits=stored, switches=False),)

    def kept(self, bits: tuple[int, ...], options: Options) -> Kept:
        return Kept(options.stored_bits)

    def precisions(self, bits: tuple[int, ...], options: Options) -> tuple[int, ...]:
        return (options.stored_bits,)


REFERENCE = "truncquant"
"""What the others are held against."""

METHODS: Registry[ScenarioMethod] = Registry(
    "method",
    "tqhw.methods",
    {method.name: method for method in (TruncQuantMethod(), AnyPrecision(), MultiModel(), Fixed())},
)


def ways(method: str, bits: int, options: Options) -> tuple[Way, ...]:
    """The ways of ``method`` to run at ``bits``."""
    stored = options.stored_bits
    if not 1 <= bits <= stored:
        raise TqhwError(f"{bits} bits cannot be run", place="bits", lever=f"1 to {stored}, the stored bits")
    return METHODS.named(method, "methods").ways(bits, options)


def precisions(method: str, bits: tuple[int, ...], options: Options) -> tuple[int, ...]:
    """The precisions that ``method`` really runs at."""
    return METHODS.named(method, "methods").precisions(bits, options)


def widths(methods: tuple[str, ...], bits: tuple[int, ...], options: Options) -> tuple[Width, ...]:
    """The renderings of the architecture that these methods need, each once, in ascending order."""
    needed = {
        width
        for method in methods
        for b in precisions(method, bits, options)
        for way in ways(method, b, options)
        for width in (way.first, way.steady)
    }
    return tuple(sorted(needed))
