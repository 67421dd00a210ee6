"""The fronts of a run: of every layer, as searched, and of the network, at each precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tqhw.backends import MappingFront
from tqhw.pipeline.hardware import Evaluated
from tqhw.results import FrontRow, LayerFrontRow
from tqhw.scenario.fronts import network_front
from tqhw.scenario.network import Width
from tqhw.scenario.schedule import PJ_PER_MJ
from tqhw.workload import Workload, file_names

FRONTS = "fronts"
"""Folder of the mappings on fronts, beside that of the best ones."""


@dataclass(frozen=True)
class LayerFront:
    """The front of a layer at the precision of the model."""

    index: int
    width: Width
    front: MappingFront

    def costs(self) -> list[tuple[float, int]]:
        return [(point.energy_pj, point.cycles) for point in self.front.points]


def layer_fronts(evaluated: Evaluated, bits: int) -> list[LayerFront]:
    """The fronts of all layers where the model has ``bits``; none where one objective was searched for.

    Of several renderings, the one that fetches weights as wide as it uses them, or nearest to it.
    """
    found = []
    for index, layer in enumerate(evaluated.network.layers):
        wanted = bits if layer.fixed_bits is None else layer.fixed_bits
        widths = [width for i, width in evaluated.found if i == index and width.weight_bits == wanted]
        width = min(widths, key=lambda one: abs(one.fetch_bits - wanted))
        front = evaluated.found[index, width].front
        if front is None:
            return []
        found.append(LayerFront(index, width, front))
    return found


def rows(
    bits: Sequence[int], workload: Workload, evaluated: Evaluated
) -> tuple[tuple[FrontRow, ...], tuple[LayerFrontRow, ...], tuple[str, ...]]:
    """The network's fronts, those of its layers, and what there is to say of them."""
    network, layers, notes = [], [], []
    names, uneven = [layer.names[0] for layer in workload.layers], False
    for b in _run_at(bits, evaluated):
        found = layer_fronts(evaluated, b)
        if not found:
            return (), (), ()
        layers += list(_layer_rows(b, workload, evaluated, found))
        uneven = uneven or any(point.energy_pj != point.stats.energy_pj for one in found for point in one.front.points)
        whole = network_front([(one.costs(), workload.layers[one.index].count) for one in found])
        for number, point in enumerate(whole.points, 1):
            choices = dict(zip(names, point.choices, strict=True))
            network.append(FrontRow(b, number, point.energy_pj / PJ_PER_MJ, point.cycles, whole.within, choices))
        if whole.within > 0.0:
            notes.append(
                f"the network's front at {b} bits has more points than the {len(whole.points)} that are told: for each "
                f"other one there is one among them of no more cycles and at most {whole.within:.2%} more energy"
            )
        elif len(whole.points) == 1:
            notes.append(f"at {b} bits one mapping of every layer is best in energy and cycles: the front is a point")
    if uneven:
        notes.append(
            "the fronts are of the whole work of mappings with remainders, of which Timeloop counts other work"
        )
    return tuple(network), tuple(layers), tuple(notes)


def _run_at(bits: Sequence[int], evaluated: Evaluated) -> list[int]:
    """Those of ``bits`` that some rendering has; where none has, as with the method fixed alone, what they have."""
    following = [index for index, layer in enumerate(evaluated.network.layers) if layer.fixed_bits is None]
    there = {width.weight_bits for index, width in evaluated.found if index in following}
    return [b for b in bits if b in there or not following] or sorted(there)


def _layer_rows(
    bits: int, workload: Workload, evaluated: Evaluated, found: Sequence[LayerFront]
) -> Iterator[LayerFrontRow]:
    for one in found:
        for number, (point, file) in enumerate(zip(one.front.points, files(workload, evaluated, one), strict=True), 1):
            used, name = point.stats.utilization, workload.layers[one.index].names[0]
            yield LayerFrontRow(name, bits, number, point.energy_pj, point.cycles, used, file)


def files(workload: Workload, evaluated: Evaluated, one: LayerFront) -> list[str]:
    """The files of the mappings of a layer's front, relative to the results."""
    name = file_names(workload.layers)[one.index].removesuffix(".yaml")
    folder = f"{evaluated.rendering(one.index, one.width).folder}/{FRONTS}/{name}"
    return [f"{folder}/{number}.yaml" for number in range(1, 1 + len(one.front.points))]
