"""Our mapper beside AccelForge's on what both can say: python -m benchmarks.accelforge [--python PYTHON] [--size 16 32]

A product of matrices on DRAM, a buffer and registers of 8-bit words, which both may keep or bypass, for energy.
``--python`` is the interpreter of an environment with accelforge (pip install accelforge paretoset; it also calls
graphviz's ``dot``); without it our line alone is printed. CPU seconds are of the searches, modules and kernels loaded.
Timeloop, and so we, charge no read where a memory hands outputs to the next one outwards; AccelForge does: ``by
theirs`` is what our mapping costs with those reads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tqhw.mapper import search
from tqhw.spec import ERT, MATMUL, Problem, Stats, flatten, make_problem, parse_architecture, yamlio

PRICES = {"DRAM": 100.0, "Buffer": 10.0, "Registers": 1.0}  # pJ per word, read or written
WORDS = {16: (256, 8), 32: (512, 16), 64: (1024, 32), 128: (2048, 64)}  # of buffer and registers, by size
BITS = 8

THEIRS = """
import sys, time, json
import accelforge as af
af.set_n_parallel_jobs(1)
spec = af.Spec.from_yaml(*sys.argv[1:])
spec.mapper.metrics = af.mapper.Metrics.ENERGY
start = time.process_time()
found = spec.map_workload_to_arch()
print(json.dumps([float(found.energy()), float(found.latency()), time.process_time() - start]))
"""
WORKLOAD = """
workload:
  iteration_space_shape: {{m: 0 <= m < {n}, k: 0 <= k < {n}, n: 0 <= n < {n}}}
  bits_per_value: {{All: 8}}
  einsums:
  - name: Matmul
    tensor_accesses:
    - {{name: A, projection: [m, k]}}
    - {{name: W, projection: [k, n]}}
    - {{name: Z, projection: [m, n], output: True}}
    renames: {{weight: W, input: A, output: Z}}
"""


def ours(size: int) -> tuple[Stats, float]:
    """Statistics of the proved mapping, and CPU seconds."""
    sizes = dict(zip(("Buffer", "Registers"), WORDS[size], strict=True))
    kept = ", constraints: {dataspace: {keep: [Weights, Inputs, Outputs]}}"
    nodes = [f"!Component {{name: DRAM, class: DRAM, attributes: {{datawidth: {BITS}}}{kept}}}"]
    for name, words in sizes.items():
        nodes.append(f"!Component {{name: {name}, class: SRAM, attributes: {{datawidth: {BITS}, entries: {words}}}}}")
    text = "architecture:\n  version: 0.4\n  nodes:\n" + "".join(
        f"  - {node}\n" for node in [*nodes, "!Component {name: mac, class: compute}"]
    )
    hardware = flatten(parse_architecture(yamlio.parse(text), "three levels"))
    ert = ERT({**{name: {"read": pj, "write": pj} for name, pj in PRICES.items()}, "mac": {"compute": 1.0}})
    search(_product(2), hardware, ert)  # loads the kernels
    start = time.process_time()
    found = search(_product(size), hardware, ert)
    assert found.proved_optimal
    return found.stats, time.process_time() - start


def handed_out_pj(stats: Stats) -> float:
    """The reads of outputs on their way out: as many as the next memory is updated."""
    kept = [name for name, level in stats.levels.items() if "Outputs" in level.dataspaces]  # the innermost first
    return sum(PRICES[inner] * stats.levels[outer].dataspaces["Outputs"].updates for inner, outer in pairwise(kept))


def _product(size: int) -> Problem:
    return make_problem(MATMUL, {"M": size, "K": size, "N": size})


def theirs(size: int, python: str) -> tuple[float, float, float]:
    """pJ, cycles and CPU seconds of AccelForge's answer."""
    memories = ""
    for name, words in zip(PRICES, (None, *WORDS[size]), strict=True):
        bits, keep = ("inf", "keep") if words is None else (words * BITS, "may_keep")
        acts = ", ".join(
            f"{{name: {act}, energy: {PRICES[name]}, throughput: inf, bits_per_action: {BITS}}}"
            for act in ("read", "write")
        )
        memories += f"  - !Memory {{name: {name}, size: {bits}, leak_power: 0, area: 0, tensors: {{{keep}: All}}, "
        memories += f"actions: [{acts}]}}\n"
    compute = "  - !Compute {name: mac, leak_power: 0, area: 0, actions: [{name: compute, energy: 1, throughput: 1}]}\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "arch.yaml").write_text(f"arch:\n  nodes:\n{memories}{compute}")
        (folder / "workload.yaml").write_text(WORKLOAD.format(n=size))
        command = [python, "-c", THEIRS, "arch.yaml", "workload.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    energy, cycles, seconds = json.loads(done.stdout.strip().splitlines()[-1])
    return energy, cycles, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="an interpreter that has accelforge")
    parser.add_argument("--size", type=int, nargs="+", choices=[*WORDS], default=[16, 32])
    options = parser.parse_args()
    print(f"{'size':>5}  {'mapper':12}{'pJ':>14}{'by theirs':>14}{'cycles':>12}{'CPU s':>9}")
    for size in options.size:
        stats, seconds = ours(size)
        told = f"{stats.energy_pj:14,.0f}{stats.energy_pj + handed_out_pj(stats):14,.0f}{stats.cycles:12,}"
        print(f"{size:5}  {'tqhw':12}{told}{seconds:9.2f}", flush=True)
        if options.python is not None:
            energy, cycles, took = theirs(size, options.python)
            print(f"{size:5}  {'accelforge':12}{energy:14,.0f}{energy:14,.0f}{cycles:12,.0f}{took:9.2f}", flush=True)


if __name__ == "__main__":
    main()
