"""What an allocation run found: points of the front, the uniform precisions, and switches between points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tqhw.results import TOP1, MetricLook


@dataclass(frozen=True)
class Allocated:
    """Bits of every layer that switches, with energy and measured accuracy of one inference.

    ``predicted_loss``: what the integer program took it to add to the loss, in nats; ``top1`` is measured: percent, or
    what the answer's metric says, over several trainings their mean, with each of them in ``by_seed``.
    """

    bits: tuple[int, ...]
    energy_mj: float
    predicted_loss: float
    top1: float
    low: float
    high: float
    samples: int
    verified: bool
    uniform: int | None = None
    by_seed: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        """As the table has it: ``4 bits``, or how many layers have how many."""
        if len({*self.bits}) == 1:
            return f"{self.bits[0]} bits"
        return ", ".join(f"{self.bits.count(b)}x{b}" for b in sorted({*self.bits}))


@dataclass(frozen=True)
class PairedDifference:
    """What one allocation measures less what another does on the same trainings and test samples, with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Switch:
    """What the first inference after a switch costs beyond a steady one, by the scenario."""

    source: int
    target: int
    energy_mj: float
    dram_bits: int


@dataclass(frozen=True)
class AllocationAnswer:
    """``points``: cheapest first; ``uniform``: one per precision. ``layers``: names, in the order of the bits.

    ``seeds``: of the trainings, where there are several. ``differences``: by uniform bits, what the program chose for
    their energy (:func:`choice`) less them, on the same trainings; their intervals hold all together with 95 %.
    """

    experiment: str
    layers: tuple[str, ...]
    points: tuple[Allocated, ...]
    uniform: tuple[Allocated, ...]
    switches: tuple[Switch, ...]
    energies_mj: tuple[tuple[float, ...], ...]
    losses: tuple[tuple[float, ...], ...]
    widths: tuple[int, ...]
    fixed_mj: float
    calibration_images: int
    notes: tuple[str, ...] = ()
    metric: MetricLook = TOP1
    seeds: tuple[int, ...] = ()
    differences: Mapping[int, PairedDifference] = field(default_factory=dict)

    def verdicts(self) -> Iterator[str]:
        """Of every uniform precision, whether what the program chose for its energy is more accurate, by more than the
        interval of the difference; how much less it costs where that is not shown."""
        for one in self.uniform:
            best = choice(one, self.points)
            told = f"{one.label} everywhere ({one.energy_mj:.4g} mJ, {_said(one, self.metric)})"
            if best is None:
                yield f"{told}: no other allocation costs as little"
            elif best.bits == one.bits:
                yield f"{told}: the program chose the same"
            else:
                yield f"{told}: {self._verdict(one, best, self.differences[one.bits[0]])}"

    def _verdict(self, one: Allocated, best: Allocated, apart: PairedDifference) -> str:
        against = f"{best.label} ({best.energy_mj:.4g} mJ, {_said(best, self.metric)})"
        unit = " points" if self.metric.unit == "%" else ""
        paired = "seed by seed" if self.seeds else "on the same samples"
        simultaneous = "simultaneous " if len(self.differences) > 1 else ""
        ends = f"{apart.low:+z.3g} to {apart.high:+z.3g}"
        shown = f"{paired} {apart.mean:+z.3g}{unit}, {simultaneous}95 % interval {ends}"
        if apart.low <= 0 <= apart.high:
            saved = 100 * (1 - best.energy_mj / one.energy_mj)
            cheaper = f"; it costs {saved:.1f} % less" if saved >= 0.05 else ""
            return f"{against} is not shown to be better; {shown}{cheaper}"
        if self.metric.better(apart.mean, 0.0):
            return f"{against} is better; {shown}"
        return f"better than {against}, which the program preferred; {shown}"


def choice(one: Allocated, points: Sequence[Allocated]) -> Allocated | None:
    """What the program chose for the energy of ``one``, which may be ``one`` itself, by its own prediction: the best of
    what was measured would be chosen on the test images. None where no other costs as little."""
    affordable = [point for point in points if point.energy_mj <= one.energy_mj * (1 + 1e-9)]
    if all(point.bits == one.bits for point in affordable):
        return None
    return min(affordable, key=lambda point: (point.predicted_loss, point.energy_mj), default=None)


def _said(one: Allocated, metric: MetricLook) -> str:
    return f"{one.top1:.1f} %" if metric.unit == "%" else f"{metric.label} {one.top1:z.4g}"
