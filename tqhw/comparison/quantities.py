"""The numbers of several results, each beside its like."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqhw.comparison.roles import roles
from tqhw.errors import TqhwError
from tqhw.results import ACCURACY, LayerRow, Results

Key = tuple[str, ...]
_Of = tuple[Key, Any, Key]
"""What a number is of: words, then a precision (bits, or bits on the chip and as fetched) or None, then words."""
_Number = tuple[str, str, _Of, str, float | None]


@dataclass(frozen=True)
class Side:
    """Results under the name that they are shown by."""

    name: str
    results: Results


@dataclass(frozen=True)
class NumberDifference:
    """One quantity of all sides: None where a side does not have it.

    ``kind``: a key of :data:`tqhw.comparison.tables.KINDS`; ``layer``: "" for the network as a whole. ``of``: what
    it is a number of, such as method, precision, state and component.
    """

    kind: str
    layer: str
    of: Key
    unit: str
    values: tuple[float | None, ...]

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """Each side's number through that of the first; None where either is missing or the first is 0."""
        first = self.values[0]
        return tuple(None if value is None or not first else value / first for value in self.values[1:])

    @property
    def same(self) -> bool:
        """Whether all sides have the same number."""
        return len({*self.values}) == 1


def differences(sides: Sequence[Side]) -> list[NumberDifference]:
    """Every quantity that a side has, the whole network's first.

    Sides at different precisions have rows in common by :func:`tqhw.comparison.roles.roles`. Raises TqhwError for fewer
    than two sides.
    """
    if len(sides) < 2:
        raise TqhwError("nothing to compare with", place="compare", lever="name two results at least")
    numbers = [[*_numbers(side.results)] for side in sides]
    names = _names(numbers)
    found: list[dict[tuple[str, str, Key, str], float | None]] = [{} for _ in sides]
    for side, one in enumerate(numbers):
        for kind, layer, given, unit, value in one:
            found[side] |= {(kind, layer, of, unit): value for of in names.of(side, kind, given)}
    keys = dict.fromkeys(key for one in found for key in one)
    return [
        NumberDifference(*key, tuple(one.get(key) for one in found))
        for key in sorted(keys, key=lambda key: key[1] != "")
    ]


class _Names:
    """What precisions are called, by side and by what they are precisions of."""

    def __init__(self) -> None:
        self.called: dict[tuple[int, Key], Mapping[Any, list[str]]] = {}

    def of(self, side: int, kind: str, given: _Of) -> Iterator[Key]:
        """The names of a quantity: several where its precision has a role beside its own name."""
        before, value, after = given
        if value is None:
            yield (*before, *after)
            return
        for name in self.called[side, _group(kind, given)][value]:
            yield (*before, name, *after)


def _names(numbers: Sequence[Sequence[_Number]]) -> _Names:
    """Each method, and the renderings, have lowest and highest precisions of their own."""
    groups: dict[Key, list[set[Any]]] = {}
    for side, one in enumerate(numbers):
        for kind, _, given, _, _ in one:
            if given[1] is not None:
                groups.setdefault(_group(kind, given), [set() for _ in numbers])[side].add(given[1])
    names = _Names()
    for group, values in groups.items():
        for side, called in enumerate(roles(values, _text_of)):
            names.called[side, group] = called
    return names


def _group(kind: str, given: _Of) -> Key:
    """What has precisions of its own: a method, a way of training, and the renderings of the architecture."""
    before, value, _ = given
    return (kind if kind in ("accuracy", "fronts") else "costs", *before) if isinstance(value, int) else ("rendering",)


def _text_of(value: Any) -> str:
    if isinstance(value, int):
        return f"{value} bits"
    weight, fetch = value
    return f"{fetch} bits fetched, {weight} bits"


def inputs(sides: Sequence[Side]) -> list[tuple[str, tuple[Any, ...]]]:
    """The keys of the experiments that are not alike, and what each side has; None where it says nothing."""
    flat = [dict(_flat("", side.results.experiment)) for side in sides]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [(key, tuple(one.get(key) for one in flat)) for key in keys]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values)]


def _numbers(results: Results) -> Iterator[_Number]:
    yield from _energy(results)
    traffic: dict[_Of, int] = {}
    for flow in results.traffic:
        for space in ("all", flow.dataspace):
            key = ((flow.method,), flow.bits, (flow.state, space))
            traffic[key] = traffic.get(key, 0) + flow.dram_bits
    yield from (("traffic", "", key, "bits", bits) for key, bits in traffic.items())
    yield from _hardware(results)
    yield from _fronts(results)
    yield from (("storage", "", ((row.method,), None, ()), "MB", row.megabytes) for row in results.storage)
    for one in results.accuracy:
        if one.measured is not None:
            other = () if one.metric == ACCURACY else (one.look.in_unit,)
            yield "accuracy", "", ((one.scheme,), one.bits, (one.weights, *other)), one.unit, one.measured
    yield from _layers(results)


def _energy(results: Results) -> Iterator[_Number]:
    energy: dict[_Of, float] = {}
    for row in results.energy:
        for component in ("all", row.component):
            key = ((row.method,), row.bits, (row.state, component))
            energy[key] = energy.get(key, 0.0) + row.energy_mj
    yield from (("energy", "", key, "mJ", value) for key, value in energy.items())


def _hardware(results: Results) -> Iterator[_Number]:
    """Cycles of the network, of every rendering that all layers which follow the precision run on; and areas."""
    cycles: dict[_Of, list[int]] = {}
    following = [layer for layer in results.layers if layer.bits is None]
    followed = _followed(results)
    own: dict[str, int] = {}
    for layer in results.layers:
        for e in layer.evaluations:
            if layer.bits is None:
                cycles.setdefault(_rendering(e, followed), []).append(layer.count * e.cycles)
            else:
                name = e.spad_model or ""
                own[name] = own.get(name, 0) + layer.count * e.cycles
    for key, parts in cycles.items():
        if len(parts) == len(following):
            yield "cycles", "", key, "cycles", sum(parts) + own.get("".join(key[2]), 0)
    yield from _levels(results, following, followed)
    areas: dict[_Of, float | None] = {}
    for row in results.area:
        for component in ("all", row.component):
            before_, value, after = _rendering(row, followed)
            key = (before_, value, (*after, component))
            before = areas.get(key, 0.0)
            areas[key] = None if before is None or row.area_um2 is None else before + row.area_um2
    yield from (("area", "", key, "um2", value) for key, value in areas.items())


def _fronts(results: Results) -> Iterator[_Number]:
    """Of the network's Pareto front at each precision: how many points it has, and its two ends."""
    for bits in dict.fromkeys(row.bits for row in results.fronts):
        points = [row for row in results.fronts if row.bits == bits]
        yield "fronts", "", ((), bits, ("points",)), "", len(points)
        yield "fronts", "", ((), bits, ("least energy, mJ",)), "", min(row.energy_mj for row in points)
        yield "fronts", "", ((), bits, ("fewest cycles",)), "", min(row.cycles for row in points)


def _levels(
    results: Results, following: Sequence[LayerRow], followed: Collection[tuple[int, int]]
) -> Iterator[_Number]:
    """mJ of one inference by level, of every rendering that all layers which follow the precision run on.

    Layers of precisions of their own take part at these, as in the cycles.
    """
    sums: dict[tuple[_Of, str], list[float]] = {}
    own: dict[Key, float] = {}
    for layer in results.layers:
        for e in layer.evaluations:
            for level, energy in e.levels.items():
                energy_mj = layer.count * energy / 1e9
                if layer.bits is None:
                    sums.setdefault((_rendering(e, followed), level), []).append(energy_mj)
                else:
                    place = (e.spad_model or "", level)
                    own[place] = own.get(place, 0.0) + energy_mj
    for ((before, value, after), level), parts in sums.items():
        if len(parts) == len(following):
            yield "levels", "", (before, value, (*after, level)), "mJ", sum(parts) + own.get((*after, level), 0.0)


def _layers(results: Results) -> Iterator[_Number]:
    followed = _followed(results)
    for layer in results.layers:
        for e in layer.evaluations:
            of = _rendering(e, followed)
            yield "energy", layer.name, of, "pJ", e.energy_pj
            yield "traffic", layer.name, of, "bits", sum(e.dram_bits.values())
            yield "cycles", layer.name, of, "cycles", e.cycles


def _followed(results: Results) -> set[tuple[int, int]]:
    """The renderings, by bits on the chip and as fetched, of the layers that follow the precision.

    They alone are the lowest or the highest: a first layer that keeps 8 bits says nothing about the network's.
    """
    return {(e.weight_bits, e.fetch_bits) for layer in results.layers if layer.bits is None for e in layer.evaluations}


def _rendering(row: Any, followed: Collection[tuple[int, int]]) -> _Of:
    """Which of its renderings: bits on the chip and as fetched, and the scratchpad model."""
    bits, model = (row.weight_bits, row.fetch_bits), row.spad_model or ""
    return ((), bits, (model,)) if bits in followed else ((), None, (_text_of(bits), model))


def _flat(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value
