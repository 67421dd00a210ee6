"""Small networks whose costs are computed by hand."""

from __future__ import annotations

from tqhw.results import ARRAY, DRAM, GLB
from tqhw.scenario.memory import Port, Traffic, WeightPath
from tqhw.scenario.network import Cost, LayerCost, Network, NetworkLayer, Width

ROW = Port(row_bits=64, read_pj=512.0, write_pj=600.0)
WIDTHS = (Width(2, 2), Width(6, 6), Width(8, 8), Width(8, 2), Width(8, 6), Width(32, 2), Width(32, 6), Width(32, 8))


def layer(weights: int, *, count: int = 1, fixed_bits: int | None = None, refetch: int = 1) -> NetworkLayer:
    """MACs 1000 pJ, activations 64 bits of DRAM, weights fetched ``refetch`` times, 100 pJ of buffer fills."""
    costs = {}
    for width in (*WIDTHS, Width(32, 32)):
        fetched = ROW.read(weights * refetch // count, width.fetch_bits)
        energy = {ARRAY: 1000.0, GLB: 150.0, DRAM: fetched.energy_pj + 512.0}
        traffic = {"Weights": fetched, "Inputs": Traffic(64, 0, 512.0)}
        costs[width] = LayerCost(Cost(energy, traffic), weights * refetch // count, buffer_fill_pj=100.0)
    return NetworkLayer("conv", count, weights, fixed_bits, costs)


def network(*layers: NetworkLayer, rows: int | None = None, residency: str = "auto", channels: int = 16) -> Network:
    """``rows``: of a weight buffer of 64-bit rows, 10 pJ per write; None for no buffer."""
    buffer = None if rows is None else Port(64, 8.0, 10.0)
    return Network(layers, WeightPath(ROW, buffer, rows or 0), channels, residency)
