"""What a method does at one precision, and the choices that it is made with."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.energy import quantizer_energy_pj, truncation_energy_pj
from tqhw.options import ScenarioOptions, section
from tqhw.options.section import Bits
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
class Way:
    """One way of a method to run at ``bits``.

    ``first``: rendering of the inference that follows a switch, ``steady``: of all later ones; ``first_pj`` and
    ``steady_pj``: energy per weight that the DRAM delivers in them (quantizer or shifter). ``read_bits``: a pass
    over all weights before the first inference, each read at these bits and quantized for ``load_pj``;
    ``write_bits``: every weight is written back at these bits. ``load_bits``: bits at which resident weights are
    loaded, ``kept_bits``: bits at which they could stay so that no switch loads anything. ``switches``: False where
    there is nothing to switch to.
    """

    name: str
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


@dataclass(frozen=True)
class Kept:
    """What a method keeps in DRAM of the weights that follow the precision, in bits per weight.

    ``codes``: of the model itself; ``copy``: of a quantized copy beside it; ``scale_sets``: how often the scales are
    there.
    """

    codes: int
    copy: int = 0
    scale_sets: int = 1
