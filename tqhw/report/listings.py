"""The tables of results: accuracy, energy, traffic, storage, area, amortisation, schedule, layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tqhw.report import labels
from tqhw.report.table import Table, groups
from tqhw.results import (
    ACCURACY,
    COMPONENTS,
    QUANTIZER,
    VERIFIED_NOTE,
    AccuracyRow,
    FrontRow,
    LayerEvaluation,
    LayerRow,
    Results,
    marked,
)

DEFAULT_SCHEME = "truncquant"
BEST = (
    "Any-Precision takes in each state the way that costs least there; "
    "per inference and in a schedule it keeps to one way."
)


def precisions(results: Results) -> tuple[int, ...]:
    """All precisions that anything is reported at, ascending; what was never quantized has none."""
    asked = results.experiment.get("bits", ())
    found = {row.bits for row in quantized(results)} | {row.bits for row in results.energy}
    return tuple(sorted({*asked, *found}))


def accuracies(results: Results) -> dict[tuple[str, str], dict[int, float | None]]:
    """(scheme, weights) -> bits -> top-1, or the metric; None at every precision that was not measured."""
    lines: dict[tuple[str, str], dict[int, float | None]] = {}
    for row in quantized(results):
        lines.setdefault((row.scheme, row.weights), dict.fromkeys(precisions(results)))[row.bits] = row.measured
    return lines or {(DEFAULT_SCHEME, "shifted"): dict.fromkeys(precisions(results))}


def quantized(results: Results) -> tuple[AccuracyRow, ...]:
    """The accuracies that have a precision."""
    return tuple(row for row in results.accuracy if row.weights != labels.FULL)


def floating(results: Results) -> tuple[AccuracyRow, ...]:
    """The accuracies of networks that were never quantized."""
    return tuple(row for row in results.accuracy if row.weights == labels.FULL)


def accuracy(results: Results) -> Table:
    """Top-1 by scheme and bits; a star where it was verified bit for bit on the shifted integers."""
    bits, whole = precisions(results), floating(results)
    found = {(row.scheme, row.weights, row.bits): row for row in quantized(results)}
    rows: list[tuple[str, ...]] = []
    for key, line in accuracies(results).items():
        own = [found.get((*key, b)) for b in bits]
        cells = [
            _number(row) if row is not None else labels.measured(line[b], results.metric)
            for row, b in zip(own, bits, strict=True)
        ]
        rows += _with_interval(labels.series(*key), [*cells, *("-" for _ in whole[:1])], own)
    for row in whole:
        rows += _with_interval(labels.FP32, [*("-" for _ in bits), _number(row)], [*(None for _ in bits), row])
    measured = [row for row in results.accuracy if row.measured is not None]
    verified = any(row.verified for row in measured)
    notes = [VERIFIED_NOTE] if verified else []
    notes += [labels.intervals(results)] if any(labels.interval(row) for row in measured) else []
    samples = sorted({row.samples for row in measured})
    tested = f", {' and '.join(map(str, samples))} test samples" if samples else ""
    runs = sorted({row.runs for row in measured if row.runs > 1})
    several = f", mean of {' and '.join(map(str, runs))} runs ± standard deviation" if runs else ""
    look = results.metric
    what = f"Accuracy, {look.in_unit}" if look.name == ACCURACY else look.in_unit[:1].upper() + look.in_unit[1:]
    heads = ("", *map(labels.bits, bits), *(labels.FP32 for _ in whole[:1]))
    return Table(f"{what}{tested}{several}", heads, tuple(rows), note="\n".join(notes))


def _number(row: AccuracyRow) -> str:
    spread = "" if row.deviation is None else f" ± {labels.measured(row.deviation, row.look)}"
    return marked(f"{labels.measured(row.measured, row.look)}{spread}", row.verified)


def _with_interval(name: str, cells: list[str], own: Sequence[AccuracyRow | None]) -> list[tuple[str, ...]]:
    """A row of accuracies and, where they have one, the row of their intervals."""
    ends = ["" if row is None else labels.interval(row) for row in own]
    blank = [""] * (len(cells) - len(ends))
    shown: list[tuple[str, ...]] = [(name, *cells)]
    return [*shown, ("  95 % interval", *ends, *blank)] if any(ends) else shown


def energy(results: Results) -> Table | None:
    """mJ by state, precision, method and component group."""
    components = [c for c in COMPONENTS if any(row.component == c for row in results.energy)]
    cells: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in results.energy:
        cells.setdefault((row.state, row.bits, row.method), {})[row.component] = row.energy_mj
    rows = tuple(
        (*_keys(results, *key), *_numbers(found.get(c) for c in components), labels.number(sum(found.values())))
        for key, found in cells.items()
    )
    heads = (f"{c} (estimate)" if c == QUANTIZER else c for c in components)
    chosen = results.experiment.get("scenario", {})
    chooses = any(chosen.get(results.method(method).choice) == "best" for _, _, method in cells)
    note = BEST if chooses else ""
    return _table("Energy in mJ: what a state needs, one inference included", (*heads, "Total"), rows, note)


def traffic(results: Results) -> Table | None:
    """DRAM traffic by state, precision, method and data space."""
    spaces = tuple(dict.fromkeys(row.dataspace for row in results.traffic))
    cells: dict[tuple[str, int, str], dict[str, int]] = {}
    padding: dict[tuple[str, int, str], int] = {}
    for row in results.traffic:
        key = (row.state, row.bits, row.method)
        cells.setdefault(key, {})[row.dataspace] = row.dram_bits
        padding[key] = padding.get(key, 0) + row.padding_bits
    divisor, unit = labels.scaled(max((sum(c.values()) for c in cells.values()), default=0), "bit")
    rows = []
    for key, found in cells.items():
        total = sum(found.values())
        values = _numbers(None if s not in found else found[s] / divisor for s in spaces)
        share = f"{100 * padding[key] / total:.1f} %" if total else "0 %"
        rows.append((*_keys(results, *key), *values, labels.number(total / divisor), share))
    return _table(
        f"DRAM traffic in {unit}: what a state needs, one inference included",
        (*spaces, "Total", "of it padding"),
        tuple(rows),
    )


def traffic_totals(results: Results) -> Table | None:
    """DRAM traffic by state and method (rows) and precision (columns), all data spaces together."""
    totals: dict[tuple[str, str], dict[int, int]] = {}
    for row in results.traffic:
        line = totals.setdefault((row.state, row.method), {})
        line[row.bits] = line.get(row.bits, 0) + row.dram_bits
    bits = sorted({b for line in totals.values() for b in line})
    divisor, unit = labels.scaled(max((n for line in totals.values() for n in line.values()), default=0), "bit")
    states = list(dict.fromkeys(state for state, _ in totals))
    rows = tuple(
        (
            labels.STATES.get(state, state).capitalize(),
            results.method(method).label,
            *_numbers(None if b not in line else line[b] / divisor for b in bits),
        )
        for (state, method), line in sorted(totals.items(), key=lambda item: states.index(item[0][0]))
    )
    title = f"DRAM traffic in {unit}: what a state needs, one inference included"
    heads = ("State", "Method", *map(labels.bits, bits))
    return Table(title, heads, rows, labels=2, break_before=groups(rows)) if rows else None


def storage(results: Results) -> Table | None:
    """MB in DRAM by method, with its parts."""
    parts = tuple(dict.fromkeys(name for row in results.storage for name in row.parts))
    rows = tuple(
        (
            results.method(row.method).label,
            " ".join(map(str, row.bits)),
            *_numbers(row.parts.get(p) for p in parts),
            labels.number(row.megabytes),
        )
        for row in results.storage
    )
    heads = ("Method", "Bits served", *(p.replace("_", " ") for p in parts), "Total")
    return Table("Storage in DRAM, MB (10^6 bytes)", heads, rows, labels=2) if rows else None


def area(results: Results) -> Table | None:
    """mm^2 by component, a column per scratchpad model: of the architecture whose weights have the stored bits."""
    stored = results.experiment.get("stored_bits")
    chip = [row for row in results.area if row.fetch_bits == row.weight_bits == stored]
    models = list(dict.fromkeys(row.spad_model for row in chip))
    parts: dict[tuple[str, str, str], dict[str | None, float | None]] = {}
    for row in chip:
        parts.setdefault((row.component, row.group, f"{row.instances:,}"), {})[row.spad_model] = row.area_um2
    unknown = any(value is None for found in parts.values() for value in found.values())
    totals = [sum(found.get(model) or 0.0 for found in parts.values()) for model in models]
    sums = (f"at least {_mm2(total)}" if unknown else _mm2(total) for total in totals)
    rows = (
        *((*key, *(_mm2(found.get(model)) for model in models)) for key, found in parts.items()),
        ("In all", "", "", *sums),
    )
    heads = ("Component", "Group", "Instances", *(model or "mm^2" for model in models))
    title = f"Area in mm^2, weights of {stored} bits on the chip"
    note = "not known: no table says it, and it is not counted" if unknown else ""
    return Table(title, heads, rows, 2, note, frozenset({len(parts)})) if parts else None


def _mm2(area_um2: float | None) -> str:
    return "not known" if area_um2 is None else labels.number(area_um2 / 1e6)


def amortised(results: Results) -> Table | None:
    """mJ per inference by the number of inferences between two switches."""
    counts = sorted({row.inferences for row in results.amortised})
    cells = {(row.bits, row.method, row.inferences): row.energy_mj for row in results.amortised}
    keys = sorted(dict.fromkeys(key[:2] for key in cells), key=lambda key: key[0])
    rows = tuple(
        (labels.bits(b), results.method(m).label, *_numbers(cells.get((b, m, count)) for count in counts))
        for b, m in keys
    )
    title = "Energy per inference in mJ, by inferences per switch"
    heads = ("Bits", "Method", *map(str, counts))
    return Table(title, heads, rows, labels=2, break_before=groups(rows)) if rows else None


def schedule(results: Results) -> Table | None:
    """The schedule, step by step."""
    divisor, unit = labels.scaled(max((row.dram_bits for row in results.schedule), default=0), "bit")
    rows = tuple(
        (
            results.method(row.method).label,
            str(row.step),
            labels.STATES.get(row.state, row.state),
            labels.bits(row.bits),
            f"{row.inferences:,}",
            labels.number(row.energy_mj),
            labels.number(row.cumulative_mj),
            labels.number(row.dram_bits / divisor),
        )
        for row in results.schedule
    )
    heads = ("Method", "Step", "Begins with", "Bits", "Inferences", "mJ", "mJ so far", f"DRAM {unit}")
    return Table("Schedule", heads, rows, labels=4, break_before=groups(rows)) if rows else None


def layers(results: Results) -> Table | None:
    """The distinct layers; energies of the first scratchpad model, weights fetched as wide as they are used."""
    spad = results.layers[0].evaluations[0].spad_model if results.layers and results.layers[0].evaluations else None
    widths = sorted(
        {
            e.weight_bits
            for row in results.layers
            for e in row.evaluations
            if row.bits is None and e.spad_model == spad and e.fetch_bits == e.weight_bits
        }
    )
    rows = []
    for row in results.layers:
        own = {e.weight_bits: e for e in row.evaluations if e.spad_model == spad and e.fetch_bits == e.weight_bits}
        found = [own.get(b if row.bits is None else row.bits) for b in widths]
        proved = all(e.proved_optimal for e in own.values())
        rows.append(
            (
                row.name,
                _shape(row),
                "the model's" if row.bits is None else labels.bits(row.bits),
                "yes" if proved and own else "no",
                str(row.count),
                f"{row.macs:,}",
                f"{row.weights:,}",
                *_numbers(None if e is None else e.energy_pj / 1e6 for e in found),
            )
        )
    heads = ("Layer", "Shape", "Bits", "Optimum proved", "Count", "MACs", "Weights", *(f"uJ at {b}" for b in widths))
    return Table("Layers: one inference of one of each", heads, tuple(rows), labels=4) if rows else None


def fronts(results: Results) -> Table | None:
    """The ends of the network's front of energy and cycles, by precision."""
    by_bits: dict[int, list[FrontRow]] = {}
    for row in results.fronts:
        by_bits.setdefault(row.bits, []).append(row)
    rows = tuple(
        (labels.bits(bits), f"{len(points):,}", *_ends(points[0]), *_ends(points[-1]), f"{points[0].within:.2%}")
        for bits, points in by_bits.items()
    )
    heads = ("Bits", "Points", "Least mJ", "its cycles", "mJ of", "fewest cycles", "Left out, at most")
    note = (
        "Every occurrence of a layer takes a mapping of the layer's front. Of a front that is too long, points are\n"
        "left out that have one beside them of no more cycles and at most so much more energy. The others: fronts.csv"
    )
    return Table("Front of energy and cycles: one inference", heads, rows, 1, note) if rows else None


def _ends(row: FrontRow) -> tuple[str, str]:
    return labels.number(row.energy_mj), f"{row.cycles:,}"


def layer_fronts(results: Results) -> Table | None:
    """The fronts of the layers."""
    rows = tuple(
        (
            row.layer,
            labels.bits(row.bits),
            str(row.point),
            labels.number(row.energy_pj / 1e6),
            f"{row.cycles:,}",
            f"{row.utilization:.1%}",
        )
        for row in results.layer_fronts
    )
    heads = ("Layer", "Bits", "Point", "uJ", "Cycles", "Utilization")
    return Table("Fronts of the layers: one inference of one of each", heads, rows, 2) if rows else None


def levels(results: Results) -> Table | None:
    """mJ of one inference by level of the architecture: a row per precision and scratchpad model, fetched as used."""
    found: dict[tuple[int, str], dict[str, float]] = {}
    for model, bits in _renderings(results):
        for row in results.layers:
            wanted = bits if row.bits is None else row.bits
            for e in row.evaluations:
                if (e.spad_model, e.fetch_bits, e.weight_bits) == (model, wanted, wanted):
                    sums = found.setdefault((bits, model or ""), {})
                    for level, energy in e.levels.items():
                        sums[level] = sums.get(level, 0.0) + row.count * energy / 1e9
    names = list(dict.fromkeys(level for sums in found.values() for level in sums))
    rows = tuple(
        (labels.bits(bits), model, *_numbers(sums.get(name) for name in names), labels.number(sum(sums.values())))
        for (bits, model), sums in sorted(found.items())
    )
    note = "Weights fetched as wide as they are used; what a state adds to an inference is in the table of the states."
    heads = ("Bits", "Scratchpads", *names, "In all")
    return Table("Energy in mJ of one inference by memory level", heads, rows, labels=2, note=note) if names else None


def _renderings(results: Results) -> list[tuple[str | None, int]]:
    """Scratchpad model and precision of those that layers which follow the precision are fetched and used at."""
    every = [e for row in results.layers if row.bits is None for e in row.evaluations]
    return list(dict.fromkeys((e.spad_model, e.weight_bits) for e in every if e.fetch_bits == e.weight_bits))


def evaluation(row: LayerRow, bits: int) -> LayerEvaluation | None:
    """A layer at ``bits``, or at its own: on the first scratchpad model, fetched as wide as used or nearest to it."""
    wanted = bits if row.bits is None else row.bits
    first = row.evaluations[0].spad_model if row.evaluations else None
    found = [e for e in row.evaluations if e.spad_model == first and e.weight_bits == wanted]
    return min(found, key=lambda e: abs(e.fetch_bits - wanted), default=None)


def _shape(row: LayerRow) -> str:
    return f"{row.shape} " + " ".join(f"{k}={v}" for k, v in row.instance.items() if v != 1)


def _keys(results: Results, state: str, bits: int, method: str) -> tuple[str, str, str]:
    return labels.STATES.get(state, state).capitalize(), labels.bits(bits), results.method(method).label


def _numbers(values: Iterable[float | None]) -> tuple[str, ...]:
    return tuple("-" if value is None else labels.number(value) for value in values)


def _table(title: str, heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...], note: str = "") -> Table | None:
    """A table by state, bits and method, sorted in that order; the order of first appearance counts."""
    if not rows:
        return None
    order = [list(dict.fromkeys(row[i] for row in rows)) for i in range(3)]
    order[1].sort(key=lambda text: int(text.split()[0]))
    ordered = tuple(sorted(rows, key=lambda row: tuple(order[i].index(row[i]) for i in range(3))))
    return Table(title, ("State", "Bits", "Method", *heads), ordered, 3, note, groups(ordered))
