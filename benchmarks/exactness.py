"""Searches against enumerations: python -m benchmarks.exactness [--cases 20000] [--seed 0] [--jobs 1]

As many cases as are asked for, in equal parts from the generators of tests/mapper/exactness.py: small machines and
layers, each searched for energy, latency, their front and edp, four cases that are compared with the costs of all of
its mappings; what the searches price (``priced``) is held against its bounds, of bandwidths too. Prints counts by
generator, and what is wrong with the seed that draws it again; exit code 1 then.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from functools import partial

from tests.mapper.exactness import GENERATORS, Tally, tallied


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes, a generator each; they change no count")
    options = parser.parse_args()
    work = partial(counted, cases=-(-options.cases // len(GENERATORS)), seed=options.seed)
    tallies, seconds = [], 0.0
    print(
        f"{'generator':32}{'machines':>10}{'mappings':>12}{'points':>9}{'priced':>10}{'cases':>9}{'wrong':>7}",
        flush=True,
    )
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for name, (tally, took) in zip(GENERATORS, pool.imap(work, GENERATORS), strict=True):
            tallies.append(tally)
            seconds += took
            show(name, tally)
    counts = ("machines", "mappings", "cases", "points", "priced")
    summed = {part: sum(getattr(one, part) for one in tallies) for part in counts}
    wrong = [text for one in tallies for text in one.wrong]
    show("in all", Tally(**summed, wrong=wrong))
    print(f"{seconds:.0f} CPU seconds", *wrong, sep="\n")
    return 1 if wrong else 0


def counted(name: str, cases: int, seed: int) -> tuple[Tally, float]:
    """What a generator came to, and the CPU seconds that took."""
    start = time.process_time()
    tally = next(one for one in tallied(GENERATORS[name], name, seed) if one.cases >= cases)
    return tally, time.process_time() - start


def show(name: str, tally: Tally) -> None:
    counts = f"{tally.machines:10,}{tally.mappings:12,}{tally.points:9,}{tally.priced:10,}"
    print(f"{name:32}{counts}{tally.cases:9,}{len(tally.wrong):7,}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
