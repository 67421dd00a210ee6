"""The flat list of levels that Timeloop's engine sees.

Source: Timeloop v0.4, engine ``src/model/buffer.cpp`` and ``arithmetic.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.spec.architecture import Component
from tqhw.spec.constraints import Constraints
from tqhw.system import html


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
