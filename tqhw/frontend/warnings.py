"""What the front end takes and what is surely a mistake: it is read, and said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tqhw.errors import nearest
from tqhw.frontend.arch import COMPUTE, STORAGE, ComponentNode, Leaf, NothingNode, StorageNode
from tqhw.frontend.constraints import DataspaceConstraint, Iteration, Spaces
from tqhw.frontend.nodes import Section
from tqhw.spec.memory import passed_over


def mistakes(specification: Section) -> Iterator[str]:
    """One line for each, with its place."""
    shape = specification["problem"].shape
    yield from doubtful_nodes(specification["architecture"])
    for constraint in specification.below(Iteration):
        order = constraint["permutation"] or []
        yield from _unknown("dimension", order, shape.dimensions, constraint.place)
        if len(set(map(str, order))) != len(order):
            yield f"{constraint.place}: the permutation {list(order)} names a dimension twice"
    for spaces in specification.below(Spaces):
        yield from _unknown("data space", [name for name in spaces if name != "*"], shape.names, spaces.place)
    for dataspace in specification.below(DataspaceConstraint):
        if both := sorted(set(dataspace["keep"] or []) & set(dataspace["bypass"] or [])):
            yield f"{dataspace.place}: {', '.join(both)} both kept and bypassed"
    mapper = specification["mapper"]
    yield from _unknown("key", mapper, mapper.known(), mapper.place)


def doubtful_nodes(architecture: Section) -> Iterator[str]:
    """Those of the nodes alone, which an engine computes with; it refuses doubtful constraints itself."""
    for leaf in architecture.below(Leaf):
        yield from _leaf(leaf)


def _leaf(leaf: Leaf) -> Iterator[str]:
    if isinstance(leaf, ComponentNode) and not isinstance(leaf, NothingNode):
        class_ = str(leaf["class"])
        family = leaf.kind or "component"
        words = {"storage": STORAGE, "compute": COMPUTE}.get(leaf.kind, ())
        if words and class_.partition("_")[0] not in words and class_.rpartition("_")[2] not in words:
            yield f"{leaf.place}: '{leaf.name}' is read as {family}, for such a word is in its class '{class_}'"
    for key in ("meshX", "meshY"):
        if leaf["spatial"][key] < 1:
            yield f"{leaf.place}: {key} {leaf['spatial'][key]} of '{leaf.name}' is below 1"
    if isinstance(leaf, StorageNode):
        for name, counts in passed_over(leaf["attributes"]):
            place = leaf.place_of("attributes")
            yield f"{place}: Timeloop counts '{leaf.name}' by its {counts}, its {name} is passed over"
    if "[" in leaf.name:
        yield f"{leaf.place}: the range in the name '{leaf.name}' is no fan-out in version 0.4, give `spatial:`"


def _unknown(what: str, names: Iterable[Any], known: Iterable[str], place: str) -> Iterator[str]:
    known = [name for name in known if name not in ("", "ignore")]
    for name in names:
        if name not in known:
            yield f"{place}: unknown {what} '{name}' is passed on ({nearest(str(name), known)})"
