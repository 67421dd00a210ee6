"""The nodes of an architecture as a specification writes them. Source: the front end's ``v4/arch.py``."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any, ClassVar

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.base import REQUIRED, Key
from tqhw.frontend.constraints import ConstraintGroup
from tqhw.frontend.nodes import Items, Section
from tqhw.frontend.sections import ANY, VERSIONED, SparseGroup

STORAGE = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
COMPUTE = ("mac", "intmac", "fpmac", "compute")
NETWORK = ("XY_NoC", "Legacy", "ReductionTree", "SimpleMulticast")


class Mesh(Section):
    fields: ClassVar = {"meshX": Key((int,), 1), "meshY": Key((int,), 1)}

    @property
    def fanout(self) -> int:
        return int(self["meshX"]) * int(self["meshY"])


class Attributes(Section):
    evaluated = True
    fields: ClassVar = {"has_power_gating": Key((str, bool), False), "power_gated_at": Key((str,), None), "": ANY}


_INT, _FLAG, _NUMBER = ((str, int), (str, bool), (str, Number))


class StorageAttributes(Attributes):
    fields: ClassVar = {
        "datawidth": Key(_INT),
        "technology": Key(_INT, None),
        "n_banks": Key(_INT, 2),
        "block_size": Key(_INT, None),
        "cluster_size": Key(_INT, 1),
        "width": Key(_INT, None),
        "depth": Key(_INT, None),
        "entries": Key(_INT, None),
        "sizeKB": Key(_INT, None),
        "reduction_supported": Key(_FLAG, True),
        "multiple_buffering": Key(_NUMBER, 1),
        "min_utilization": Key(_NUMBER, 0),
        "shared_bandwidth": Key(_NUMBER, None),
        "read_bandwidth": Key(_NUMBER, None),
        "write_bandwidth": Key(_NUMBER, None),
        "network_fill_latency": Key(_INT, None),
        "network_drain_latency": Key(_INT, None),
        "per_dataspace_bandwidth_consumption_scale": Key((dict,), {}),
        "allow_overbooking": Key(_FLAG, False),
        "metadata_block_size": Key(_INT, None),
        "metadata_datawidth": Key(_INT, None),
        "metadata_storage_width": Key(_INT, None),
        "metadata_storage_depth": Key(_INT, None),
        "concordant_compressed_tile_traversal": Key(_FLAG, None),
        "tile_partition_supported": Key(_FLAG, None),
        "decompression_supported": Key(_FLAG, None),
        "compression_supported": Key(_FLAG, None),
    }


def _find(node: Any, name: str) -> Any:
    """The leaf of that name, for ``spec.architecture.find(...)``."""
    for leaf in node.below(Leaf):
        if leaf["name"] == name:
            return leaf
    raise unknown("node", name, [leaf["name"] for leaf in node.below(Leaf)])


def _reachable(node: Any) -> dict[str, Any]:
    return {
        "find": lambda name: _find(node, name),
        "name2leaf": lambda name: _find(node, name),
        "name2constraints": lambda name: _find(node, name)["constraints"],
    }


class Leaf(Section):
    fields: ClassVar = {
        "name": Key((str,)),
        "attributes": Key((Attributes,), {}),
        "spatial": Key((Mesh,), {}),
        "constraints": Key((ConstraintGroup,), {}),
        "sparse_optimizations": Key((SparseGroup,), {}),
    }

    @property
    def name(self) -> str:
        return str(self["name"])

    @property
    def fanout(self) -> int:
        mesh = self["spatial"]
        assert isinstance(mesh, Mesh)
        return mesh.fanout

    def evaluate(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return super().evaluate({**names, "attributes": names.get("attributes", {})})

    def public(self) -> Mapping[str, Any]:
        return {**super().public(), "get_fanout": lambda: self.fanout}


class ComponentNode(Leaf):
    kind = ""
    fields: ClassVar = {
        "class": Key((str,)),
        "subclass": Key((str,), None),
        "required_actions": Key((list,), []),
        "area_scale": Key((Number,), None),
        "energy_scale": Key((Number,), None),
        "enabled": Key((bool,), True),
    }


class StorageNode(ComponentNode):
    kind = "storage"
    fields: ClassVar = {"attributes": Key((StorageAttributes,), {})}


class ComputeNode(ComponentNode):
    kind = "compute"


class NetworkNode(ComponentNode):
    kind = "network"


class Networks(Items):
    fields: ClassVar = {"": Key((NetworkNode,))}


class NothingNode(ComponentNode):
    kind = "nothing"

    def __init__(self, given: Any = None, place: str = "", **own: Any) -> None:
        super().__init__(given, place, **{"name": "nothing", "class": "nothing", **own})


class ContainerNode(Leaf):
    fields: ClassVar = {"networks": Key((Networks,), [])}


_FAMILIES = (
    (STORAGE, StorageNode),
    (COMPUTE, ComputeNode),
    (NETWORK, NetworkNode),
    (("nothing",), NothingNode),
)


def component(value: Any, place: str) -> ComponentNode:
    """A component of the kind that its class says: words are looked for inside it."""
    if isinstance(value, ComponentNode):
        return value
    if not isinstance(value, dict):
        raise TqhwError(f"a component is a mapping, found {value!r:.60}", place=place)
    where = value.place() if hasattr(value, "place") and callable(value.place) else place
    class_ = value.get("class")
    if not isinstance(class_, str):
        named = f"component '{value['name']}'" if "name" in value else "the component"
        raise TqhwError(f"{named} has no class", place=where, lever="add `class:`, e.g. storage or compute")
    for words, kind in _FAMILIES:
        if any(word in class_ for word in words):
            # a component may call a Nothing otherwise, which the tag !Nothing refuses
            own = {name: value[name] for name in ("name", "class") if name in value} if kind is NothingNode else {}
            return kind(value, place, **own)
    known = [word for words, _ in _FAMILIES for word in words]
    error = unknown("component class", class_, known, where)
    lever = f"{error.lever}; one of these words must be in it, a class of its own is named by `subclass:`"
    raise TqhwError(error.message, place=where, lever=lever)


class Nodes(Items):
    """Nodes, outermost first. Names are unique."""

    def __init__(self, given: Any = None, place: str = "") -> None:
        super().__init__(given, place)
        check_names(self)

    def combine(self, other: Nodes, place: str) -> Nodes:
        self.extend(other)
        return self

    def evaluate(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return super().evaluate({**names, **{leaf.name: leaf for leaf in self.below(Leaf)}})

    def after(self, index: Any, scope: dict[str, Any]) -> None:
        node = self[index]
        if isinstance(node, ContainerNode):
            scope.update(node["attributes"])

    def public(self) -> Mapping[str, Any]:
        return {**super().public(), **_reachable(self)}


class Branch(Section):
    fields: ClassVar = {"nodes": Key((Nodes,), [])}

    @property
    def nodes(self) -> Nodes:
        found = self["nodes"]
        assert isinstance(found, Nodes)
        return found

    def public(self) -> Mapping[str, Any]:
        return {**super().public(), **_reachable(self)}


class HierarchicalNode(Branch):
    pass


class ParallelNode(Branch):
    pass


class Pipelined(Branch):
    pass


Nodes.fields = {
    "!Component": Key((StorageNode, NetworkNode, ComputeNode, NothingNode, ComponentNode), convert=component),
    "!Container": Key((ContainerNode,)),
    "!Hierarchical": Key((HierarchicalNode,)),
    "!Parallel": Key((ParallelNode,)),
    "!Pipelined": Key((Pipelined,)),
    "!Nothing": Key((NothingNode,)),
}


class ArchitectureNode(HierarchicalNode):
    fields: ClassVar = VERSIONED

    def combine(self, other: Section, place: str) -> Section:
        self.nodes.extend(other["nodes"])  # names are not compared, as the front end does it
        return self


def check_names(nodes: Nodes) -> None:
    """Raises TqhwError where two nodes of a tree have one name."""
    seen: dict[str, Leaf] = {}
    for leaf in nodes.below(Leaf):
        if leaf["name"] is REQUIRED:
            continue
        if leaf.name in seen:
            raise TqhwError(
                f"two nodes are named '{leaf.name}'",
                place=leaf.place,
                lever=f"rename one; the other is at {seen[leaf.name].place}",
            )
        seen[leaf.name] = leaf
