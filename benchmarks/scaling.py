"""How a proved search grows, seconds and memory: python -m benchmarks.scaling [--most 64] [--figure FILE.svg]

One thing grows at a time: channels of a convolution (more factors), its dimensions (more of them above 1), its divisors
(equal sizes, more ways to factor them), on an architecture; and levels of memory, and units of an array, of a machine
of its own. Every search runs in a forked process, on one thread; seconds are CPU seconds of the search alone, the
kernels being compiled, and memory is what the process grew by. The last line of each table is the exponent: seconds
grow as the size of the space to the power of so much (least squares of the logarithms). ``--figure`` draws the tables.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.mapper import REFERENCE
from tqhw.engine import build_model
from tqhw.mapper import build_mapspace
from tqhw.mapper.branch.solve import solve
from tqhw.report import labels, style
from tqhw.spec import (
    CONV2D,
    ERT,
    Hardware,
    flatten,
    load_architecture,
    load_ert,
    make_problem,
    parse_architecture,
    yamlio,
)

Sizes = dict[str, int]
LAYER = {"C": 12, "M": 16, "P": 12}
ENTRIES = (16, 256, 4096)  # of the buffers, the innermost first


class Case(NamedTuple):
    """A layer on a machine: an architecture's name, or (buffers, units). ``grown``: how much there is of what grows."""

    grown: int
    machine: str | tuple[int, int]
    sizes: Sizes


class Searched(NamedTuple):
    """What a search took."""

    space: int
    nodes: int
    seconds: float
    mebibytes: float


def cases(architecture: str, most: int) -> Iterator[tuple[str, list[Case]]]:
    """What grows, and the searches."""
    steps = [n for n in (8, 16, 32, 64, 128, 256, 512) if n <= most]
    yield "channels", [Case(n, architecture, {"C": n, "M": n, "R": 3, "S": 3, "P": 8, "Q": 8}) for n in steps]
    dims = ["M", "C", "P", "Q", "R", "S"]
    yield "dimensions", [Case(n, architecture, dict.fromkeys(dims[:n], 4)) for n in range(1, len(dims) + 1)]
    divided = [n for n in (8, 16, 24, 36, 48, 60) if n <= most]
    yield "divisors", [Case(_divisors(n), architecture, {"C": n, "M": n, "P": n}) for n in divided]
    yield "levels", [Case(1 + n, (n, 16), LAYER) for n in range(1, len(ENTRIES) + 1)]
    yield "units", [Case(n, (2, n), LAYER) for n in (4, 16, 64, 256, 1024)]


def _divisors(number: int) -> int:
    return sum(number % n == 0 for n in range(1, number + 1))


def machine(given: str | tuple[int, int]) -> tuple[Hardware, ERT]:
    """One of the reference's, or DRAM, so many shared buffers, and an array of so many units."""
    if isinstance(given, str):
        hardware = flatten(load_architecture(REFERENCE / "arch" / f"{given}.yaml"))
        return hardware, load_ert(REFERENCE / "ert" / f"{given}.ERT.yaml")
    buffers, units = given
    nodes = ["!Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}"]
    for i in reversed(range(buffers)):
        nodes.append(f"!Component {{name: B{i}, class: SRAM, attributes: {{datawidth: 8, entries: {ENTRIES[i]}}}}}")
    nodes.insert(-1, f"!Container {{name: PE, spatial: {{meshX: {units}}}}}")  # above the innermost buffer
    nodes.append("!Component {name: mac, class: compute}")
    text = "architecture:\n  version: 0.4\n  nodes:\n" + "".join(f"  - {node}\n" for node in nodes)
    prices = {f"B{i}": {"read": 2.0 * 2**i, "write": 2.0 * 2**i} for i in range(buffers)}
    ert = ERT({"DRAM": {"read": 100.0, "write": 100.0}, **prices, "mac": {"compute": 1.0}})
    return flatten(parse_architecture(yamlio.parse(text), "grown")), ert


def searched(case: Case, objective: str) -> Searched:
    """One search, in this process, which has the kernels."""
    hardware, ert = machine(case.machine)
    problem = make_problem(CONV2D, {**dict.fromkeys(CONV2D.dimensions, 1), **case.sizes})
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    space = build_mapspace(problem, hardware)
    found = solve(space, build_model(problem, hardware, ert), objective)
    assert found.proved
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Searched(space.size, found.nodes, time.process_time() - start, grown / 1024)


def exponent(found: Sequence[Searched]) -> float | None:
    """The slope of the logarithms; None where all spaces are of one size."""
    if len({one.space for one in found}) == 1:
        return None
    spaces = [float(np.log(float(one.space))) for one in found]
    return float(np.polyfit(spaces, np.log([one.seconds for one in found]), 1)[0])


def drawn(tables: dict[str, tuple[Sequence[int], Sequence[Searched]]], objective: str) -> Figure:
    """Seconds above, memory below, a column for what grows; its title has the exponent."""
    figure, axes = style.figure(style.PAGE, 2.9, 2, len(tables), sharex="col", sharey="row")
    for column, (name, (grown, found)) in enumerate(tables.items()):
        power = exponent(found)
        above, below = axes[column], axes[column + len(tables)]
        above.set_title("one space" if power is None else f"space ^ {power:.2f}")
        above.plot(grown, [one.seconds for one in found], color=labels.BLUE, marker="o")
        below.plot(grown, [max(one.mebibytes, 0.1) for one in found], color=labels.VERMILION, marker="o")
        for axis in (above, below):
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.number(value)))
            axis.yaxis.set_minor_formatter(NullFormatter())
            if name in ("channels", "units"):
                axis.set_xscale("log", base=2)
            axis.set_xticks(sorted({min(grown), max(grown)}), labels=[str(n) for n in sorted({min(grown), max(grown)})])
            axis.minorticks_off()
        below.set_xlabel(name)
    axes[0].set_ylabel(f"CPU seconds, {objective}")
    axes[len(tables)].set_ylabel("MiB")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="eyeriss_like")
    parser.add_argument("--objective", default="energy")
    parser.add_argument("--most", type=int, default=64, help="the longest dimension")
    parser.add_argument("--figure", type=Path, help="an .svg file")
    options = parser.parse_args()
    searched(Case(1, options.architecture, {"C": 2, "M": 2}), options.objective)  # loads the kernels
    tables: dict[str, tuple[list[int], list[Searched]]] = {}
    for name, asked in cases(options.architecture, options.most):
        print(f"\n{name}, {options.objective}")
        print(f"{'machine':18}{'layer':32}{'space':>10}{'nodes':>9}{'seconds':>9}{'MiB':>7}")
        tables[name] = [case.grown for case in asked], []
        for case in asked:
            with multiprocessing.get_context("fork").Pool(1) as pool:
                found = pool.apply(searched, (case, options.objective))
            tables[name][1].append(found)
            on = case.machine if isinstance(case.machine, str) else "{} buffers x {}".format(*case.machine)
            layer = " ".join(f"{d}={n}" for d, n in case.sizes.items())
            counts = f"{found.space:10.1e}{found.nodes:9d}{found.seconds:9.3f}{found.mebibytes:7.0f}"
            print(f"{on:18}{layer:32}{counts}", flush=True)
        power = exponent(tables[name][1])
        grow = "seconds grow as the size of the space to the power of"
        print("the size of the space stays" if power is None else f"{grow} {power:.2f}", flush=True)
    if options.figure is not None:
        files = style.rendered(options.figure.stem, partial(drawn, tables, options.objective))
        options.figure.write_text(files.svg, "utf-8")
        options.figure.with_suffix(".png").write_bytes(files.png)


if __name__ == "__main__":
    main()
