"""Searches against enumerations, counted (benchmarks/exactness.py runs as many as are asked for).

Every generator draws small machines and layers. All mappings of each are priced by the engine; what the searches for
energy, latency, their front and edp call proved is compared with that, value by value, as one case each. A search also
fails where some mapping that it priced cost less than its bound.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from tests.mapper.brute import all_costs, costs_of_all, front_of_costs
from tests.mapper.custom import CUSTOM, MACHINES, build, problem_of
from tests.mapper.places import conv, machine
from tests.mapper.test_bandwidths import draw_throttled, narrowed
from tests.mapper.test_properties import draw_case
from tests.mapper.test_word_bits import packed
from tqhw.engine import build_model
from tqhw.mapper.branch.front import FrontOutcome, solve_front
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import Outcome, solve
from tqhw.mapper.branch.uneven import UnevenOutcome, solve_uneven
from tqhw.mapper.branch.uneven_front import UnevenFrontOutcome, solve_uneven_front
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.objectives import objective_of
from tqhw.spec import BMM, ERT, MATMUL, Hardware, Problem, make_problem

Drawn = tuple[Hardware, ERT, Problem]

FEWEST, MOST = 10, 600  # mappings of a machine
SAME = 1e-11  # relative: sums of floats in another order
SMALL = sorted(MACHINES.keys() - {"blocks"})
FREE = ("single_level_array", "two_level", "two_level_array", "clustered")  # of constraints, which name dimensions
BOUND = ("weight_stationary", "output_stationary", "eyeriss_like", "simba_like")
NARROW = ("two_level", "two_level_array", "clustered", "eyeriss_like_free", "simba_like")


def _product(r: random.Random) -> Problem:
    """A product of matrices."""
    if r.random() < 0.6:
        return make_problem(MATMUL, {d: r.choice([1, 2, 3, 4, 6]) for d in "MKN"})
    return make_problem(BMM, {d: r.choice([1, 2, 3, 4]) for d in "BMKN"})


def _layer(r: random.Random) -> Problem:
    """A convolution of one to three dimensions."""
    sizes = {d: r.choice([2, 3, 4, 5, 6]) for d in r.sample("CMRSNPQG", r.choice([1, 2, 2, 3]))}
    return conv(**sizes, **{name: r.choice([1, 1, 2, 3]) for name in ("Wstride", "Hstride", "Wdilation")})


def reference(r: random.Random) -> Drawn:
    """The reference's machines."""
    name = r.choice([*FREE, *BOUND])
    return *machine(name), _product(r) if name in FREE and r.random() < 0.3 else _layer(r)


def shapes(r: random.Random) -> Drawn:
    """Shapes beyond the packaged ones on small machines, chips and levels without a fan-out between among them."""
    bounds = [r.choice([1, 2, 3, 4, 6]) for _ in range(4)]
    return *build(MACHINES[r.choice(SMALL)]), problem_of(r.choice([*CUSTOM]), bounds, [r.choice([1, 1, 2, 3])] * 3)


def widths(r: random.Random) -> Drawn:
    """Words of several widths in one memory."""
    text = ",".join(f"{name}={r.randint(1, 8)}" for name in ("Weights", "Inputs", "Outputs"))
    target = build(MACHINES[r.choice(SMALL)]) if r.random() < 0.6 else machine(r.choice(NARROW))
    problem = _layer(r)
    return *packed(target, problem, text, r.choice(["pack", "ideal"])), problem


def unlinked(r: random.Random) -> Drawn:
    """Halos on machines some of whose units may not hand words on, of some data spaces."""
    hardware, ert, problem = draw_case(r, r.random() < 0.4)[:3] if r.random() < 0.7 else reference(r)
    levels = []
    for level in hardware.levels:
        names = tuple(name for name in problem.shape.data_space_names if r.random() < 0.6)
        loops = replace(level.constraints.spatial, no_links=names)
        levels.append(replace(level, constraints=replace(level.constraints, spatial=loops)))
    return replace(hardware, levels=tuple(levels)), ert, problem


def linked(r: random.Random) -> Drawn:
    """Units right above the compute units, with halos along both ranks: a return may cancel along one of them."""
    sizes = {"R": r.choice([2, 3]), "S": r.choice([2, 3]), "P": r.choice([2, 4]), "Q": r.choice([2, 3])}
    over_units = r.choice([["S"], ["R"], ["S", "R"], ["S", "P"]])
    fixed = [f"{d}=1" for d in sizes if d not in over_units]
    outer = [f"{d}=1" for d in sizes if d not in r.sample([*sizes], r.choice([1, 2]))]
    order = r.sample([*sizes], 4)
    hardware, _ = build(
        [
            "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}, "
            f"constraints: {{temporal: {{factors: [{', '.join(outer)}]}}}}}}",
            "- !Component {name: Buffer, class: SRAM, attributes: {datawidth: 8}, constraints: {dataspace: {keep: "
            f"[Inputs], bypass: [Weights, Outputs]}}, temporal: {{permutation: [{', '.join(order)}]}}}}}}",
            f"- !Container {{name: Row, spatial: {{meshX: {r.choice([2, 3, 4])}, meshY: 1}}, "
            f"constraints: {{spatial: {{factors: [{', '.join(fixed)}]}}}}}}",
            "- !Component {name: mac, class: compute}",
        ]
    )
    prices = {
        name: {action: r.choice([0.0, 0.01, 0.1, 1.0]) for action in ("read", "write")} for name in ("DRAM", "Buffer")
    }
    prices["Buffer"] |= {"read": 1.0, "leak": r.choice([0.0, 0.1])}
    return hardware, ERT({**prices, "mac": {"compute": 0.0}}), conv(**sizes, Hstride=r.choice([1, 1, 2]))


def linked_ports(r: random.Random) -> Drawn:
    """The same with narrow ports, which what neighbours hand on does not pass."""
    hardware, ert, problem = linked(r)
    return narrowed(r, hardware), ert, problem


def meshes(r: random.Random) -> Drawn:
    """Two units, one inside of the other, over halos along both ranks: links of either, both, or of neither."""
    sizes = {"R": r.choice([2, 3]), "S": r.choice([2, 3]), "P": r.choice([2, 2, 4]), "Q": r.choice([2, 2, 4])}
    sizes |= {r.choice("GM"): 2} if r.random() < 0.2 else {}
    units = [r.sample([*sizes], r.choice([1, 2, 2])) for _ in range(2)]
    outer = [d for d in sizes if d not in units[0] + units[1]] + r.sample([*sizes], r.choice([1, 2]))

    def fixed(free: list[str]) -> str:
        return ", ".join(f"{d}=1" for d in sizes if d not in free)

    def memory(name: str, loops: str, kept: bool = True) -> str:
        dataspace = f"dataspace: {{{'keep' if kept else 'bypass'}: [Inputs], bypass: [Weights, Outputs]}}"
        dataspace = dataspace if kept else "dataspace: {bypass: [Inputs, Weights, Outputs]}"
        attributes = "attributes: {datawidth: 8}"
        constraints = f"{{{dataspace}, temporal: {{{loops}}}}}"
        return f"- !Component {{name: {name}, class: SRAM, {attributes}, constraints: {constraints}}}"

    def unit(name: str, x: int, y: int, free: list[str]) -> str:
        return (
            f"- !Container {{name: {name}, spatial: {{meshX: {x}, meshY: {y}}}, "
            f"constraints: {{spatial: {{factors: [{fixed(free)}]}}}}}}"
        )

    order = f", permutation: [{', '.join(r.sample([*sizes], len(sizes)))}]"
    only = f"factors: [{fixed([])}]"
    between = [memory("Middle", only, r.random() < 0.5)] if r.random() < 0.4 else []
    hardware, _ = build(
        [
            "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}, "
            f"constraints: {{temporal: {{factors: [{fixed(outer)}]}}}}}}",
            memory("Buffer", f"factors: [{fixed(r.sample([*sizes], 2))}]{order if r.random() < 0.6 else ''}"),
            unit("Row", r.choice([2, 3, 4]), r.choice([1, 1, 2]), units[0]),
            *between,
            unit("Cell", r.choice([2, 4, 6]), r.choice([1, 1, 2]), units[1]),
            memory("Register", only if r.random() < 0.8 else f"factors: [{fixed(r.sample([*sizes], 1))}]"),
            "- !Component {name: mac, class: compute}",
        ]
    )
    prices = {
        level.name: {action: r.choice([0.0, 0.01, 0.1, 1.0]) for action in ("read", "write")}
        for level in hardware.levels
    }
    prices["Buffer"] |= {"read": 1.0, "leak": r.choice([0.0, 0.1])}
    steps = {name: r.choice([1, 1, 2]) for name in ("Wstride", "Hstride")}
    return hardware, ERT({**prices, "mac": {"compute": 0.0}}), conv(**sizes, **steps)


def cut(r: random.Random) -> Drawn:
    """Two units of fixed sizes along both halos, whose elements share words unevenly; a word filled is dear.

    Sums of quotients that end just below a whole number are counted as a word less.
    """
    inner, outer, times = (
        {d: r.choice([2, 2, 2, 3]) for d in r.sample("RSPQ", number)}
        for number in (r.choice([3, 4, 4]), r.choice([1, 2, 2, 3]), r.choice([1, 2, 2, 3]))
    )
    sizes = {d: inner.get(d, 1) * outer.get(d, 1) * times.get(d, 1) for d in "RSPQ"}
    free = r.sample("RSPQ", r.choice([1, 1, 2, 2]))

    def factors(given: dict[str, int], left: list[str]) -> str:
        return f"factors: [{', '.join(f'{d}={given.get(d, 1)}' for d in sizes if d not in left)}]"

    def memory(name: str, given: dict[str, int], left: list[str], kept: str = "keep") -> str:
        dataspace = f"{kept}: [Inputs], bypass: [Weights, Outputs]"
        dataspace = dataspace if kept == "keep" else "bypass: [Inputs, Weights, Outputs]"
        constraints = f"dataspace: {{{dataspace}}}, temporal: {{{factors(given, left)}}}"
        return (
            f"- !Component {{name: {name}, class: SRAM, attributes: {{datawidth: 8}}, constraints: {{{constraints}}}}}"
        )

    def unit(name: str, given: dict[str, int]) -> str:
        used = math.prod(given.values())
        x = r.choice([used, used, max(2, used // 2), 4])
        first = r.sample([*given], max(0, len(given) - r.choice([0, 1, 1, 2])))
        return (
            f"- !Container {{name: {name}, spatial: {{meshX: {x}, meshY: {-(-used // x) * r.choice([1, 1, 2])}}}, "
            f"constraints: {{spatial: {{{factors(given, [])}, permutation: [{', '.join(first)}]}}}}}}"
        )

    between = [memory("Middle", {}, [], r.choice(["keep", "bypass"]))] if r.random() < 0.4 else []
    hardware, _ = build(
        [
            "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}, "
            f"constraints: {{temporal: {{{factors({}, free)}}}}}}}",
            memory("Buffer", times, free),
            unit("Row", outer),
            *between,
            unit("Cell", inner),
            memory("Register", {}, free if r.random() < 0.2 else [], r.choice(["keep", "keep", "keep", "bypass"])),
            "- !Component {name: mac, class: compute}",
        ]
    )
    prices = {
        level.name: {action: r.choice([0.0, 0.0, 0.001]) for action in ("read", "write")} for level in hardware.levels
    }
    prices[r.choice(["Register", "Register", "Buffer"])] |= {r.choice(["write", "write", "read"]): 1.0}
    steps = {name: r.choice([1, 1, 2, 3]) for name in ("Wstride", "Hstride", "Wdilation", "Hdilation")}
    return hardware, ERT({**prices, "mac": {"compute": 0.0}}), conv(**sizes, **steps)


def uneven(r: random.Random) -> Drawn:
    """Odd sizes: strides wider than the window, dilations, depthwise; two or three memories, units between any two.

    Orders that are given make mappings the best ones that other orders would beat.
    """
    sizes = {d: r.choice([2, 3, 5, 7, 9, 11, 13]) for d in r.sample("PQPQCMRSG", r.choice([1, 2, 2, 3]))}
    steps = {name: r.choice([1, 2, 2, 3]) for name in ("Wstride", "Hstride", "Wdilation", "Hdilation")}
    names = ("Weights", "Inputs", "Outputs")
    order = ", ".join(r.sample([*sizes], len(sizes)))
    given = r.random() < 0.4
    outer = ", ".join(f"{d}<=2" if r.random() < 0.5 else f"{d}=1" for d in sizes) if given else ""
    nodes = [
        "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}, "
        f"constraints: {{temporal: {{factors: [{outer}]}}}}}}"
    ]
    for buffer in ("Buffer", "Buffer2")[: r.choice([1, 1, 2])]:
        if r.random() < 0.6:
            nodes.append(f"- !Container {{name: Above{buffer}, spatial: {{meshX: {r.choice([2, 3, 4])}, meshY: 1}}}}")
        kept = r.sample(names, r.choice([1, 1, 2, 3]))
        bypassed = [name for name in names if name not in kept]
        room = r.choice(["", "", f", entries: {r.choice([6, 8, 12])}"])
        nodes.append(
            f"- !Component {{name: {buffer}, class: SRAM, attributes: {{datawidth: 8{room}}}, constraints: "
            f"{{dataspace: {{keep: [{', '.join(kept)}], bypass: [{', '.join(bypassed)}]}}, "
            f"temporal: {{permutation: [{order if given else ''}]}}}}}}"
        )
    if r.random() < 0.5:
        nodes.append(f"- !Container {{name: AboveMac, spatial: {{meshX: {r.choice([2, 3])}, meshY: 1}}}}")
    hardware, _ = build([*nodes, "- !Component {name: mac, class: compute}"])
    prices = {
        name: {
            "read": r.choice([0.0, 0.1, 1.0, 10.0]),
            "write": r.choice([0.0, 1.0]),
            "leak": r.choice([0.0, 0.0, 0.5]),
        }
        for name in ("DRAM", "Buffer", "Buffer2")
    }
    return hardware, ERT({**prices, "mac": {"compute": r.choice([0.0, 1.0])}}), conv(**sizes, **steps)


def uneven_ports(r: random.Random) -> Drawn:
    """Odd sizes on the machines with narrow ports."""
    hardware, ert, problem, _ = draw_throttled(r, r.random() < 0.5)
    odd = {name: bound + (bound > 1) * r.choice([0, 1, 3]) for name, bound in problem.bounds.items()}
    return hardware, ert, replace(problem, bounds=odd)


GENERATORS: dict[str, Callable[[random.Random], Drawn]] = {
    "reference machines": reference,
    "small machines, custom shapes": shapes,
    "words of several widths": widths,
    "drawn machines": lambda r: draw_case(r, False)[:3],
    "drawn machines, nested units": lambda r: draw_case(r, True)[:3],
    "links forbidden": unlinked,
    "links to compute units": linked,
    "links of two units": meshes,
    "words cut off": cut,
    "narrow ports": lambda r: draw_throttled(r, False)[:3],
    "narrow ports, nested units": lambda r: draw_throttled(r, True)[:3],
    "narrow ports, links to compute": linked_ports,
    "remainders": uneven,
    "remainders, narrow ports": uneven_ports,
}
UNEVEN = ("remainders", "remainders, narrow ports")


@dataclass
class Tally:
    """What a generator came to."""

    machines: int = 0
    mappings: int = 0
    cases: int = 0
    points: int = 0
    priced: int = 0  # each held against its bound
    wrong: list[str] = field(default_factory=list)


def compared(drawn: Drawn, most: int = MOST, remainders: bool = False) -> tuple[int, int, list[str], int] | None:
    """(mappings, points of the front, the searches that are wrong, mappings held against their bounds).

    None for more than ``most`` mappings, or few; ``remainders``: of all sizes, every order of loops at every level.

    Where a mapping costs less than nothing there is no case: ``search`` refuses the problem.
    """
    costs = _enumerated(*drawn, most, remainders)
    if costs is None or len(costs[0]) < FEWEST or costs[0].min() < 0.0:
        return None
    energies, cycles = costs
    truth = front_of_costs(energies, cycles)
    front, edp, evaluated = _searched(*drawn, remainders)
    told = np.array([(stair.energy_pj, stair.cycles) for stair in front.stairs])
    right = {
        "energy": _same(front.least_pj, energies.min()),
        "latency": front.least_cycles == cycles.min(),
        "front": told.shape == (len(truth), 2) and _same(told, np.array(truth)) and front.proved,
        "edp": _same(edp.value, (energies * cycles).min()) and edp.proved,
        "bounds": min(front.tightness, edp.tightness) >= 1 - SAME,
    }
    wrong = [name for name, holds in right.items() if not holds]
    return len(energies), len(truth), wrong, evaluated


def _enumerated(
    hardware: Hardware, ert: ERT, problem: Problem, most: int, remainders: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    if remainders:
        return costs_of_all(problem, hardware, ert, "imperfect", most)
    space = build_mapspace(problem, hardware)
    return all_costs(space, build_model(problem, hardware, ert), most) if space.size < 8 * most else None


def _searched(
    hardware: Hardware, ert: ERT, problem: Problem, remainders: bool
) -> tuple[FrontOutcome | UnevenFrontOutcome, Outcome | UnevenOutcome, int]:
    """The front, the best edp, and how many mappings the two have priced."""
    front: FrontOutcome | UnevenFrontOutcome
    edp: Outcome | UnevenOutcome
    if remainders:
        front = solve_uneven_front(problem, hardware, ert, "imperfect", Clock(None))
        edp = solve_uneven(problem, hardware, ert, objective_of("edp"), "imperfect", Clock(None))
    else:
        space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
        front, edp = solve_front(space, model), solve(space, model, "edp")
    return front, edp, front.evaluated + edp.evaluated


def _same(found: float | np.ndarray, truth: float | np.ndarray) -> bool:
    return bool(np.allclose(found, truth, rtol=SAME, atol=0.0))


def tallied(draw: Callable[[random.Random], Drawn], name: str, seed: int) -> Iterator[Tally]:
    """The tally after each machine, of seeds that follow each other."""
    tally = Tally()
    for number in range(seed, sys.maxsize):
        found = compared(draw(random.Random(f"{name} {number}")), remainders=name in UNEVEN)
        if found is not None:
            tally.machines += 1
            tally.mappings += found[0]
            tally.points += found[1]
            tally.priced += found[3]
            tally.cases += 4
            tally.wrong += [f"{name}, seed {number}: {search}" for search in found[2]]
            yield tally
