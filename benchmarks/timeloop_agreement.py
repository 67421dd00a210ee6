"""The embedded engine against the real timeloop-model, on whole networks at every weight width.

    python benchmarks/timeloop_agreement.py [--models resnet18 ...] [--bits 1 2 ...] [--search-bits 8] [--out FILE]

Every distinct layer of every network is mapped by our mapper on eyeriss_like, at every width anew, and the mapping
evaluated by our engine and by timeloop-model on PATH. With --search-bits the mappings found at those widths are
evaluated at every width. Three ways of storing weights: rows as wide as the words (bitplane layout), all stored bits
fetched (packed layout), and scratchpad rows of a fixed width. Accelergy's tables are compared with ours, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqhw import architecture, engine, models, workload
from tqhw.backends import Design, Found, Job, Search, Target
from tqhw.backends.embedded import Embedded
from tqhw.backends.reference.compare import compare
from tqhw.backends.timeloop import Timeloop
from tqhw.options import TimeloopOptions
from tqhw.spec import Invalid
from tqhw.spec import Mapping as LoopMapping
from tqhw.workload import Layer

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
    parser.add_argument("--search-bits", nargs="+", type=int, help="widths to map at; without it, at each width anew")
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
    theirs_engine, ours_engine = Timeloop(TimeloopOptions()), Embedded()
    total = invalid = differing = table_differences = 0
    for way in given.ways:
        for bits in given.bits:
            start = time.perf_counter()
            mapped = []
            for searched in given.search_bits or [bits]:
                target = ours_engine.target(design_at(way, searched))
                for (model, layer), mapping in zip(layers.values(), mappings(layers, target, ours_engine), strict=True):
                    mapped.append((f"{model} {layer.names[0]}, mapped for {searched} bits", layer.problem, mapping))
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


def mappings(layers: Mapping[Any, tuple[str, Layer]], target: Target, ours: Embedded) -> list[LoopMapping]:
    """The best mapping of every layer; the cache has those that were searched before."""
    jobs = [Job(layer.problem, target) for _, layer in layers.values()]
    found = ours.search(jobs, Search())
    lost = [job.problem.name for job, one in zip(jobs, found, strict=True) if isinstance(one, Invalid)]
    if lost:
        sys.exit(f"no mapping of {', '.join(lost)}")
    return [one.mapping for one in found if isinstance(one, Found)]


if __name__ == "__main__":
    sys.exit(main())
