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
    """What one allocation measures less what another does on the same trainings, with its 95 % interval."""

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
    their energy (:func:`choice`) less them, on the same trainings.
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
        intervals, over several trainings by more than that of the difference; how much less it costs where that is not
        shown."""
        for one in self.uniform:
            yield _verdict(one, choice(one, self.points), self.metric, self.differences.get(one.bits[0]))


def choice(one: Allocated, points: Sequence[Allocated]) -> Allocated | None:
    """What the program chose for the energy of ``one``, which may be ``one`` itself, by its own prediction: the best of
    what was measured would be chosen on the test images. None where no other costs as little."""
    affordable = [point for point in points if point.energy_mj <= one.energy_mj * (1 + 1e-9)]
    if all(point.bits == one.bits for point in affordable):
        return None
    return min(affordable, key=lambda point: (point.predicted_loss, point.energy_mj), default=None)


def _verdict(one: Allocated, best: Allocated | None, metric: MetricLook, apart: PairedDifference | None) -> str:
    told = f"{one.label} everywhere ({one.energy_mj:.4g} mJ, {_said(one, metric)})"
    if best is None:
        return f"{told}: no other allocation costs as little"
    if best.bits == one.bits:
        return f"{told}: the program chose the same"
    against = f"{best.label} ({best.energy_mj:.4g} mJ, {_said(best, metric)})"
    paired = ""
    differ = best.low > one.high or best.high < one.low
    if apart is not None:
        differ = apart.low > 0 or apart.high < 0
        unit = " points" if metric.unit == "%" else ""
        paired = f"; seed by seed {apart.mean:+.3g}{unit}, 95 % interval {apart.low:+.3g} to {apart.high:+.3g}"
    if differ and metric.better(best.top1, one.top1):
        return f"{told}: {against} is better{paired or ', by more than the intervals'}"
    if differ:
        return f"{told}: better than {against}, which the program preferred{paired}"
    saved = 100 * (1 - best.energy_mj / one.energy_mj)
    cheaper = f"; it costs {saved:.1f} % less" if saved >= 0.05 else ""
    return f"{told}: {against} is not shown to be better{paired or ', the intervals overlap'}{cheaper}"


def _said(one: Allocated, metric: MetricLook) -> str:
    return f"{one.top1:.1f} %" if metric.unit == "%" else f"{metric.label} {one.top1:.4g}"
