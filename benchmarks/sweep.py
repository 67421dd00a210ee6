"""How a sweep scales: overhead per point, memory, workers side by side, and a thousand workers on paper.

python benchmarks/sweep.py overhead [--points 10000] [--searches 400]   planning, sending and storing, ms a point
python benchmarks/sweep.py memory [--points 1000 10000 100000]          peak memory of the process that plans and stores
python benchmarks/sweep.py workers [--searches 48]                      searches by two workers against one
python benchmarks/sweep.py paper [--workers 1000] [--search-s 1.0]      from measured task and message times

The network is tests/pipeline/tiny.py's; a point differs from the next one in its scenario, or in its accelerator.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import pickle
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tqhw.spec import yamlio
from tqhw.sweep import Sweep, load, local, run
from tqhw.sweep import cluster as cluster_room
from tqhw.sweep import runner as running
from tqhw.sweep.plan import Planner
from tqhw.sweep.tasks import SweepTask, TaskOutcome, versions, work
from tqhw.system.progress import unwatched

EXPERIMENT: dict[str, Any] = {
    "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
    "methods": ["truncquant"],
    "states": ["steady"],
    "quantization": {"first": None, "last": None},
    "spad_models": ["smartbuffer_rf"],
}
LAYERS = 3  # of the network, each searched once on every accelerator
BITS = (2, 4)


def sweep_of(points: int, searches: int, folder: Path) -> Sweep:
    """A sweep of so many points with so many distinct searches, as near as layers and precisions allow."""
    machines = max(1, round(searches / (LAYERS * len(BITS))))
    scenarios = max(1, round(points / (machines * len(BITS))))
    grid = {
        "architecture.params.weights_spad_rows": {"from": 100, "to": 99 + machines},
        "bits": list(BITS),
        "scenario.quantizer": {"from": 1.0, "to": float(scenarios)},  # changes nothing that is searched
    }
    path = folder / "sweep.yaml"
    path.write_text(yamlio.dump({"experiment": EXPERIMENT, "grid": grid}))
    return load(path)


class Timed:
    """Workers that are there already, whose work is timed."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.worked = cluster, 0.0

    def outcomes(self, tasks: Iterable[SweepTask]) -> Iterator[tuple[SweepTask, TaskOutcome]]:
        for task, outcome in self.cluster.outcomes(tasks):
            self.worked += outcome.seconds
            yield task, outcome

    @contextmanager
    def start(self) -> Iterator[Any]:
        yield self


class Known:
    """Answers every search with the one that it was given first; nothing is searched and nothing is sent."""

    def __init__(self) -> None:
        self.answers: dict[str, TaskOutcome] = {}

    def outcomes(self, tasks: Iterable[SweepTask]) -> Iterator[tuple[SweepTask, TaskOutcome]]:
        for task in tasks:
            kind = f"{task.kind} {task.arguments[2].problem.name if task.kind == 'search' else task.key}"
            if kind not in self.answers:
                self.answers[kind] = work(versions(), task.kind, task.arguments)
            yield task, self.answers[kind]

    @contextmanager
    def start(self) -> Iterator[Any]:
        yield self


def overhead(points: int, searches: int) -> None:
    """A sweep on two workers: what this process does for it, and what is lost between the searches.

    Processor time of this process, so that others on the machine count little; Dask's scheduler is in it.
    """
    with tempfile.TemporaryDirectory() as name, local(2) as cluster:
        folder = Path(name)
        cluster.client.wait_for_workers(2)
        sweep = sweep_of(points, searches, folder)
        list(cluster.outcomes(_warming(sweep)))
        timed, scenarios = Timed(cluster), Clock(running._SweepRun, "_point")
        started, own = time.perf_counter(), time.process_time()
        done = run(sweep, folder / "out", timed.start, watch=unwatched, cache=False).get("done", 0)
        wall, own = time.perf_counter() - started, time.process_time() - own
        with running.opened(folder / "out") as store:
            distinct = len(store.known("searches"))
    rest = own - scenarios.seconds
    print(
        f"{done} points, {distinct} distinct searches: {wall:.1f} s in all, {timed.worked:.1f} s of work on 2 workers"
    )
    print(f"  scenarios of the points: {scenarios.seconds:.1f} s of processor time, {_each(scenarios.seconds, done)}")
    print(f"  planning, sending and storing: {rest:.1f} s of processor time, {_each(rest, done)} (at most 2)")


def _each(seconds: float, points: int) -> str:
    return f"{1e3 * seconds / max(1, points):.2f} ms a point"


def _warming(sweep: Sweep) -> list[SweepTask]:
    """A search for each worker, which loads the compiled kernels."""
    plan = Planner().plan(next(iter(sweep)).experiment())
    plan.price([work(versions(), task.kind, task.arguments).value for task in plan.table_tasks()])
    tasks = plan.search_tasks(cache=False)
    return [SweepTask(task.kind, f"warm-{number}", task.arguments) for number, task in enumerate(tasks * 4)]


class Clock:
    """Adds up the processor time in a method."""

    def __init__(self, owner: type, name: str) -> None:
        self.seconds = 0.0
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any) -> Any:
            started = time.process_time()
            try:
                return method(*args)
            finally:
                self.seconds += time.process_time() - started

        setattr(owner, name, timed)


def memory(points: list[int]) -> None:
    """Each number of points in a process of its own, with one and the same small set of searches."""
    for number in points:
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=_peak, args=(number, queue))
        process.start()
        done, peak, seconds = queue.get()
        process.join()
        print(f"{done:>7} points: {peak:.0f} MB at most, {seconds:.0f} s, {1e3 * seconds / done:.2f} ms a point")


def _peak(points: int, queue: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        started = time.perf_counter()
        counts = run(sweep_of(points, 12, Path(name)), Path(name) / "out", Known().start, watch=unwatched, cache=False)
        seconds = time.perf_counter() - started
    queue.put((counts["done"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds))


def workers(searches: int) -> None:
    """The same searches, of ResNet-18's layers, by one worker and by two, in turn."""
    tasks = _searches(searches)
    seconds = {}
    for count in (1, 2, 1, 2):
        with local(count) as cluster:
            cluster.client.wait_for_workers(count)
            list(cluster.outcomes([SweepTask(t.kind, f"warm-{n}", t.arguments) for n, t in enumerate(tasks[:1] * 4)]))
            started = time.perf_counter()
            worked = sum(outcome.seconds for _, outcome in cluster.outcomes(tasks))
            wall = time.perf_counter() - started
        seconds[count] = min(seconds.get(count, wall), wall)
        print(f"{count} workers: {wall:.1f} s for {len(tasks)} searches, {worked:.1f} s of work")
    print(f"two workers are {seconds[1] / seconds[2]:.2f} times as fast as one (at least 1.8 on two idle processors)")


def _searches(count: int) -> list[SweepTask]:
    """Distinct searches of some tenths of a second."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "sweep.yaml"
        experiment = {**EXPERIMENT, "model": {"name": "resnet18"}, "bits": [4]}
        rows = {"from": 100, "to": 100 + count // 12}
        path.write_text(
            yamlio.dump({"experiment": experiment, "grid": {"architecture.params.weights_spad_rows": rows}})
        )
        planner, found = Planner(), {}
        for point in load(path):
            plan = planner.plan(point.experiment())
            plan.price([work(versions(), task.kind, task.arguments).value for task in plan.table_tasks()])
            found |= {task.key: task for task in plan.search_tasks(cache=False)}
    return sorted(found.values(), key=lambda task: task.size)[:count]


def paper(count: int, search_s: float) -> None:
    """A thousand workers by the times of their parts, measured here: who is busy, and what the sweep waits for.

    The scheduler and the client take turns with one message each way a task; planning and storing are the client's. A
    worker that has sent its answer waits for its next task.
    """
    task = _searches(12)[0]
    outcome = work(versions(), task.kind, task.arguments)
    sizes = [len(pickle.dumps((task.kind, task.arguments))), len(pickle.dumps(outcome))]
    message_s = _sending(task, outcome)
    store_s = _storing(outcome)
    each = max(message_s, store_s)
    print(f"inputs of a search {sizes[0] / 1e3:.1f} kB, its answer {sizes[1] / 1e3:.1f} kB")
    print(f"scheduler and client need {1e3 * message_s:.2f} ms for a task, keeping its answer {1e3 * store_s:.2f} ms")
    for workers_ in sorted({1, 10, 100, count}):
        tasks = 100 * workers_
        seconds = _simulated(workers_, tasks, search_s, message_s, store_s)
        told = f"{tasks} searches of {search_s:g} s in {seconds:.0f} s"
        print(f"{workers_:>5} workers: {told}, efficiency {tasks * search_s / workers_ / seconds:.0%}")
    busy = count * each / search_s
    named = "the scheduler's messages" if message_s >= store_s else "keeping answers"
    print(
        f"bottleneck: {named}, which {search_s / each:.0f} workers keep busy with searches of {search_s:g} s"
        + (f"; {count} workers need searches of {count * each:.2g} s at least" if busy > 1 else "")
    )


def _sending(task: SweepTask, outcome: TaskOutcome) -> float:
    """Processor time of scheduler and client for a task, its inputs and its answer, that takes its worker no time."""
    with local(1) as cluster, ExitStack() as stack:
        stack.callback(setattr, cluster_room, "work", cluster_room.work)
        cluster_room.work = lambda *_: outcome
        cluster.client.wait_for_workers(1)
        echoes = [SweepTask("search", str(number), task.arguments) for number in range(1100)]
        list(cluster.outcomes(echoes[:100]))
        started = time.process_time()
        list(cluster.outcomes(echoes[100:]))
        return (time.process_time() - started) / 1000


def _storing(outcome: TaskOutcome) -> float:
    with tempfile.TemporaryDirectory() as name, running.opened(name, write=True) as store:
        started = time.perf_counter()
        for number in range(1000):
            store.put_search(str(number), outcome.value, outcome.seconds)
        return (time.perf_counter() - started) / 1000


def _simulated(workers_: int, tasks: int, search_s: float, message_s: float, store_s: float) -> float:
    """When the last answer is kept. The scheduler handles one message after the other, and so does the client."""
    scheduler = client = 0.0
    ends: list[float] = []
    for _ in range(min(workers_, tasks)):
        scheduler += message_s / 2
        heapq.heappush(ends, scheduler + search_s)
    left = tasks - len(ends)
    while ends:
        scheduler = max(scheduler, heapq.heappop(ends)) + message_s / 2
        client = max(client, scheduler) + store_s
        if left:
            left -= 1
            scheduler += message_s / 2
            heapq.heappush(ends, scheduler + search_s)
    return client


def main() -> None:
    """One benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "memory", "workers", "paper"))
    parser.add_argument("--points", type=int, nargs="+")
    parser.add_argument("--searches", type=int)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--search-s", type=float, default=1.0)
    asked = parser.parse_args()
    if asked.what == "overhead":
        overhead((asked.points or [10_000])[0], asked.searches or 400)
    elif asked.what == "memory":
        memory(asked.points or [1_000, 10_000, 100_000])
    elif asked.what == "workers":
        workers(asked.searches or 48)
    else:
        paper(asked.workers, asked.search_s)


if __name__ == "__main__":
    main()
