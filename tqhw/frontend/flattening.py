"""The tree as one list of levels with their constraints, as Timeloop's programs read it.

Source: the front end's ``common/version_transpilers/v4_to_v3.py``.
"""

from __future__ import annotations

import copy
from typing import Any

from tqhw.errors import TqhwError
from tqhw.frontend import arch
from tqhw.frontend.arch import (
    Branch,
    ComponentNode,
    ComputeNode,
    ContainerNode,
    Leaf,
    NetworkNode,
    NothingNode,
    ParallelNode,
    StorageNode,
)
from tqhw.frontend.constraints import ConstraintGroup, Permutation, keeps_nothing
from tqhw.frontend.nodes import Section
from tqhw.frontend.sections import ProblemNode, Variables


class Flat:
    """``levels``: outermost first; ``constraints``: of all of them, in the front end's order."""

    def __init__(self, architecture: Branch, variables: Variables, problem: ProblemNode) -> None:
        self.problem = problem
        self.top: dict[str, Any] = {"name": "top_level", "attributes": dict(variables)}
        self.levels: list[dict[str, Any]] = []
        self.constraints: list[dict[str, Any]] = []
        self.sparse: list[dict[str, Any]] = []
        self._inherited: dict[str, Any] = {}
        self._mesh = (1, 1)
        self._gate: str | None = None
        self._gate_next = False
        self._first = True
        last: Any = None
        for node, parallel in _walk(architecture, False):
            last = node
            if isinstance(node, Leaf) and node.get("enabled", True) and not isinstance(node, NothingNode):
                last = self._place(node, parallel)
        if not isinstance(last, ComputeNode):
            name = f"'{last.name}'" if isinstance(last, Leaf) else "nothing"
            raise TqhwError(
                f"the last node of an architecture must compute, found {name}",
                place=getattr(last, "place", "") or architecture.place or "architecture",
                lever=f"put a component whose class contains {', '.join(arch.COMPUTE)} last",
            )

    def _place(self, node: Leaf, parallel: bool) -> Leaf:
        """Adds the levels of one leaf; returns the node that was placed last."""
        container = isinstance(node, ContainerNode)
        if container:
            self._inherited.update(node["attributes"])
            if self._first:
                self.top["name"] = f"{node.name}_top_level"
                self.top["attributes"].update(node["attributes"])
        self._first = False
        spreads = node.fanout != 1
        if parallel and (container or spreads):
            what = "a container" if container else "a component with a mesh"
            lever = "put a !Hierarchical around it"
            raise TqhwError(f"{what}, '{node.name}', stands directly below a !Parallel", place=node.place, lever=lever)
        gated = node["attributes"].get("has_power_gating", False)
        mesh = (self._mesh[0] * node["spatial"]["meshX"], self._mesh[1] * node["spatial"]["meshY"])
        placed: Leaf = node
        if spreads:
            placed = self._spread(node)
            self._add(placed, gated)
        self._mesh = mesh
        if isinstance(node, ComponentNode):
            if spreads:
                node["constraints"]["spatial"] = None
            self._add(node, gated)
            placed = node
        return placed

    def _spread(self, node: Leaf) -> StorageNode:
        """The level that stands for a fan-out: it keeps nothing and has the node's loops over space."""
        dummy = StorageNode(
            {
                "name": f"inter_{node.name}_spatial",
                "class": "dummy_storage",
                "attributes": {"width": 1, "depth": 1, "datawidth": 1, "technology": -1},
            },
            node.place,
        )
        group: ConstraintGroup = keeps_nothing(self.problem, node.place)
        group["spatial"].combine(node["constraints"]["spatial"], node.place)
        dummy["constraints"] = group
        return dummy

    def _add(self, node: Leaf, gated: Any) -> None:
        node.clean()
        level: dict[str, Any] = {
            key: value for key, value in node.items() if key not in ("spatial", "constraints", "sparse_optimizations")
        }
        for kind, constraint in node.get("constraints", {}).items():
            self.constraints.append(self._constraint(constraint, kind, node))
        if "sparse_optimizations" in node:
            self.sparse.append({**node["sparse_optimizations"], "name": node.name})
        attributes: dict[str, Any] = dict(node.get("attributes", {}))
        attributes["meshX"], attributes["meshY"] = self._mesh
        attributes.update({key: value for key, value in self._inherited.items() if key not in attributes})
        if not isinstance(node, NetworkNode):
            level["name"] = f"{node.name}[1..{self._mesh[0] * self._mesh[1]}]"
            if self._gate_next:
                self._gate = node.name.split("[")[0]
            self._gate_next = bool(gated)
        attributes.setdefault("power_gated_at", self._gate or node.name.split("[")[0])
        level["attributes"] = attributes
        self.levels.append(level)

    def _constraint(self, constraint: Section, kind: str, node: Leaf) -> dict[str, Any]:
        found = copy.copy(dict(constraint))
        found["type"] = "bypass" if kind == "dataspace" else kind
        found["target"] = node.name
        order = found.get("permutation")
        if isinstance(order, Permutation):
            if not all(isinstance(dimension, str) for dimension in order):
                raise TqhwError(f"the permutation {list(order)} must name dimensions", place=constraint.place)
            found["permutation"] = "".join(order)
        if "factors" in found:
            found["factors"] = ",".join(found["factors"])
        return found


def _walk(branch: Branch, parallel: bool) -> list[tuple[Any, bool]]:
    """The leaves with whether they stand directly below a ``!Parallel``; an empty branch stands for itself."""
    found: list[tuple[Any, bool]] = []
    for node in branch.nodes:
        if isinstance(node, Branch):
            found += _walk(node, isinstance(node, ParallelNode)) or [(node, False)]
        else:
            found.append((node, parallel))
    return found
