"""An evaluated specification as the document that :mod:`tqhw.spec` reads: what the engines compute with.

What is not modelled is refused by name; what Timeloop's programs ignore is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqhw.errors import TqhwError
from tqhw.frontend.arch import (
    Branch,
    ComponentNode,
    ComputeNode,
    ContainerNode,
    Leaf,
    NetworkNode,
    NothingNode,
    ParallelNode,
)
from tqhw.frontend.clean import as_map
from tqhw.frontend.nodes import Section
from tqhw.frontend.sections import VERSION
from tqhw.spec.architecture import COMPUTE_CLASSES, STORAGE_CLASSES
from tqhw.spec.memory import OLD_NAMES
from tqhw.spec.yamlio import Map, tagged

HARMLESS_VARIABLES = ("ACCELERGY_", "TIMELOOP_")
"""Beginnings of environment variables that only change what the programs print or which version they read."""


def document(specification: Section) -> Map:
    """``architecture`` and ``variables`` as values, constraints at their nodes. Raises TqhwError for what is sparse."""
    _refuse(specification)
    architecture: Branch = specification["architecture"]
    nodes = list(_sequence(architecture))
    result = Map(architecture=Map(version=VERSION, nodes=nodes), variables=as_map(specification["variables"]))
    result.source = architecture.place.rpartition(":")[0]
    body = as_map(architecture)
    result["architecture"].source, result["architecture"].line = body.source, body.line
    return result


def _refuse(specification: Section) -> None:
    sparse = specification["sparse_optimizations"]
    if sparse["targets"]:
        raise _not_modelled("sparse_optimizations", sparse["targets"][0].place or sparse.place)
    for name, value in specification["globals"]["environment_variables"].items():
        if not str(name).startswith(HARMLESS_VARIABLES):
            raise TqhwError(
                f"the environment variable {name} = {value} is asked for",
                place=specification["globals"].place,
                lever="remove it: nothing that is read changes this process",
            )
    for leaf in specification["architecture"].below(Leaf):
        if set(as_map(leaf["sparse_optimizations"])) - {"target", "name"}:
            raise _not_modelled(f"sparse_optimizations of '{leaf.name}'", leaf.place_of("sparse_optimizations"))
        if isinstance(leaf, NetworkNode) or (isinstance(leaf, ContainerNode) and leaf["networks"]):
            raise _not_modelled(f"the network of '{leaf.name}'", leaf.place)


def _not_modelled(what: str, place: str) -> TqhwError:
    return TqhwError(f"not modelled: {what}", place=place, lever="remove it, or ask the real Timeloop")


def _sequence(branch: Branch) -> Iterable[Map]:
    """The nodes one behind the other; a branch inside is written inline, as it is flattened: its scope does not end."""
    for node in branch.nodes:
        if isinstance(node, ParallelNode):
            yield _parallel(node)
        elif isinstance(node, Branch):
            yield from _sequence(node)
        elif not isinstance(node, NothingNode) and node.get("enabled", True):
            yield _leaf(node)


def _parallel(node: ParallelNode) -> Map:
    branches: list[Any] = []
    for one in node.nodes:
        if isinstance(one, ParallelNode):
            branches.append(_parallel(one))
        elif isinstance(one, Branch):
            branches.append(tagged("!Hierarchical", nodes=list(_sequence(one))))
        elif isinstance(one, NothingNode):
            branches.append(tagged("!Nothing", constraints=as_map(one["constraints"])))
        elif one.get("enabled", True):
            branches.append(_leaf(one))
    result = as_map(node)
    result["nodes"] = branches
    return result


def _leaf(node: Leaf) -> Map:
    result = as_map(node)
    for name in ("sparse_optimizations", "networks", "enabled", *(key for key in result if "ignore" in key)):
        result.pop(name, None)
    if "attributes" in result:
        result["attributes"] = _attributes(node["attributes"], result["attributes"])
    if isinstance(node, ComponentNode):
        result.tag = "!Component"
        class_, known = str(node["class"]), COMPUTE_CLASSES if isinstance(node, ComputeNode) else STORAGE_CLASSES
        if class_.partition("_")[0] not in known:
            result["class"] = "compute" if isinstance(node, ComputeNode) else "storage"
            result.setdefault("subclass", class_)
    return result


def _attributes(attributes: Section, found: Map) -> Map:
    """Whole numbers for the quoted ones that the front end takes, as Timeloop's programs read them."""
    for name, value in found.items():
        key = attributes.known().get(name)
        whole = name in OLD_NAMES or (key is not None and int in key.kinds)
        if isinstance(value, str) and whole and value.strip().isdigit():
            found[name] = int(value)
    return found
