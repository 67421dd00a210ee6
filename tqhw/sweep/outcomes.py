"""What a point comes to, as one row for every method, precision and state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tqhw.experiment import Experiment
from tqhw.results import ACCURACY, ARRAY, DRAM, GLB, QUANTIZER, STATES, LayerEvaluation, LayerRow, Results
from tqhw.scenario.methods import ways
from tqhw.scenario.network import Width

COLUMNS: Final = {
    "method": "TEXT NOT NULL",
    "bits": "INTEGER NOT NULL",
    "state": "TEXT NOT NULL",
    "way": "TEXT",
    "energy_mj": "REAL",
    "dram_mj": "REAL",
    "glb_mj": "REAL",
    "array_mj": "REAL",
    "quantizer_mj": "REAL",
    "dram_bits": "INTEGER",
    "cycles": "INTEGER",
    "area_mm2": "REAL",
    "storage_mb": "REAL",
    "top1": "REAL",
    "metric": "TEXT",
    "score": "REAL",
    "lower_is_better": "INTEGER",
    "proved": "INTEGER",
    "levels_mj": "TEXT",
}
"""The columns of an outcome with their SQL types.

Energies in mJ and DRAM traffic in bits are of the state: the extra pass plus one inference; cycles are those of the
inference, on the first of the scratchpad models. ``area_mm2`` is empty where no table says it, ``top1`` where nothing
was trained: percent, measured on shifted integers, of any_precision on weights quantized anew. Networks that are
measured by another ``metric`` have its ``score`` in the place of ``top1``. ``levels_mj``: mJ of the inference alone by
level of the architecture, as JSON.
"""
FRONT_COLUMNS: Final = {
    "bits": "INTEGER NOT NULL",
    "front_point": "INTEGER NOT NULL",
    "energy_mj": "REAL NOT NULL",
    "cycles": "INTEGER NOT NULL",
    "within": "REAL NOT NULL",
}
"""The columns of a point of the network's own front, of one inference; see :class:`tqhw.results.FrontRow`."""
_GROUPS: Final = (DRAM, GLB, ARRAY, QUANTIZER)
_ACCURACY: Final = {
    "truncquant": ("truncquant", "shifted"),
    "fixed": ("truncquant", "shifted"),
    "any_precision": ("dorefa", "requantized"),
}


def outcomes(experiment: Experiment, results: Results) -> list[tuple[Any, ...]]:
    """The rows of :data:`COLUMNS`."""
    energy: dict[tuple[str, int, str], dict[str, float]] = {}
    taken: dict[tuple[str, int, str], str | None] = {}
    for row in results.energy:
        energy.setdefault((row.method, row.bits, row.state), {})[row.component] = row.energy_mj
        taken[row.method, row.bits, row.state] = row.way
    traffic: dict[tuple[str, int, str], int] = {}
    for flow in results.traffic:
        key = (flow.method, flow.bits, flow.state)
        traffic[key] = traffic.get(key, 0) + flow.dram_bits
    storage = {row.method: row.megabytes for row in results.storage}
    return [
        (
            *key,
            taken[key],
            sum(parts.values()),
            *(parts.get(group, 0.0) for group in _GROUPS),
            traffic.get(key, 0),
            *inference,
            storage.get(key[0]),
            *_measured(results, key[0], key[1]),
            all(e.proved_optimal for layer in results.layers for e in layer.evaluations),
            json.dumps(levels),
        )
        for key, parts in energy.items()
        for *inference, levels in [_inference(experiment, results, *key, taken[key])]
    ]


def front_rows(results: Results) -> list[tuple[Any, ...]]:
    """The rows of :data:`FRONT_COLUMNS`; none where one objective was searched for."""
    return [(row.bits, row.point, row.energy_mj, row.cycles, row.within) for row in results.fronts]


def _inference(
    experiment: Experiment, results: Results, method: str, bits: int, state: str, taken: str | None
) -> tuple[int, float | None, dict[str, float]]:
    """Cycles of one inference, the area of what it runs on, and mJ by level."""
    way = next(way for way in ways(method, bits, experiment.options()) if taken in (None, way.name))
    width = way.steady if state == STATES[-1] or not way.switches else way.first
    model = results.layers[0].evaluations[0].spad_model
    cycles, levels = 0, dict[str, float]()
    for layer in results.layers:
        found = _evaluation(layer, width, model)
        cycles += layer.count * found.cycles
        for level, energy in found.levels.items():
            levels[level] = levels.get(level, 0.0) + layer.count * energy / 1e9
    areas = [
        row.area_um2
        for row in results.area
        if (row.fetch_bits, row.weight_bits, row.spad_model) == (width.fetch_bits, width.weight_bits, model)
    ]
    known = [area for area in areas if area is not None]
    return cycles, sum(known) / 1e6 if known and len(known) == len(areas) else None, levels


def _evaluation(layer: LayerRow, width: Width, model: str | None) -> LayerEvaluation:
    wanted = width if layer.bits is None else Width(layer.bits, layer.bits)
    return next(
        e for e in _of_model(layer, model) if (e.fetch_bits, e.weight_bits) == (wanted.fetch_bits, wanted.weight_bits)
    )


def _of_model(layer: LayerRow, model: str | None) -> Iterator[LayerEvaluation]:
    return (e for e in layer.evaluations if e.spad_model == model)


def _measured(results: Results, method: str, bits: int) -> tuple[float | None, str | None, float | None, bool | None]:
    """Top-1; or, of another metric, its name, value and direction."""
    wanted = (*_ACCURACY.get(method, (None, None)), bits)
    row = next((row for row in results.accuracy if (row.scheme, row.weights, row.bits) == wanted), None)
    if row is None or row.measured is None or row.metric == ACCURACY:
        return None if row is None else row.top1, None, None, None
    return None, row.metric, row.measured, row.lower_is_better
