"""How seconds and memory of a proved search grow: python -m benchmarks.scaling [--architecture NAME] [--most 64]

A convolution grows in one respect at a time: its channels (more factors), its dimensions (more of them above 1), and
its divisors (equal sizes, more ways to factor them). Every search runs in a process of its own, on one thread; seconds
are CPU seconds of the search alone, the kernels being compiled, and memory is what the process grew by. The last line
of each table is the exponent: seconds grow as the size of the space to the power of so much (least squares of the
logarithms).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.mapper import REFERENCE
from tqhw.engine import build_model
from tqhw.mapper import build_mapspace
from tqhw.mapper.branch.solve import solve
from tqhw.spec import CONV2D, flatten, load_architecture, load_ert, make_problem

Sizes = dict[str, int]


def layers(most: int) -> Iterator[tuple[str, list[Sizes]]]:
    """What grows, and the sizes of the layers."""
    steps = [n for n in (8, 16, 32, 64, 128, 256, 512) if n <= most]
    yield "channels", [{"C": n, "M": n, "R": 3, "S": 3, "P": 8, "Q": 8} for n in steps]
    dims = ["M", "C", "P", "Q", "R", "S"]
    yield "dimensions", [dict.fromkeys(dims[:n], 4) for n in range(1, len(dims) + 1)]
    yield "divisors", [{"C": n, "M": n, "P": n} for n in (8, 16, 24, 36, 48, 60) if n <= most]


def searched(architecture: str, sizes: Sizes, objective: str) -> tuple[int, int, float, float]:
    """(mappings in the space, nodes, CPU seconds, MiB that the process grew by) of one search."""
    hardware = flatten(load_architecture(REFERENCE / "arch" / f"{architecture}.yaml"))
    ert = load_ert(REFERENCE / "ert" / f"{architecture}.ERT.yaml")
    ones = dict.fromkeys(CONV2D.dimensions, 1)
    small = make_problem(CONV2D, {**ones, "C": 2, "M": 2})
    solve(build_mapspace(small, hardware), build_model(small, hardware, ert), objective)  # loads the kernels
    problem = make_problem(CONV2D, {**ones, **sizes})
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    space = build_mapspace(problem, hardware)
    found = solve(space, build_model(problem, hardware, ert), objective)
    assert found.proved
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return space.size, found.nodes, time.process_time() - start, grown / 1024


def exponent(spaces: list[int], seconds: list[float]) -> float:
    """The slope of the logarithms."""
    return float(np.polyfit([float(np.log(float(n))) for n in spaces], np.log(seconds), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="eyeriss_like")
    parser.add_argument("--objective", default="energy")
    parser.add_argument("--most", type=int, default=64, help="the longest dimension")
    options = parser.parse_args()
    for name, cases in layers(options.most):
        print(f"\n{name}, {options.objective} on {options.architecture}")
        print(f"{'layer':40}{'space':>10}{'nodes':>9}{'seconds':>9}{'MiB':>7}")
        spaces, seconds = [], []
        for sizes in cases:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                space, nodes, cpu, grown = pool.apply(searched, (options.architecture, sizes, options.objective))
            spaces.append(space)
            seconds.append(cpu)
            layer = " ".join(f"{d}={n}" for d, n in sizes.items())
            print(f"{layer:40}{space:10.1e}{nodes:9d}{cpu:9.3f}{grown:7.0f}", flush=True)
        print(f"seconds grow as the size of the space to the power of {exponent(spaces, seconds):.2f}")


if __name__ == "__main__":
    main()
