from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.engine.jit import python
from tqhw.mapper.bound import pareto
from tqhw.mapper.bound.lookahead import offer, take_kind, take_pairs
from tqhw.mapper.bound.pareto import sweep
from tqhw.mapper.bound.prices import Prices
from tqhw.mapper.bound.relaxation import ParetoFronts
from tqhw.mapper.branch import bypass_search, dominance, sweeps
from tqhw.mapper.branch import solve as solving
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.branch.explore import explore
from tqhw.mapper.branch.incumbent import Clock, Incumbent, limits
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import objective_of

COSTS = ("parent_pj", "fill_pj", "first_pj", "cut_pj")  # of every cost its own
CASES = [("two_level_array", "energy"), ("eyeriss_like_free", "edp"), ("simba_like", "latency")]


@pytest.mark.parametrize("glance", [False, True])
@pytest.mark.parametrize(("architecture", "name"), CASES)
def test_the_root_bounds_every_choice_and_the_best_of_all_is_the_answer(
    architecture: str, name: str, glance: bool
) -> None:
    space, model, _ = small(architecture, name, C=4, P=4)
    objective = objective_of(name)
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    clock, values = Clock(None), []
    for mask in space.masks():
        incumbent, one = Incumbent(space, model, objective), BypassSearch(subproblem, mask)
        one.bound_root(clock, glance=glance)
        root = one.lower_bound
        one.sweep_below(math.inf, clock)
        assert (one.ports.fronts.rows.size > 0) == (one.n_ports > 0)  # a glance has none
        assert one.ports.fronts.partials.shape[1] == one.n_ports
        one.search(incumbent, math.inf, clock)
        assert root <= incumbent.value * (1 + 1e-12)
        assert one.lower_bound == pytest.approx(incumbent.value, rel=1e-11)
        values.append(incumbent.value)
    assert min(values) == pytest.approx(solve(space, model, name).value, rel=1e-11)


@pytest.mark.parametrize("name", ["edp", "latency"])
def test_what_is_known_below_a_limit_holds_above_it(name: str) -> None:
    """Where nothing is below a limit, all that is known of cycles is that they reach it."""
    space, model, _ = small("weight_stationary", name, C=4, P=4, M=4)
    objective, clock, mask = objective_of(name), Clock(None), next(space.masks())
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    values, cycles = [], []
    for share in (math.inf, 1.0, 0.9, 0.5):
        incumbent, one = Incumbent(space, model, objective), BypassSearch(subproblem, mask)
        one.sweep_below(share * min(values, default=1.0), clock)
        cycles.append(one.least_cycles)
        one.sweep_below(math.inf, clock)
        one.search(incumbent, math.inf, clock)
        values.append(incumbent.value)
    assert values == values[:1] * 4
    assert name == "edp" or max(cycles) <= values[0]


def test_ports_have_fronts_only_where_energy_has_some_and_below_the_limit() -> None:
    space, model, _ = small("weight_stationary", "edp", C=4, P=4, M=4)
    objective, clock = objective_of("edp"), Clock(None)
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    limit = solve(space, model, "edp").value * 1.05
    swept = {False: 0, True: 0}
    for mask in space.masks():
        one, free = BypassSearch(subproblem, mask), BypassSearch(subproblem, mask)
        one.sweep_below(limit, clock)
        free.sweep_below(math.inf, clock)
        any_left = bool(one.fronts.rows[-2].any())
        swept[any_left] += 1
        rows, all_rows = one.ports.fronts.rows, free.ports.fronts.rows
        assert (rows.size > 0) == any_left
        if any_left:
            assert not (rows[1:] > 0)[one.fronts.rows[1:] == 0].any()
            assert rows.sum() < all_rows.sum()
    assert min(swept.values()) > 0


@pytest.mark.parametrize("name", ["energy", "latency", "edp"])
def test_what_stands_outside_is_looked_at_once_for_energy_and_all_ports(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = small("eyeriss_like", name, C=4, P=4, M=4).search
    clock, looked_ahead, calls = Clock(None), sweeps.look_ahead, [0]

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        return looked_ahead(*arguments)

    monkeypatch.setattr(bypass_search, "look_ahead", counted)
    once = 1 + (one.n_ports > 0)
    assert (once > 1) == (name != "energy")
    one.bound_root(clock)
    assert (one.least_pj > 0.0) == (name == "edp")  # latency asks for no energy
    for limit in (1e300, math.inf):
        one.sweep_below(limit, clock)
    assert calls[0] == once
    one.release()
    one.sweep_below(math.inf, clock)
    assert calls[0] == 2 * once
    one.release()
    monkeypatch.setattr(bypass_search, "KEPT_LOOKAHEAD", 1)  # a large space
    for limit in (1e300, math.inf):
        one.sweep_below(limit, clock)
    assert calls[0] == 2 * once + 1 + 2 * (one.n_ports > 0)


KEPT = {
    "latency": {"C": 1, "M": 16, "S": 3, "P": 4, "Q": 4, "Hstride": 2, "Wstride": 2},
    "edp": {"C": 4, "M": 8, "R": 3, "P": 8, "Q": 7, "Hstride": 2},
}


@pytest.mark.parametrize("name", KEPT)
def test_fronts_that_are_kept_are_swept_once_and_end_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a budget limits rise, and every choice that is left below the second one has its fronts from then on."""
    space, model, _ = small("weight_stationary", name, **KEPT[name])
    sweep_from, swept = BypassSearch._sweep_from, list[float]()

    def counted(self: BypassSearch, first: int, rows: int, limit: float, clock: Clock) -> None:
        swept.append(limit)
        sweep_from(self, first, rows, limit, clock)

    monkeypatch.setattr(BypassSearch, "_sweep_from", counted)
    answers, counts = [], []
    for kept_bytes in (solving.KEPT_BYTES, -1):
        monkeypatch.setattr(solving, "KEPT_BYTES", kept_bytes)
        swept.clear()
        found = solve(space, model, name, Clock(1e6))
        answers.append((found.value, found.lower_bound, found.proved))
        counts.append(len(swept))
    assert answers[0] == answers[1]
    assert answers[0][2]
    assert counts[0] < counts[1]


def of_port(search: BypassSearch, port: int) -> Prices:
    """The prices of one port alone."""
    axes = {name: getattr(search.port_prices, name)[port : port + 1] for name in COSTS}
    return search.port_prices._replace(**axes)


def cycles_floor(search: BypassSearch, most: float = math.inf) -> float:
    """What every mapping takes of the ports at least, by fronts in full."""
    end = len(search.tables.level) - 1
    work = search._scratch(bypass_search.PORT_FRONT, search.n_ports)
    return float(search._port_front(work, end, most, None, Clock(None)).floor[:end].max())


def test_all_ports_together_take_as_long_as_the_slowest_with_the_same_inside() -> None:
    """What is best for one port is bad for another: more is known of all than of each, and no more than is so."""
    space, model, _ = small("weight_stationary", "latency", C=3, M=4, R=7, P=8, Q=4)
    objective = objective_of("latency")
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    together, alone = [], []
    for mask in space.masks():
        search = BypassSearch(subproblem, mask)
        together.append(cycles_floor(search))
        each = []
        for port in range(search.n_ports):
            one = BypassSearch(subproblem, mask)
            one.port_prices = of_port(one, port)
            each.append(cycles_floor(one))
        alone.append(max(each))
        assert together[-1] >= alone[-1]
    assert min(together) <= solve(space, model, "latency").value
    assert together != alone


def test_a_small_space_is_swept_at_once_and_ends_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small("eyeriss_like", "edp", C=4, P=4, M=4)
    answers = []
    for tiles, pairs in ((128, sweeps.MANY_PAIRS), (3, 0)):
        monkeypatch.setattr(sweeps, "TILES", tiles)
        monkeypatch.setattr(sweeps, "MANY_PAIRS", pairs)
        found = solve(space, model, "edp")
        answers.append((found.value, found.evaluated, found.nodes, found.lower_bound))
    assert answers[0] == answers[1]


def test_room_that_grows_keeps_all_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small("eyeriss_like_free", "edp", C=4, P=4, M=4)
    monkeypatch.setattr(bypass_search, "STEPS", 2)
    nodes = []
    for room in (1, dominance.ROOM):
        monkeypatch.setattr(dominance, "FIRST_ROOM", room)
        nodes.append(solve(space, model, "edp").nodes)
    monkeypatch.setattr(bypass_search, "with_room", lambda contexts, _: contexts)
    monkeypatch.setattr(dominance, "FIRST_ROOM", 1)
    assert nodes[0] == nodes[1] < solve(space, model, "edp").nodes


def test_limits_grow_from_the_floor_to_none() -> None:
    assert limits(100.0) == [pytest.approx(115.0), 150.0, 250.0, math.inf]
    assert limits(0.0) == [math.inf]


@pytest.mark.parametrize(("architecture", "objective"), CASES)
def test_kernels_answer_the_same_as_python(architecture: str, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small(architecture, objective, C=2, P=2, R=2)
    compiled = solve(space, model, objective)
    for kernel in (offer, take_kind, take_pairs, sweep):
        monkeypatch.setattr(sweeps, kernel.__name__, python(kernel))
    monkeypatch.setattr(bypass_search, "explore", python(explore))
    interpreted = solve(space, model, objective)
    assert (interpreted.value, interpreted.evaluated, interpreted.nodes, interpreted.lower_bound) == (
        compiled.value,
        compiled.evaluated,
        compiled.nodes,
        compiled.lower_bound,
    )


def test_what_is_kept_is_counted_whole_and_given_back() -> None:
    search = small("weight_stationary", "edp", C=4, P=4, M=4, R=3).search
    empty = search.kept_bytes
    search.sweep_below(math.inf, Clock(None))
    partials = search.fronts.partials.nbytes + search.ports.fronts.partials.nbytes
    assert search.kept_bytes > partials + search.lookahead.nbytes > 0
    search.uproot()
    assert not hasattr(search, "contexts")
    search.sweep_below(math.inf, Clock(None))  # what is swept is planted again
    assert search.contexts.number[0] == 0
    search.release()
    assert search.kept_bytes == empty < 10_000


def test_all_choices_share_the_work_arrays_of_a_unit() -> None:
    """Of a large array these take MiBs, and there may be thousands of choices."""
    space, model, _ = small("eyeriss_like_free", "latency", C=2, P=2)
    subproblem = Subproblem.over(space, model, objective_of("latency"), build_orders(space, model), whole(space))
    one, other = (BypassSearch(subproblem, mask) for mask in islice(space.masks(), 2))
    other.sweep_below(math.inf, Clock(None))  # makes larger ones
    assert one.work.layout is other.work.layout
    assert one.work.rows is not other.work.rows


def fronts_below(limit: float, cut_pj: float, port: bool) -> ParetoFronts:
    """Fronts of energy, or of a port that alone takes time, where so much may be cut off every cost."""
    search = small("weight_stationary", "latency" if port else "energy", C=4, M=8, R=3, P=4).search
    prices = of_port(search, 0) if port else search.prices
    dear = {name: 1000.0 * getattr(prices, name) for name in COSTS}
    prices = prices._replace(**dear | {"cut_pj": np.array([cut_pj])})
    if port:
        search.port_prices = prices
        work = search._scratch(64)
        return search._port_front(work, len(search.tables.level) - 1, limit, None, Clock(None))
    search.prices = prices
    search.sweep_below(limit, Clock(None))
    return search.fronts


@pytest.mark.parametrize("port", [False, True])
def test_a_limit_leaves_what_it_left_without_the_cut_and_as_much_above(port: bool) -> None:
    """Whatever compares with a limit knows what may be cut off: the same fronts are left."""
    floor = fronts_below(math.inf, 0.0, port).floor[:-1].max()
    cut_pj = 2.0 ** math.floor(math.log2(floor / 4.0))
    sizes = set()
    for share in (0.5, 0.8, 0.9, 1.0, 1.1, 1.5, 3.0):
        limit = round(share * floor) + 0.5
        cut, whole = fronts_below(limit - cut_pj, cut_pj, port), fronts_below(limit, 0.0, port)
        used = int(whole.rows[1:].sum())
        assert np.array_equal(cut.rows, whole.rows)
        assert np.array_equal(cut.partials[:used], whole.partials[:used])
        sizes.add(used)
    assert len(sizes) > 3


def test_counting_orders_while_fronts_are_swept_tells_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """By kernels as Python: without the count, bounds are no higher, and some are lower."""
    space, model, _ = small("two_level_array", "edp", R=3, P=8, Q=2)
    objective = objective_of("edp")
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    known, bounds = solve(space, model, "edp").value, []
    monkeypatch.setattr(sweeps, "sweep", python(sweep))
    for counts in (True, False):
        if not counts:
            monkeypatch.setattr(pareto, "orders_count", lambda _: False)
        searches = [BypassSearch(subproblem, mask) for mask in space.masks()]
        for one in searches:
            one.bound_root(Clock(None), 4.0 * known)
        bounds.append([one.lower_bound for one in searches])
    counted, not_counted = np.array(bounds)
    assert (counted >= not_counted).all()
    assert (counted > not_counted).any()
    assert counted.min() <= known
