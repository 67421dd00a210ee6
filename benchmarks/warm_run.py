"""Seconds of a run whose answers are all known: python -m benchmarks.warm_run [EXPERIMENT] [--times 3]

The experiment (experiments/paper.yaml) is run once with caches of its own, and then again, by turns into the same
folder and into a new one. User and system seconds are those of the process and of what it started: on a busy machine
they tell more than the clock.
"""

from __future__ import annotations

import argparse
import os
import tempfile

from benchmarks.cold_start import ROOT, seconds, show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default=str(ROOT / "experiments/paper.yaml"))
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        print(f"{'':30}{'seconds':>9}{'user':>8}{'system':>8}")
        for number in range(options.times + 1):
            for name, out in (("same folder", "same"), ("new folder", f"new{number}")):
                if number or out == "same":
                    found = seconds(("run", options.experiment, "--out", f"{folder}/{out}"), environment)
                    show(f"known, {name}" if number else "nothing known", found)


if __name__ == "__main__":
    main()
