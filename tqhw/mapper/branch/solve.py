"""The exact search over all keep/bypass choices: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from tqhw.engine import Batch, Model
from tqhw.mapper.bound.prices import Bypass, compulsory
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.branch.incumbent import Clock, Incumbent, Offers, OutOfTimeError
from tqhw.mapper.branch.sweeps import PAIRS
from tqhw.mapper.space.mapspace import Mapspace, most_units
from tqhw.mapper.space.orders import LoopOrders, build_orders
from tqhw.mapper.space.subspace import count_pairs, narrowed, whole
from tqhw.objectives import Objective, objective_of

TILES_PER_S = 250_000  # tables, with room to spare: twice as many on a machine with nothing else to do
SMALLER = 4  # times the pairs of one part of the space to the next,
PART = 16  # and of the largest part to the whole
LARGE = 20_000_000  # pairs, of all keep/bypass choices together, from which on a good mapping is sought first
GLANCE_LOOKS = 400  # at every choice, before any is searched to its end
DIVE_LOOKS = 64  # at a dive that only may improve on what there is
NEAR = 1.4  # times a floor: a mapping known to cost less is a limit itself
RISING = (0.9, 0.95, 0.98)  # of what it costs: limits of a search that may be stopped, for a bound that is near early
KEPT_BYTES = 1 << 29  # of the tables of all choices that are kept from one limit to the next
KEPT_TILES = 100_000  # of all choices together, whose tables are kept from bounding the root to the search
MOST_BYPASSES, WARM_BYPASSES = 64, 8  # choices looked at for a first mapping, and those of the first glance


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


def solve(
    space: Mapspace,
    model: Model,
    objective: str | Objective,
    clock: Clock | None = None,
    first: bool = False,
    front: Offers | None = None,
    incumbent: Incumbent | None = None,
    orders: LoopOrders | None = None,
) -> Outcome:
    """The best mapping of the space, and a bound below every mapping of it; with ``first``, any mapping that fits.

    The ``clock`` of a budget runs from when it was made; armed, there is something else to show. ``front`` is offered
    all that is priced on the way. ``incumbent``: what mappings cost, and how much less than that is wanted. ``orders``:
    those of the space, if known.
    """
    objective, clock = objective_of(objective), Clock(None) if clock is None else clock
    incumbent = Incumbent(space, model, objective, front) if incumbent is None else incumbent
    if math.prod(map(most_units, space.slots)) < space.least_used:
        return Outcome(None, math.inf, math.inf, True, 0, 0, math.inf)
    hurried = not clock.endless or is_large(space)
    clock.armed |= incumbent.found
    searches = BypassSearches()
    try:
        orders = build_orders(space, model, clock.check) if orders is None else orders
        if clock.armed:
            clock.check()
        tiny = Subproblem.over(space, model, objective, orders, narrowed(space, 0), hurried=not clock.endless)
        BypassSearch(tiny, next(space.masks())).compile_aside(incumbent)
        if hurried:
            first_mapping(tiny, incumbent, clock)
        clock.armed |= incumbent.found
        if hurried and not (first and incumbent.found):
            warm_start(space, model, objective, orders, incumbent, clock)
        if not (first and incumbent.found):
            clock.check()
            subproblem = Subproblem.over(space, model, objective, orders, whole(space), hurried=not clock.endless)
            searches.search(subproblem, space.masks(), incumbent, clock, hurried, first)
    except OutOfTimeError:
        pass
    bound = max(searches.bound(), min(compulsory(space, model, objective), incumbent.value))
    proved = bound >= incumbent.limit
    return Outcome(
        incumbent.batch,
        incumbent.value,
        incumbent.value if proved else bound,
        proved,
        incumbent.evaluated,
        sum(one.nodes for one in searches.begun),
        incumbent.tightness,
    )


def is_large(space: Mapspace) -> bool:
    """Whether it pays to search parts of the space first, so that little of the whole is left to look at."""
    free = sum(kept is None for level in space.keep for kept in level)
    return bool(count_pairs(space, whole(space)) * 2**free >= LARGE)


def first_mapping(subproblem: Subproblem, incumbent: Incumbent, clock: Clock) -> None:
    """Takes a mapping of a tiny part of the space, if one is near; however late it is, where none is known."""
    clock = clock if clock.armed else Clock(None)
    for mask in islice(subproblem.space.masks(), WARM_BYPASSES):
        one = BypassSearch(subproblem, mask)
        one.bound_root(clock)
        one.dive(incumbent, clock, WARM_BYPASSES)
        if incumbent.found:
            return


def warm_start(
    space: Mapspace,
    model: Model,
    objective: Objective,
    orders: LoopOrders,
    incumbent: Incumbent,
    clock: Clock,
) -> None:
    """Searches growing parts of the space, for good mappings early.

    Takes a quarter of the budget at most, or all of it where not even the tables of the whole space could be made.
    """
    lists = whole(space)
    tiles, pairs = math.prod(map(len, lists)), count_pairs(space, lists)
    too_many = clock.budget_s is not None and tiles > TILES_PER_S * clock.budget_s
    part = clock if too_many else clock.part(0.25)
    most = PAIRS
    try:
        while (SMALLER if too_many else PART) * most < pairs and (lists := narrowed(space, most)) != whole(space):
            part.check()
            subproblem = Subproblem.over(space, model, objective, orders, lists, hurried=not clock.endless)
            BypassSearches().search(subproblem, islice(space.masks(), MOST_BYPASSES), incumbent, part, True, False)
            most *= SMALLER
    except OutOfTimeError:
        if part is clock:
            raise
    finally:
        clock.armed |= incumbent.found


class BypassSearches:
    """The searches under all keep/bypass choices."""

    def __init__(self) -> None:
        self.begun: list[BypassSearch] = []
        self.complete = False  # all choices have been begun

    def bound(self) -> float:
        """What every mapping costs at least; 0 before all choices have been begun."""
        return min((one.lower_bound for one in self.begun), default=math.inf) if self.complete else 0.0

    def search(
        self,
        subproblem: Subproblem,
        masks: Iterable[Bypass],
        incumbent: Incumbent,
        clock: Clock,
        hurried: bool,
        first: bool,
    ) -> None:
        """Searches until nothing is left, or a mapping is found if any will do (``first``). Raises OutOfTimeError.

        ``hurried``: dives for a mapping before the fronts are swept in full. Where one is known that costs little more
        than any must, what it costs is the only limit, and bounds of further choices are not worth much effort.
        """
        near = False
        masks = list(masks)
        few = len(masks) * len(subproblem.tables.digits) <= KEPT_TILES
        for mask in masks:
            one = BypassSearch(subproblem, mask)
            one.bound_root(clock, incumbent.value, glance=near)
            if hurried and (incumbent.value == math.inf or not self.begun):
                near = one.lower_bound * NEAR > incumbent.value
                one.dive(incumbent, clock, DIVE_LOOKS if incumbent.value < math.inf else None)
            if first and incumbent.found:
                return
            if not few:
                one.release()
            self.begun.append(one)
        self.complete = True
        self.begun.sort(key=lambda one: one.lower_bound)
        if near and not clock.endless:
            for share in RISING:
                again = share > RISING[0] or subproblem.objective.energy_power == 0
                self._search_below(share * incumbent.value, incumbent, clock, first, again=again)
        for limit in [incumbent.value] if near else incumbent.limits(self.bound()):
            if near and len(self.begun) > 1:
                self._search_below(limit, incumbent, clock, first, GLANCE_LOOKS, again=True)
            self._search_below(limit, incumbent, clock, first)
            if self.bound() >= incumbent.limit or (first and incumbent.found):
                break

    def _search_below(
        self,
        limit: float,
        incumbent: Incumbent,
        clock: Clock,
        first: bool,
        looks: int | None = None,
        again: bool = False,
    ) -> None:
        """Searches what every choice has below a limit; ``looks``: how often at most, for a lower figure first.

        ``again``: higher limits follow. Fronts are swept for what is better than all that is known, and kept for them.
        """
        kept = sum(one.kept_bytes for one in self.begun)
        for one in self.begun:
            before = one.kept_bytes
            if one.lower_bound < min(limit, incumbent.limit):
                one.sweep_below(incumbent.value if again else min(limit, incumbent.value), clock)
                one.search(incumbent, limit, clock, first, looks)
                one.uproot()
            if not again or one.lower_bound >= incumbent.limit or kept - before + one.kept_bytes > KEPT_BYTES:
                one.release()
            kept += one.kept_bytes - before
