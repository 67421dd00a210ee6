"""From the architecture tree to the flat list of levels that Timeloop's engine sees.

Source: Timeloop v0.4, front end ``v4/arch.py`` and engine ``src/model/topology.cpp``. A node with a fan-out
inserts a pseudo level ``inter_<name>_spatial`` that keeps nothing and carries the fan-out's spatial loops.
"""

from __future__ import annotations

from dataclasses import replace

from tqhw.errors import TqhwError
from tqhw.spec.architecture import Architecture, Component, Container, Hierarchical, Node, Nothing, Parallel
from tqhw.spec.constraints import Constraints
from tqhw.spec.fields import LARGEST
from tqhw.spec.hardware import Compute, Hardware, Level
from tqhw.spec.memory import memory, refuse, uncountable


def flatten(architecture: Architecture) -> Hardware:
    """The flat hardware of an architecture tree.

    Raises TqhwError for a tree without storage, two data spaces kept in two branches, a width that is no
    multiple of the word, or an attribute that Timeloop aborts on or the engine does not model.
    """
    levels: list[Level] = []  # outermost first while walking
    compute: Compute | None = None
    mesh_x = mesh_y = 1

    def place(node: Container, constraints: Constraints) -> None:
        nonlocal mesh_x, mesh_y, compute
        if compute is not None:
            raise TqhwError(
                f"'{node.name}' stands below the compute component '{compute.name}'",
                place=node.place,
                lever="put the compute component last",
            )
        if node.spatial.fanout > 1:
            levels.append(
                Level(
                    f"inter_{node.name}_spatial",
                    "fanout",
                    mesh_x,
                    mesh_y,
                    node.spatial.meshX,
                    node.spatial.meshY,
                    constraints=Constraints(bypass=("*",), spatial=constraints.spatial, place=constraints.place),
                )
            )
            mesh_x, mesh_y = mesh_x * node.spatial.meshX, mesh_y * node.spatial.meshY
            if mesh_x * mesh_y > LARGEST:
                raise uncountable(node, "instances", mesh_x * mesh_y)
        if isinstance(node, Component):
            if node.is_compute:
                refuse(node, "instances", (), node.attributes.get("instances"))
                compute = Compute(node.name, mesh_x, mesh_y, node)
            else:
                levels.append(memory(node, mesh_x, mesh_y, constraints))

    def walk(nodes: tuple[Node, ...], branch_keeps: tuple[str, ...] | None) -> None:
        for node in nodes:
            if isinstance(node, Hierarchical):
                walk(node.nodes, branch_keeps)
            elif isinstance(node, Parallel):
                for branch, keeps in zip(node.nodes, _branches(node), strict=True):
                    walk((branch,), keeps)
            elif not isinstance(node, Nothing):
                constraints = node.constraints
                if branch_keeps is not None and constraints.bypass_all_but is None:
                    # timeloopfe dataspace2branch.py: a branch bypasses what it does not keep.
                    constraints = replace(constraints, bypass_all_but=branch_keeps)
                place(node, constraints)

    walk(architecture.nodes, None)
    where = architecture.source or architecture.name
    if compute is None:
        raise TqhwError("the architecture has no compute component", place=where, lever="add one of class compute")
    if not any(level.kind == "storage" for level in levels):
        raise TqhwError("the architecture has no storage component", place=where, lever="add one, e.g. a DRAM")
    names = [compute.name, *(level.name for level in levels)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TqhwError(f"two levels are named '{min(twice)}'", place=where, lever="rename the component of that name")
    return Hardware(architecture.name, tuple(reversed(levels)), compute)


def _kept(node: Node) -> tuple[str, ...]:
    if isinstance(node, Parallel | Hierarchical):
        return tuple(dict.fromkeys(name for child in node.nodes for name in _kept(child)))
    return tuple(dict.fromkeys(node.constraints.keep))


def _branches(parallel: Parallel) -> list[tuple[str, ...]]:
    keeps = [_kept(branch) for branch in parallel.nodes]
    for i, one in enumerate(keeps):
        for other in keeps[i + 1 :]:
            if shared := set(one) & set(other):
                raise TqhwError(
                    f"{', '.join(sorted(shared))} kept in two branches of a !Parallel",
                    place=parallel.place,
                    lever="keep every data space in exactly one branch",
                )
    return keeps
