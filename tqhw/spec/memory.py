"""What Timeloop reads of a memory's attributes, under all the names that it takes.

Source: ``BufferLevel::ParseSpecs`` of Timeloop v0.4, ``src/model/buffer.cpp``, and the names that
``hyphens-to-underscores.hpp`` takes with hyphens.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tqhw.errors import TqhwError
from tqhw.spec.architecture import Component, Container
from tqhw.spec.constraints import Constraints
from tqhw.spec.fields import LARGEST, is_number, is_whole
from tqhw.spec.hardware import Level

DEFAULT_WORD_BITS = 16
"""Of a memory that names no width, as trees of 0.2 and 0.3 may."""
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
    *("technology", "global_cycle_seconds", "datawidth", "width", "block_size", "cluster_size"),
    *("depth", "entries", "sizeKB", "multiple_buffering", "read_bandwidth", "write_bandwidth", "shared_bandwidth"),
    *("bandwidth", "n_ports", "num_ports", "meshX", "meshY", "n_banks", "num_banks"),
)
_ONLY_SPARSE = (  # read where there is a sparse format; without one, Timeloop ignores them
    *("compression_supported", "decompression_supported", "tile_partition_supported"),
    "concordant_compressed_tile_traversal",
)
NAMES: Mapping[str, tuple[str, ...]] = {
    "datawidth": ("word_bits", "word_width", "datawidth"),
    "block_size": ("block_size", "n_words"),
    "width": ("width", "memory_width", "data_storage_width"),
    "depth": ("depth", "memory_depth", "data_storage_depth"),
}
"""The names of an attribute; of several that are given, the first here counts."""
OLD_NAMES = tuple(name for wanted, names in NAMES.items() for name in names if name != wanted)
BANDWIDTHS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth", "bandwidth")
_HYPHENED = (  # also with hyphens; the front end refuses some of them before
    *("word_bits", "block_size", "cluster_size", "multiple_buffering", "min_utilization", "num_ports", "num_banks"),
    *("vector_access_energy", "addr_gen_energy"),
)


def is_attribute(name: str) -> bool:
    """Whether the engine or Timeloop's front end has an attribute of that name."""
    return underscored(name) in ATTRIBUTES or name.startswith("metadata_")


def underscored(name: str) -> str:
    """An attribute's name as Timeloop reads it: some may have hyphens."""
    plain = name.replace("-", "_")
    return plain if plain in _HYPHENED else name


ATTRIBUTES = (*dict.fromkeys((*_READ, *(name for names in NAMES.values() for name in names))), *_REFUSED, *_ONLY_SPARSE)
"""All of them, but those of sparse formats, which start with ``metadata_``."""


def passed_over(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names whose values Timeloop does not count with, each with the one that it does, where the values differ."""
    given = _underscored(attributes)
    for names in NAMES.values():
        present = [name for name in names if given.get(name) is not None]
        yield from ((name, present[0]) for name in present[1:] if given[name] != given[present[0]])


def memory(node: Component, mesh_x: int, mesh_y: int, constraints: Constraints) -> Level:
    """The level of a storage component of so many columns and rows of instances.

    Raises TqhwError for attributes on which Timeloop aborts, and for those that the engine does not model.
    """
    attributes = _as_given_once(node)
    get = attributes.get
    for key, harmless in _REFUSED.items():
        refuse(node, key, harmless, get(key))
    name = {wanted: next((n for n in names if get(n) is not None), wanted) for wanted, names in NAMES.items()}

    def whole(wanted: str, otherwise: int) -> int:
        value = get(name.get(wanted, wanted))
        return otherwise if value is None else _whole(node, name.get(wanted, wanted), value)

    word_bits = whole("datawidth", DEFAULT_WORD_BITS)
    _check_ports(node, attributes)
    cluster_size = _cluster_size(node, whole("cluster_size", 1), mesh_x * mesh_y)
    block_size = whole("block_size", 1)
    if get(name["width"]) is not None:
        width = whole("width", 1)
        words = f"cluster_size * {name['datawidth']}"
        if width % (cluster_size * word_bits):
            raise TqhwError(
                f"{node.name}: {name['width']} {width} is no multiple of {words} = {cluster_size * word_bits}",
                place=node.place,
                lever="give `block_size` (words per access) instead of the width, the rest of the row is padding",
            )
        given, block_size = get(name["block_size"]), width // (cluster_size * word_bits)
        if given not in (None, block_size):
            raise TqhwError(
                f"{node.name}: {name['block_size']} {given} is not {name['width']} / ({words}) = {block_size}",
                place=node.place,
                lever=f"give only one of `{name['width']}` and `{name['block_size']}`",
            )
    size = _size(node, attributes, name["depth"], word_bits, block_size)
    given = get("multiple_buffering")
    buffering = 1.0 if given is None else _positive(node, "multiple_buffering", given)
    if size is not None and size / buffering > LARGEST:
        raise uncountable(node, "depth / multiple_buffering", math.ceil(min(size / buffering, sys.float_info.max)))
    bandwidths = {key: None if get(key) is None else _positive(node, key, get(key)) for key in BANDWIDTHS}
    half = None if bandwidths["bandwidth"] is None else bandwidths["bandwidth"] / 2
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
        read_bandwidth=bandwidths["read_bandwidth"] or half,
        write_bandwidth=bandwidths["write_bandwidth"] or half,
        shared_bandwidth=bandwidths["shared_bandwidth"],
        constraints=constraints,
        component=node,
    )


def _underscored(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {underscored(name): value for name, value in attributes.items()}


def _as_given_once(node: Component) -> dict[str, Any]:
    """The attributes by the names that Timeloop reads. Raises TqhwError for one given with hyphens and without."""
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        plain = underscored(name)
        if plain in found and found[plain] != value:
            message = f"{node.name}: '{plain.replace('_', '-')}' and '{plain}' are both given"
            raise TqhwError(message, place=node.place, lever="keep one")
        found[plain] = value
    return found


def refuse(node: Component, key: str, harmless: tuple[Any, ...], value: Any) -> None:
    """Raises TqhwError for an attribute that has a value which is not modelled."""
    if value is not None and value not in harmless:
        why = _WHY_REFUSED.get(key)
        lever = "remove it" if why is None else f"{why}; {_OTHERWISE}"
        raise TqhwError(f"{node.name}: '{key}: {value}' is not modelled", place=node.place, lever=lever)


def _check_ports(node: Component, attributes: Mapping[str, Any]) -> None:
    """Timeloop aborts on other numbers (``BufferLevel::ParseSpecs``), also where they are not whole."""
    for key in ("n_ports", "num_ports"):
        value = attributes.get(key)
        if value is not None and (isinstance(value, float) or not is_whole(value) or value > 2):
            message = f"{node.name}: {key} '{value}' must be 1 or 2, Timeloop knows no other memories"
            lever = "remove it; the ports that an energy class counts are its own attribute, such as n_rw_ports"
            raise TqhwError(message, place=node.place, lever=lever)


def _cluster_size(node: Component, size: int, instances: int) -> int:
    """Instances that share one access; Timeloop aborts where it leaves some over, and on clusters of DRAMs."""
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


def _size(node: Component, attributes: Mapping[str, Any], depth: str, word_bits: int, block_size: int) -> int | None:
    """Words that fit; ``depth``: the name under which the rows are given."""
    given = [key for key in ("entries", depth, "sizeKB") if attributes.get(key) is not None]
    # Of entries and depth Timeloop counts the former (buffer.cpp); energies go by the latter. It aborts on the others.
    if len(given) > 1 and given != ["entries", depth]:
        raise TqhwError(f"{node.name}: {' and '.join(given)} are both given", place=node.place, lever="keep one")
    if not given:
        return None
    number = _whole(node, given[0], attributes[given[0]])
    words = {"entries": number, depth: number * block_size, "sizeKB": number * 1024 * 8 // word_bits}[given[0]]
    if words > LARGEST:
        raise uncountable(node, "words", words)
    return words


def _whole(node: Component, key: str, value: Any) -> int:
    if not is_whole(value):
        raise TqhwError(f"{node.name}: {key} '{value}' must be a whole number of at least 1", place=node.place)
    if value > LARGEST:
        raise uncountable(node, key, int(value))
    return int(value)


def uncountable(node: Container, what: str, number: int) -> TqhwError:
    """The error for a number that is too large to be counted with."""
    return TqhwError(f"{node.name}: {what} {number} is more than the {LARGEST} that can be counted", place=node.place)


def _positive(node: Component, key: str, value: Any) -> float:
    if not is_number(value) or value <= 0:
        raise TqhwError(f"{node.name}: {key} '{value}' must be a number above 0", place=node.place)
    return float(value)
