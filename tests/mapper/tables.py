"""The tables of a small problem, for tests that call kernels as Python."""

from __future__ import annotations

from typing import NamedTuple

from tests.mapper.places import conv, machine
from tqhw.engine import Model, build_model
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import objective_of


class Small(NamedTuple):
    space: Mapspace
    model: Model
    search: BypassSearch  # under the first keep/bypass choice


def small(architecture: str, objective: str = "energy", **sizes: int) -> Small:
    """A convolution on one of the reference's machines."""
    hardware, ert = machine(architecture)
    problem = conv(**sizes)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    orders = build_orders(space, model)
    subproblem = Subproblem.over(space, model, objective_of(objective), orders, whole(space))
    return Small(space, model, BypassSearch(subproblem, next(space.masks())))
