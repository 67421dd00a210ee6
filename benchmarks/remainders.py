"""What remainders and padding bring on layers of awkward sizes: python -m benchmarks.remainders [--verify]

Every layer is searched with factors that divide, padded, and with remainders. Energies with remainders are those of
the whole work, beside Timeloop's count of the mapping. ``--verify`` has the real timeloop-model, on the PATH, evaluate
every mapping that was found: counts, cycles and energy must be ours.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import tqhw
from tqhw.backends import Found, Target
from tqhw.backends.reference.compare import compare
from tqhw.objectives import objective_of
from tqhw.spec import CONV2D, Problem, make_problem

WAYS = {"perfect": {}, "padded": {"pad": True}, "imperfect": {"factors": "imperfect"}}


def conv(name: str, channels: int, filters: int, size: int, taps: int = 3) -> Problem:
    """A square convolution of one picture."""
    bounds = {"C": channels, "M": filters, "R": taps, "S": taps, "N": 1, "P": size, "Q": size, "G": 1}
    return make_problem(CONV2D, bounds, name)


def product(name: str, rows: int, inner: int, columns: int) -> Problem:
    """The same product of matrices, as a convolution with one tap."""
    bounds = {"C": inner, "M": columns, "R": 1, "S": 1, "N": 1, "P": rows, "Q": 1, "G": 1}
    return make_problem(CONV2D, bounds, name)


LAYERS = (
    conv("7 x 7, 64 to 64", 64, 64, 7),
    conv("13 x 13, 32 to 37", 32, 37, 13),
    product("197 tokens, 192 to 192", 197, 192, 192),
    product("997 x 1009, 64 wide", 997, 64, 1009),
)


def told(machine: str, objective: str, problem: Problem, rows: list[tuple[str, Found]], seconds: list[float]) -> None:
    """A line for every way, and how it compares with the first."""
    goal = objective_of(objective)
    base = None
    for (way, found), taken in zip(rows, seconds, strict=True):
        work = found.whole or found.stats
        value = goal.value(work.energy_pj, float(work.cycles))
        base = value if base is None else base
        sure = "proved" if found.proved_optimal else f"gap {found.gap:.1%}"
        larger = {} if found.padded is None else found.padded
        sizes = "".join(f" {d}={n}" for d, n in larger.items() if n != problem.bounds[d])
        print(
            f"{machine:17} {objective:8} {problem.name:23} {way:10} {found.stats.cycles:>11,} cycles  "
            f"{work.energy_pj / 1e6:10.3f} uJ (Timeloop {found.stats.energy_pj / 1e6:10.3f})  "
            f"{problem.computes / (work.cycles * units(found)):6.1%} busy  {base / value:6.3f} x better  "
            f"{sure:10} {found.evaluated:>8,} priced {taken:7.1f} s{sizes}",
            flush=True,
        )


def units(found: Found) -> int:
    """Compute units of the machine."""
    return next(level.instances for level in found.stats.levels.values() if level.kind == "compute")


def verify(machine: Target, problem: Problem, found: Found) -> int:
    """Differences between our counts and those of the real programs."""
    mapped = problem if found.padded is None else replace(problem, bounds=found.padded)
    theirs = tqhw.evaluate(machine, mapped, found.mapping, backend="timeloop")
    differences = compare(problem.name, found.stats, theirs)
    for difference in differences:
        print(f"  DIFFERENT {difference}")
    return len(differences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", nargs="+", default=["eyeriss_like", "weight_stationary"])
    parser.add_argument("--objectives", nargs="+", default=["energy", "edp"])
    parser.add_argument("--layers", nargs="+", type=int, help="positions, from 1; all")
    parser.add_argument("--budget", type=float, help="seconds for a search; none: until it is proved")
    parser.add_argument("--verify", action="store_true")
    asked = parser.parse_args()
    checked = wrong = 0
    for name in asked.machines:
        machine = tqhw.target(name)
        for number in asked.layers or range(1, len(LAYERS) + 1):
            problem = LAYERS[number - 1]
            for objective in asked.objectives:
                rows, seconds = [], []
                for way, options in WAYS.items():
                    start = time.perf_counter()
                    answer = tqhw.search(
                        machine, problem, objective=objective, budget_s=asked.budget, cache=False, **options
                    )
                    assert isinstance(answer, Found), answer
                    rows.append((way, answer))
                    seconds.append(time.perf_counter() - start)
                told(name, objective, problem, rows, seconds)
                if asked.verify:
                    checked += len(rows)
                    wrong += sum(bool(verify(machine, problem, found)) for _, found in rows)
    if asked.verify:
        print(f"{checked} mappings evaluated by the real timeloop-model, {wrong} of them with differences")


if __name__ == "__main__":
    main()
