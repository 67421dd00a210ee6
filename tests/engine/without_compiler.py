"""Run with NUMBA_DISABLE_JIT=1: a mapping that the engine prices and the mapper finds, by Python alone."""

from __future__ import annotations

import sys

import numba

from tests.mapper.places import conv, machine
from tqhw.engine import build_model
from tqhw.engine.kernel import evaluate_batch
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.mapspace import build_mapspace


def main() -> None:
    assert bool(numba.config.DISABLE_JIT) != hasattr(evaluate_batch.compiled, "signatures")
    for architecture, objective, sizes in (
        ("two_level_array", "edp", {"R": 2, "P": 4, "C": 2}),
        ("eyeriss_like", "energy", {"S": 3, "Q": 4, "M": 2}),
        ("simba_like", "latency", {"M": 6, "C": 2}),
    ):
        hardware, ert = machine(architecture)
        problem = conv(**sizes)
        found = solve(build_mapspace(problem, hardware), build_model(problem, hardware, ert), objective)
        sys.stdout.write(f"{float(found.value)!r} {found.proved} {found.evaluated} {found.nodes}\n")


if __name__ == "__main__":
    main()
