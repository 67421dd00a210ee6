"""Seconds, space and energy per layer, beside what timeloop-mapper was recorded to find.

    python -m benchmarks.mapper [--arch eyeriss_like] [--network resnet18 ...] [--jobs 2] [--budget S]
        [--live N] [--write mappings]

Without --network: the recorded searches on the reference's eyeriss_like. --live N runs timeloop-mapper, where it is on
PATH, on the first N layers of each network and prints its figures instead of recorded ones. The kernels are compiled
before the clock starts; the first line says how long that took (seconds only where numba's cache is cold).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

from tqhw import architecture, energy
from tqhw.backends import Design, Job, Search, backend
from tqhw.mapper import Answer, NoMapping, Task, search, search_many
from tqhw.spec import (
    CONV2D,
    SHAPES,
    Invalid,
    dump_mapping,
    flatten,
    load_architecture,
    load_ert,
    load_problem,
    make_problem,
    yamlio,
)
from tqhw.system.files import write_text

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "data" / "timeloop"
RECORDS = ROOT / "tests" / "mapper" / "data"


def recorded() -> dict[str, tuple[float, float]]:
    """Layer -> (least energy in pJ, seconds of both runs) of timeloop-mapper."""
    found: dict[str, tuple[float, float]] = {}
    for name in ("searches.jsonl", "searches_long.jsonl"):
        for line in (RECORDS / name).read_text().splitlines():
            record = json.loads(line)
            best, seconds = found.get(record["problem"]["name"], (float("inf"), 0.0))
            found[record["problem"]["name"]] = (min(best, record["energy"]), seconds + record["wall_seconds"])
    return found


def reference_tasks(name: str) -> list[Task]:
    hardware = flatten(load_architecture(REFERENCE / "arch" / f"{name}.yaml"))
    ert = load_ert(REFERENCE / "ert" / f"{name}.ERT.yaml")
    tasks = []
    for line in (RECORDS / "searches.jsonl").read_text().splitlines():
        problem = json.loads(line)["problem"]
        tasks.append(Task(make_problem(SHAPES[problem["shape"]], problem["instance"], problem["name"]), hardware, ert))
    return tasks


def network_tasks(name: str, template: str) -> list[Task]:
    rendered = architecture.render(template, {})
    text = rendered.components_text
    own = energy.parse_components(yamlio.parse(text, "components"), "components") if text else None
    hardware = flatten(rendered.architecture)
    ert = energy.tables(rendered.architecture, own).ert
    files = sorted(p for p in (ROOT / "workloads" / name).glob("*.yaml"))
    return [Task(load_problem(path), hardware, ert) for path in files]


def searched_live(arch: str, tasks: list[Task]) -> dict[str, tuple[float, float]]:
    """Layer -> (energy in pJ, seconds) of timeloop-mapper on this machine."""
    rendered = architecture.render(arch, {})
    design = Design(rendered.name, rendered.architecture, rendered.hardware, rendered.text, rendered.components_text)
    engine = backend("timeloop")
    target = engine.target(design)
    found = {}
    for task in tasks:
        start = time.perf_counter()
        (answer,) = engine.search([Job(task.problem, target)], Search())
        if not isinstance(answer, Invalid):
            found[task.problem.name] = (answer.stats.energy_pj, time.perf_counter() - start)
    return found


def write(folder: Path, tasks: list[Task], answers: list[Answer]) -> None:
    """One mapping per layer as Timeloop reads it, and what they cost."""
    costs = {}
    for task, answer in zip(tasks, answers, strict=True):
        if not isinstance(answer, NoMapping):
            text = dump_mapping(answer.mapping, task.problem.shape.dimensions)
            write_text(folder / f"{task.problem.name}.map.yaml", text)
            costs[task.problem.name] = {
                "energy_pj": answer.stats.energy_pj,
                "cycles": answer.stats.cycles,
                "proved_optimal": answer.proved_optimal,
            }
    write_text(folder / "costs.json", json.dumps(costs, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="eyeriss_like")
    known = sorted(path.name for path in (ROOT / "workloads").iterdir() if path.is_dir())
    parser.add_argument("--network", nargs="*", default=[], choices=known)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=None)
    parser.add_argument("--live", type=int, default=0, metavar="N", help="layers that timeloop-mapper searches too")
    parser.add_argument("--write", type=Path, help="keep the mappings here, as mappings/ does")
    options = parser.parse_args()
    live = shutil.which("timeloop-mapper") or "not on PATH"
    if options.live and shutil.which("timeloop-mapper") is None:
        parser.error("--live needs timeloop-mapper on PATH")
    sets = {n: network_tasks(n, options.arch) for n in options.network} or {
        "recorded searches": reference_tasks(options.arch)
    }
    start = time.perf_counter()
    first = next(iter(sets.values()))[0]
    small = make_problem(CONV2D, {**dict.fromkeys(CONV2D.dimensions, 1), "C": 2, "M": 2})
    search(small, first.hardware, first.ert)
    print(f"kernels ready after {time.perf_counter() - start:.1f} s; timeloop-mapper {live}")
    for name, tasks in sets.items():
        theirs = searched_live(options.arch, tasks[: options.live]) if options.live else recorded()
        print(f"\n{name} on {options.arch}, {options.jobs} jobs")
        print(f"{'layer':34}{'space':>9}{'priced':>9}{'seconds':>9}{'uJ':>11}{'proof':>9}{'theirs uJ':>11}{'s':>7}")
        start = time.perf_counter()
        answers = search_many(tasks, jobs=options.jobs, budget_s=options.budget)
        wall = time.perf_counter() - start
        found = [answer for answer in answers if not isinstance(answer, NoMapping)]
        for task, answer in zip(tasks, answers, strict=True):
            if isinstance(answer, NoMapping):
                print(f"{task.problem.name:34}{answer.message}")
                continue
            proof = "proved" if answer.proved_optimal else f"{answer.gap:.1%}"
            known = theirs.get(task.problem.name)
            beside = f"{known[0] / 1e6:11.2f}{known[1]:7.1f}" if known else ""
            print(
                f"{task.problem.name:34}{answer.space_size:9.1e}{answer.evaluated:9d}{answer.seconds:9.2f}"
                f"{answer.stats.energy_pj / 1e6:11.2f}{proof:>9}{beside}"
            )
        known = [theirs[task.problem.name] for task in tasks if task.problem.name in theirs]
        beside = f"{sum(e for e, _ in known) / 1e6:11.2f}{sum(s for _, s in known):7.1f}" if known else ""
        print(
            f"{f'total, {len(tasks)} layers in {wall:.1f} s':52}{sum(a.seconds for a in found):9.2f}"
            f"{sum(a.stats.energy_pj for a in found) / 1e6:11.2f}"
            f"{f'{sum(a.proved_optimal for a in found)}/{len(tasks)}':>9}{beside}"
        )
        if options.write is not None:
            write(options.write / options.arch / name, tasks, answers)
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"largest process {usage / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
