"""The cost of a state: the extra pass, where the method needs one, plus one inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tqhw.errors import unknown
from tqhw.results import GLB, NORMALIZATION, QUANTIZER, SCALES, STATES
from tqhw.scenario.memory import Traffic
from tqhw.scenario.methods import ways
from tqhw.scenario.network import Cost, Network, NetworkLayer, Width, dram
from tqhw.scenario.ways import FLOAT_BITS, Options, Way

INITIAL, SWITCHING, STEADY = STATES


@dataclass(frozen=True)
class StateCost:
    """What a state costs, and which way of the method (see :func:`tqhw.scenario.methods.ways`) it took."""

    way: str
    cost: Cost


def state_cost(way: Way, state: str, network: Network) -> Cost:
    """One inference in ``state``, with the fetches, writes and quantizations that come before it."""
    if state not in STATES:
        raise unknown("state", state, STATES, "states")
    if state == SWITCHING and not way.switches:
        state = STEADY
    layers = len(network.layers)
    return mixed_cost([way] * layers, [state] * layers, network)


def mixed_cost(ways: Sequence[Way], states: Sequence[str], network: Network) -> Cost:
    """One inference with a way and a state for every layer: those that a switch leaves alone are steady.

    Batch norms and scales come for the whole network, unless every layer is steady.
    """
    resident = network.resident([way.bits for way in ways])
    total = Cost()
    for layer, way, state in zip(network.layers, ways, states, strict=True):
        if layer.fixed_bits is not None:
            own = Width(layer.fixed_bits, layer.fixed_bits)
            total += layer.inference(own, resident)
            if resident and state == INITIAL:
                total += _load(layer, layer.fixed_bits, layer.fixed_bits, 0.0, network)
        elif resident:
            total += layer.inference(way.steady, resident) + _loading(way, state, layer, network)
        else:
            total += _fetching(way, state, layer, network)
    state = min(states, key=STATES.index)
    if state != STEADY:
        # Folded batch norm: one scale and one shift per channel, the same for every method.
        total += dram(NORMALIZATION, network.path.dram.read(2 * network.norm_channels, FLOAT_BITS))
    return total + _scales(state, resident, network)


def _scales(state: str, resident: bool, network: Network) -> Cost:
    """Scales come with the weights that they belong to; a switch needs others where precisions have their own."""
    scales = network.scales
    kept = resident and (state == STEADY or (state == SWITCHING and not scales.own))
    if scales.folded or kept:
        return Cost()
    return dram(SCALES, network.path.dram.read(scales.count, FLOAT_BITS))


def _fetching(way: Way, state: str, layer: NetworkLayer, network: Network) -> Cost:
    """A layer whose weights come from the DRAM in every inference."""
    if state == STEADY:
        return layer.inference(way.steady, False) + _per_weight(way.steady_pj, layer.delivered(way.steady))
    total = layer.inference(way.first, False) + _per_weight(way.first_pj, layer.delivered(way.first))
    if way.read_bits is not None:
        total += dram("Weights", network.path.dram.read(layer.weights, way.read_bits))
        total += _per_weight(way.load_pj, layer.weights)
    if way.write_bits is not None:
        total += dram("Weights", network.path.dram.write(layer.weights, way.write_bits))
    return total


def _loading(way: Way, state: str, layer: NetworkLayer, network: Network) -> Cost:
    """What resident weights of a layer need before an inference; nothing once they are there."""
    keeps_all = way.kept_bits is not None and network.resident(way.kept_bits)
    if state == STEADY or (state == SWITCHING and keeps_all):
        return Cost()
    if keeps_all and way.kept_bits is not None:
        return _load(layer, way.kept_bits, way.kept_bits, way.load_pj, network)
    return _load(layer, way.load_bits, way.bits, way.load_pj, network)


def _load(layer: NetworkLayer, fetch_bits: int, chip_bits: int, pj: float, network: Network) -> Cost:
    buffer = network.path.buffer
    filled = Traffic() if buffer is None else buffer.write(layer.weights, chip_bits)
    fetched = dram("Weights", network.path.dram.read(layer.weights, fetch_bits))
    return fetched + Cost({GLB: filled.energy_pj}) + _per_weight(pj, layer.weights)


def _per_weight(pj: float, weights: int) -> Cost:
    return Cost({QUANTIZER: pj * weights}) if pj else Cost()


def best(method: str, bits: int, state: str, network: Network, options: Options) -> StateCost:
    """The cheapest way of ``method`` in ``state``, by energy: the baseline always gets its best."""
    found = [StateCost(way.name, state_cost(way, state, network)) for way in ways(method, bits, options)]
    return min(found, key=lambda one: one.cost.total_pj)


def run_cost(way: Way, state: str, inferences: int, network: Network) -> Cost:
    """``inferences`` in a row at one precision: the first in ``state``, the others steady."""
    return state_cost(way, state, network) + state_cost(way, STEADY, network).times(inferences - 1)


def best_run(method: str, bits: int, state: str, inferences: int, network: Network, options: Options) -> StateCost:
    """The cheapest way of ``method`` for ``inferences`` in a row; one way for all of them."""
    found = [StateCost(way.name, run_cost(way, state, inferences, network)) for way in ways(method, bits, options)]
    return min(found, key=lambda one: one.cost.total_pj)
