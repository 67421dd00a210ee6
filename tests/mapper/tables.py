"""The tables of a small problem, for tests that call kernels as Python."""

from __future__ import annotations

from typing import NamedTuple

from tests.mapper.custom import MACHINES, build, shape
from tests.mapper.places import conv, machine
from tqhw.engine import Model, build_model
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import objective_of
from tqhw.spec import ERT, Hardware, Problem, make_problem


class Small(NamedTuple):
    space: Mapspace
    model: Model
    search: BypassSearch  # under the first keep/bypass choice


def small(architecture: str, objective: str = "energy", **sizes: int) -> Small:
    """A convolution on one of the reference's machines."""
    return under_first_choice(*machine(architecture), conv(**sizes), objective)


def along_three_halos() -> Small:
    """Two dimensions of 2 along each of three halos of Inputs, on a mesh of 2 by 2."""
    inputs = "[[[P],[R]],[[Q],[S]],[[T],[U]]]"
    three = shape("three", "PRQSTU", "", Weights="[[[R]],[[S]],[[U]]]", Inputs=inputs, Outputs="[[[P]],[[Q]],[[T]]]")
    problem = make_problem(three, dict.fromkeys(three.dimensions, 2), "three")
    return under_first_choice(*build(MACHINES["split_buffers"]), problem, "latency")


def under_first_choice(hardware: Hardware, ert: ERT, problem: Problem, objective: str) -> Small:
    """The tables of a problem on a machine."""
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    orders = build_orders(space, model)
    subproblem = Subproblem.over(space, model, objective_of(objective), orders, whole(space))
    return Small(space, model, BypassSearch(subproblem, next(space.masks())))
