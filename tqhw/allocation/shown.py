"""An answer as files, table and figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from matplotlib.figure import Figure

from tqhw.allocation.answer import Allocated, AllocationAnswer
from tqhw.report import labels, style
from tqhw.report.figure_files import FigureFiles
from tqhw.report.table import Table
from tqhw.results import TOP1, VERIFIED_NOTE, marked
from tqhw.train.interval import CONFIDENCE, each_of

PROXY = "Added loss is what the integer program sums up, in nats on training images; top-1 is measured"
OTHER = "Added loss is what the integer program sums up, on training samples; the {metric} is measured"


def as_json(answer: AllocationAnswer) -> str:
    """allocation.json: points with their bits by layer, uniform precisions, switches, verdicts, and what was measured
    of every layer."""
    document: dict[str, Any] = {
        "schema_version": 1,
        "experiment": answer.experiment,
        **({} if answer.metric == TOP1 else {"metric": asdict(answer.metric)}),
        **({"seeds": list(answer.seeds)} if answer.seeds else {}),
        "points": [_point(answer, one) for one in answer.points],
        "uniform": [_point(answer, one) for one in answer.uniform],
        "switches": [asdict(one) for one in answer.switches],
        **({"differences": differences} if (differences := _differences(answer)) else {}),
        **({"differences_confidence": _sure(answer)} if differences else {}),
        "verdicts": list(answer.verdicts()),
        "layers": [
            {"name": name, "energy_mj": dict(_by_width(answer, e)), "added_loss": dict(_by_width(answer, loss))}
            for name, e, loss in zip(answer.layers, answer.energies_mj, answer.losses, strict=True)
        ],
        "fixed_mj": answer.fixed_mj,
        "calibration_images": answer.calibration_images,
        "notes": list(answer.notes),
    }
    return json.dumps(document, indent=1) + "\n"


def _differences(answer: AllocationAnswer) -> dict[str, dict[str, float]]:
    return {str(bits): asdict(found) for bits, found in answer.differences.items()}


def _sure(answer: AllocationAnswer) -> dict[str, float]:
    return {"together": CONFIDENCE, "each": each_of(len(answer.differences))}


def _by_width(answer: AllocationAnswer, row: tuple[float, ...]) -> Iterator[tuple[str, float]]:
    return zip(map(str, answer.widths), row, strict=True)


def _point(answer: AllocationAnswer, one: Allocated) -> dict[str, Any]:
    found = {key: value for key, value in asdict(one).items() if key not in ("bits", "uniform", "by_seed")}
    if answer.seeds:
        found["by_seed"] = dict(zip(map(str, answer.seeds), one.by_seed, strict=True))
    if answer.metric != TOP1:
        found["value"] = found.pop("top1")
    return {**found, "bits": dict(zip(answer.layers, one.bits, strict=True))}


def as_csv(answer: AllocationAnswer) -> str:
    """allocation.csv: one row per point and uniform precision, one column per layer's bits.

    Where there are several seeds, columns of what each of them measured stand before those.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys = ("energy_mj", "top1", "low", "high", "samples", "verified", "predicted_loss")
    called = {"top1": "top1" if answer.metric == TOP1 else answer.metric.name}
    seeds = [f"seed {seed}" for seed in answer.seeds]
    writer.writerow(("kind", *(called.get(key, key) for key in keys), *seeds, *answer.layers))
    for kind, rows in (("point", answer.points), ("uniform", answer.uniform)):
        for one in rows:
            writer.writerow((kind, *(getattr(one, key) for key in keys), *one.by_seed, *one.bits))
    return stream.getvalue()


def table(answer: AllocationAnswer) -> Table:
    """Points and uniform precisions by energy; a star where truncation was verified bit for bit."""
    look = answer.metric

    def shown(value: float) -> str:
        return labels.measured(value, look)

    rows = sorted((*answer.points, *answer.uniform), key=lambda one: (one.energy_mj, one.uniform is None))
    cells = [
        (
            "uniform" if one.uniform is not None else "front",
            one.label,
            labels.number(one.energy_mj),
            marked(f"{shown(one.top1)} ({shown(one.low)} to {shown(one.high)})", one.verified),
            f"{one.predicted_loss:z.4f}",
        )
        for one in rows
    ]
    heads = ("", "Layers x bits", "mJ", f"{look.title}{look.in_unit[len(look.label) :]}, 95 % interval", "Added loss")
    samples = rows[0].samples if rows else 0
    seeds = f", {len(answer.seeds)} seeds" if answer.seeds else ""
    title = f"Bits per layer, one inference, {samples} test {'images' if look == TOP1 else 'samples'}{seeds}"
    proxy = PROXY if look == TOP1 else OTHER.format(metric=look.label)
    over = "Means over seeds, intervals over seeds and test pictures. " if answer.seeds else ""
    note = f"{over}{proxy}. {VERIFIED_NOTE}."
    return Table(title, heads, tuple(cells), note=note)


def picture(answer: AllocationAnswer) -> FigureFiles:
    """Accuracy against energy, with intervals."""
    return style.rendered("allocation", lambda: _drawn(answer))


def _drawn(answer: AllocationAnswer) -> Figure:
    made, (axis,) = style.figure(style.COLUMN, 2.4)
    _series(axis, answer.points, "bits per layer", labels.BLUE, "o-")
    _series(axis, answer.uniform, "uniform", labels.VERMILION, "s")
    for one in answer.uniform:
        axis.annotate(f"{one.uniform}", (one.energy_mj, one.top1), xytext=(3, -8), textcoords="offset points", size=6)
    axis.set_xlabel("Energy of one inference (mJ)")
    axis.set_ylabel("Top-1 (%)" if answer.metric == TOP1 else answer.metric.axis)
    axis.legend(loc="lower right")
    return made


def _series(axis: Any, points: tuple[Allocated, ...], label: str, colour: str, form: str) -> None:
    ends = [[one.top1 - one.low for one in points], [one.high - one.top1 for one in points]]
    x, y = [one.energy_mj for one in points], [one.top1 for one in points]
    axis.errorbar(x, y, ends, fmt=form, color=colour, label=label, capsize=1.5, elinewidth=0.6)
