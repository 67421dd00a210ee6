"""A sweep: planned whole, every distinct piece of work done once, results kept as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.hardware import Evaluated
from tqhw.pipeline.training import Measured
from tqhw.results import Results
from tqhw.sweep.cluster import Cluster
from tqhw.sweep.outcomes import front_rows, outcomes
from tqhw.sweep.plan import Planner, PointsPlan, is_here, is_quick, point_key, results, settings_text
from tqhw.sweep.points import Point, Sweep
from tqhw.sweep.progress import Rate
from tqhw.sweep.store import DONE, WAITING, Finished, Store, opened
from tqhw.sweep.tasks import SEARCH, SweepTask, TaskOutcome, versions, work
from tqhw.system import locks
from tqhw.system.progress import Watcher

T = TypeVar("T")
BATCH = 500
"""Points to a transaction."""
FEW_TABLES = 200
"""So many tables are made faster than workers are started."""
LOCK, LOG, POINTS = ".lock", "sweep.log", "points"
Start = Callable[[], AbstractContextManager[Cluster]]
"""Brings up the workers; not called where nothing is left to do."""


@dataclass
class _Needs:
    """What the points of a plan still wait for, and how many there are."""

    plan: PointsPlan
    searches: set[str]
    trainings: dict[str, SweepTask] = field(default_factory=dict)
    points: int = 0

    @property
    def met(self) -> bool:
        return not self.searches and not self.trainings


def run(
    sweep: Sweep,
    out: str | Path,
    start: Start,
    *,
    watch: Watcher,
    cache: bool = True,
    trust: bool = False,
    keep_trainings: bool = True,
) -> dict[str, int]:
    """Runs a sweep, or what is left of it, into the folder ``out``; how many points are done, and how many impossible.

    ``cache``: searches may use and keep answers of earlier ones. ``keep_trainings``: trainings keep checkpoints in the
    folder, which their workers must then see. Raises TqhwError where the folder holds another sweep or cannot be
    written, and for what :class:`tqhw.sweep.points.Sweep` and the cluster refuse.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    held = locks.claim(folder / LOCK, folder, "sweep", "--out")
    try:
        with opened(folder, write=True) as store:
            _check_ours(store, sweep)
            store.forget_refused()
            planner = Planner(folder, trust, keep_trainings)
            _SweepRun(sweep, store, planner, watch, Rate(folder / LOG), cache).run(start, folder / POINTS)
            return store.counts()
    finally:
        locks.release(folder / LOCK, held)


def _check_ours(store: Store, sweep: Sweep) -> None:
    """Raises TqhwError where the file is of another sweep, or of another version."""
    for name, ours in _decides(sweep).items():
        kept = store.meta(name)
        if kept is not None and kept != ours:
            what = "another sweep" if name == "sweep" else f"another version ({_versions(kept)})"
            raise TqhwError(f"holds results of {what}", place=str(store.path), lever="choose another --out")
    store.put_meta(name=sweep.given.name)


def _decides(sweep: Sweep) -> dict[str, Any]:
    """What a file is of. It is written down with the last point: one that no sweep was planned into is nobody's yet."""
    return {"sweep": sweep.described(), "versions": versions()}


def _versions(kept: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in kept.items()) if isinstance(kept, dict) else str(kept)


class _SweepRun:
    """One go at a sweep."""

    def __init__(self, sweep: Sweep, store: Store, planner: Planner, watch: Watcher, rate: Rate, cache: bool) -> None:
        self.sweep, self.store, self.planner, self.watch, self.rate = sweep, store, planner, watch, rate
        self.cache = cache
        self.needs: dict[str, _Needs] = {}

    def run(self, start: Start, reports: Path) -> None:
        """``reports``: the folder of those of points; of points that are not what they were, they are removed."""
        self._plan_points()
        with _LazyCluster(start) as cluster:
            self._price(cluster)
            tasks = self._missing()
            self._remove_stale(reports)
            self._finish_all()
            self._work(cluster, tasks)

    def _plan_points(self) -> None:
        """Writes down every point with its plan, or why it has none."""
        with self.watch("planning points", self.sweep.size) as tick:
            for points in _batches(self.sweep, BATCH):
                self.store.plan_points([self._planned(point) for point in points])
                tick(points[-1].number + 1)
        self.store.end_points(points[-1].number)
        given = self.sweep.given.model_dump(mode="json")
        self.store.put_meta(**_decides(self.sweep), given=given, base=self.sweep.base)

    def _planned(self, point: Point) -> tuple[int, str, str | None, str | None]:
        told = settings_text(point.settings)
        try:
            return point.number, told, self.planner.plan(point.experiment()).key, None
        except TqhwError as error:
            return point.number, told, None, _reason(point.number, error)

    def _price(self, cluster: _LazyCluster) -> None:
        """Energies and areas of every distinct architecture; a plan whose architecture has none is impossible."""
        tasks = {task.key: task for plan in self.planner.plans.values() for task in plan.table_tasks()}
        few = len(tasks) <= FEW_TABLES
        here = [task for task in tasks.values() if is_here(task) or (few and is_quick(task))]
        done = {task.key for task in here}
        sent = (task for task in tasks.values() if task.key not in done)
        tables: dict[str, Any] = {}
        with self.watch(f"tables of {len(tasks)} architectures", len(tasks)) as tick:
            for task, outcome in (*((task, done_here(task)) for task in here), *cluster.outcomes(sent)):
                tables[task.key] = outcome.value if outcome.refused is None else outcome.refused
                tick()
        for plan in [*self.planner.plans.values()]:
            found = [tables[key] for key in plan.tables]
            refused = next((one for one in found if isinstance(one, str)), None)
            try:
                if refused is not None:
                    raise TqhwError(refused)
                plan.price(found)
            except TqhwError as error:
                self._impossible(plan, str(error))

    def _impossible(self, plan: PointsPlan, why: str) -> None:
        rows = self.store.points_of(plan.key)
        self.store.finish_points(Finished(number, why) for number, *_ in rows)
        del self.planner.plans[plan.key]

    def _missing(self) -> Iterator[SweepTask]:
        """What is neither kept nor in the plan of an earlier point, plan by plan; larger ones first."""
        known = {SEARCH: self.store.known("searches"), "training": self.store.known("trainings")}
        searches: set[str] = set()
        trainings: dict[str, SweepTask] = {}
        with self.watch("planning searches", len(self.planner.plans)) as tick:
            for plan in [*self.planner.plans.values()]:
                needs = self._needed(plan, known["training"])
                if needs.points:
                    needs.searches -= known[SEARCH]
                    self.needs[plan.key] = needs
                    searches |= needs.searches
                    trainings |= needs.trainings
                else:
                    del self.planner.plans[plan.key]
                tick()
        self.store.put_meta(searches=len(searches | known[SEARCH]), trainings=len(trainings.keys() | known["training"]))
        self.total = len(searches) + len(trainings)
        return self._in_order(searches, trainings)

    def _needed(self, plan: PointsPlan, known: set[str]) -> _Needs:
        needs, changed, refused = _Needs(plan, {*plan.searches}), [], []
        for number, settings, key, status in self.store.points_of(plan.key):
            experiment = self.sweep.experiment(number, json.loads(settings))
            try:
                trainings = self.planner.trainings(experiment)
            except TqhwError as error:
                refused.append(Finished(number, _reason(number, error)))
                continue
            now = point_key(experiment, plan, trainings)
            if key != now:
                changed.append((now, number))
            elif status != WAITING:
                continue
            needs.points += 1
            needs.trainings |= {task.key: task for task in trainings if task.key not in known}
        if changed:
            self.store.wait_for(changed)
        self.store.finish_points(refused)
        return needs

    def _in_order(self, searches: set[str], trainings: dict[str, SweepTask]) -> Iterator[SweepTask]:
        yield from trainings.values()
        for key in [*self.needs]:
            if key in self.needs:
                plan = self.needs[key].plan
                tasks = {task.key: task for task in plan.search_tasks(self.cache) if task.key in searches}
                searches -= tasks.keys()
                yield from sorted(tasks.values(), key=lambda task: -task.size)

    def _work(self, cluster: _LazyCluster, tasks: Iterator[SweepTask]) -> None:
        waiting = _users(self.needs)
        points = sum(needs.points for needs in self.needs.values())
        if not self.total:
            return
        with self.watch("searches and trainings", self.total) as tick, self.rate.of(self.total, points) as rate:
            for task, outcome in cluster.outcomes(tasks):
                put = self.store.put_search if task.kind == SEARCH else self.store.put_training
                put(task.key, outcome.value if outcome.refused is None else outcome.refused, outcome.seconds)
                finished = 0
                for plan in waiting.pop((task.kind, task.key)):
                    needs = self.needs[plan]
                    needs.searches.discard(task.key)
                    needs.trainings.pop(task.key, None)
                    if needs.met:
                        finished += self._finish(plan)
                tick(note=rate.done(finished))

    def _remove_stale(self, reports: Path) -> None:
        """Reports of points whose inputs have changed, or that are impossible now."""
        done = {number for (number,) in self.store.read("SELECT number FROM points WHERE status = ?", (DONE,))}
        for number, place in reports_in(reports).items():
            if number not in done:
                rmtree(place, ignore_errors=True)

    def _finish_all(self) -> None:
        """Points for which everything is kept."""
        ready = [key for key, needs in self.needs.items() if needs.met]
        with self.watch("points from what is kept", len(ready)) as tick:
            for key in ready:
                self._finish(key)
                tick()

    def _finish(self, key: str) -> int:
        """Works out the points of a plan, which is then done with."""
        needs = self.needs.pop(key)
        plan = self.planner.plans.pop(key)
        waiting = [row for row in self.store.points_of(key) if row[3] == WAITING]
        try:
            evaluated = plan.evaluated(answers_of(plan, self.store))
        except TqhwError as error:
            self.store.finish_points(Finished(number, str(error)) for number, *_ in waiting)
            return needs.points
        for batch in _batches(waiting, BATCH):
            self.store.finish_points([self._point(plan, evaluated, number, text) for number, text, *_ in batch])
        return needs.points

    def _point(self, plan: PointsPlan, evaluated: tuple[Evaluated, ...], number: int, settings: str) -> Finished:
        experiment = self.sweep.experiment(number, json.loads(settings))
        try:
            found = _results(self.planner, self.store, experiment, plan, evaluated)
            return Finished(number, None, outcomes(experiment, found), front_rows(found))
        except TqhwError as error:
            return Finished(number, _reason(number, error))


def reports_in(folder: Path) -> dict[int, Path]:
    """The folders of reports by the numbers of their points."""
    return {int(page.parent.name): page.parent for page in folder.glob("*/report.html") if page.parent.name.isdecimal()}


def _reason(number: int, error: TqhwError) -> str:
    """Why a point is impossible, in the words of others that are so for the same reason: without its number."""
    return str(error).removeprefix(f"point {number}: ")


def answers_of(plan: PointsPlan, store: Store) -> list[Any]:
    """The answers to the plan's searches, in their order. Raises TqhwError where one is still to come."""
    kept = {key: store.search(key, plan.goal) for key in dict.fromkeys(plan.searches)}
    if None in kept.values():
        raise TqhwError("not all of its searches are done", place=str(store.path), lever="run the sweep to its end")
    return [kept[key] for key in plan.searches]


def _results(
    planner: Planner, store: Store, experiment: Experiment, plan: PointsPlan, evaluated: tuple[Evaluated, ...]
) -> Results:
    measured: list[Measured] = []
    trainings = planner.trainings(experiment)
    for task in trainings:
        found = store.training(task.key)
        if found is None or isinstance(found, str):
            raise TqhwError(f"training: {found or 'not done'}")
        measured.append(found)
    return results(experiment, plan, evaluated, trainings, measured)


def point_results(sweep: Sweep, store: Store, number: int, planner: Planner) -> Results:
    """See :func:`tqhw.sweep.folder.read_point`."""
    row = next(iter(store.read("SELECT settings, key, status, reason FROM points WHERE number = ?", (number,))), None)
    place = f"{store.path}: point {number}"
    if row is None:
        raise TqhwError("there is no such point", place=place, lever="tqhw sweep status FOLDER counts them")
    settings, key, status, reason = row
    if status == WAITING:
        raise TqhwError("is not done yet", place=place, lever="run the sweep to its end")
    if reason is not None:
        raise TqhwError(f"has no results: {reason}", place=place)
    experiment = sweep.experiment(number, json.loads(settings))
    plan = planner.plan(experiment)
    if not plan.searches:
        plan.price([_table(task) for task in plan.table_tasks()])
    if point_key(experiment, plan, planner.trainings(experiment)) != key:
        raise TqhwError("its inputs have changed since", place=place, lever="run the sweep again, into another --out")
    return _results(planner, store, experiment, plan, plan.evaluated(answers_of(plan, store)))


def done_here(task: SweepTask) -> TaskOutcome:
    """What a worker would do."""
    return work(versions(), task.kind, task.arguments)


def _table(task: SweepTask) -> Any:
    outcome = done_here(task)
    if outcome.refused is not None:
        raise TqhwError(outcome.refused)
    return outcome.value


class _LazyCluster:
    """Workers that are brought up when there is something to do."""

    def __init__(self, start: Start) -> None:
        self._context = start()
        self._cluster: Cluster | None = None

    def __enter__(self) -> _LazyCluster:
        return self

    def outcomes(self, tasks: Iterable[SweepTask]) -> Iterator[tuple[SweepTask, Any]]:
        """As :meth:`tqhw.sweep.cluster.Cluster.outcomes`."""
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return
        if self._cluster is None:
            self._cluster = self._context.__enter__()
        yield from self._cluster.outcomes(_chain(first, waiting))

    def __exit__(self, *error: Any) -> None:
        if self._cluster is not None:
            self._context.__exit__(*error)


def _chain(first: SweepTask, others: Iterator[SweepTask]) -> Iterator[SweepTask]:
    yield first
    yield from others


def _users(needs: dict[str, _Needs]) -> dict[tuple[str, str], list[str]]:
    """The plans that wait for each piece of work."""
    found: dict[tuple[str, str], list[str]] = {}
    for key, one in needs.items():
        for search in one.searches:
            found.setdefault((SEARCH, search), []).append(key)
        for training in one.trainings:
            found.setdefault(("training", training), []).append(key)
    return found


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
