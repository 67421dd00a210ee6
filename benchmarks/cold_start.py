"""Seconds until a command answers, on a machine that has never run tqhw: python benchmarks/cold_start.py

Each command runs in a process of its own: the help text; a layer's mapping with nothing compiled; the same with the
kernels compiled; the same out of the mapping cache. What compiling takes is the second less the third. User and system
seconds are those of the process and of what it started: on a busy machine they tell more than the clock.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAP = ("map", "--arch", "eyeriss_like", "--problem", str(ROOT / "workloads/resnet18/02_layer1.0.conv1.yaml"))
FIRST, COMPILED = "first map, nothing compiled", "map, compiled"
STEPS = (
    ("help", ("--help",)),
    (FIRST, (*MAP, "--no-cache")),
    (COMPILED, MAP),
    ("map, out of the cache", MAP),
)


def seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float, float]:
    """(seconds by the clock, user, system) of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "tqhw", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


def show(name: str, found: tuple[float, float, float]) -> None:
    wall, user, system = found
    print(f"{name:30}{wall:9.2f}{user:8.2f}{system:8.2f}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": f"{folder}/numba", "XDG_CACHE_HOME": f"{folder}/cache"}
        print(f"{'':30}{'seconds':>9}{'user':>8}{'system':>8}")
        found = {}
        for name, arguments in STEPS:
            found[name] = seconds(arguments, environment)
            show(name, found[name])
        wall, user, system = (a - b for a, b in zip(found[FIRST], found[COMPILED], strict=True))
        show("all that is compiled", (wall, user, system))


if __name__ == "__main__":
    main()
