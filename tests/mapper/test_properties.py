"""Drawn machines on which bounds, links and contexts are hard to get right: the search equals the enumeration.

Fan-outs stand one inside of another, tiles slide in one or two ranks, most factors are fixed and most prices 0, so
that a wrong count of one kind of access shows. The draws are the same in every run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.mapper.brute import best_of_all
from tests.mapper.custom import build, problem_of
from tests.mapper.places import conv
from tests.mapper.test_clock import Stopwatch
from tests.mapper.test_solve import check
from tests.sampling import fewer, some
from tqhw.engine import Model, build_model
from tqhw.mapper.bound.prices import compulsory
from tqhw.mapper.branch import incumbent
from tqhw.mapper.branch.bypass_search import BypassSearch
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.arrays import tile_words
from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import ERT, Hardware, Problem

CASES, MOST = 25, 1500  # machines per seed, and mappings of a machine at most
SEED = 1  # of what is drawn once
SPACES = ("Weights", "Inputs", "Outputs")
LEVELS = ("DRAM", "DRAM2", "Buffer", "Buffer2")
MESHES = ((2, 1), (3, 1), (4, 1), (6, 1), (1, 3), (2, 2), (3, 2))


class Node(NamedTuple):
    """A level, or a fan-out where it keeps nothing."""

    name: str
    kept: Sequence[str]
    mesh: tuple[int, int]
    loops: str  # constraints


def draw_problem(r: random.Random, nested: bool) -> Problem:
    """A layer with one or two halos; strides and dilations agree, or leave holes. ``nested``: see draw_nodes."""
    steps = [1, 1, 2, 3]
    wide = r.choice([8, 16] if nested else [1, 2, 4])
    if r.random() < 0.5:
        name = "triple" if nested else r.choice(["triple", "two_halos", "three_halos", "transposed", "diagonal"])
        bounds = [wide, *(r.choice([1, 2, 2, 3, 4, 8]) for _ in range(3))]
        return problem_of(name, bounds, [r.choice(steps) for _ in range(3)])
    sizes = {"R": r.choice([2, 3, 4, 6]), "P": r.choice([2, 3, 4, 6, 8])}
    if r.random() < 0.4:
        sizes = {d: r.choice([2, 2, 3]) for d in "RSPQ"}
    sizes |= {"M": wide, r.choice("CNG"): r.choice([1, 2])}
    stride = r.choice(steps)
    same = {"Wstride": stride, "Wdilation": stride}
    any_ = {name: r.choice(steps) for name in ("Wstride", "Wdilation", "Hstride", "Hdilation")}
    return conv(**sizes, **r.choice([same, any_]))


def draw_nodes(r: random.Random, problem: Problem, nested: bool) -> list[Node]:
    """From the outermost level inwards. A dimension has loops at two or three of the nodes, and else factors of 1.

    ``nested``: units inside of units, the outer ones as many as there are output channels.
    """
    kept: list[Sequence[str]] = [SPACES]
    if nested:
        kept += [(), r.choice([["Weights"], ["Outputs"]]), (), ["Inputs"]]
    else:
        for _ in range(r.choice([1, 2, 2, 3])):
            kept += [(), r.sample(SPACES, r.choice([1, 1, 1, 2]))] if r.random() < 0.7 else [r.sample(SPACES, 1)]
        kept[-1] = r.choice([kept[-1], ["Inputs"], ["Inputs"]])
    if r.random() < 0.15:
        kept.append(())
    dims = [d for d, bound in problem.bounds.items() if bound > 1]
    free = {d: r.sample(range(len(kept)), min(len(kept), r.choice([2, 2, 3]))) for d in dims}
    meshes = [r.choice(MESHES) for _ in kept]
    if nested:
        wide = next(d for d in "MK" if d in dims)
        free = {d: [3, *r.sample((0, 2, 4), r.choice([1, 2]))] for d in dims} | {wide: [1]}
        meshes[1] = (problem.bounds[wide], 1)
    names = iter(LEVELS)
    nodes = []
    for at, spaces in enumerate(kept):
        loops = f"factors: [{', '.join(f'{d}=1' for d in dims if at not in free[d])}]"
        if dims and r.random() < 0.3:
            loops += f", permutation: [{', '.join(r.sample(dims, r.randint(1, len(dims))))}]"
        nodes.append(Node(next(names) if spaces else f"Unit{at}", spaces, meshes[at], loops))
    return nodes


def write(node: Node, entries: int | None) -> str:
    if not node.kept:
        mesh = f"spatial: {{meshX: {node.mesh[0]}, meshY: {node.mesh[1]}}}"
        return f"- !Container {{name: {node.name}, {mesh}, constraints: {{spatial: {{{node.loops}}}}}}}"
    size = f", entries: {entries}" if entries else ""
    bypass = [space for space in SPACES if space not in node.kept]
    return (
        f"- !Component {{name: {node.name}, class: SRAM, attributes: {{datawidth: 8{size}}}, constraints: {{"
        f"dataspace: {{keep: [{', '.join(node.kept)}], bypass: [{', '.join(bypass)}]}}, temporal: {{{node.loops}}}}}}}"
    )


def draw_sizes(r: random.Random, problem: Problem, nodes: Sequence[Node], model: Model) -> dict[str, int]:
    """Entries of some levels, which just hold what they keep of some tile."""
    words = tile_words(model, [r.choice(divisors(bound)) for bound in problem.bounds.values()])
    by_name = dict(zip([space.name for space in problem.shape.data_spaces], words, strict=True))
    return {node.name: sum(by_name[s] for s in node.kept) for node in nodes[1:] if node.kept and r.random() < 0.5}


def draw_prices(r: random.Random) -> ERT:
    """Prices of which many are 0; in every third machine nothing but fills and leakage has one."""
    often, reads = r.choice([(1.0, False), (0.2, True), (0.6, True)])

    def price(has_one: bool) -> float:
        return r.choice([1.0, 1.0, 10.0]) if has_one and r.random() < often else 0.0

    levels = {name: {"read": price(reads), "write": price(reads or name != "DRAM")} for name in LEVELS}
    leaks = {name: {"leak": r.choice([0.0, 0.0, 0.5, 3.0])} for name in LEVELS}
    return ERT({**{name: levels[name] | leaks[name] for name in LEVELS}, "mac": {"compute": float(reads)}})


def draw_case(r: random.Random, nested: bool) -> tuple[Hardware, ERT, Problem, str]:
    """Machine, prices, layer and objective."""
    problem, ert = draw_problem(r, nested), draw_prices(r)
    nodes = draw_nodes(r, problem, nested)
    mac = "- !Component {name: mac, class: compute}"
    hardware, _ = build([*(write(node, None) for node in nodes), mac])
    sizes = draw_sizes(r, problem, nodes, build_model(problem, hardware, ert))
    hardware, _ = build([*(write(node, sizes.get(node.name)) for node in nodes), mac])
    return hardware, ert, problem, r.choice(["energy", "energy", "energy", "edp", "latency"])


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("seed", some(range(4)))
def test_equals_enumeration(seed, nested):
    r = random.Random(seed)
    checked = 0
    while checked < CASES:
        hardware, ert, problem, objective = draw_case(r, nested)
        checked += check((hardware, ert), objective, problem, MOST)


@pytest.mark.parametrize("nested", [False, True])
def test_no_mapping_costs_less_than_its_bound(nested, monkeypatch):
    """Without a limit, all mappings are priced but those in contexts that are no better: the bounds of all are held."""
    sweep, explore = BypassSearch.sweep_below, BypassSearch._explore
    monkeypatch.setattr(BypassSearch, "sweep_below", lambda self, limit, clock: sweep(self, math.inf, clock))
    monkeypatch.setattr(BypassSearch, "_explore", lambda self, limit, *rest: explore(self, math.inf, *rest))
    r = random.Random(SEED)
    for _ in range(fewer(300)):
        hardware, ert, problem, objective = draw_case(r, nested)
        space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
        if space.size < 20 * MOST:
            found = solve(space, model, objective)
            assert found.tightness >= 1 - 1e-11 or found.value < 0.0


@pytest.mark.parametrize("nested", [False, True])
def test_a_stopped_search_claims_no_more_than_it_knows(nested, monkeypatch):
    monkeypatch.setattr(incumbent, "time", Stopwatch())
    r = random.Random(SEED)
    checked = 0
    while checked < CASES:
        hardware, ert, problem, objective = draw_case(r, nested)
        space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
        truth = best_of_all(space, model, objective, MOST)
        if truth is None or not 0.0 <= truth[0] < math.inf:
            continue
        checked += 1
        assert compulsory(space, model, objective) <= truth[0] * (1 + 1e-11)
        for last in (0, 1, 3, r.randint(4, 60)):
            incumbent.time.reset(last)
            found = solve(space, model, objective, Clock(1.0))
            assert found.lower_bound <= truth[0] * (1 + 1e-11)
            assert found.value >= truth[0] * (1 - 1e-11)
            assert not found.proved or found.value == pytest.approx(truth[0], rel=1e-11)
