"""The exact search over all keep/bypass choices: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from tqhw.engine import Batch, Model
from tqhw.engine.kernel import make_counts, make_work
from tqhw.mapper.bounds import Outside
from tqhw.mapper.explore import EXHAUSTED, FULL_STACK, Best, Leaf, Stack, explore, start
from tqhw.mapper.fronts import HEAD, WIDTH, Fronts, Scratch, sweep
from tqhw.mapper.loops import Choices
from tqhw.mapper.mapspace import Mapspace
from tqhw.mapper.tables import Space, build_costs, build_space

OBJECTIVES = ("energy", "edp", "latency")
POINTS_PER_TILE = 4
STEPS = 2_000  # nodes between two looks at the clock


@dataclass(frozen=True)
class Outcome:
    """What the search found. ``batch`` is None where no mapping fits."""

    batch: Batch | None
    value: float
    lower_bound: float
    proved: bool
    evaluated: int
    nodes: int
    tightness: float  # least ratio of a priced mapping's cost to its bound; at least 1 if the bounds hold


class Clock:
    """Time left of a budget; without one it never runs out."""

    def __init__(self, budget_s: float | None) -> None:
        self.end = math.inf if budget_s is None else time.perf_counter() + budget_s

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.end


def solve(space: Mapspace, model: Model, objective: str, budget_s: float | None = None) -> Outcome:
    """The best mapping of the space, and a bound below every mapping of it."""
    clock = Clock(budget_s)
    tables, choices = build_space(space, model)
    best = _make_best(tables, len(model.mesh_x))
    searches = []
    for mask in space.masks():
        one = MaskSearch(space, tables, choices, model, mask, OBJECTIVES.index(objective))
        one.prepare(clock)
        searches.append(one)
    for one in sorted(searches, key=lambda s: s.lower_bound):
        one.run(best, clock)
    value = float(best.value[0])
    bound = min((one.lower_bound for one in searches), default=math.inf)
    proved = bound >= value * (1 - 1e-9) or (math.isinf(value) and math.isinf(bound))
    batch = None
    if not math.isinf(value):
        batch = Batch(
            best.temporal[None],
            best.temporal_order[None],
            best.spatial[None],
            best.spatial_order[None],
            best.split[None],
            best.keep[None],
        )
    return Outcome(
        batch,
        value,
        value if proved else bound,
        proved,
        sum(int(one.stack.evaluated[0]) for one in searches),
        sum(int(one.stack.nodes[0]) for one in searches),
        min((float(one.stack.tightness[0]) for one in searches), default=math.inf),
    )


class MaskSearch:
    """The search under one keep/bypass choice."""

    def __init__(
        self,
        space: Mapspace,
        tables: Space,
        choices: Choices,
        model: Model,
        mask: tuple[tuple[bool, ...], ...],
        objective: int,
    ) -> None:
        self.tables, self.choices, self.model, self.objective = tables, choices, model, objective
        self.costs = build_costs(space, model, mask, energy=objective < 2)
        n_slots, n_dims, n_spaces = len(tables.level), len(tables.bounds), len(tables.relevant)
        width = HEAD + WIDTH * n_spaces
        self.work = Scratch(
            rows=np.zeros((POINTS_PER_TILE, width)),
            point=np.zeros(width),
            at=np.zeros(n_dims, np.int64),
            tile=np.ones(n_dims, np.int64),
            above=np.ones(n_dims, np.int64),
            factors=np.ones(n_dims, np.int64),
            start=np.zeros((1, width)),
        )
        self.out = _make_outside(n_slots, n_dims, n_spaces)
        self.leaf = _make_leaf(model)
        self.stack = _make_stack(n_slots, n_dims, n_spaces, 1 << 14)
        self.lower_bound = 0.0
        self.opened = False

    def prepare(self, clock: Clock) -> None:
        """Sweeps the fronts of all slots but the outermost, and opens the root."""
        n_slots, n_tiles = len(self.tables.level), len(self.tables.digits)
        width = self.work.rows.shape[1]
        fronts = Fronts(
            np.zeros((n_slots, n_tiles), np.int64),
            np.zeros((n_slots, n_tiles), np.int64),
            np.zeros((n_slots, n_tiles)),
            np.zeros((max(4096, 2 * n_tiles), width)),
        )
        used = 0
        for q in range(n_slots - 1):
            spread = self.objective > 0 or bool(self.costs.units_left[q + 1])
            begin = 0
            while begin < n_tiles:
                begin, used = sweep(self.tables, self.costs, self.choices, fronts, q, begin, used, spread, self.work)
                if begin < n_tiles:
                    fronts = replace_points(fronts, width)
        self.fronts = fronts
        self.used_points = used
        self._open()

    def _open(self) -> None:
        while True:
            top = start(
                self.tables,
                self.costs,
                self.choices,
                self.fronts,
                self.objective,
                self.stack,
                np.inf,
                self.out,
                self.work,
            )
            if top >= 0:
                break
            self.stack = _grow(self.stack)
        self.lower_bound = self._bound()

    def run(self, best: Best, clock: Clock) -> None:
        """Explores until nothing is left that could be better, or the time is over."""
        while not clock.over:
            done = explore(
                self.tables,
                self.costs,
                self.choices,
                self.fronts,
                self.model,
                self.objective,
                self.stack,
                best,
                self.out,
                self.work,
                self.leaf,
                STEPS,
            )
            if done == EXHAUSTED:
                break
            if done == FULL_STACK:
                self.stack = _grow(self.stack)
        self.lower_bound = max(self.lower_bound, self._bound())

    def _bound(self) -> float:
        """The least bound of what is still open."""
        stack = self.stack
        bound = math.inf
        for q in range(int(stack.depth[0]), len(self.tables.level)):
            if stack.next[q] < stack.end[q]:
                bound = min(bound, float(stack.bound[stack.next[q]]))
        return bound


def replace_points(fronts: Fronts, width: int) -> Fronts:
    """The same fronts with room for twice as many points."""
    points = np.zeros((2 * len(fronts.points), width))
    points[: len(fronts.points)] = fronts.points
    return fronts._replace(points=points)


def _grow(stack: Stack) -> Stack:
    def twice(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.zeros_like(array)])

    return stack._replace(bound=twice(stack.bound), child=twice(stack.child), option=twice(stack.option))


def _make_best(tables: Space, n_levels: int) -> Best:
    n_dims, n_spaces = len(tables.bounds), len(tables.relevant)

    def table() -> np.ndarray:
        return np.ones((n_levels, n_dims), np.int64)

    def order() -> np.ndarray:
        return np.tile(np.arange(n_dims), (n_levels, 1))

    return Best(
        np.array([np.inf]),
        table(),
        order(),
        table(),
        order(),
        np.full(n_levels, n_dims, np.int64),
        np.ones((n_levels, n_spaces), np.bool_),
    )


def _make_outside(n_slots: int, n_dims: int, n_spaces: int) -> Outside:
    def loops() -> np.ndarray:
        return np.zeros((n_slots + 1) * n_dims, np.int64)

    return Outside(
        loops(),
        loops(),
        loops(),
        np.ones(n_spaces),
        np.zeros(n_spaces, np.int64),
        np.zeros(n_spaces, np.int64),
        np.zeros(n_spaces),
        np.ones(n_spaces),
        np.ones(n_spaces),
        np.ones(n_spaces),
    )


def _make_leaf(model: Model) -> Leaf:
    n_levels, n_dims = len(model.mesh_x), len(model.bounds)

    def table() -> np.ndarray:
        return np.ones((n_levels, n_dims), np.int64)

    def order() -> np.ndarray:
        return np.tile(np.arange(n_dims), (n_levels, 1))

    counts = make_counts(1, n_levels, len(model.ranks), detail=False)
    split = np.full(n_levels, n_dims, np.int64)
    return Leaf(table(), order(), table(), order(), split, make_work(model), counts)


def _make_stack(n_slots: int, n_dims: int, n_spaces: int, room: int) -> Stack:
    def depth() -> np.ndarray:
        return np.zeros(n_slots + 1, np.int64)

    return Stack(
        tile=depth(),
        settled=np.zeros(n_slots + 1),
        first_visits=np.ones(n_slots + 1),
        used=np.ones(n_slots + 1),
        leaking=np.zeros(n_slots + 1),
        multicast=np.ones((n_slots + 1, n_spaces)),
        link=np.ones((n_slots + 1, n_spaces)),
        factors=np.ones((n_slots, n_dims), np.int64),
        choice=np.zeros(n_slots, np.int64),
        begin=depth(),
        next=depth(),
        end=depth(),
        bound=np.zeros(room),
        child=np.zeros(room, np.int64),
        option=np.zeros(room, np.int64),
        depth=np.zeros(1, np.int64),
        evaluated=np.zeros(1, np.int64),
        nodes=np.zeros(1, np.int64),
        tightness=np.array([np.inf]),
    )
