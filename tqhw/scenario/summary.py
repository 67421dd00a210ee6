"""The headline ratios: this experiment's numbers beside the paper's, which nothing is tuned to."""

from __future__ import annotations

from tqhw.scenario.methods import Options
from tqhw.scenario.network import Cost, Network
from tqhw.scenario.results import Ratio
from tqhw.scenario.schedule import PJ_PER_MJ
from tqhw.scenario.states import best
from tqhw.scenario.storage import TRAINED, Parameters, storage

# TruncQuant (arXiv 2506.11431), its three claims about hardware.
PAPER_TRAFFIC, PAPER_ENERGY, PAPER_STORAGE = 20.0, 3.2, 3.53
ALL_PRECISIONS = tuple(range(1, 9))


def against(
    baseline: str,
    bits: tuple[int, ...],
    states: tuple[str, ...],
    network: Network,
    options: Options,
    spad_model: str | None,
) -> tuple[Ratio, ...]:
    """``baseline`` / truncquant by state and precision: DRAM traffic, the weights' part of it, and energy."""
    rows = []
    for state in states:
        for b in bits:
            one, other = (best(m, b, state, network, options) for m in (baseline, "truncquant"))
            paper = baseline == "any_precision"
            for quantity, unit, claim in (
                ("dram_traffic", "bits", PAPER_TRAFFIC if paper and state == "precision_switching" else None),
                ("dram_weight_traffic", "bits", None),
                ("energy", "mJ", PAPER_ENERGY if paper else None),
            ):
                top, bottom = (_amount(cost, quantity) for cost in (one.cost, other.cost))
                if bottom > 0:
                    rows.append(
                        Ratio(
                            quantity,
                            state,
                            b,
                            spad_model,
                            f"{baseline} ({one.mode})",
                            f"truncquant ({other.mode})",
                            top,
                            bottom,
                            unit,
                            top / bottom,
                            claim,
                            "one inference and what comes before it, all DRAM traffic"
                            if quantity == "dram_traffic"
                            else "",
                        )
                    )
    return tuple(rows)


def _amount(cost: Cost, quantity: str) -> float:
    if quantity == "energy":
        return cost.total_pj / PJ_PER_MJ
    if quantity == "dram_traffic":
        return float(cost.dram_bits)
    return float(cost.traffic["Weights"].bits) if "Weights" in cost.traffic else 0.0


def storage_ratios(bits: tuple[int, ...], parameters: Parameters, options: Options) -> tuple[Ratio, ...]:
    """FP32 model / truncquant model: for this experiment, and counted so that it is near the paper's 3.53."""
    rows = []
    for precisions, values, claim, note in (
        (bits, 2, None, "batch norm folded: scale and shift per channel and precision"),
        (ALL_PRECISIONS, TRAINED, PAPER_STORAGE, "batch norm as trained, four numbers per channel, 8 precisions"),
    ):
        whole = parameters.float_megabytes()
        ours = storage("truncquant", precisions, parameters, options, values).megabytes
        rows.append(
            Ratio("storage", None, None, None, "FP32", "truncquant", whole, ours, "MB", whole / ours, claim, note)
        )
    return tuple(rows)
