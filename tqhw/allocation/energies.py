"""Energies of layers, of whole allocations and of switches between them, from costs of proved mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tqhw.scenario.methods import REFERENCE, ways
from tqhw.scenario.network import LayerCost, Network, NetworkLayer, Width
from tqhw.scenario.schedule import PJ_PER_MJ
from tqhw.scenario.states import INITIAL, STEADY, SWITCHING, mixed_cost
from tqhw.scenario.ways import Options, Way
from tqhw.workload import Layer


@dataclass(frozen=True)
class LayerEnergies:
    """A network taken apart by the names of its layers. ``choices``: positions of those that switch."""

    network: Network
    choices: tuple[int, ...]
    options: Options

    @property
    def names(self) -> tuple[str, ...]:
        """Of the layers that switch."""
        return tuple(self.network.layers[index].name for index in self.choices)

    def table(self, bits: Sequence[int]) -> tuple[tuple[tuple[float, ...], ...], float]:
        """mJ of one steady inference, by layer and width, and of everything without a choice.

        Weights count as resident where they are at the widest of ``bits``; where only some allocations are, the energy
        of an allocation is less than the sum.
        """
        resident = self.network.resident(max(bits))
        rows = []
        for index in self.choices:
            layer = self.network.layers[index]
            rows.append(tuple(self._steady(layer, width, resident) for width in bits))
        fixed = sum(
            layer.inference(Width(layer.fixed_bits, layer.fixed_bits), resident).total_pj / PJ_PER_MJ
            for layer in self.network.layers
            if layer.fixed_bits is not None
        )
        return tuple(rows), fixed

    def _steady(self, layer: NetworkLayer, bits: int, resident: bool) -> float:
        way = self._way(bits)
        cut = 0.0 if resident else way.steady_pj * layer.delivered(way.steady)
        return (layer.inference(way.steady, resident).total_pj + cut) / PJ_PER_MJ

    def energy_mj(self, bits: Sequence[int]) -> float:
        """Of one steady inference, by the scenario."""
        chosen = self._ways(bits)
        return mixed_cost(chosen, [STEADY] * len(chosen), self.network).total_pj / PJ_PER_MJ

    def switch(self, source: Sequence[int], target: Sequence[int]) -> tuple[float, int]:
        """mJ and DRAM bits of the first inference at ``target``, beyond those of a steady one: what a switch costs."""
        chosen = self._ways(target)
        states = [STEADY] * len(chosen)
        for index, before, after in zip(self.choices, source, target, strict=True):
            states[index] = SWITCHING if before != after else STEADY
        if self._resident(chosen) and not self._resident(self._ways(source)):
            states = [INITIAL] * len(chosen)  # no weight is in the buffer yet, of layers that do not switch neither
        first = mixed_cost(chosen, states, self.network)
        steady = mixed_cost(chosen, [STEADY] * len(chosen), self.network)
        return (first.total_pj - steady.total_pj) / PJ_PER_MJ, first.dram_bits - steady.dram_bits

    def _resident(self, chosen: Sequence[Way]) -> bool:
        return self.network.resident([way.bits for way in chosen])

    def _ways(self, bits: Sequence[int]) -> list[Way]:
        by_index = dict(zip(self.choices, bits, strict=True))
        anything = bits[0]
        return [self._way(by_index.get(index, anything)) for index in range(len(self.network.layers))]

    def _way(self, bits: int) -> Way:
        return ways(REFERENCE, bits, self.options)[0]


def taken_apart(
    layers: Sequence[Layer],
    network: Network,
    costs: Mapping[tuple[int, Width], LayerCost],
    options: Options,
) -> LayerEnergies:
    """``network`` with a layer for every name of ``layers``, whose costs are by position and width.

    Equal layers were searched once; their stored weights are shared out alike.
    """
    found: list[NetworkLayer] = []
    choices: list[int] = []
    for index, (layer, whole) in enumerate(zip(layers, network.layers, strict=True)):
        names = dict.fromkeys(layer.names)
        own = {width: cost for (i, width), cost in costs.items() if i == index}
        for name in names:
            if whole.fixed_bits is None:
                choices.append(len(found))
            count, weights = layer.names.count(name), whole.weights // len(names)
            found.append(NetworkLayer(name, count, weights, whole.fixed_bits, own))
    return LayerEnergies(replace(network, layers=tuple(found)), tuple(choices), options)
