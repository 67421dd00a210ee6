"""Small problems and machines for the engine's tests, built directly from spec's objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tests.engine.oracle import Block, Space
from tqhw.engine import Batch
from tqhw.spec import (
    ERT,
    Component,
    Compute,
    Constraints,
    DataSpace,
    Hardware,
    Level,
    LoopConstraint,
    Problem,
    Shape,
    Term,
    flatten,
    parse_architecture,
    yamlio,
)

COMPUTE = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}
  - !Component {name: mac, class: compute}
"""


def compute(mesh_x: int, mesh_y: int) -> Compute:
    component: Component = flatten(parse_architecture(yamlio.parse(COMPUTE), "test")).compute.component
    return Compute("mac", mesh_x, mesh_y, component)


def hardware(*levels: Mapping[str, Any], mesh: tuple[int, int] = (64, 64)) -> Hardware:
    """Levels L0, L1, ... innermost first, each a mesh as large as the compute mesh if not given."""
    made = [
        Level(**{"name": f"L{i}", "kind": "storage", "meshX": mesh[0], "meshY": mesh[1], **level})
        for i, level in enumerate(levels)
    ]
    return Hardware("test", tuple(made), compute(*mesh))


def levels_of(blocks: Sequence[Block], n_spaces: int) -> list[dict[str, Any]]:
    """The fan-outs of blocks as levels, with the links that they forbid to :func:`problem`'s data spaces."""
    found: list[dict[str, Any]] = []
    for block in blocks:
        names = tuple(f"D{s}" for s in range(n_spaces) if s in block.unlinked)
        constraints = Constraints(spatial=LoopConstraint(no_links=names))
        found.append({"fanoutX": block.fanout_x, "fanoutY": block.fanout_y, "constraints": constraints})
    return found


def unlinked(blocks: Sequence[Block], bits: int) -> list[Block]:
    """Blocks in which every other set of ``bits`` forbids links, to the data spaces that its further bits name."""
    if bits % 2:
        return list(blocks)
    return [
        replace(block, unlinked=frozenset(s for s in range(3) if bits >> (1 + level * 3 + s) & 1))
        for level, block in enumerate(blocks)
    ]


def energies(hw: Hardware, read: float = 2.0, write: float = 3.0, leak: float = 0.0, mac: float = 1.0) -> ERT:
    storage = {level.name: {"read": read, "write": write, "leak": leak} for level in hw.levels}
    return ERT({**storage, "mac": {"compute": mac}})


def problem(bounds: Mapping[str, int], spaces: Sequence[Space]) -> Problem:
    """A problem whose coefficients are given by number."""
    values = sorted({c for space in spaces for rank in space.ranks for c, _ in rank if c != 1})
    data_spaces = tuple(
        DataSpace(
            f"D{s}",
            tuple(tuple(Term(d, None if c == 1 else f"k{c}") for c, d in rank) for rank in space.ranks),
            space.read_write,
        )
        for s, space in enumerate(spaces)
    )
    coefficients = {f"k{c}": c for c in values}
    return Problem(Shape("test", tuple(bounds), coefficients, data_spaces), "test", dict(bounds), coefficients)


def batch(dims: Sequence[str], nests: Sequence[Sequence[Block]], keep: Sequence[Sequence[bool]]) -> Batch:
    """Nests of equal depth as a batch that shares its keeps."""
    shape = (len(nests), len(nests[0]), len(dims))
    factors = {kind: np.ones(shape, np.int64) for kind in ("temporal", "spatial")}
    orders = {kind: np.zeros(shape, np.int64) for kind in ("temporal", "spatial")}
    split = np.zeros(shape[:2], np.int64)
    for n, blocks in enumerate(nests):
        for i, block in enumerate(blocks):
            for kind, loops in (("temporal", block.temporal), ("spatial", (*block.x, *block.y))):
                for d, bound in loops:
                    factors[kind][n, i, dims.index(d)] = bound
                named = [dims.index(d) for d, _ in loops]
                orders[kind][n, i] = named + [d for d in range(len(dims)) if d not in named]
            split[n, i] = len(block.x)
    return Batch(
        factors["temporal"], orders["temporal"], factors["spatial"], orders["spatial"], split, np.array([keep])
    )
