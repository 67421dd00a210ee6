"""From the architecture tree to the flat list of levels that Timeloop's engine sees.

Source: Timeloop v0.4, front end ``v4/arch.py`` and engine ``src/model/buffer.cpp``. A node with a fan-out
inserts a pseudo level ``inter_<name>_spatial`` that keeps nothing and carries the fan-out's spatial loops.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any

from tqhw.errors import TqhwError
from tqhw.spec.architecture import Architecture, Component, Container, Hierarchical, Node, Nothing, Parallel
from tqhw.spec.constraints import Constraints
from tqhw.spec.fields import LARGEST, is_number, is_whole
from tqhw.system import html

_REFUSED = {  # attributes that would change Timeloop's counts and that the engine does not model
    "allow_overbooking": (False,),
    "reduction_supported": (True,),
    "has_power_gating": (False,),
    "network_fill_latency": (0,),
    "network_drain_latency": (0,),
    "min_utilization": (0,),
    "per_dataspace_bandwidth_consumption_scale": ({},),
    "power_gated_at": (),
    "instances": (),
    "vector_access_energy": (),
    "addr_gen_energy": (),
    **dict.fromkeys(("network_read", "network_fill", "network_update", "network_drain"), ()),
}
_OTHERWISE = "remove it, or run Timeloop's own programs"
_GATED = "a group below one gate leaks whole as soon as one of it is used, while here, and in the mapper's bounds,"
_DELAYED = "a network adds its cycles to those of the level, which neither the engine nor the mapper's bounds have"
_WHY_REFUSED = {  # what Timeloop does with them (src/model/buffer.cpp and topology.cpp of 4cf6d4c)
    "has_power_gating": f"{_GATED} the instances in use leak",
    "power_gated_at": f"{_GATED} the instances in use leak",
    "per_dataspace_bandwidth_consumption_scale": "it weighs each data space's accesses before they are held against the"
    " bandwidth: cycles which neither the engine nor the mapper's bounds have",
    "allow_overbooking": "tiles may be larger than the memory, which only a sparse model can cost",
    "reduction_supported": "partial sums are then read back and added elsewhere: counts which the engine does not have",
    "min_utilization": "mappings that fill a memory less are invalid there, which the mapper's bounds do not know",
    "network_fill_latency": _DELAYED,
    "network_drain_latency": _DELAYED,
    "vector_access_energy": "energies are those of a table",
    "addr_gen_energy": "energies are those of a table",
}
_READ = (
    *("technology", "global_cycle_seconds", "datawidth", "word_bits", "width", "block_size", "cluster_size"),
    *("depth", "entries", "sizeKB", "multiple_buffering", "read_bandwidth", "write_bandwidth", "shared_bandwidth"),
    *("n_ports", "num_ports", "meshX", "meshY", "n_banks"),
)
_ONLY_SPARSE = (  # read where there is a sparse format; without one, Timeloop ignores them
    *("compression_supported", "decompression_supported", "tile_partition_supported"),
    "concordant_compressed_tile_traversal",
)
_SYNONYMS = {  # names of older inputs, which Timeloop takes before or beside those that the engine reads
    "bandwidth": "read_bandwidth` and `write_bandwidth",
    "word_width": "datawidth",
    "n_words": "block_size",
    "memory_width": "width",
    "data_storage_width": "width",
    "memory_depth": "depth",
    "data_storage_depth": "depth",
}


def is_attribute(name: str) -> bool:
    """Whether the engine or Timeloop's front end has an attribute of that name."""
    return name in ATTRIBUTES or name.startswith("metadata_")


ATTRIBUTES = (*_READ, *_REFUSED, *_SYNONYMS, *_ONLY_SPARSE)
"""All of them, but those of sparse formats, which start with ``metadata_``."""


@dataclass(frozen=True)
class PackedSpace:
    """How words of a data space lie in the rows of a memory: ``words`` words of ``bits`` bits in ``rows`` rows."""

    name: str
    bits: int
    words: int
    rows: int = 1


@dataclass(frozen=True)
class PackedRows:
    """A memory whose data spaces have words of their own width: capacity and accesses count rows.

    ``rows``: how many there are for a mapping, copies for multiple buffering taken off; None means unlimited.
    """

    row_bits: int
    rows: int | None
    spaces: tuple[PackedSpace, ...]  # in the order of the problem's data spaces


@dataclass(frozen=True)
class Level:
    """A storage level, or the pseudo level of a fan-out.

    Sizes in words, bandwidths in words per cycle and instance; None means unlimited. The mesh is the number of
    columns and rows of instances of this level; the fan-out is towards the next inner level.
    With a ``packing``, capacity is its rows, an access moves one row, and bandwidths count bits: so many times
    ``word_bits`` as they say.
    """

    name: str
    kind: str  # "storage" or "fanout"
    meshX: int
    meshY: int
    fanoutX: int = 1
    fanoutY: int = 1
    word_bits: int = 1
    block_size: int = 1
    cluster_size: int = 1
    size: int | None = None
    effective_size: int | None = None
    multiple_buffering: float = 1.0
    read_bandwidth: float | None = None
    write_bandwidth: float | None = None
    shared_bandwidth: float | None = None
    packing: PackedRows | None = None  # None: all data spaces have words of word_bits
    constraints: Constraints = Constraints()
    component: Component | None = None

    @property
    def instances(self) -> int:
        return self.meshX * self.meshY

    @property
    def fanout(self) -> int:
        return self.fanoutX * self.fanoutY

    def row(self, space: str) -> PackedSpace:
        """How words of a data space lie in the rows that an access moves."""
        if self.packing is not None:
            return next(found for found in self.packing.spaces if found.name == space)
        return PackedSpace(space, self.word_bits, self.block_size)

    @property
    def node(self) -> str:
        """The architecture node that this level belongs to (a fan-out's container)."""
        return self.name.removeprefix("inter_").removesuffix("_spatial") if self.kind == "fanout" else self.name


@dataclass(frozen=True)
class Compute:
    """The multiply-accumulate units."""

    name: str
    meshX: int
    meshY: int
    component: Component

    @property
    def instances(self) -> int:
        return self.meshX * self.meshY


@dataclass(frozen=True)
class Hardware:
    """Levels, innermost first, and the compute units below them."""

    name: str
    levels: tuple[Level, ...]
    compute: Compute

    @property
    def level_names(self) -> tuple[str, ...]:
        return tuple(level.name for level in self.levels)

    def _repr_html_(self) -> str:
        """What a notebook shows: the levels, outermost first."""
        rows = [
            (level.name, level.kind, level.instances, level.size, level.word_bits, f"{level.fanoutX}x{level.fanoutY}")
            for level in reversed(self.levels)
        ]
        compute = (self.compute.name, "compute", self.compute.instances, None, None, None)
        heads = ("Level", "Kind", "Instances", "Words", "Bits of a word", "Fan-out")
        return html.table(heads, [*rows, compute], self.name)

    def instances(self, name: str) -> int:
        """How many instances of a level or of the compute unit exist."""
        if name == self.compute.name:
            return self.compute.instances
        return next(level.instances for level in self.levels if level.name == name)


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
                raise _uncountable(node, "instances", mesh_x * mesh_y)
        if isinstance(node, Component):
            if node.is_compute:
                _refuse(node, "instances", ())
                compute = Compute(node.name, mesh_x, mesh_y, node)
            else:
                levels.append(_storage(node, mesh_x, mesh_y, constraints))

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


def _storage(node: Component, mesh_x: int, mesh_y: int, constraints: Constraints) -> Level:
    get = node.attributes.get
    for key, harmless in _REFUSED.items():
        _refuse(node, key, harmless)
    for key, ours in _SYNONYMS.items():
        if get(key) is not None:
            raise TqhwError(f"{node.name}: '{key}' is not read", place=node.place, lever=f"give `{ours}`")
    word_bits = _whole(node, "datawidth", get("datawidth", get("word_bits", 8)))
    if get("word_bits") not in (None, word_bits):
        message = f"{node.name}: datawidth {word_bits} and word_bits {get('word_bits')} are both given"
        raise TqhwError(message, place=node.place, lever="keep `datawidth`")
    _check_ports(node)
    cluster_size = _cluster_size(node, mesh_x * mesh_y)
    block_size = _whole(node, "block_size", get("block_size", 1))
    width = get("width")
    if width is not None:
        width = _whole(node, "width", width)
        if width % (cluster_size * word_bits):
            raise TqhwError(
                f"{node.name}: width {width} is no multiple of cluster_size * datawidth = {cluster_size * word_bits}",
                place=node.place,
                lever="give `block_size` (words per access) instead of `width`, the rest of the row is padding",
            )
        given, block_size = get("block_size"), width // (cluster_size * word_bits)
        if given is not None and given != block_size:
            raise TqhwError(
                f"{node.name}: block_size {given} is not width / (cluster_size * datawidth) = {block_size}",
                place=node.place,
                lever="give only one of `width` and `block_size`",
            )
    size = _size(node, word_bits, block_size)
    buffering = _positive(node, "multiple_buffering", get("multiple_buffering", 1))
    if size is not None and size / buffering > LARGEST:
        raise _uncountable(node, "depth / multiple_buffering", math.ceil(min(size / buffering, sys.float_info.max)))

    def bandwidth(key: str) -> float | None:
        return None if get(key) is None else _positive(node, key, get(key))

    return Level(
        name=node.name,
        kind="storage",
        meshX=mesh_x,
        meshY=mesh_y,
        word_bits=word_bits,
        block_size=block_size,
        cluster_size=cluster_size,
        size=size,
        effective_size=None if size is None else math.floor(size / buffering),
        multiple_buffering=buffering,
        read_bandwidth=bandwidth("read_bandwidth"),
        write_bandwidth=bandwidth("write_bandwidth"),
        shared_bandwidth=bandwidth("shared_bandwidth"),
        constraints=constraints,
        component=node,
    )


def _refuse(node: Component, key: str, harmless: tuple[Any, ...]) -> None:
    value = node.attributes.get(key)
    if value is not None and value not in harmless:
        why = _WHY_REFUSED.get(key)
        lever = "remove it" if why is None else f"{why}; {_OTHERWISE}"
        raise TqhwError(f"{node.name}: '{key}: {value}' is not modelled", place=node.place, lever=lever)


def _check_ports(node: Component) -> None:
    """Timeloop aborts on other numbers (``BufferLevel::ParseSpecs``), also where they are not whole."""
    for key in ("n_ports", "num_ports"):
        value = node.attributes.get(key)
        if value is not None and (isinstance(value, float) or not is_whole(value) or value > 2):
            message = f"{node.name}: {key} '{value}' must be 1 or 2, Timeloop knows no other memories"
            lever = "remove it; the ports that an energy class counts are its own attribute, such as n_rw_ports"
            raise TqhwError(message, place=node.place, lever=lever)


def _cluster_size(node: Component, instances: int) -> int:
    """Instances that share one access; Timeloop aborts where it leaves some over, and on clusters of DRAMs."""
    size = _whole(node, "cluster_size", node.attributes.get("cluster_size", 1))
    if instances % size:
        raise TqhwError(
            f"{node.name}: cluster_size {size} does not divide its {instances} instances",
            place=node.place,
            lever="give a divisor, or change the mesh",
        )
    if size > 1 and ("DRAM" in node.class_ or node.attributes.get("technology") == "DRAM"):
        message = f"{node.name}: cluster_size {size} in a class or technology of DRAM, which Timeloop models one by one"
        raise TqhwError(message, place=node.place, lever="remove it, or give another class")
    return size


def _size(node: Component, word_bits: int, block_size: int) -> int | None:
    given = [key for key in ("entries", "depth", "sizeKB") if node.attributes.get(key) is not None]
    # Of entries and depth Timeloop counts the former (buffer.cpp); energies go by the latter. It aborts on the others.
    if len(given) > 1 and given != ["entries", "depth"]:
        raise TqhwError(f"{node.name}: {' and '.join(given)} are both given", place=node.place, lever="keep one")
    if not given:
        return None
    number = _whole(node, given[0], node.attributes[given[0]])
    words = {"entries": number, "depth": number * block_size, "sizeKB": number * 1024 * 8 // word_bits}[given[0]]
    if words > LARGEST:
        raise _uncountable(node, "words", words)
    return words


def _whole(node: Component, key: str, value: Any) -> int:
    if not is_whole(value):
        raise TqhwError(f"{node.name}: {key} '{value}' must be a whole number of at least 1", place=node.place)
    if value > LARGEST:
        raise _uncountable(node, key, int(value))
    return int(value)


def _uncountable(node: Container, what: str, number: int) -> TqhwError:
    return TqhwError(f"{node.name}: {what} {number} is more than the {LARGEST} that can be counted", place=node.place)


def _positive(node: Component, key: str, value: Any) -> float:
    if not is_number(value) or value <= 0:
        raise TqhwError(f"{node.name}: {key} '{value}' must be a number above 0", place=node.place)
    return float(value)
