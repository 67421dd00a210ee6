"""How the reports call, colour and round things. Names that are not listed are shown as they are."""

from __future__ import annotations

import math

from tqhw.results import (
    ACCURACY,
    ARRAY,
    DRAM,
    GLB,
    KV_CACHE,
    NORMALIZATION,
    QUANTIZER,
    SCALES,
    AccuracyRow,
    MetricLook,
    Results,
)
from tqhw.results.words import FP32 as FP32
from tqhw.results.words import FULL as FULL
from tqhw.results.words import series as series

NOT_MEASURED = "not measured"

STATES = {
    "initial_loading": "initial loading",
    "precision_switching": "precision switching",
    "steady": "steady",
}
INTERVALS = (
    "95 % intervals: Wilson's, over the test images; of several runs Student's t over them, where that is wider "
    "(Wilson 1927, Student 1908)"
)
DRAWN_ANEW = (
    "95 % intervals: of the test samples drawn anew (Efron 1979); of several runs Student's t over them, where that is "
    "wider (Student 1908)"
)
QUANTITIES = {
    "dram_traffic": "DRAM traffic",
    "dram_weight_traffic": "DRAM weight traffic",
    "energy": "Energy",
    "storage": "Storage",
}

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILION, SKY, GREY, BLACK = "#D55E00", "#56B4E9", "#999999", "#000000"

COMPONENT_COLOURS = {DRAM: BLUE, GLB: ORANGE, ARRAY: GREEN, QUANTIZER: PURPLE}
DATA_SPACE_COLOURS = {"Weights": BLUE, "Inputs": ORANGE, "Outputs": GREEN, NORMALIZATION: PURPLE, SCALES: SKY}
DATA_SPACE_COLOURS[KV_CACHE] = VERMILION
SCHEME_COLOURS = {"truncquant": BLUE, "dorefa": VERMILION}
SPARE_COLOURS = (SKY, GREY, ORANGE, PURPLE)


def number(value: float) -> str:
    """Three significant digits, as a person writes them: 1,230 and 0.00123, exponents only far out.

    What is no finite number is said in words.
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'minus ' if value < 0 else ''}infinite"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -5 or size > 8:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - size)}f}"


def percent(value: float | None) -> str:
    """A measured percentage, or that it was not measured."""
    return NOT_MEASURED if value is None else f"{value:z.1f}"


def measured(value: float | None, look: MetricLook) -> str:
    """What a metric says: of a percentage one digit, of others three significant ones; or that it was not measured."""
    if value is None or look.unit == "%":
        return percent(value)
    return number(value)


def interval(row: AccuracyRow) -> str:
    """The ends of a measured number's interval; nothing where it has none."""
    if row.low is None or row.high is None:
        return ""
    return f"{measured(row.low, row.look)} to {measured(row.high, row.look)}"


def intervals(results: Results) -> str:
    """What the intervals are."""
    return INTERVALS if results.metric.name == ACCURACY else DRAWN_ANEW


def times(value: float | None) -> str:
    """A ratio: 3.21x, 20.4x, 1,230x; None where something is compared with nothing."""
    if value is None:
        return "x / 0"
    return f"{value:z.2f}x" if abs(value) < 10 else f"{number(value)}x"


def claim(value: float | None) -> str:
    """The paper's number as it stands there; nothing where it has none."""
    return "" if value is None else f"{value:zg}x"


def bits(value: int) -> str:
    """1 bit, 2 bits."""
    return f"{value} bit" if value == 1 else f"{value} bits"


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """(divisor, unit with its decimal prefix) so that ``largest`` becomes a number from 1 to 1000."""
    for divisor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= divisor:
            return divisor, prefix + unit
    return 1.0, unit
