"""Seconds of a run whose answers are all known: python -m benchmarks.warm_run [EXPERIMENT] [TIMES]

The experiment (experiments/paper.yaml) is run once with caches of its own, and then again, by turns into the same
folder and into a new one. User and system seconds are those of the process and of what it started: on a busy machine
they tell more than the clock.
"""

from __future__ import annotations

import os
import sys
import tempfile

from benchmarks.cold_start import ROOT, seconds, show


def main() -> None:
    experiment = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "experiments/paper.yaml")
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        print(f"{'':30}{'seconds':>9}{'user':>8}{'system':>8}")
        for number in range(times + 1):
            for name, out in (("same folder", "same"), ("new folder", f"new{number}")):
                if number or out == "same":
                    found = seconds(("run", experiment, "--out", f"{folder}/{out}"), environment)
                    show(f"known, {name}" if number else "nothing known", found)


if __name__ == "__main__":
    main()
