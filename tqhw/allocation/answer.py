"""What an allocation run found: points of the front, the uniform precisions, and switches between points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tqhw.results import TOP1, MetricLook


@dataclass(frozen=True)
class Allocated:
    """Bits of every layer that switches, with energy and measured accuracy of one inference.

    ``predicted_loss``: what the integer program took it to add to the loss, in nats; ``top1`` is measured: percent, or
    what the answer's metric says.
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

    @property
    def label(self) -> str:
        """As the table has it: ``4 bits``, or how many layers have how many."""
        if len({*self.bits}) == 1:
            return f"{self.bits[0]} bits"
        return ", ".join(f"{self.bits.count(b)}x{b}" for b in sorted({*self.bits}))


@dataclass(frozen=True)
class Switch:
    """What the first inference after a switch costs beyond a steady one, by the scenario."""

    source: int
    target: int
    energy_mj: float
    dram_bits: int


@dataclass(frozen=True)
class AllocationAnswer:
    """``points``: cheapest first; ``uniform``: one per precision. ``layers``: names, in the order of the bits."""

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

    def verdicts(self) -> Iterator[str]:
        """Of every uniform precision, whether what the program chose for its energy is more accurate, by more than the
        intervals; how much less it costs where that is not shown."""
        for one in self.uniform:
            yield _verdict(one, self.points, self.metric)


def _verdict(one: Allocated, points: tuple[Allocated, ...], metric: MetricLook) -> str:
    affordable = [point for point in points if point.energy_mj <= one.energy_mj * (1 + 1e-9)]
    others = [point for point in affordable if point.bits != one.bits]
    # The program's choice, by its own prediction: the best of what was measured would be chosen on the test images.
    best = min(others, key=lambda point: (point.predicted_loss, point.energy_mj), default=None)
    told = f"{one.label} everywhere ({one.energy_mj:.4g} mJ, {_said(one, metric)})"
    if best is None:
        return f"{told}: no other allocation costs as little"
    against = f"{best.label} ({best.energy_mj:.4g} mJ, {_said(best, metric)})"
    apart = best.low > one.high or best.high < one.low
    if apart and metric.better(best.top1, one.top1):
        return f"{told}: {against} is better, by more than the intervals"
    if apart:
        return f"{told}: better than {against}, which the program preferred"
    saved = 100 * (1 - best.energy_mj / one.energy_mj)
    cheaper = f"; it costs {saved:.1f} % less" if saved >= 0.05 else ""
    return f"{told}: {against} is not shown to be better, the intervals overlap{cheaper}"


def _said(one: Allocated, metric: MetricLook) -> str:
    return f"{one.top1:.1f} %" if metric.unit == "%" else f"{metric.label} {one.top1:.4g}"
