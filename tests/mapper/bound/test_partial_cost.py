"""Kernels of this module, called as Python: figures by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.bound.outlook import slide_share
from tqhw.mapper.bound.outside import Outside, look_outside, make_outside, share_of
from tqhw.mapper.bound.partial_cost import (
    ALONG,
    GRID,
    HEAD,
    LINK,
    OPEN,
    SHUT,
    WIDTH,
    A,
    Block,
    C,
    U,
    fill_block,
    first_partial,
    halo_share,
    keep_step,
    need_links,
    rank_extent,
    temporal_cost,
    temporal_step,
)
from tqhw.mapper.bound.places import overlap_share
from tqhw.mapper.bound.unit_gains import (
    ANY_WAY,
    irrelevant_units,
    served_along,
    spatial_gains,
    unit_grid,
    unit_hop,
    ways_differ,
)
from tqhw.mapper.space.arrays import Space


def dims(space, **sizes: int) -> np.ndarray:
    return np.array([sizes.get(d, 1) for d in space.problem.shape.dimensions], np.int64)


def test_a_compute_unit_asks_for_every_word_anew() -> None:
    search = small("two_level", C=4, M=3).search
    (partial,) = search.work.partial
    first_partial(search.tables, search.prices, 0, partial)
    assert partial[C] == search.prices.constant_pj + 12 * search.prices.leak_pj.sum()
    assert partial[U] == 1.0
    for s in range(3):
        assert partial[HEAD + s * WIDTH + SHUT] == 12 * search.prices.parent_pj[0, 0, s]
        assert partial[HEAD + s * WIDTH + A] == partial[HEAD + s * WIDTH + OPEN] == 0.0


def test_extents_and_shares_of_a_halo() -> None:
    """A tile of 4 x 3 windows spans 6 inputs; the step of a loop over P moves it by 4 of them."""
    space, _, search = small("two_level", P=8, R=3)
    tables = search.tables
    p, r = (space.problem.shape.dimensions.index(d) for d in "PR")
    inputs = space.problem.shape.data_space_names.index("Inputs")
    tile = dims(space, P=4, R=3)
    assert rank_extent(tables, inputs, p, tile) == rank_extent(tables, inputs, r, tile) == 6.0
    # All of R is inside: every return of a loop over P fetches the whole tile.
    assert halo_share(tables, inputs, p, 4, 2, tile, 6.0) == pytest.approx(4 / 6 + (1 - 4 / 6) / 2)
    # A loop over R outside may cancel a move of P.
    tile = dims(space, P=4)
    assert halo_share(tables, inputs, p, 4, 2, tile, 4.0) == pytest.approx(1 / 2)


def outer_loops(r: random.Random, left: dict[str, int]) -> list[tuple[str, int]]:
    """Loops over what is left of the dimensions, innermost first; one dimension may have several."""
    loops = []
    for name, bound in left.items():
        while bound > 1:
            factor = r.choice([f for f in range(2, bound + 1) if bound % f == 0])
            loops.append((name, factor))
            bound //= factor
    r.shuffle(loops)
    return loops


def walk(tables: Space, names: Sequence[str], loops: list[tuple[str, int]], at: dict[str, int], out: Outside) -> None:
    """The context of a tile of ``at`` iterations inside of the loops."""
    for n, (d, b) in enumerate(loops):
        out.dim[n], out.bound[n], out.step[n] = names.index(d), b, at.get(d, 1)
        at[d] = at.get(d, 1) * b
    look_outside(tables, 0, len(loops), out)


@pytest.mark.parametrize(
    "sizes", [{}, {"Hstride": 2}, {"Hstride": 2, "Hdilation": 3}, {"Hdilation": 2, "Q": 6, "S": 4}]
)
def test_no_loops_outside_leave_less_of_a_tile_that_slides_than_the_least_share(sizes: dict[str, int]) -> None:
    """Of every tile the loops outside are drawn; what they leave is what the walk over them says, once known."""
    r = random.Random(str(sizes))
    bounds = {"Q": 8, "S": 6, "P": 2, "M": 2, **{d: n for d, n in sizes.items() if d in "QS"}}
    space, _, search = small("two_level", **{**bounds, **sizes})
    tables, names = search.tables, space.problem.shape.dimensions
    s = space.problem.shape.data_space_names.index("Inputs")
    out = make_outside(4, len(names), 3, 0)
    exact = 0
    for _ in range(4000):
        inside = {d: r.choice([f for f in range(1, bounds[d] + 1) if bounds[d] % f == 0]) for d in "QS"}
        loops = outer_loops(r, {d: n // inside.get(d, 1) for d, n in bounds.items()})
        sliding = [i for i, (d, _) in enumerate(loops) if d in "QSP"]
        if not sliding or loops[sliding[0]][0] == "P":
            continue
        (y, bound), at = loops[sliding[0]], dict(inside)
        walk(tables, names, loops, at, out)
        tile, d = dims(space, **inside), names.index(y)
        extent = rank_extent(tables, s, d, tile)
        share = share_of(out, s, extent) * out.reuse[s]
        least = halo_share(tables, s, d, inside[y], bound, tile, extent)
        assert slide_share(tables, s, d, tile) <= least <= share * (1 + 1e-12)
        exact += share == pytest.approx(least)
    assert exact > 500


@pytest.mark.parametrize("sizes", [{}, {"Hstride": 2}, {"Hstride": 2, "Hdilation": 3}])
def test_no_move_serves_more_of_a_unit_than_those_that_its_loops_outside_may_make(sizes: dict[str, int]) -> None:
    r = random.Random(str(sizes))
    bounds = {"Q": 12, "S": 6, "M": 2}
    space, _, search = small("two_level_array", **bounds, **sizes)
    tables, names = search.tables, space.problem.shape.dimensions
    s, q = space.problem.shape.data_space_names.index("Inputs"), int(tables.spatial.argmax())
    tables = tables._replace(fanout=np.full_like(tables.fanout, 64), strict_links=True)
    out, served = make_outside(4, len(names), 3, 0), 0
    rank = int(tables.rank[s].max())
    for _ in range(2000):
        inside = {d: r.choice([f for f in range(1, n + 1) if n % f == 0]) for d, n in bounds.items() if d in "QS"}
        units = {d: r.choice([f for f in range(1, 4) if bounds[d] // n % f == 0]) for d, n in inside.items()}
        around = {d: n * units[d] for d, n in inside.items()}
        walk(tables, names, outer_loops(r, {d: n // around.get(d, 1) for d, n in bounds.items()}), dict(around), out)
        factors, tile, above = (dims(space, **sizes) for sizes in (units, inside, around))
        most = served_along(tables, q, s, rank, factors, tile, above)
        hop, grid = unit_hop(tables, q, s, rank, factors, tile), unit_grid(tables, s, rank, factors, tile)
        for move in out.moves[s, : out.n_moves[s] if out.rank[s] >= 0 else 0, rank]:
            share = overlap_share(tables, s, rank, move, factors, tile)
            if 0.0 < move <= hop:
                assert share <= most
                served += share == most > 0.0
            assert share in (0.0, 1.0) or (grid > 0 and move % grid == 0.0)
    assert served > 100


def test_loops_divide_the_traffic_that_they_do_not_move() -> None:
    space, _, search = small("two_level", C=4, M=6)
    tables, prices = search.tables, search.prices
    names = space.problem.shape.data_space_names
    q = next(q for q, slot in enumerate(space.slots) if not slot.spatial)
    block = Block(np.ones(3), np.zeros(3, np.bool_), np.zeros(3, np.bool_), np.ones(3))
    factors = dims(space, M=3)
    fill_block(tables, factors, block)
    assert dict(zip(names, block.reuse, strict=True)) == {"Weights": 1.0, "Inputs": 3.0, "Outputs": 1.0}
    assert dict(zip(names, block.moves.tolist(), strict=True)) == {"Weights": True, "Inputs": False, "Outputs": True}
    partial, out = np.zeros(HEAD + 3 * WIDTH), np.zeros(HEAD + 3 * WIDTH)
    for s in range(3):
        partial[HEAD + s * WIDTH + A] = 12.0
    m = space.problem.shape.dimensions.index("M")
    total = temporal_cost(tables, prices, q, m, factors, dims(space), block, partial)
    assert total == 24.0  # Weights and Outputs are settled
    temporal_step(tables, prices, q, total, block, partial, out)
    assert [out[HEAD + s * WIDTH + A] for s in range(3)] == [4.0 if name == "Inputs" else 0.0 for name in names]


def test_units_over_irrelevant_dimensions_share_an_access() -> None:
    space, _, search = small("two_level_array", C=4, M=6)
    q = next(q for q, slot in enumerate(space.slots) if slot.spatial)
    factors = dims(space, C=2, M=3)
    names = space.problem.shape.data_space_names
    for s, units in enumerate({"Weights": 1.0, "Inputs": 3.0, "Outputs": 2.0}[name] for name in names):
        assert irrelevant_units(search.tables, s, factors) == units
        gains = spatial_gains(search.tables, search.prices, q, s, factors, dims(space), factors)
        assert gains == (units, 1.0, 1.0, 0.0)  # without a halo there are no links


def test_a_kept_tile_settles_what_arrives_and_opens_its_own_traffic() -> None:
    space, _, search = small("two_level", C=4, M=6)
    tables, prices = search.tables, search.prices
    q = next(q for q, slot in enumerate(space.slots) if not slot.spatial and prices.keep[slot.level].all())
    level, whole = space.slots[q].level, len(tables.digits) - 1
    partial = np.zeros(HEAD + 3 * WIDTH)
    partial[U] = 1.0
    partial[HEAD + SHUT] = 5.0
    keep_step(tables, prices, 0, q, whole, partial)
    assert partial[HEAD + SHUT] == 0.0
    output = tables.output
    first = prices.first_pj[0, level] * tables.words[output, whole]
    assert partial[C] == pytest.approx(5.0 - (0.0 if prices.units_left[q + 1] else first))
    for s in range(3):
        assert partial[HEAD + s * WIDTH + OPEN] == tables.words[s, whole] * prices.parent_pj[0, level + 1, s]
        assert partial[HEAD + s * WIDTH + A] == tables.words[s, whole] * prices.fill_pj[0, level, s]


def test_elements_that_agree_along_a_halo_share_an_access() -> None:
    """Of P = 2 by a stride of 2 and R = 3, two of six lie in one place."""
    space, _, search = small("two_level_array", P=2, R=3, Wstride=2)
    q = next(q for q, slot in enumerate(space.slots) if slot.spatial)
    inputs = space.problem.shape.data_space_names.index("Inputs")
    factors = dims(space, P=2, R=3)
    gains = spatial_gains(search.tables, search.prices, q, inputs, factors, dims(space), factors)
    assert gains == (6 / 5, 1.0, 1.0, 0.0)  # no loop outside moves a word along the halo


def test_a_unit_along_both_halos_has_links_of_two_ways() -> None:
    """S = 3 by one word along the second halo, P = 4 by two along the first: each way saves what it serves."""
    space, _, search = small("two_level_array", "latency", P=8, Q=8, R=3, S=3, Wstride=2, Hstride=2)
    tables, inputs = search.tables, space.problem.shape.data_space_names.index("Inputs")
    q, first = int(tables.spatial.argmax()), int(tables.rank[inputs, space.problem.shape.dimensions.index("R")])
    tables = tables._replace(fanout=np.full_like(tables.fanout, 64))
    unit, tile = dims(space, S=3, P=4), dims(space)
    gains = [
        spatial_gains(tables, search.prices, q, inputs, unit, tile, unit * tile, way)[1] for way in (ANY_WAY, 0, 1)
    ]
    # R is left outside: moves of P by two words leave one of four; Q and S: Q alone moves, by two of three.
    along_p, along_s = (4.0, 1.5) if first == 0 else (1.5, 4.0)
    assert gains == pytest.approx([4.0, along_p, along_s])
    assert ways_differ(tables, q, inputs, unit, tile)
    assert not ways_differ(tables, q, inputs, dims(space, P=4), tile)
    assert not ways_differ(tables._replace(strict_links=False), q, inputs, unit, tile)
    assert not ways_differ(tables, q, space.problem.shape.data_space_names.index("Outputs"), unit, tile)


def test_links_of_two_units_need_the_narrower_moves_of_both() -> None:
    space, _, search = small("two_level_array", "latency", P=8, Q=8, R=3, S=3, Wstride=2)
    tables, inputs = search.tables, space.problem.shape.data_space_names.index("Inputs")
    q, tile = int(tables.spatial.argmax()), dims(space)
    tables = tables._replace(fanout=np.full_like(tables.fanout, 64))
    first = int(tables.rank[inputs, space.problem.shape.dimensions.index("P")])
    assert first == 0

    def needed(*steps: tuple[int, dict[str, int]]) -> tuple[list[float], list[float], float]:
        out = np.zeros(HEAD + 3 * WIDTH)
        for way, units in steps:
            need_links(tables, q, inputs, dims(space, **units), tile, way, out)
        return out[LINK : LINK + 2].tolist(), out[GRID : GRID + 2].tolist(), float(out[ALONG])

    wide, narrow = {"P": 4, "S": 3}, {"P": 2}
    both, alone, second = needed((0, wide)), needed((ANY_WAY, narrow)), needed((1, wide))
    assert alone == ([2.0, 0.0], [2.0, 0.0], 0.0)
    assert both[1:] == ([2.0, 1.0], 1.0)  # some move along the first halo is needed
    assert second == ([0.0, both[0][1]], [0.0, 1.0], 0.0)  # and none for the second way
    assert needed((ANY_WAY, narrow), (0, wide)) == alone
    assert needed((0, wide), (ANY_WAY, narrow)) == alone
    assert needed((ANY_WAY, narrow), (1, wide)) == alone  # neither is narrower: what is needed inside stays
