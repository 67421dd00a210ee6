"""The studies of docs/studies: trains, measures, and writes a CSV, a figure and a page for each.

    python benchmarks/studies.py qt_gap ste batch_norm activations [--seeds 3] [--out docs/studies]

All run on scikit-learn's digits at 8x8 pixels. A variant is compared with its reference seed by seed; the
interval of the mean difference is Student's, 95 %. Runs that the CSV holds already are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from tqhw.quant import quantization_of
from tqhw.train import digits, evaluate_requantized, evaluate_shifted, recalibrate, train
from tqhw.train.recipe import Recipe, read_recipe

SMALL = "benchmarks.depths:resnet8"
FOUR, EIGHT = [2, 4, 6, 8], list(range(1, 9))
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t at 97.5 % by the number of seeds."""


@dataclass(frozen=True)
class Variant:
    """One way to train; ``recalibrated`` measures it a second time after calibrating each precision."""

    name: str
    document: dict[str, Any]
    recalibrated: bool = False


@dataclass(frozen=True)
class Study:
    """Variants, and pairs of rows (variant, weights) whose difference is the effect."""

    title: str
    question: str
    variants: tuple[Variant, ...]
    pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...]


def document(method: str, bits: list[int], model: str = "resnet20", **sections: Any) -> dict[str, Any]:
    training = {"epochs": 4, "batch_size": 64, "threads": 1, **sections.pop("training", {})}
    return {
        "method": method,
        "bits": bits,
        "model": {"name": model, "options": {"in_channels": 1}},
        "quantization": {"first": None, "last": None, **sections.pop("quantization", {})},
        "training": training,
    }


def ste() -> Study:
    variants, pairs = [], []
    for depth in (8, 14):
        for rate in (0.03, 0.1, 0.3):
            for gradient in ("paper", "plain", "exact"):
                variants.append(
                    Variant(
                        f"{gradient}, ResNet-{depth}, rate {rate}",
                        document(
                            "truncquant",
                            FOUR,
                            f"benchmarks.depths:resnet{depth}",
                            quantization={"gradient": gradient},
                            training={"learning_rate": rate, "epochs": 3},
                        ),
                    )
                )
            end = f", ResNet-{depth}, rate {rate}"
            for other in ("plain", "exact"):
                pairs.append(((f"{other}{end}", "shifted"), (f"paper{end}", "shifted")))
    return Study(
        "Which straight-through estimator",
        "The paper's open question 1: it scales the gradient by M/(M+1) (`paper`), reports that 1 (`plain`) works "
        "as well; the staircase's own mean slope is (M+1)/M (`exact`). Is there a difference, over depth and "
        "learning rate? 3 epochs each, so that differences in speed show.",
        tuple(variants),
        tuple(pairs),
    )


def studies() -> dict[str, Study]:
    quant, trunc = ("Quant", "requantized"), ("Quant", "shifted")
    ours = ("TruncQuant", "shifted")
    follow = {"activations": "pact", "activation_bits": None}
    return {
        "qt_gap": Study(
            "The quantization-truncation gap",
            "How much does a network lose when its 8-bit codes are shifted instead of quantized anew? One network "
            "per seed and scheme, ResNet-20 trained jointly at 1 to 8 bits for 4 epochs, all layers quantized.",
            (Variant("Quant", document("dorefa", EIGHT)), Variant("TruncQuant", document("truncquant", EIGHT))),
            ((trunc, quant), (ours, quant), (ours, trunc)),
        ),
        "ste": ste(),
        "batch_norm": Study(
            "One batch norm for all precisions, or one each",
            "TruncQuant on ResNet-8 at 2, 4, 6 and 8 bits: a batch norm per precision (`switchable`), one for all "
            "(`shared`), and the latter with its statistics measured anew for each precision (`recalibrated`).",
            (
                Variant("switchable", document("truncquant", FOUR, SMALL)),
                Variant("shared", document("truncquant", FOUR, SMALL, quantization={"norms": "shared"}), True),
            ),
            (
                (("shared", "shifted"), ("switchable", "shifted")),
                (("shared, recalibrated", "shifted"), ("switchable", "shifted")),
            ),
        ),
        "activations": Study(
            "Truncating activations as well",
            "The paper's open question 2: activations clamped by PACT at the bits of the weights, made at 8 bits and "
            "shifted like them (ResNet-8). `Quant` rounds weights and activations, `TruncQuant` floors both.",
            (
                Variant("Quant", document("dorefa", FOUR, SMALL, quantization=follow)),
                Variant("TruncQuant", document("truncquant", FOUR, SMALL, quantization=follow)),
                Variant("TruncQuant, full activations", document("truncquant", FOUR, SMALL)),
            ),
            ((trunc, quant), (ours, quant), (ours, ("TruncQuant, full activations", "shifted"))),
        ),
    }


Row = tuple[str, int, int, str, float, bool]
"""Variant, seed, bits, weights, top-1 in percent, verified."""


def measure(variant: Variant, seed: int) -> Iterator[Row]:
    recipe: Recipe = read_recipe(variant.document)
    recipe = replace(recipe, training=replace(recipe.training, seed=seed))
    data = digits()
    model = train(recipe.network(recipe.bits), data, recipe.training).model
    precisions = quantization_of(model).precisions
    for found in (*evaluate_requantized(model, data, precisions), *evaluate_shifted(model, data, precisions)):
        yield variant.name, seed, found.bits, found.weights, found.top1, found.verified
    if variant.recalibrated:
        for bits in precisions:
            recalibrate(model, data, bits)
            (found,) = evaluate_shifted(model, data, [bits])
            yield f"{variant.name}, recalibrated", seed, bits, found.weights, found.top1, found.verified


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open() as file:
        return [(v, int(s), int(b), w, float(t), c == "True") for v, s, b, w, t, c in list(csv.reader(file))[1:]]


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["variant", "seed", "bits", "weights", "top1", "verified"])
        writer.writerows(rows)


def page(name: str, study: Study, rows: list[Row], seeds: int) -> str:
    bits = sorted({row[2] for row in rows})
    names = list(dict.fromkeys((row[0], row[3]) for row in rows))
    values = {key: {b: [r[4] for r in rows if (r[0], r[3], r[2]) == (*key, b)] for b in bits} for key in names}
    text = [
        f"# {study.title}\n",
        f"{study.question}\n",
        f"Written by `python benchmarks/studies.py {name} --seeds {seeds}`; every run is in {name}.csv.\n",
        f"Top-1 on the 450 test digits in percent, mean ± standard deviation of {seeds} seeds:\n",
        "| network | weights | " + " | ".join(f"{b} bits" for b in bits) + " |",
        "| --- | --- |" + " --- |" * len(bits),
    ]
    for key in names:
        cells = [f"{statistics.fmean(v):.1f} ± {statistics.stdev(v):.1f}" for v in values[key].values()]
        text.append(f"| {key[0]} | {key[1]} | " + " | ".join(cells) + " |")
    text += [
        "\nDifferences in points, seed by seed, with the 95 % interval of their mean; bold where it excludes zero:\n",
        "| difference | " + " | ".join(f"{b} bits" for b in bits) + " | all |",
        "| --- |" + " --- |" * (len(bits) + 1),
    ]
    for one, other in study.pairs:
        label = f"{one[0]} {one[1]} - {other[0]} {other[1]}"
        effects = {b: [x - y for x, y in zip(values[one][b], values[other][b], strict=True)] for b in bits}
        overall = [statistics.fmean(per_seed) for per_seed in zip(*effects.values(), strict=True)]
        text.append(f"| {label} | " + " | ".join(interval(v) for v in [*effects.values(), overall]) + " |")
    return "\n".join([*text, f"\n![{study.title}]({name}.png)\n"])


def interval(differences: list[float]) -> str:
    mean = statistics.fmean(differences)
    half = STUDENT[len(differences)] * statistics.stdev(differences) / len(differences) ** 0.5
    shown = f"{mean:+.1f} ± {half:.1f}"
    return f"**{shown}**" if abs(mean) > half else shown


def figure(path: Path, study: Study, rows: list[Row]) -> None:
    bits = sorted({row[2] for row in rows})
    axes = plt.figure(figsize=(7, 4.2), layout="constrained").add_subplot()
    keys = list(dict.fromkeys((row[0], row[3]) for row in rows))
    shown = [key for key in keys if any(key in pair for pair in study.pairs)]
    for key in shown if len(shown) <= 8 else [key for key in shown if "rate 0.1" in key[0]]:
        found = [[r[4] for r in rows if (r[0], r[3], r[2]) == (*key, b)] for b in bits]
        style = "--o" if key[1] == "requantized" else "-o"
        spread = [statistics.stdev(v) for v in found]
        axes.errorbar(bits, [statistics.fmean(v) for v in found], spread, fmt=style, capsize=3, label=" ".join(key))
    axes.set(xlabel="weight bits", ylabel="top-1, %", xticks=bits, title=study.title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    plt.gcf().savefig(path, dpi=120)
    plt.close()


def main() -> None:
    known = studies()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=known)
    parser.add_argument("--seeds", type=int, default=3, choices=STUDENT)
    parser.add_argument("--out", type=Path, default=Path("docs/studies"))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.names:
        study, path = known[name], chosen.out / f"{name}.csv"
        rows = read(path)
        for seed in range(chosen.seeds):
            for variant in study.variants:
                if not any(row[:2] == (variant.name, seed) for row in rows):
                    rows += measure(variant, seed)
                    write(path, rows)
                    print(name, variant.name, "seed", seed, "done", flush=True)
        rows = [row for row in rows if row[1] < chosen.seeds]
        (chosen.out / f"{name}.md").write_text(page(name, study, rows, chosen.seeds))
        figure(chosen.out / f"{name}.png", study, rows)


if __name__ == "__main__":
    main()
