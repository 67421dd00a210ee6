"""The embedded engine against the real timeloop-model, on whole networks at every weight width.

    python benchmarks/timeloop_agreement.py [--models resnet18 ...] [--bits 1 2 ...] [--search-bits 8] [--out FILE]

Every distinct layer of every network is mapped by our mapper on eyeriss_like at the widths --search-bits, and every
mapping evaluated at every width by our engine and by timeloop-model on PATH. Three ways of storing weights: rows as
wide as the words (bitplane layout), all stored bits fetched (packed layout), and scratchpad rows of a fixed width.
Accelergy's tables are compared with ours, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tqhw import architecture, engine, mapper, models, workload
from tqhw.backends.compare import compare
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Target
from tqhw.backends.timeloop import Options, Timeloop
from tqhw.errors import TqhwError
from tqhw.spec import Mapping, Problem

WAYS = {
    "bitplane": lambda bits: {"weight_bits": bits, "fetch_bits": bits},
    "packed": lambda bits: {"weight_bits": bits, "fetch_bits": 8},
    "fixed_rows": lambda bits: {"weight_bits": bits, "fetch_bits": bits, "weights_spad_row": "fixed"},
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=["resnet18", "resnet50", "mobilenet_v2"])
    parser.add_argument("--bits", nargs="+", type=int, default=list(range(1, 9)))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--search-bits", nargs="+", type=int, default=[8])
    parser.add_argument("--budget", type=float, help="seconds of our mapper per layer")
    parser.add_argument("--out", type=Path, help="a JSON line per width and way")
    given = parser.parse_args()
    layers = {}
    for name in given.models:
        found = workload.extract(models.build(name), models.default_input(name), name=name)
        for layer in found.layers:
            key = (layer.problem.shape.name, *layer.problem.bounds.values(), *layer.problem.coefficients.values())
            layers.setdefault(key, (name, layer))
        print(f"{name}: {len(found.layers)} distinct layers", flush=True)
    print(f"{len(layers)} distinct layers in all", flush=True)
    theirs_engine, ours_engine = Timeloop(Options()), Embedded()
    total = invalid = differing = table_differences = 0
    for way in given.ways:
        mapped = []
        for bits in given.search_bits:
            target = ours_engine.target(design_at(way, bits))
            for model, layer in layers.values():
                name = f"{model} {layer.names[0]}, mapped for {bits} bits"
                mapped.append((name, layer.problem, best(layer.problem, target, given.budget)))
        print(f"{way}: {len(mapped)} mappings", flush=True)
        for bits in given.bits:
            start = time.perf_counter()
            design = design_at(way, bits)
            target, tables = theirs_engine.target(design), ours_engine.target(design)
            same = tables.ert.energies == target.ert.energies and tables.art.areas == target.art.areas
            theirs = theirs_engine.evaluate_all([(problem, target, mapping) for _, problem, mapping in mapped])
            differences = []
            for (name, problem, mapping), answer in zip(mapped, theirs, strict=True):
                mine = engine.evaluate(problem, design.hardware, target.ert, mapping)
                differences += compare(name, mine, answer)
                invalid += not answer.valid
            total += len(theirs)
            differing += len({d.where for d in differences})
            table_differences += not same
            line = {"way": way, "bits": bits, "mappings": len(theirs), "tables_equal": same}
            line["seconds"] = round(time.perf_counter() - start)
            line["differences"] = [str(d) for d in differences]
            print(json.dumps(line), flush=True)
            if given.out:
                with given.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
    print(f"{total} evaluations ({invalid} of invalid mappings), {differing} differ")
    print(f"tables of {table_differences} architectures differ from Accelergy's")
    return 1 if differing or table_differences else 0


def design_at(way: str, bits: int) -> Design:
    found = architecture.render("eyeriss_like", WAYS[way](bits))
    return Design(found.name, found.architecture, found.hardware, found.text, found.components_text)


def best(problem: Problem, target: Target, budget_s: float | None) -> Mapping:
    try:
        return mapper.search(problem, target.hardware, target.ert, budget_s=budget_s).mapping
    except TqhwError:
        if budget_s is None:
            raise
    return mapper.search(problem, target.hardware, target.ert).mapping


if __name__ == "__main__":
    sys.exit(main())
