"""Mappings per second of the embedded engine on one core: python benchmarks/engine.py

A ResNet-18 layer (3x3, C=M=128, 28x28) with random factorisations and loop orders, valid and invalid. The peer in
the same run is the engine on one mapping at a time, through its public call. Times are the process's own CPU seconds
on one thread (other processes then count only for what they take from the caches), best of some repetitions. The
machine's own speed stands beside them: turns of a fixed loop over integers, in Python alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from tqhw.engine import Batch, build_model, decode, evaluate, run_batch
from tqhw.spec import CONV2D, flatten, load_architecture, load_ert, make_problem

DATA = Path(__file__).parent.parent / "tests/data/timeloop"
LAYER = {"C": 128, "M": 128, "R": 3, "S": 3, "N": 1, "P": 28, "Q": 28, "G": 1}


def random_batch(bounds: np.ndarray, fanout: np.ndarray, keep: np.ndarray, n: int, seed: int) -> Batch:
    """n random mappings: every prime factor of every bound goes to a random level, most of them far out."""
    rng = np.random.default_rng(seed)
    n_levels, n_dims = len(fanout), len(bounds)
    places = [(int(fanout[i] > 1), i) for i in range(n_levels)]
    factors = np.ones((2, n, n_levels, n_dims), np.int64)
    weights = np.array([0.3 if spatial else 1.0 + 3.0 * level for spatial, level in places])
    for d, bound in enumerate(bounds):
        rest, prime = int(bound), 2
        while rest > 1:
            if rest % prime:
                prime += 1
                continue
            rest //= prime
            choice = rng.choice(len(places), n, p=weights / weights.sum())
            for k, (spatial, level) in enumerate(places):
                factors[spatial, choice == k, level, d] *= prime
    order = np.tile(np.arange(n_dims), (2, n, n_levels, 1))
    rng.permuted(order, axis=-1, out=order)
    split = rng.integers(0, n_dims + 1, (n, n_levels))
    return Batch(factors[0], order[0], factors[1], order[1], split, keep[None])


def take(batch: Batch, rows: np.ndarray) -> Batch:
    """The mappings ``rows`` of a batch."""
    arrays = (getattr(batch, field.name) for field in fields(batch))
    return Batch(*(array[rows] if len(array) > 1 else array for array in arrays))


def per_second(n: int, work: Callable[[], object], repeats: int) -> float:
    """Things done per CPU second, in the best of several repetitions."""
    best = math.inf
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return n / best


TURNS = 2_000_000


def count_turns() -> int:
    """A fixed loop over integers."""
    total = 0
    for i in range(TURNS):
        total += i & 3
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="eyeriss_like")
    parser.add_argument("--mappings", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    hardware = flatten(load_architecture(DATA / f"arch/{arguments.architecture}.yaml"))
    ert = load_ert(DATA / f"ert/{arguments.architecture}.ERT.yaml")
    problem = make_problem(CONV2D, LAYER)
    model = build_model(problem, hardware, ert)
    names = problem.shape.data_space_names
    kept = [level.constraints.kept(names, level.name) for level in hardware.levels]
    keep = np.array([[found[name] is not False for name in names] for found in kept])
    batch = random_batch(model.bounds, np.array([v.fanout for v in hardware.levels]), keep, arguments.mappings, 1)

    start = time.process_time()
    run_batch(model, take(batch, np.arange(10)))
    ready_s = time.process_time() - start
    valid = run_batch(model, batch).rule == 0
    fitting = take(batch, np.flatnonzero(valid))
    singles = [decode(problem, hardware, fitting, i) for i in range(200)]
    all_per_s = per_second(len(batch), lambda: run_batch(model, batch), arguments.repeats)
    valid_per_s = per_second(len(fitting), lambda: run_batch(model, fitting), arguments.repeats)
    single_per_s = per_second(
        len(singles), lambda: [evaluate(problem, hardware, ert, mapping) for mapping in singles], 3
    )

    print(f"this machine:      {per_second(TURNS, count_turns, 3):12,.0f} turns/s of a loop over integers")
    print(f"architecture {hardware.name}, layer {LAYER}")
    print(f"compile or load:   {ready_s:12.1f} s (once per machine and version)")
    print(f"batch, all:        {all_per_s:12,.0f} mappings/s ({valid.mean():.0%} valid)")
    print(f"batch, valid only: {valid_per_s:12,.0f} mappings/s")
    print(
        f"one at a time:     {single_per_s:12,.0f} mappings/s; the batch is {valid_per_s / single_per_s:,.0f}x faster"
    )


if __name__ == "__main__":
    main()
