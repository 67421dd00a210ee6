"""The search under one keep/bypass choice: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tqhw.engine import Model
from tqhw.engine.jit import Kernel
from tqhw.engine.model import Bools
from tqhw.mapper.bound.measure import ENERGY, most_cycles
from tqhw.mapper.bound.outside import make_outside
from tqhw.mapper.bound.prices import Bypass, build_prices, port_prices
from tqhw.mapper.bound.relaxation import ParetoFronts, Ports, Relaxation, Scratch, make_fronts, make_scratch
from tqhw.mapper.bound.unit_layout import UnitLayout, make_layout
from tqhw.mapper.branch.dominance import make_contexts, with_room
from tqhw.mapper.branch.expand import Tree
from tqhw.mapper.branch.explore import EXHAUSTED, FULL_STACK, explore
from tqhw.mapper.branch.incumbent import Clock, Incumbent, KnownFront
from tqhw.mapper.branch.stack import grown, make_leaves, make_stack
from tqhw.mapper.branch.sweeps import PAIRS, look_ahead, sweep_slot, sweep_slots
from tqhw.mapper.space.arrays import Space, build_space
from tqhw.mapper.space.mapspace import Mapspace
from tqhw.mapper.space.orders import LoopOrders
from tqhw.objectives import Objective

PORT_FRONT = 256  # partial costs of a tile that are kept for the ports; merged, they know little of one another
FRONT_SIZE = 1024  # partial costs of a tile at most; beyond it some are merged
STEPS = 50  # nodes between two looks at the clock
KEPT_LOOKAHEAD = 10_000  # tiles of a space whose tables are kept for every port, too: some MiB each
BATCH = 256  # mappings priced at once

Lists = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Subproblem:
    """What the searches under all keep/bypass choices share."""

    space: Mapspace
    model: Model
    objective: Objective
    orders: LoopOrders
    tables: Space
    known: KnownFront

    @staticmethod
    def over(
        space: Mapspace,
        model: Model,
        objective: Objective,
        orders: LoopOrders,
        lists: Lists,
        known: KnownFront | None = None,
        hurried: bool = False,
    ) -> Subproblem:
        """The tables of the tiles that are made of the divisors ``lists``; what is ``known`` of a front may grow.

        Of energy alone looser bounds do as well, where nobody is ``hurried``, and of equal mappings the one that they
        find first stays the answer.
        """
        tables = build_space(space, model, lists, strict_links=objective.delay_power > 0 or hurried)
        return Subproblem(space, model, objective, orders, tables, known or KnownFront())

    @cached_property
    def layout(self) -> UnitLayout:
        """Work arrays of all sweeps, MiBs of a large array: there may be thousands of choices."""
        tables = self.tables
        return make_layout(tables, int(tables.most_units[0]), (len(tables.level) + 1) * len(tables.bounds), 0)


class BypassSearch:
    """The search under one keep/bypass choice."""

    def __init__(self, subproblem: Subproblem, mask: Bypass) -> None:
        space, tables = subproblem.space, subproblem.tables
        self.tables, self.orders, self.model = tables, subproblem.orders, subproblem.model
        self.objective = subproblem.objective.code
        self.counts_energy = subproblem.objective.energy_power > 0
        self.prices = build_prices(space, subproblem.model, mask, self.counts_energy)
        delays = subproblem.objective.delay_power > 0
        self.known = subproblem.known
        self.least_pj, self.least_cycles = -math.inf, self.known.least_cycles
        self.port_prices = port_prices(space, subproblem.model, mask, delays)
        self.sweep_layout = subproblem.layout
        self.work = self._scratch(1)
        n_spaces, n_dims = tables.relevant.shape
        self.out = make_outside(len(tables.level), n_dims, n_spaces, self.n_ports)
        self.release()
        # The slot from which on no units are left outside: what is inside of it has a floor, and is swept once.
        self.inner = min(len(tables.level) - 2, int(np.flatnonzero(~self.prices.units_left[1:])[0]))
        self.inner_rows = 0
        self.lower_bound = 0.0
        self.nodes = 0

    @property
    def n_ports(self) -> int:
        """Bandwidths that can throttle."""
        return len(self.port_prices.cut_pj)

    def bound_root(self, clock: Clock, limit: float = math.inf, glance: bool = False) -> None:
        """Sweeps fronts of one partial cost up to the last spatial slot; afterwards the lower bound is known.

        Mappings that cost ``limit`` or more do not count. ``glance``: up to the first spatial slot, and no ports.
        """
        self.lookahead = look_ahead(self._bound(), clock)
        if not glance:
            self._bound_cycles(clock, limit)
        self.fronts = self._empty_fronts(1)
        self.inner_rows = 1
        end = self._first_units() if glance else self.inner + 1
        for q in range(end):
            self.fronts, self.inner_rows = sweep_slot(self._bound(), q, self.inner_rows, limit, clock)
        for q in range(end):
            self.lower_bound = max(self.lower_bound, min(limit, float(self.fronts.floor[q])))

    def release(self) -> None:
        """Gives the tables back; they are quick to make again, and there may be thousands of choices."""
        self.fronts = self._empty_fronts(1, 0)
        self.lookahead = self.port_lookahead = np.zeros((0, 0, 0, 0))
        self.ports = self._ports(self._empty_fronts(self.n_ports, 0))
        self.swept = -math.inf  # what stays below is in the fronts

    def uproot(self) -> None:
        """Gives the tree back: contexts grow as nodes are explored. What is swept can be planted again."""
        for name in ("stack", "contexts", "leaves", "layout"):
            vars(self).pop(name, None)

    @property
    def kept_bytes(self) -> int:
        """Of the tables that :meth:`release` would give back."""
        tables = [self.lookahead, self.port_lookahead, *self.fronts, *self.ports.fronts]
        return sum(int(table.nbytes) for table in tables)

    def _first_units(self) -> int:
        """The first spatial slot, or the last slot that a glance sweeps otherwise."""
        return max(1, min(self.inner, int(self.tables.spatial.argmax())))

    def _empty_fronts(self, n_costs: int, n_tiles: int | None = None) -> ParetoFronts:
        n_tiles = len(self.tables.digits) if n_tiles is None else n_tiles
        return make_fronts(len(self.tables.level), n_tiles, n_costs, len(self.tables.relevant))

    def _scratch(self, n_points: int, n_costs: int = 1) -> Scratch:
        return make_scratch(self.tables, self.sweep_layout, n_points, n_costs)

    def _ports(self, fronts: ParetoFronts) -> Ports:
        return Ports(self.port_prices, fronts, np.zeros((1, *fronts.partials.shape[1:])))

    def dive(self, incumbent: Incumbent, clock: Clock, looks: int | None = None) -> None:
        """Looks for a better mapping, on the fronts of bound_root; ``looks``: how often at most."""
        self._sweep_from(self.inner + 1, self.inner_rows, incumbent.value, clock)
        self.search(incumbent, math.inf, clock, first=True, looks=looks)

    def sweep_below(self, limit: float, clock: Clock) -> None:
        """Sweeps the fronts of all slots but the outermost in full, as far as mappings stay below ``limit``.

        Fronts that have been swept as far are searched once more.
        """
        if self.swept >= limit:
            self._plant()
            return
        if len(self.work.rows) < FRONT_SIZE:
            self.work = self._scratch(FRONT_SIZE)
        if len(self.lookahead) == 0:
            self.lookahead = look_ahead(self._bound(), clock)
        if self.least_pj == -math.inf:  # a glance at the root leaves ports out
            self._bound_cycles(clock, limit)
        self.fronts = self._empty_fronts(1)
        self.swept = -math.inf
        self._sweep_from(0, 1, limit, clock)
        self.swept = limit

    def _bound(self) -> Relaxation:
        """The tables as they are now: fronts and stack are replaced where they grow."""
        return Relaxation(
            self.tables,
            self.prices,
            self.orders,
            self.fronts,
            self.lookahead,
            self.objective,
            self.work,
            self.ports,
            self.least_cycles,
            self.known.stairs,
            self.known.least_pj,
        )

    def _tree(self) -> Tree:
        return Tree(self._bound(), self.stack, self.contexts, self.out, self.leaves, self.layout)

    def compile_aside(self, incumbent: Incumbent) -> None:
        """Has what is called last compiled meanwhile, by processes of their own, where nobody ever has."""
        kernel = explore
        if not isinstance(kernel, Kernel) or not kernel.unused:
            return
        self._plant()
        incumbent.compile_aside(self.leaves, self.prices.keep)
        kernel.compile_aside(self._tree(), math.inf, 1, 1)

    def _bound_cycles(self, clock: Clock, limit: float) -> None:
        """Finds what every mapping costs, and one below ``limit`` takes, at least; by fronts of one partial cost."""
        if self.n_ports == 0:
            return
        self.least_pj = self._least_pj(clock) if self.counts_energy else 0.0
        most = self._most_cycles(limit)
        front = self._port_front(self._scratch(1, self.n_ports), self.inner + 1, most, None, clock)
        floor = min(most, float(front.floor[: self.inner + 1].max(initial=0.0)))
        self.least_cycles = max(self.least_cycles, floor)

    def _least_pj(self, clock: Clock) -> float:
        work, end = self._scratch(1), self._first_units()
        bound = self._bound()._replace(objective=ENERGY, fronts=self._empty_fronts(1), work=work)
        return float(sweep_slots(bound, end, math.inf, clock).floor[:end].max())

    def _most_cycles(self, limit: float) -> float:
        """The cycles from which on no mapping is below a limit."""
        least_pj = max(self.least_pj, self.known.least_pj)
        return most_cycles(self.objective, self.known.stairs, limit, least_pj)

    def _sweep_ports(self, clock: Clock, limit: float) -> None:
        """Makes the fronts of the ports, as if the cycles of the slowest were all that a mapping costs.

        As far as mappings below ``limit`` take so many, and only for tiles that have fronts.
        """
        n_slots = len(self.tables.level)
        fronts = self._empty_fronts(self.n_ports, 0)
        if self.n_ports and self.fronts.rows[n_slots - 1].any():
            filled, most = self.fronts.rows[1:] > 0, self._most_cycles(limit)
            work = self._scratch(PORT_FRONT, self.n_ports)
            fronts = self._port_front(work, n_slots - 1, most, filled, clock)
        self.ports = self._ports(fronts)

    def _port_front(self, work: Scratch, end: int, most: float, filled: Bools | None, clock: Clock) -> ParetoFronts:
        """The fronts of the ports around slots 0 .. ``end``, of what takes less than ``most`` cycles.

        ``filled`` [Q, N]: tiles that count, where not all do.
        """
        bound = self._bound()._replace(
            prices=self.port_prices, fronts=self._empty_fronts(self.n_ports), objective=ENERGY, work=work
        )
        ahead = self.port_lookahead
        if ahead.size == 0:
            ahead = look_ahead(bound, clock)
            if ahead.shape[2] <= KEPT_LOOKAHEAD:
                self.port_lookahead = ahead
        if filled is not None:
            ahead = np.where(filled[:, :, None], ahead, np.inf)
        return sweep_slots(bound._replace(lookahead=ahead), end, most, clock)

    def _sweep_from(self, first: int, rows: int, limit: float, clock: Clock) -> None:
        for q in range(first, len(self.tables.level) - 1):
            self.fronts, rows = sweep_slot(self._bound(), q, rows, limit, clock)
        self._sweep_ports(clock, limit)
        self._plant()

    def _plant(self) -> None:
        """A tree with a closed root."""
        n_slots, n_dims, n_spaces = len(self.tables.level), len(self.tables.bounds), len(self.tables.relevant)
        self.stack = make_stack(n_slots, n_dims, n_spaces, 1 << 14, self.n_ports)
        self.contexts = make_contexts(self.tables, self.model)
        self.layout = make_layout(self.tables, int(self.tables.most_units[0]), len(self.out.dim))
        self.leaves = make_leaves(BATCH, len(self.model.mesh_x), n_dims)

    def search(
        self, incumbent: Incumbent, limit: float, clock: Clock, first: bool = False, looks: int | None = None
    ) -> None:
        """Explores until nothing is left that could be better. Raises OutOfTimeError, with the bound as it is then."""
        wanted = 1
        done, better = False, False
        steps = STEPS if math.isinf(clock.end) else max(1, min(STEPS, PAIRS // len(self.tables.digits)))
        try:
            while not done and not (first and better) and looks != 0:
                clock.check()
                looks = None if looks is None else looks - 1
                done, found = self._explore(min(limit, incumbent.limit), wanted, steps)
                if found and incumbent.price(self.leaves, found, self.prices.keep):
                    clock.armed = better = True
                    wanted = 1
                elif found:
                    wanted = min(BATCH, 2 * wanted)
        finally:
            self.nodes += int(self.stack.nodes[0])
            self.lower_bound = max(self.lower_bound, min(self._open_bound(), limit, incumbent.value))

    def _explore(self, limit: float, wanted: int, steps: int) -> tuple[bool, int]:
        """(nothing is left, mappings found)."""
        while True:
            self.contexts = with_room(self.contexts, steps + 1)  # each node keeps one at most
            state, found = explore(self._tree(), limit, wanted, steps)
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
