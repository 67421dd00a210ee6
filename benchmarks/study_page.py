"""Tables, effects and the figure of one study, computed from its rows."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from scipy import stats

TEST_IMAGES = 1000
"""Of the subset of MNIST."""

EFFECT, POWER = 0.5, 0.8
"""The smallest difference, in points, that a confirming run should look for, and how surely it should find it."""


class Row(NamedTuple):
    """One accuracy; the columns of a study's CSV."""

    variant: str
    seed: int
    bits: int
    weights: str
    top1: float
    verified: bool


Key = tuple[str, str]
"""Variant and weights (shifted or requantized)."""


class Pair(NamedTuple):
    """An effect: ``one`` minus ``other``, seed by seed."""

    label: str
    one: Key
    other: Key


Values = dict[Key, dict[int, list[float]]]
"""Top-1 of all seeds, by network and bits."""


def _values(rows: list[Row]) -> Values:
    values: Values = {}
    for row in sorted(rows, key=lambda row: row.seed):
        values.setdefault((row.variant, row.weights), {}).setdefault(row.bits, []).append(row.top1)
    return values


def _differences(values: Values, pair: Pair) -> tuple[dict[int, list[float]], list[float]]:
    """By bits and seed; and by seed, the mean over the bits."""
    one, other = values[pair.one], values[pair.other]
    effects = {b: [x - y for x, y in zip(one[b], other[b], strict=True)] for b in one}
    return effects, [statistics.fmean(seed) for seed in zip(*effects.values(), strict=True)]


def _half_interval(differences: list[float]) -> float:
    n = len(differences)
    return float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(differences) / math.sqrt(n)


def _interval(differences: list[float]) -> str:
    mean, half = statistics.fmean(differences), _half_interval(differences)
    shown = f"{mean:+z.1f} ± {half:.1f}"
    return f"**{shown}**" if abs(mean) > half else shown


def _table(heads: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines)]


def page(rows: list[Row], pairs: tuple[Pair, ...], on_cifar10: str) -> str:
    """The body of the page in Markdown."""
    values = _values(rows)
    bits = sorted({row.bits for row in rows})
    columns = [f"{b} bit" if b == 1 else f"{b} bits" for b in bits]
    seeds = len({row.seed for row in rows})
    lines = []
    for (variant, weights), found in values.items():
        # Where shifting is exact both rows are the same; one is enough.
        if weights == "shifted" or found != values[variant, "shifted"]:
            cells = (f"{statistics.fmean(found[b]):.1f} ± {statistics.stdev(found[b]):.1f}" for b in bits)
            lines.append([variant, weights, *cells])
    of = f"Top-1 on {TEST_IMAGES:,} test pictures in percent"
    text = [f"{of}, mean ± standard deviation of {seeds} seeds and splits:\n"]
    text += _table(["network", "weights", *columns], lines)
    text += ["\nWhat is not listed as requantized gives the same accuracies, to the image, as shifted.\n"]
    effects = {pair.label: _differences(values, pair) for pair in pairs}
    text += [
        "Differences in points, seed by seed, with the 95 % interval of their mean; bold where it excludes zero:\n"
    ]
    lines = [[label, *(_interval(v) for v in (*by_bits.values(), mean))] for label, (by_bits, mean) in effects.items()]
    text += _table(["difference", *columns, "mean over bits"], lines)
    tested = sum(len(by_bits) + 1 for by_bits, _ in effects.values())
    text += [f"\nOf {tested} such intervals about {tested / 20:.1f} exclude zero by chance where there is no effect.\n"]
    return "\n".join([*text, *_confirming(effects, statistics.fmean(row.top1 for row in rows), on_cifar10)])


def _confirming(effects: dict[str, tuple[dict[int, list[float]], list[float]]], top1: float, how: str) -> list[str]:
    """How many seeds a run on CIFAR-10 needs, if its seeds scatter as here."""
    factor = stats.norm.ppf(0.975) + stats.norm.ppf(POWER)
    lines = []
    for label, (_, mean) in effects.items():
        sought = max(EFFECT, abs(statistics.fmean(mean)) / 2)
        seeds = max(3, math.ceil((factor * statistics.stdev(mean) / sought) ** 2))
        lines.append([label, f"{sought:.1f}", f"{statistics.stdev(mean):.1f}", str(seeds)])
    share = top1 / 100
    noise = [100 * math.sqrt(share * (1 - share) / images) for images in (TEST_IMAGES, 10_000)]
    return [
        "## What a CIFAR-10 run would need\n",
        f"`tqhw train` with experiments/training/cifar10.yaml and {how}, so many seeds each (paired, 5 % level, "
        f"found with {100 * POWER:.0f} % certainty, normal approximation, at least 3). Sought is half of the effect "
        f"seen here, at least {EFFECT} points; the scatter over seeds is the one seen here. A part of it is the small "
        f"test set: at this page's mean accuracy one standard error is {noise[0]:.1f} points for {TEST_IMAGES:,} "
        f"pictures, {noise[1]:.1f} for CIFAR-10's 10,000. Nothing here says that an effect carries over.\n",
        *_table(["difference, mean over bits", "sought, points", "scatter, points", "seeds"], lines),
    ]


def figure(path: Path, title: str, rows: list[Row], pairs: tuple[Pair, ...]) -> None:
    """Accuracy over bits; of a study with many pairs, their mean effects with intervals."""
    values = _values(rows)
    axes = plt.figure(figsize=(7, 4.2), layout="constrained").add_subplot()
    if len(pairs) > 4:
        means = [_differences(values, pair)[1] for pair in pairs]
        places = range(len(pairs), 0, -1)
        halves = [_half_interval(mean) for mean in means]
        axes.errorbar([statistics.fmean(m) for m in means], places, xerr=halves, fmt="o", capsize=3)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set(xlabel="difference in top-1, points (mean over bits, 95 % interval)", title=title)
        axes.set_yticks(places, [pair.label for pair in pairs])
    else:
        shown = dict.fromkeys(key for pair in pairs for key in (pair.other, pair.one))
        for number, key in enumerate(shown):
            found = values[key]
            # A little apart, so that bars of equal height can be told from each other.
            beside = [b + 0.05 * (number - (len(shown) - 1) / 2) for b in found]
            spread = [statistics.stdev(v) for v in found.values()]
            centres = [statistics.fmean(v) for v in found.values()]
            style = "--o" if key[1] == "requantized" else "-o"
            axes.errorbar(beside, centres, spread, fmt=style, capsize=3, label=" ".join(key))
        ticks = sorted({row.bits for row in rows})
        axes.set(xlabel="weight bits", ylabel="top-1, % (mean ± standard deviation)", xticks=ticks, title=title)
        axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    plt.gcf().savefig(path, dpi=120)
    plt.close()
