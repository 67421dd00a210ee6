"""What the timeloop backend costs over the bare programs: python benchmarks/backend_overhead.py [--victory 200]

Every distinct layer of ResNet-18 is searched twice, in turn: by timeloop-mapper alone, on an input file that is
ready, and by the backend, which renders, runs, reads and checks. One thread each, one at a time, the same input, so
both find the same mapping. The tables are made once, before. CPU seconds (ours and the programs') tell more than wall
time on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqhw import architecture, models, workload
from tqhw.backends import Design, Found, Job, Search
from tqhw.backends.timeloop import Timeloop
from tqhw.options import TimeloopOptions


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--victory", type=int, default=500, help="victory_condition of the searches")
    given = parser.parse_args()
    found = architecture.render("eyeriss_like", {"weight_bits": 4})
    design = Design(found.name, found.architecture, found.hardware, found.text, found.components_text)
    backend = Timeloop(TimeloopOptions(victory_condition=given.victory, jobs=1))
    backend.versions()
    target = backend.target(design)
    layers = workload.extract(models.build("resnet18"), (1, 3, 224, 224), name="resnet18").layers
    total = [0.0] * 4
    for layer in layers:
        text = backend.renderer.mapper(layer.problem, target, "energy", backend.options)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "input.yaml").write_text(text, encoding="utf-8")
            before = clocks()
            with (Path(folder) / "log").open("wb") as log:
                program = [str(backend.programs.mapper), "input.yaml"]
                subprocess.run(program, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=True)
            bare = [now - then for now, then in zip(clocks(), before, strict=True)]
        before = clocks()
        (answer,) = backend.search([Job(layer.problem, target)], Search())
        ours = [now - then for now, then in zip(clocks(), before, strict=True)]
        energy = f"{answer.stats.energy_pj:.6g} pJ" if isinstance(answer, Found) else "nothing found"
        show(layer.names[0], *bare, *ours, energy)
        total = [one + more for one, more in zip(total, (*bare, *ours), strict=True)]
    show("all layers", *total, f"wall {total[2] / total[0] - 1:+z.1%}, CPU {total[3] / total[1] - 1:+z.1%}")
    return 0


def clocks() -> tuple[float, float]:
    """Wall time, and CPU time of this process and its ended children."""
    used = os.times()
    return time.perf_counter(), used.user + used.system + used.children_user + used.children_system


def show(name: str, bare: float, bare_cpu: float, ours: float, ours_cpu: float, more: str) -> None:
    bare_text = f"bare {bare:7.2f} s ({bare_cpu:7.2f} CPU)"
    print(f"{name:<28} {bare_text}   backend {ours:7.2f} s ({ours_cpu:7.2f} CPU)   {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
