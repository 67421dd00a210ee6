"""The headline ratios, and what each precision gives and costs."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.report import labels
from tqhw.report.listings import accuracies, precisions
from tqhw.report.table import Table, groups
from tqhw.scenario.results import Ratio, Results

PAPER = "Paper"
_Rows = dict[tuple[str, str, str, str], dict[int, Ratio]]  # (sides, quantity, scratchpads, state) -> bits -> ratio


@dataclass(frozen=True)
class Card:
    """One number to see first."""

    value: str
    what: str
    beside: str


def method_of(side: str) -> str:
    """``any_precision (fused)`` -> ``any_precision``."""
    return side.split(" (")[0]


def _sides(ratio: Ratio) -> str:
    return " / ".join(labels.METHODS.get(m, m) for m in map(method_of, (ratio.numerator, ratio.denominator)))


def ratios(results: Results, baseline: str | None = None) -> Table | None:
    """Ratios by quantity, scratchpad model and state (rows) and precision (columns), beside the paper's number.

    ``baseline``: only those against this method.
    """
    chosen = [r for r in results.summary if r.bits is not None]
    chosen = [r for r in chosen if baseline is None or method_of(r.numerator) == baseline]
    bits = sorted({r.bits for r in chosen if r.bits is not None})
    rows: _Rows = {}
    for r in chosen:
        spad = r.spad_model or "any"
        rows.setdefault((_sides(r), r.quantity, spad, r.state or ""), {})[r.bits or 0] = r
    merged = _merged(rows)
    order = [list(dict.fromkeys(key[i] for key in rows)) for i in range(4)]
    order[2].insert(0, "any")
    lines = []
    for key in sorted(merged, key=lambda key: tuple(order[i].index(key[i]) for i in range(4))):
        sides, quantity, spad, state = key
        cells = (labels.times(merged[key][b].value) if b in merged[key] else "-" for b in bits)
        paper = next((labels.claim(r.paper) for r in merged[key].values() if r.paper is not None), "")
        what = labels.QUANTITIES.get(quantity, quantity)
        lines.append((sides, what, spad, labels.STATES.get(state, state), *cells, paper))
    heads = ("How many times more", "Quantity", "Scratchpads", "State", *map(labels.bits, bits), PAPER)
    title, table = "Headline ratios", tuple(lines)
    marks = groups(table) | groups(table, 1)
    if len(order[0]) == 1:
        title, heads, table = f"{title}: {order[0][0]}", heads[1:], tuple(line[1:] for line in table)
    note = "Paper: the most that it claims for something near, for comparison; nothing here is tuned to it."
    words = len(heads) - len(bits) - 1
    return Table(title, heads, table, labels=words, note=note, break_before=marks) if table else None


def _merged(rows: _Rows) -> _Rows:
    """Rows that come out alike for every scratchpad model, once."""
    values = {key: {b: r.value for b, r in found.items()} for key, found in rows.items()}
    result: _Rows = {}
    for key, found in rows.items():
        same = [other for other in rows if (*other[:2], other[3]) == (*key[:2], key[3])]
        alike = len(same) > 1 and all(values[other] == values[key] for other in same)
        result.setdefault((*key[:2], "any" if alike else key[2], key[3]), found)
    return result


def storage_ratios(results: Results) -> Table | None:
    """Ratios that do not depend on the precision at run time."""
    rows = tuple(
        (
            _sides(r),
            r.note,
            f"{labels.number(r.numerator_value)} {r.unit}",
            f"{labels.number(r.denominator_value)} {r.unit}",
            labels.times(r.value),
            labels.claim(r.paper),
        )
        for r in results.summary
        if r.bits is None
    )
    heads = ("How many times more", "Counted", "Upper", "Lower", "Ratio", PAPER)
    return Table("Storage of a model that serves all precisions", heads, rows, labels=2) if rows else None


def overview(results: Results) -> Table | None:
    """What each precision gives (accuracy) and costs (energy, traffic): the methods' totals side by side."""
    states = tuple(dict.fromkeys(row.state for row in results.energy))
    methods = tuple(dict.fromkeys(row.method for row in results.energy))
    if not states:
        return None
    measured = accuracies(results)
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
            tops = (labels.percent(measured[key][bits]) for key in shown)
            rows.append((labels.bits(bits), labels.STATES.get(state, state), *tops, *cells))
    tops = (f"Top-1 in %, {labels.series(*key)}" for key in shown)
    heads = ("Bits", "State", *tops, *(f"mJ, {labels.METHODS.get(m, m)}" for m in methods))
    table = tuple(rows)
    return Table("What each precision gives and costs", heads, table, labels=2, break_before=groups(table))


def cards(results: Results) -> tuple[Card, ...]:
    """The numbers at the top of the page: ratios at the lowest precision, and the accuracy it leaves."""
    found: list[Card] = []
    lowest = min((r.bits for r in results.summary if r.bits is not None), default=None)
    for quantity in ("dram_traffic", "energy", "storage"):
        chosen = [r for r in results.summary if r.quantity == quantity and r.bits in (None, lowest)]
        chosen.sort(key=lambda r: (r.state != "precision_switching", method_of(r.numerator) != "any_precision"))
        if chosen:
            ratio = chosen[0]
            where = [] if ratio.bits is None else [labels.bits(ratio.bits)]
            where += [labels.STATES.get(ratio.state, ratio.state)] if ratio.state else []
            paper = "" if ratio.paper is None else f"paper: {labels.claim(ratio.paper)}"
            what = ", ".join([labels.QUANTITIES.get(quantity, quantity), _sides(ratio), *where])
            found.append(Card(labels.times(ratio.value), what, paper))
    bits = min(precisions(results), default=None)
    for (scheme, weights), line in accuracies(results).items():
        if bits is not None and weights == "shifted":
            value = line[bits]
            shown = labels.NOT_MEASURED if value is None else f"{value:.1f} %"
            found.append(Card(shown, f"Top-1 at {labels.bits(bits)}, {labels.series(scheme, weights)}", ""))
    return tuple(found)
