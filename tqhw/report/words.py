"""The report's summary: what was found and what was assumed, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tqhw.report import labels
from tqhw.report.listings import DEFAULT_SCHEME, evaluation, precisions
from tqhw.results import ACCURACY, COMPONENTS, QUANTIZER, Ratio, Results

SWITCHING, STEADY = "precision_switching", "steady"
_QUANTITIES = {"dram_traffic": "DRAM traffic", "energy": "energy"}
_STATES = {SWITCHING: "a switch of the precision with one inference", STEADY: "a steady inference"}


def found(results: Results) -> tuple[str, ...]:
    """What the run found: a sentence for each thing."""
    return (*_ratios(results), *_storage(results), *_accuracy(results), *_energy(results), *_layers(results))


def _ratios(results: Results) -> Iterator[str]:
    """What the first pair of methods costs at the lowest precision, over all models of scratchpads."""
    chosen = [r for r in results.summary if r.bits is not None and r.quantity in _QUANTITIES and r.state in _STATES]
    if not chosen:
        return
    bits, pair = min(r.bits for r in chosen if r.bits is not None), (chosen[0].numerator, chosen[0].denominator)
    for state, what in _STATES.items():
        own = [r for r in chosen if (r.state, r.bits) == (state, bits) and (r.numerator, r.denominator) == pair]
        told = [
            f"{span} as much {name}"
            for quantity, name in _QUANTITIES.items()
            for span in [_span([r for r in own if r.quantity == quantity])]
            if span
        ]
        if told:
            upper, lower = (results.method(name).label for name in pair)
            yield f"At {labels.bits(bits)}, {what} takes {' and '.join(told)} with {upper} as with {lower}."


def _span(ratios: list[Ratio]) -> str:
    """The ratio, or from the least to the most where models of scratchpads differ."""
    values = sorted(r.value for r in ratios if r.value is not None)
    ends = list(dict.fromkeys(labels.times(value) for value in (*values[:1], *values[-1:])))
    return " to ".join(ends)


def _storage(results: Results) -> Iterator[str]:
    served = {row.method: row for row in results.storage}
    if DEFAULT_SCHEME in served and len(served) > 1:
        own = served.pop(DEFAULT_SCHEME)
        others = ", ".join(f"{results.method(m).label} {labels.number(row.megabytes)}" for m, row in served.items())
        bits = ", ".join(map(str, own.bits))
        label = results.method(DEFAULT_SCHEME).label
        yield f"To serve {bits} bits, {label} keeps {labels.number(own.megabytes)} MB in DRAM (others: {others} MB)."


def _accuracy(results: Results) -> Iterator[str]:
    measured = [row for row in results.accuracy if row.weights == "shifted" and row.measured is not None]
    if not measured:
        yield "No accuracy was measured."
    for scheme in dict.fromkeys(row.scheme for row in measured):
        own = sorted((row for row in measured if row.scheme == scheme), key=lambda row: row.bits)
        told = (
            f"{labels.measured(row.measured, row.look)}{' %' * (row.unit == '%')}"
            f"{f' (95 % interval {ends})' if ends else ''} at {labels.bits(row.bits)}"
            for row in dict.fromkeys((own[0], own[-1]))
            for ends in [labels.interval(row)]
        )
        series, look = labels.series(scheme, "shifted"), results.metric
        if look.name == ACCURACY:
            yield f"{series}, is right (top-1) in {' and in '.join(told)}."
        else:
            less = "; less is better" if look.lower_is_better else ""
            yield f"{series}: {look.label} is {' and '.join(told)}{less}."


def _energy(results: Results) -> Iterator[str]:
    """One steady inference of the first method, from the lowest to the highest precision."""
    steady = [row for row in results.energy if row.state == STEADY]
    if not steady:
        return
    method = steady[0].method
    own = [row for row in steady if row.method == method]
    totals: dict[int, float] = {}
    for row in own:
        totals[row.bits] = totals.get(row.bits, 0.0) + row.energy_mj
    low, high = min(totals), max(totals)
    told = " and ".join(f"{labels.number(totals[b])} mJ at {labels.bits(b)}" for b in dict.fromkeys((low, high)))
    largest = max((row for row in own if row.bits == low), key=lambda row: row.energy_mj)
    share = largest.energy_mj / totals[low] if totals[low] else 0.0
    most = f"at {labels.bits(low)}, {largest.component} takes {share:.0%} of it"
    yield f"A steady inference with {results.method(method).label} takes {told}; {most}."


def _layers(results: Results) -> Iterator[str]:
    bits = precisions(results)
    energies = {
        row.name: row.count * sum(one.components.get(group, 0.0) for group in COMPONENTS)
        for row in results.layers
        for one in [evaluation(row, bits[0]) if bits else None]
        if one is not None
    }
    if sum(energies.values()):
        name = max(energies, key=lambda name: energies[name])
        share = energies[name] / sum(energies.values())
        yield f"Of the layers, {name} (with those alike) takes the most energy at {labels.bits(bits[0])}: {share:.0%}."
    searched = [e.proved_optimal for row in results.layers for e in row.evaluations]
    if searched:
        proved = "every one is" if all(searched) else f"{sum(searched):,} are" if any(searched) else "none is"
        yield f"Of {len(searched):,} mappings searched, {proved} proved to be the optimum."


def assumed(results: Results) -> tuple[str, ...]:
    """What stands behind it: the choices that move the numbers most."""
    return tuple(_assumed(results))


def _assumed(results: Results) -> Iterator[str]:
    experiment = results.experiment
    architecture, chosen = experiment.get("architecture"), experiment.get("scenario")
    if isinstance(architecture, dict) and isinstance(architecture.get("name"), str):
        spads = [str(name) for name in experiment.get("spad_models") or () if name]
        yield f"The accelerator is {architecture['name']}" + (f", scratchpads: {', '.join(spads)}." if spads else ".")
    if experiment.get("stored_bits") is not None:
        yield f"Weights are stored with {experiment['stored_bits']} bits."
    if isinstance(chosen, dict):
        keys = [key for key in ("layout", "requantize", "residency") if key in chosen]
        named = [f"{key} {chosen[key]}" for key in keys]
        if named:
            yield f"Scenario: {', '.join(named)}."
    if any(row.component == QUANTIZER for row in results.energy):
        yield "The energy of the baseline's quantizer is an estimate."
    sources = results.provenance.get("table_source")
    if isinstance(sources, list | tuple) and sources:
        yield f"Energies of single actions: {', '.join(map(str, sources))}."
    if results.notes:
        yield f"{len(results.notes)} notes below say what was estimated, padded or chosen."
