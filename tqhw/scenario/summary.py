"""The headline ratios: this experiment's numbers beside the paper's, which nothing is tuned to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tqhw.results import Ratio
from tqhw.scenario.methods import METHODS, REFERENCE, precisions
from tqhw.scenario.network import Cost, Network
from tqhw.scenario.schedule import PJ_PER_MJ
from tqhw.scenario.states import best
from tqhw.scenario.storage import TRAINED, ModelNumbers, storage
from tqhw.scenario.ways import Options

PAPER_STORAGE = 3.53  # TruncQuant (arXiv 2506.11431)
ALL_PRECISIONS = tuple(range(1, 9))


QUANTITIES = {
    "dram_traffic": ("bits", "one inference and what comes before it, all data that crosses the DRAM's interface"),
    "dram_weight_traffic": ("bits", "the weights' part of it"),
    "energy": ("mJ", "one inference and what comes before it, all components"),
}


@dataclass(frozen=True)
class Switching:
    """``switch`` of ``total`` weights follow the precision; ``text`` says what stays, where and why.

    ``tied``: those of the former that another use has in floating point. ``beside``: quantized numbers that no layer
    multiplies, such as those of embeddings, by their bits; None: they follow the precision.
    """

    switch: int
    total: int
    text: str
    tied: int = 0
    beside: Mapping[int | None, int] = field(default_factory=dict)

    @property
    def ratio(self) -> Ratio:
        """As a row of the summary: a share between 0 and 1."""
        return Ratio(
            quantity="switching_weights",
            state=None,
            bits=None,
            spad_model=None,
            numerator="weights that switch",
            denominator="all weights",
            numerator_value=float(self.switch),
            denominator_value=float(self.total),
            unit="weights",
            value=self.switch / self.total if self.total else None,
            paper=None,
            note=self.text,
        )


def headlines(
    methods: tuple[str, ...],
    states: tuple[str, ...],
    bits: tuple[int, ...],
    network: Network,
    options: Options,
    spad_model: str | None,
) -> tuple[Ratio, ...]:
    """Each of ``methods`` / truncquant by quantity, state and precision, in the states where they differ."""
    if REFERENCE not in methods:
        return ()
    return tuple(
        ratio
        for baseline in METHODS
        if baseline in methods
        for state in states
        if state in METHODS[baseline].costlier_in
        for b in bits
        for ratio in against(baseline, b, state, network, options, spad_model)
    )


def against(
    baseline: str, bits: int, state: str, network: Network, options: Options, spad_model: str | None
) -> tuple[Ratio, ...]:
    """``baseline`` / truncquant in one state: DRAM traffic, the weights' part of it, and energy."""
    top = best(baseline, precisions(baseline, (bits,), options)[0], state, network, options)
    bottom = best(REFERENCE, bits, state, network, options)
    rows = []
    for quantity, (unit, note) in QUANTITIES.items():
        upper, lower = (_amount(found.cost, quantity) for found in (top, bottom))
        if upper > 0 or lower > 0:
            rows.append(
                Ratio(
                    quantity=quantity,
                    state=state,
                    bits=bits,
                    spad_model=spad_model,
                    numerator=baseline,
                    numerator_way=top.way,
                    denominator=REFERENCE,
                    denominator_way=bottom.way,
                    numerator_value=upper,
                    denominator_value=lower,
                    unit=unit,
                    value=upper / lower if lower > 0 else None,
                    paper=METHODS[baseline].claim(quantity, state),
                    note=note,
                )
            )
    return tuple(rows)


def storage_ratios(
    methods: tuple[str, ...],
    bits: tuple[int, ...],
    parameters: ModelNumbers,
    options: Options,
    claimed: bool = False,
) -> tuple[Ratio, ...]:
    """Other ways to serve ``bits`` / truncquant, and the FP32 model counted twice.

    The second count is the one that comes near the paper's 3.53: batch norms as training left them, for eight
    precisions. ``claimed``: the model is the one that the paper says it of.
    """
    ours = storage(REFERENCE, bits, parameters, options).megabytes
    as_trained = storage(REFERENCE, ALL_PRECISIONS, parameters, options, TRAINED).megabytes
    whole, folded = parameters.float_megabytes(), "batch norm folded to scale and shift, for these precisions"
    rows = []
    for method in METHODS:
        if method in methods and METHODS[method].stores_more:
            found = storage(method, bits, parameters, options)
            copy = found.parts["quantized_copy"]
            if not copy or options.requantize == "best":
                rows.append(_storage_ratio(method, found.megabytes - copy, ours, None, folded))
            if copy:
                note = f"{folded}; with the quantized copy that it writes back"
                rows.append(_storage_ratio(method, found.megabytes, ours, None, note))
    trained = "batch norm as trained (four numbers a channel), for all of 1 to 8 bits"
    return (
        *rows,
        _storage_ratio("FP32", whole, ours, None, folded),
        _storage_ratio("FP32", whole, as_trained, PAPER_STORAGE if claimed else None, trained),
    )


def _storage_ratio(upper: str, top: float, bottom: float, paper: float | None, note: str) -> Ratio:
    return Ratio(
        quantity="storage",
        state=None,
        bits=None,
        spad_model=None,
        numerator=upper,
        denominator=REFERENCE,
        numerator_value=top,
        denominator_value=bottom,
        unit="MB",
        value=top / bottom,
        paper=paper,
        note=note,
    )


def _amount(cost: Cost, quantity: str) -> float:
    if quantity == "energy":
        return cost.total_pj / PJ_PER_MJ
    if quantity == "dram_traffic":
        return float(cost.dram_bits)
    return float(cost.traffic["Weights"].bits) if "Weights" in cost.traffic else 0.0
