"""The tidy lists of the results as CSV: one observation per row, units in the column names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from tqhw.report.labels import NOT_MEASURED
from tqhw.results import (
    ACCURACY,
    OF_OTHER_METRICS,
    AccuracyRow,
    AmortisedRow,
    AreaRow,
    EnergyRow,
    FrontRow,
    LayerFrontRow,
    Ratio,
    Results,
    ScheduleRow,
    TrafficRow,
)


def texts(results: Results) -> dict[str, str]:
    """File name -> content."""
    return {
        "accuracy.csv": _accuracies(results.accuracy),
        "energy.csv": _rows(EnergyRow, results.energy),
        "traffic.csv": _rows(TrafficRow, results.traffic),
        "storage.csv": _storage(results),
        "area.csv": _rows(AreaRow, results.area),
        "amortised.csv": _rows(AmortisedRow, results.amortised),
        "schedule.csv": _rows(ScheduleRow, results.schedule),
        "layers.csv": _layers(results),
        "levels.csv": _levels(results),
        "summary.csv": _rows(Ratio, results.summary),
        **_fronts(results),
    }


def _fronts(results: Results) -> dict[str, str]:
    """The fronts, where any were searched for: a column of choices for each layer, a count for each of its points."""
    if not results.fronts:
        return {}
    layers = list(dict.fromkeys(name for row in results.fronts for name in row.choices))
    heads = [f.name for f in fields(FrontRow) if f.name != "choices"]
    rows = (
        {name: getattr(row, name) for name in heads} | {name: _words(counts) for name, counts in row.choices.items()}
        for row in results.fronts
    )
    return {
        "fronts.csv": _text([*heads, *layers], rows),
        "layer_fronts.csv": _rows(LayerFrontRow, results.layer_fronts),
    }


def _rows(kind: type, rows: Iterable[Any]) -> str:
    return _text([f.name for f in fields(kind)], (asdict(row) for row in rows))


def _accuracies(rows: Sequence[AccuracyRow]) -> str:
    """Of top-1 alone, without the columns of other metrics."""
    left_out = (*(OF_OTHER_METRICS if all(row.metric == ACCURACY for row in rows) else ()), "by_seed")
    heads = [f.name for f in fields(AccuracyRow) if f.name not in left_out]
    return _text(heads, ({key: value for key, value in asdict(row).items() if key in heads} for row in rows))


def _storage(results: Results) -> str:
    parts = list(dict.fromkeys(name for row in results.storage for name in row.parts))
    rows = (
        {"method": row.method, "bits": _words(row.bits), "megabytes": row.megabytes}
        | {f"{part}_megabytes": row.parts.get(part, 0.0) for part in parts}
        for row in results.storage
    )
    return _text(["method", "bits", "megabytes", *(f"{part}_megabytes" for part in parts)], rows)


def _layers(results: Results) -> str:
    """One row per distinct layer and rendering of the architecture."""
    evaluations = [e for row in results.layers for e in row.evaluations]
    groups = list(dict.fromkeys(name for e in evaluations for name in e.components))
    spaces = list(dict.fromkeys(name for e in evaluations for name in e.dram_bits))
    rows = (
        {
            "name": row.name,
            "names": _words(row.names),
            "count": row.count,
            "shape": row.shape,
            "instance": _words(f"{key}={value}" for key, value in row.instance.items()),
            "macs": row.macs,
            "weights": row.weights,
            "bits": "" if row.bits is None else row.bits,
            "fetch_bits": e.fetch_bits,
            "weight_bits": e.weight_bits,
            "spad_model": e.spad_model or "",
            "energy_pj": e.energy_pj,
            "cycles": e.cycles,
            "utilization": e.utilization,
            "proved_optimal": e.proved_optimal,
            "files": e.files,
        }
        | {f"{name} energy_pj": e.components.get(name, 0.0) for name in groups}
        | {f"{name} dram_bits": e.dram_bits.get(name, 0) for name in spaces}
        for row in results.layers
        for e in row.evaluations
    )
    known = "name names count shape instance macs weights bits fetch_bits weight_bits spad_model energy_pj cycles"
    heads = [*known.split(), "utilization", "proved_optimal", "files"]
    heads += [f"{name} energy_pj" for name in groups] + [f"{name} dram_bits" for name in spaces]
    return _text(heads, rows)


def _levels(results: Results) -> str:
    """One row per distinct layer, rendering and level of the architecture; of the layer once, not times its count."""
    heads = ["name", "count", "fetch_bits", "weight_bits", "spad_model", "level", "energy_pj"]
    rows = (
        dict(zip(heads, (*start, e.spad_model or "", level, energy), strict=True))
        for row in results.layers
        for e in row.evaluations
        for start in [(row.name, row.count, e.fetch_bits, e.weight_bits)]
        for level, energy in e.levels.items()
    )
    return _text(heads, rows)


def _words(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _text(heads: list[str], rows: Iterable[Mapping[str, object]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, heads, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        other = row.get("metric", ACCURACY) != ACCURACY
        missing = {key: NOT_MEASURED if key == ("value" if other else "top1") else "" for key in row}
        writer.writerow({key: missing[key] if value is None else value for key, value in row.items()})
    return stream.getvalue()
