"""The headline ratios, and what each precision gives and costs."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.report import labels
from tqhw.report.listings import accuracies, precisions
from tqhw.report.table import Table, groups
from tqhw.results import AccuracyRow, Ratio, Results

ANY = "any"
_Rows = dict[tuple[str, str, str], dict[int, Ratio]]  # (quantity, scratchpads, state) -> bits -> ratio


@dataclass(frozen=True)
class Card:
    """One number to see first."""

    value: str
    what: str
    beside: str


def _sides(results: Results, ratio: Ratio) -> str:
    return f"{results.method(ratio.numerator).label} / {results.method(ratio.denominator).label}"


def ratios(results: Results) -> tuple[Table, ...]:
    """A table per pair of methods: ratios by quantity, scratchpad model and state (rows) and precision (columns)."""
    chosen = [r for r in results.summary if r.bits is not None]
    pairs = {sides: [r for r in chosen if _sides(results, r) == sides] for sides in _pairs(results, chosen)}
    return tuple(_ratios(results, sides, found) for sides, found in pairs.items())


def _pairs(results: Results, chosen: list[Ratio]) -> dict[str, None]:
    return dict.fromkeys(_sides(results, r) for r in chosen)


def _ratios(results: Results, sides: str, chosen: list[Ratio]) -> Table:
    bits = sorted({r.bits for r in chosen if r.bits is not None})
    rows: _Rows = {}
    for r in chosen:
        rows.setdefault((r.quantity, r.spad_model or ANY, r.state or ""), {})[r.bits or 0] = r
    order = [list(dict.fromkeys(key[i] for key in rows)) for i in range(3)]
    order[1].insert(0, ANY)
    lines = []
    merged = _merged(rows)
    for key in sorted(merged, key=lambda key: tuple(order[i].index(key[i]) for i in range(3))):
        quantity, spad, state = key
        cells = (labels.times(merged[key][b].value) if b in merged[key] else "-" for b in bits)
        paper = next((labels.claim(r.paper) for r in merged[key].values() if r.paper is not None), "")
        what = labels.QUANTITIES.get(quantity, quantity)
        lines.append((what, spad, labels.STATES.get(state, state), *cells, paper))
    heads = ("How many times more", "Scratchpads", "State", *map(labels.bits, bits))
    table, notes = tuple(lines), _ways(results, chosen)
    if any(line[-1] for line in table):
        heads = (*heads, "Paper")
        notes += ("Paper: the most that it claims for something near, for comparison; nothing here is tuned to it.",)
    else:
        table = tuple(line[:-1] for line in table)
    if any(r.value is None for r in chosen):
        notes += (f"{labels.times(None)}: the right-hand method moves nothing.",)
    note = "\n".join(notes)
    return Table(f"Headline ratios: {sides}", heads, table, labels=3, note=note, break_before=groups(table))


def _ways(results: Results, chosen: list[Ratio]) -> tuple[str, ...]:
    """How a method that has ways to choose from went about it: a line per state."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}  # state -> scratchpads -> way -> bits
    for r in (r for r in chosen if results.method(r.numerator).choice):
        way = f"{results.method(r.numerator).label} ({r.numerator_way})"
        bits = found.setdefault(r.state or "", {}).setdefault(r.spad_model or "", {}).setdefault(way, [])
        if str(r.bits) not in bits:
            bits.append(str(r.bits))
    lines = []
    for state, spads in found.items():
        texts = {spad: _way(ways) for spad, ways in spads.items()}
        one = len(set(texts.values())) == 1
        told = next(iter(texts.values())) if one else "; ".join(f"{spad}: {text}" for spad, text in texts.items())
        lines.append(f"{labels.STATES.get(state, state).capitalize()}: {told}")
    return tuple(lines)


def _way(ways: dict[str, list[str]]) -> str:
    """``Any-Precision (fused) at 2, 4 bits, Any-Precision (streaming) at 8 bits``."""
    if len(ways) == 1:
        return next(iter(ways))
    return ", ".join(f"{way} at {', '.join(bits)} bits" for way, bits in ways.items())


def _merged(rows: _Rows) -> _Rows:
    """Rows that come out alike for every scratchpad model, once."""
    values = {key: {b: r.value for b, r in found.items()} for key, found in rows.items()}
    result: _Rows = {}
    for key, found in rows.items():
        same = [other for other in rows if (other[0], other[2]) == (key[0], key[2])]
        alike = len(same) > 1 and all(values[other] == values[key] for other in same)
        result.setdefault((key[0], ANY if alike else key[1], key[2]), found)
    return result


def storage_ratios(results: Results) -> Table | None:
    """Ratios that do not depend on the precision at run time."""
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            _sides(results, r),
            r.note,
            f"{labels.number(r.numerator_value)} {r.unit}",
            f"{labels.number(r.denominator_value)} {r.unit}",
            labels.times(r.value),
            labels.claim(r.paper),
        )
        for r in results.summary
        if r.quantity == "storage"
    )
    heads: tuple[str, ...] = ("How many times more", "Counted", "Upper", "Lower", "Ratio", "Paper")
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], tuple(row[:-1] for row in rows)
    return Table("Storage of a model that serves all precisions", heads, rows, labels=2) if rows else None


def overview(results: Results) -> Table | None:
    """What each precision gives (accuracy) and costs (energy, traffic): the methods' totals side by side."""
    states = tuple(dict.fromkeys(row.state for row in results.energy))
    methods = tuple(dict.fromkeys(row.method for row in results.energy))
    if not states:
        return None
    measured = accuracies(results)
    found = {(row.scheme, row.weights, row.bits): row for row in results.accuracy}
    # What any_precision serves is re-quantized; every other method is served by the truncated codes.
    shown = [key for key in (("truncquant", "shifted"), ("dorefa", "requantized")) if key in measured]
    rows = []
    for bits in precisions(results):
        for state in states:
            totals = [
                [r.energy_mj for r in results.energy if (r.method, r.bits, r.state) == (m, bits, state)]
                for m in methods
            ]
            cells = (labels.number(sum(t)) if t else "-" for t in totals)
            tops = (_with_interval(results, found.get((*key, bits)), measured[key][bits]) for key in shown)
            rows.append((labels.bits(bits), labels.STATES.get(state, state), *tops, *cells))
    look = results.metric
    tops = (f"{look.title}{look.in_unit[len(look.label) :]}, {labels.series(*key)}" for key in shown)
    heads = ("Bits", "State", *tops, *(f"mJ, {results.method(m).label}" for m in methods))
    table = tuple(rows)
    return Table("What each precision gives and costs", heads, table, labels=2, break_before=groups(table))


def _with_interval(results: Results, row: AccuracyRow | None, value: float | None) -> str:
    ends = "" if row is None else labels.interval(row)
    return labels.measured(value, results.metric) + (f" ({ends})" if ends else "")


def _rank(results: Results, method: str) -> int:
    """Where a method stands among those of the run; what is none of them comes last."""
    names = [row.name for row in results.methods]
    return names.index(method) if method in names else len(names)


def cards(results: Results) -> tuple[Card, ...]:
    """The numbers at the top of the page: ratios at the lowest precision, and the accuracy it leaves."""
    found: list[Card] = []
    lowest = min((r.bits for r in results.summary if r.bits is not None), default=None)
    for quantity in ("dram_traffic", "energy", "storage"):
        chosen = [r for r in results.summary if r.quantity == quantity and r.bits in (None, lowest)]
        chosen.sort(key=lambda r: (r.state != "precision_switching", _rank(results, r.numerator)))
        if chosen:
            ratio = chosen[0]
            where = [] if ratio.bits is None else [labels.bits(ratio.bits)]
            where += [labels.STATES.get(ratio.state, ratio.state)] if ratio.state else []
            paper = "" if ratio.paper is None else f"the paper: up to {labels.claim(ratio.paper)}"
            what = ", ".join([labels.QUANTITIES.get(quantity, quantity), _sides(results, ratio), *where])
            found.append(Card(labels.times(ratio.value), what, paper))
    for ratio in (r for r in results.summary if r.quantity == "switching_weights"):
        share = 100 * (ratio.value or 0.0)
        counted = f"{ratio.numerator_value:,.0f} of {ratio.denominator_value:,.0f}; the notes say what stays"
        found.append(Card(f"{share:.1f} %", "of the weights switch their bits", counted))
    bits = min(precisions(results), default=None)
    for (scheme, weights), line in accuracies(results).items():
        if bits is not None and weights == "shifted":
            value = line[bits]
            look = results.metric
            shown = labels.measured(value, look) + (f" {look.unit}" if look.unit and value is not None else "")
            rows = [r for r in results.accuracy if (r.scheme, r.weights, r.bits) == (scheme, weights, bits)]
            ends = labels.interval(rows[0]) if rows else ""
            runs = f", {rows[0].runs} runs" if rows and rows[0].runs > 1 else ""
            beside = f"95 % interval: {ends}{runs}" if ends else ""
            found.append(Card(shown, f"{look.title} at {labels.bits(bits)}, {labels.series(scheme, weights)}", beside))
    return tuple(found)
