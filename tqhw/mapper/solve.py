"""The exact search over all keep/bypass choices: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tqhw.engine import Batch, Model
from tqhw.engine.model import Floats
from tqhw.mapper.ahead import energy_ahead, least_words
from tqhw.mapper.answer import OBJECTIVES
from tqhw.mapper.bounds import Outside
from tqhw.mapper.coarse import count_pairs, narrowed, whole
from tqhw.mapper.explore import EXHAUSTED, FULL_STACK, explore
from tqhw.mapper.fronts import Fronts, Scratch, sweep
from tqhw.mapper.loops import Choices, build_choices
from tqhw.mapper.mapspace import Mapspace, most_units
from tqhw.mapper.points import HEAD, WIDTH, Plan
from tqhw.mapper.pricing import SLACK, Best, Clock, OutOfTimeError
from tqhw.mapper.stack import grown, make_leaves, make_stack
from tqhw.mapper.tables import Space, build_costs, build_space

FEW_SLOTS, FEW_POINTS, MANY_POINTS = 4, 8, 32  # points per tile where few, and where many slots have free loops
STEPS, TILES = 50, 128  # nodes, and tiles of a sweep, between two looks at the clock
BATCH = 256  # mappings priced at once
PAIRS = 50_000  # tiles inside tiles that take well below a second
PAIRS_PER_S, TILES_PER_S = 1_000_000, 1_000_000  # sweeping and tables, with room to spare
LOOKS = 64  # at a dive that only may improve on what there is
MASKS, GLANCES = 64, 8  # choices looked at for a first mapping, and those of the first glance

Lists = Sequence[Sequence[int]]


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


@dataclass(frozen=True)
class Ground:
    """What the searches under all keep/bypass choices share."""

    space: Mapspace
    model: Model
    objective: str
    choices: Choices
    tables: Space
    words: Floats  # [S] that any level moves at least

    @staticmethod
    def over(space: Mapspace, model: Model, objective: str, choices: Choices, lists: Lists) -> Ground:
        """The tables of the tiles that are made of the divisors ``lists``."""
        tables = build_space(space, model, lists)
        work, words = make_scratch(len(tables.bounds), len(tables.relevant), 1), np.zeros(len(tables.relevant))
        least_words(tables, work.tile, work.shares, words)
        return Ground(space, model, objective, choices, tables, words)


def solve(space: Mapspace, model: Model, objective: str, budget_s: float | None = None, first: bool = False) -> Outcome:
    """The best mapping of the space, and a bound below every mapping of it; with ``first``, any mapping that fits."""
    best = Best(space, model, objective)
    if math.prod(map(most_units, space.slots)) < space.least_used:
        return Outcome(None, math.inf, math.inf, True, 0, 0, math.inf)
    begin = time.perf_counter()
    choices = build_choices(space, model)
    left_s = None if budget_s is None else max(0.0, budget_s - (time.perf_counter() - begin))
    glance = None if budget_s is None else Ground.over(space, model, objective, choices, narrowed(space, 0))
    if glance is not None:
        look(glance, best)  # before the clock starts: this loads the kernels
    clock = Clock(left_s)
    clock.armed = best.batch is not None
    searches: list[MaskSearch] = []
    proved, begun = False, False
    try:
        if budget_s is not None and not (first and best.batch is not None):
            scout(space, model, objective, choices, best, clock, budget_s)
        if first and best.batch is not None:
            raise OutOfTimeError
        ground = Ground.over(space, model, objective, choices, whole(space))
        for mask in space.masks():
            one = MaskSearch(ground, mask)
            one.sweep_inside(clock)
            if budget_s is not None and (best.batch is None or not searches):
                one.dive(best, clock, None if best.batch is None else LOOKS)
            if first and best.batch is not None:
                raise OutOfTimeError
            one.release()
            searches.append(one)
        begun = True
        searches.sort(key=lambda one: one.lower_bound)
        for limit in limits(min((one.lower_bound for one in searches), default=math.inf)):
            for one in searches:
                if one.lower_bound < min(limit, best.value * (1.0 - SLACK)):
                    one.sweep_outside(min(limit, best.value), clock)
                    one.run(best, limit, clock, first)
            proved = min((one.lower_bound for one in searches), default=math.inf) >= best.value * (1.0 - SLACK)
            if proved or (first and best.batch is not None):
                break
    except OutOfTimeError:
        pass
    # A choice that was not begun may hold anything.
    bound = min((one.lower_bound for one in searches), default=math.inf) if begun else 0.0
    proved = bound >= best.value * (1.0 - SLACK)
    return Outcome(
        best.batch,
        best.value,
        best.value if proved else bound,
        proved,
        best.evaluated,
        sum(one.nodes for one in searches),
        best.tightness,
    )


def look(ground: Ground, best: Best) -> None:
    """Takes a mapping of a tiny part of the space, if one is near."""
    clock = Clock(None)
    for mask in islice(ground.space.masks(), GLANCES):
        one = MaskSearch(ground, mask)
        one.sweep_inside(clock)
        one.dive(best, clock, GLANCES)
        if best.batch is not None:
            return


def scout(
    space: Mapspace, model: Model, objective: str, choices: Choices, best: Best, clock: Clock, budget_s: float
) -> None:
    """Searches growing parts of a space that is too large to be swept in a small share of the budget.

    Takes a quarter of the budget, or all of it where not even the tables of the whole space could be made.
    """
    lists = whole(space)
    tiles, pairs = math.prod(map(len, lists)), count_pairs(space, lists)
    if pairs <= PAIRS_PER_S * budget_s:
        return
    part = clock if tiles > TILES_PER_S * budget_s else clock.part(0.25)
    most = PAIRS
    try:
        while (lists := narrowed(space, most)) != whole(space):
            ground = Ground.over(space, model, objective, choices, lists)
            for mask in islice(space.masks(), MASKS):
                one = MaskSearch(ground, mask)
                one.sweep_inside(part)
                one.dive(best, part)
                one.run(best, math.inf, part)
            if most > pairs:
                return
            most *= 4
    except OutOfTimeError:
        if part is clock:
            raise
    finally:
        clock.armed = best.batch is not None


def limits(floor: float) -> list[float]:
    """What the best mapping may cost, tried one after the other: most are within a few percent of the floor."""
    return [floor * factor for factor in (1.15, 1.5, 2.5) if floor > 0.0] + [math.inf]


class MaskSearch:
    """The search under one keep/bypass choice."""

    def __init__(self, ground: Ground, mask: tuple[tuple[bool, ...], ...]) -> None:
        space, tables = ground.space, ground.tables
        self.tables, self.choices, self.n_levels = tables, ground.choices, len(ground.model.mesh_x)
        self.objective = OBJECTIVES.index(ground.objective)
        self.costs = build_costs(space, ground.model, mask, energy=ground.objective != "latency")
        n_slots, n_dims, n_spaces = len(tables.level), len(tables.bounds), len(tables.relevant)
        live = sum(not slot.spatial and any(f[-1] > 1 for f in slot.factors) for slot in space.slots)
        self.n_points = FEW_POINTS if live <= FEW_SLOTS else MANY_POINTS
        self.work = make_scratch(n_dims, n_spaces, 1)
        self.out = make_outside(n_slots, n_dims, n_spaces)
        self.ahead_pj = energy_ahead(tables, self.costs, ground.words)
        self.fronts = make_fronts(n_slots, 0, self.work.rows.shape[1])
        # The slot from which on no units are left outside: what is inside of it has a floor, and is swept once.
        self.inner = min(n_slots - 2, int(np.flatnonzero(~self.costs.units_left[1:])[0]))
        self.inner_rows = 0
        self.lower_bound = 0.0
        self.nodes = 0

    def sweep_inside(self, clock: Clock) -> None:
        """Sweeps the fronts up to the last spatial slot; afterwards the lower bound is known."""
        if self.fronts.rows.shape[1] == 0:
            self.fronts = make_fronts(len(self.tables.level), len(self.tables.digits), self.work.rows.shape[1])
        self.inner_rows = 0
        for q in range(self.inner + 1):
            self.inner_rows = self._sweep(q, self.inner_rows, math.inf, clock)
        if self.inner >= 0:
            self.lower_bound = max(self.lower_bound, float(self.fronts.floor[self.inner]))

    def release(self) -> None:
        """Gives the fronts back; those of one point are quick to sweep again, and there may be thousands."""
        self.fronts = make_fronts(len(self.tables.level), 0, self.work.rows.shape[1])

    def dive(self, best: Best, clock: Clock, looks: int | None = None) -> None:
        """Looks for a better mapping, on fronts of one point; ``looks``: how often at most."""
        self._sweep_limited(math.inf, clock)
        self.run(best, math.inf, clock, first=True, looks=looks)

    def sweep_outside(self, limit: float, clock: Clock) -> None:
        """Sweeps the fronts of the slots but the outermost in full, as far as mappings stay below ``limit``."""
        if len(self.work.rows) < self.n_points:
            # One point per tile says as much of the bound; what is to be explored needs more.
            self.work = make_scratch(len(self.tables.bounds), len(self.tables.relevant), self.n_points)
            self.sweep_inside(clock)
        self._sweep_limited(limit, clock)

    def _sweep_limited(self, limit: float, clock: Clock) -> None:
        rows = self.inner_rows
        for q in range(self.inner + 1, len(self.tables.level) - 1):
            rows = self._sweep(q, rows, limit, clock)
        n_slots, n_dims, n_spaces = len(self.tables.level), len(self.tables.bounds), len(self.tables.relevant)
        self.stack = make_stack(n_slots, n_dims, n_spaces, room=1 << 14)
        self.leaves = make_leaves(BATCH, self.n_levels, n_dims)

    def _sweep(self, q: int, used: int, limit: float, clock: Clock) -> int:
        """Sweeps one slot; returns the rows used. Raises OutOfTimeError."""
        n_tiles = len(self.tables.digits)
        spread = self.objective > 0 or bool(self.costs.units_left[q + 1])
        begin = 0
        while begin < n_tiles:
            clock.check()
            end = min(begin + self._tiles_at_once(q, begin, clock), n_tiles)
            begin, used = sweep(
                self.tables,
                self.costs,
                self.choices,
                self.fronts,
                self.objective,
                q,
                begin,
                end,
                used,
                float(self.ahead_pj[q]),
                limit,
                spread,
                self.work,
            )
            if begin < end:
                points = self.fronts.points
                self.fronts = self.fronts._replace(points=np.concatenate([points, np.zeros_like(points)]))
        return used

    def _tiles_at_once(self, q: int, begin: int, clock: Clock) -> int:
        """How many tiles to sweep between two looks at the clock: large ones have many tiles inside."""
        if math.isinf(clock.end):
            return TILES
        digits = self.tables.digits[begin : begin + TILES]
        inside = self.tables.n_below[q, np.arange(digits.shape[1]), digits].prod(axis=1).cumsum()
        return max(1, int(np.searchsorted(inside, PAIRS)))

    def run(self, best: Best, limit: float, clock: Clock, first: bool = False, looks: int | None = None) -> None:
        """Explores until nothing is left that could be better. Raises OutOfTimeError, with the bound as it is then."""
        wanted = 1
        done, better = False, False
        steps = STEPS if math.isinf(clock.end) else max(1, min(STEPS, PAIRS // len(self.tables.digits)))
        try:
            while not done and not (first and better) and looks != 0:
                clock.check()
                looks = None if looks is None else looks - 1
                done, found = self._explore(min(limit, best.value * (1.0 - SLACK)), wanted, steps)
                if found and best.price(self.leaves, found, self.costs.keep):
                    clock.armed = better = True
                    wanted = 1
                elif found:
                    wanted = min(BATCH, 2 * wanted)
        finally:
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
        """The least bound of what is still open; before the root is, all that is known of the whole."""
        stack = self.stack
        if int(stack.depth[0]) == len(self.tables.level):
            return self.lower_bound
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
        np.zeros((max(4096, 2 * n_tiles) if n_tiles else 0, width)),
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
