"""The exact search over all keep/bypass choices: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from tqhw.engine import Batch, Model, run_batch
from tqhw.engine.kernel import Work, make_work
from tqhw.engine.model import Bools
from tqhw.mapper.ahead import energy_ahead, least_words
from tqhw.mapper.answer import OBJECTIVES
from tqhw.mapper.bounds import Outside
from tqhw.mapper.explore import EXHAUSTED, FULL_STACK, explore
from tqhw.mapper.fronts import Fronts, Scratch, sweep
from tqhw.mapper.loops import Choices
from tqhw.mapper.mapspace import Mapspace
from tqhw.mapper.points import HEAD, WIDTH, Plan
from tqhw.mapper.stack import Leaves, grown, make_leaves, make_stack
from tqhw.mapper.tables import Space, build_costs, build_space

FEW_SLOTS, FEW_POINTS, MANY_POINTS = 4, 8, 32  # points per tile where few, and where many slots have free loops
STEPS = 2_000  # nodes between two looks at the clock
BATCH = 256  # mappings priced at once
SLACK = 1e-12  # two costs closer than this are the same: sums of floats in another order


class Clock:
    """Time left of a budget; without one it never runs out."""

    def __init__(self, budget_s: float | None) -> None:
        self.end = math.inf if budget_s is None else time.perf_counter() + budget_s

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.end


class Best:
    """The best mapping so far, and what pricing showed."""

    def __init__(self, space: Mapspace, model: Model, objective: str) -> None:
        self.objective, self.model, self.least_used = objective, model, space.least_used
        self.work: Work = make_work(model)
        self.value = math.inf
        self.batch: Batch | None = None
        self.evaluated = 0
        self.tightness = math.inf  # least ratio of a cost to its bound; below 1 a bound would be wrong

    def price(self, leaves: Leaves, n: int, keep: Bools) -> bool:
        """Takes the best of ``n`` mappings, the first of equals; True if it is better than what was known."""
        batch = leaf_batch(leaves, 0, n, keep)
        counts = run_batch(self.model, batch, work=self.work)
        energy, cycles = counts.energy_pj, counts.cycles.astype(np.float64)
        value = {"energy": energy, "edp": energy * cycles, "latency": cycles}[self.objective]
        used = batch.spatial.prod(axis=(1, 2))
        value = np.where((counts.rule == 0) & (used >= self.least_used), value, np.inf)
        self.evaluated += n
        self.tightness = min(self.tightness, float((value / leaves.bound[:n]).min()))
        i = int(value.argmin())
        if not value[i] < self.value * (1.0 - SLACK):
            return False
        self.value = float(value[i])
        self.batch = leaf_batch(leaves, i, i + 1, keep)
        return True


def leaf_batch(leaves: Leaves, begin: int, end: int, keep: Bools) -> Batch:
    """A copy of some mappings, as the engine takes them."""
    return Batch(
        leaves.temporal[begin:end].copy(),
        leaves.temporal_order[begin:end].copy(),
        leaves.spatial[begin:end].copy(),
        leaves.spatial_order[begin:end].copy(),
        leaves.split[begin:end].copy(),
        keep[None],
    )


@dataclass(frozen=True)
class Outcome:
    """What the search found. ``batch`` is None where no mapping fits."""

    batch: Batch | None
    value: float
    lower_bound: float
    proved: bool
    evaluated: int
    nodes: int
    tightness: float


def solve(space: Mapspace, model: Model, objective: str, budget_s: float | None = None, first: bool = False) -> Outcome:
    """The best mapping of the space, and a bound below every mapping of it; with ``first``, any mapping that fits."""
    clock = Clock(budget_s)
    tables, choices = build_space(space, model)
    best = Best(space, model, objective)
    searches = [MaskSearch(space, tables, choices, model, mask, objective) for mask in space.masks()]
    for i, one in enumerate(searches):
        # Without time left, the other choices stay unbounded, and the gap says so.
        if i == 0 or not clock.over:
            one.sweep_inside()
    opened = sorted((one for one in searches if one.opened), key=lambda one: one.lower_bound)
    for limit in limits(opened[0].lower_bound):
        for one in opened:
            if one.lower_bound < min(limit, best.value * (1.0 - SLACK)) and not (best.batch and (first or clock.over)):
                one.sweep_outside(min(limit, best.value))
                one.run(best, limit, clock, first)
        bound = min(one.lower_bound for one in searches)
        proved = bound >= best.value * (1.0 - SLACK)
        if proved or (best.batch and (first or clock.over)):
            break
    return Outcome(
        best.batch,
        best.value,
        best.value if proved else bound,
        proved,
        best.evaluated,
        sum(one.nodes for one in searches),
        best.tightness,
    )


def limits(floor: float) -> list[float]:
    """What the best mapping may cost, tried one after the other: most are within a few percent of the floor."""
    return [floor * factor for factor in (1.15, 1.5, 2.5) if floor > 0.0] + [math.inf]


class MaskSearch:
    """The search under one keep/bypass choice."""

    def __init__(
        self,
        space: Mapspace,
        tables: Space,
        choices: Choices,
        model: Model,
        mask: tuple[tuple[bool, ...], ...],
        objective: str,
    ) -> None:
        self.tables, self.choices = tables, choices
        self.objective = OBJECTIVES.index(objective)
        self.costs = build_costs(space, model, mask, energy=objective != "latency")
        n_slots, n_dims, n_spaces = len(tables.level), len(tables.bounds), len(tables.relevant)
        live = sum(not slot.spatial and any(f[-1] > 1 for f in slot.factors) for slot in space.slots)
        self.work = make_scratch(n_dims, n_spaces, FEW_POINTS if live <= FEW_SLOTS else MANY_POINTS)
        self.out = make_outside(n_slots, n_dims, n_spaces)
        self.leaves = make_leaves(BATCH, len(model.mesh_x), n_dims)
        self.fronts = make_fronts(n_slots, len(tables.digits), self.work.rows.shape[1])
        words = np.zeros(n_spaces)
        least_words(tables, self.work.tile, self.work.shares, words)
        self.ahead_pj = energy_ahead(tables, self.costs, words)
        # The slot from which on no units are left outside: what is inside of it has a floor, and is swept once.
        self.inner = min(n_slots - 2, int(np.flatnonzero(~self.costs.units_left[1:])[0]))
        self.inner_rows = 0
        self.lower_bound = 0.0
        self.opened = False
        self.nodes = 0

    def sweep_inside(self) -> None:
        """Sweeps the fronts up to the last spatial slot; afterwards the lower bound is known."""
        for q in range(self.inner + 1):
            self.inner_rows = self._sweep(q, self.inner_rows, math.inf)
        if self.inner >= 0:
            self.lower_bound = max(0.0, float(self.fronts.floor[self.inner]))
        self.opened = True

    def sweep_outside(self, limit: float) -> None:
        """Sweeps the fronts of the other slots but the outermost, as far as mappings stay below ``limit``."""
        rows = self.inner_rows
        for q in range(self.inner + 1, len(self.tables.level) - 1):
            rows = self._sweep(q, rows, limit)
        n_slots, n_dims, n_spaces = len(self.tables.level), len(self.tables.bounds), len(self.tables.relevant)
        self.stack = make_stack(n_slots, n_dims, n_spaces, room=1 << 14)

    def _sweep(self, q: int, used: int, limit: float) -> int:
        """Sweeps one slot; returns the rows used."""
        n_tiles = len(self.tables.digits)
        spread = self.objective > 0 or bool(self.costs.units_left[q + 1])
        begin = 0
        while begin < n_tiles:
            begin, used = sweep(
                self.tables,
                self.costs,
                self.choices,
                self.fronts,
                self.objective,
                q,
                begin,
                n_tiles,
                used,
                float(self.ahead_pj[q]),
                limit,
                spread,
                self.work,
            )
            if begin < n_tiles:
                points = self.fronts.points
                self.fronts = self.fronts._replace(points=np.concatenate([points, np.zeros_like(points)]))
        return used

    def run(self, best: Best, limit: float, clock: Clock, first: bool = False) -> None:
        """Explores until nothing is left that could be better, or the time is over."""
        wanted = 1
        done = False
        # The clock only stops a search that has something to show.
        while not done and not (best.batch is not None and (first or clock.over)):
            done, found = self._explore(min(limit, best.value * (1.0 - SLACK)), wanted, STEPS)
            if found and best.price(self.leaves, found, self.costs.keep):
                wanted = 1
            elif found:
                wanted = min(BATCH, 2 * wanted)
        self.nodes += int(self.stack.nodes[0])
        self.lower_bound = max(self.lower_bound, min(self._open_bound(), limit, best.value))

    def _explore(self, limit: float, wanted: int, steps: int) -> tuple[bool, int]:
        """(nothing is left, mappings found)."""
        while True:
            state, found = explore(
                self.tables,
                self.costs,
                self.choices,
                self.fronts,
                self.objective,
                self.stack,
                limit,
                self.out,
                self.work,
                self.leaves,
                wanted,
                steps,
            )
            if state != FULL_STACK:
                return state == EXHAUSTED, found
            self.stack = grown(self.stack)
            if found:
                return False, found

    def _open_bound(self) -> float:
        """The least bound of what is still open."""
        stack = self.stack
        bound = math.inf
        for q in range(int(stack.depth[0]), len(self.tables.level)):
            if stack.next[q] < stack.end[q]:
                bound = min(bound, float(stack.bound[stack.next[q]]))
        return bound


def make_fronts(n_slots: int, n_tiles: int, width: int) -> Fronts:
    """Empty fronts with room for some points."""
    return Fronts(
        np.zeros((n_slots, n_tiles), np.int64),
        np.zeros((n_slots, n_tiles), np.int64),
        np.zeros((n_slots, n_tiles)),
        np.zeros(n_slots),
        np.zeros((max(4096, 2 * n_tiles), width)),
    )


def make_scratch(n_dims: int, n_spaces: int, n_points: int) -> Scratch:
    """Work arrays of one search."""
    width = HEAD + WIDTH * n_spaces

    def ones() -> np.ndarray:
        return np.ones(n_dims, np.int64)

    shares = np.ones(n_spaces)
    plan = Plan(np.ones(n_spaces), np.zeros(n_spaces, np.bool_), np.zeros(n_spaces, np.bool_), np.ones(n_spaces))
    rows, point, start = np.zeros((n_points, width)), np.zeros(width), np.zeros((1, width))
    return Scratch(rows, point, start, plan, shares, shares.copy(), ones(), ones(), ones(), ones())


def make_outside(n_slots: int, n_dims: int, n_spaces: int) -> Outside:
    """A context without loops."""

    def loops() -> np.ndarray:
        return np.zeros((n_slots + 1) * n_dims, np.int64)

    def spaces() -> np.ndarray:
        return np.ones(n_spaces)

    return Outside(
        dim=loops(),
        bound=loops(),
        step=loops(),
        run=spaces(),
        full=spaces(),
        slide=spaces(),
        rank=np.zeros(n_spaces, np.int64),
        words=spaces(),
        mixed=np.zeros(n_spaces, np.bool_),
        multicast=spaces(),
        link=spaces(),
    )
