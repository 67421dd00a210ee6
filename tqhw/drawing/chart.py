"""What a picture of an architecture says: levels, sizes, widths, fan-outs, who keeps what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tqhw.drawing.svg import USUAL, ordered
from tqhw.spec import Architecture, Component, Hardware, Hierarchical, Level, Nothing, Parallel
from tqhw.spec.architecture import Node


@dataclass(frozen=True)
class LevelBox:
    """A memory, or the multipliers. ``keeps`` and ``may_keep``: data spaces; any other passes by."""

    name: str
    kind: str  # its class in the file
    instances: int
    facts: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    may_keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class FanOut:
    """All that follows is there ``x`` times ``y`` times."""

    name: str
    x: int
    y: int

    @property
    def text(self) -> str:
        along = [f"{count:,} along {axis}" for count, axis in ((self.x, "X"), (self.y, "Y")) if count > 1]
        return f"{self.name}: {', '.join(along)}"


@dataclass(frozen=True)
class Chart:
    """An architecture, outermost first: rows of memories that stand side by side, and fan-outs between them."""

    title: str
    rows: tuple[tuple[LevelBox, ...] | FanOut, ...]
    spaces: tuple[str, ...]


def chart(hardware: Hardware, architecture: Architecture | None = None) -> Chart:
    """The chart of a hardware; with its ``architecture``, the parts of a !Parallel stand side by side."""
    spaces = data_spaces(hardware)
    beside = {} if architecture is None else {name: row for row in _parallels(architecture.nodes) for name in row}
    rows: list[tuple[LevelBox, ...] | FanOut] = []
    last: tuple[str, ...] | None = None
    for level in reversed(hardware.levels):
        row = beside.get(level.name)
        if level.kind == "fanout":
            rows.append(FanOut(level.node, level.fanoutX, level.fanoutY))
        elif row is not None and row is last and isinstance(rows[-1], tuple):
            rows[-1] = (*rows[-1], _box(level, spaces))
        else:
            rows.append((_box(level, spaces),))
        last = row
    compute = hardware.compute
    attributes = compute.component.attributes
    facts = tuple(f"{name}: {attributes[name]}" for name in attributes if name.endswith(("_bits", "width", "bricks")))
    rows.append((LevelBox(compute.name, _kind(compute.component), compute.instances, facts),))
    return Chart(hardware.name, tuple(rows), spaces)


def data_spaces(hardware: Hardware) -> tuple[str, ...]:
    """The data spaces that packed memories or constraints name; the usual ones where they name no other."""
    found: dict[str, None] = {}
    for level in hardware.levels:
        if level.packing is not None:
            return ordered(space.name for space in level.packing.spaces)
        constraints = level.constraints
        lists = (constraints.keep, constraints.bypass, constraints.keep_all_but, constraints.bypass_all_but)
        found.update(dict.fromkeys(name for names in lists for name in names or () if name != "*"))
    return USUAL if {*found} <= {*USUAL} else ordered(found)


def _parallels(nodes: Sequence[Node]) -> Iterator[tuple[str, ...]]:
    """The names of the memories of every !Parallel whose branches are single ones."""
    for node in nodes:
        if isinstance(node, Parallel) and all(isinstance(branch, Component | Nothing) for branch in node.nodes):
            yield tuple(branch.name for branch in node.nodes if isinstance(branch, Component))
        elif isinstance(node, Parallel | Hierarchical):
            yield from _parallels(node.nodes)


def _kind(component: Component | None) -> str:
    if component is None:
        return ""
    return component.subclass or component.class_


def _box(level: Level, spaces: tuple[str, ...]) -> LevelBox:
    kept = level.constraints.kept(spaces, level.constraints.place or f"constraints of {level.node}")
    return LevelBox(
        level.name,
        _kind(level.component),
        level.instances,
        tuple(_facts(level, kept)),
        tuple(name for name in spaces if kept[name] is True),
        tuple(name for name in spaces if kept[name] is None),
    )


def _facts(level: Level, kept: dict[str, bool | None]) -> Iterator[str]:
    words = level.block_size * level.cluster_size
    attributes = {} if level.component is None else level.component.attributes
    row_bits = attributes.get("row_bits", attributes.get("width", words * level.word_bits))
    if level.size is None:
        yield f"rows of {row_bits} bits"
    else:
        rows = level.size // level.block_size
        yield f"{_many(rows, 'row')} of {row_bits} bits, {_bytes(level.size * level.word_bits)}"
    if level.packing is None:
        yield f"{_many(words, 'word')} of {_many(level.word_bits, 'bit')} a row"
    else:
        for space in level.packing.spaces:
            if kept.get(space.name) is not False:
                in_rows = "a row" if space.rows == 1 else f"in {space.rows} rows"
                yield f"{space.name}: {_many(space.words, 'word')} of {_many(space.bits, 'bit')} {in_rows}"
    if level.multiple_buffering != 1:
        yield f"buffered {level.multiple_buffering:g} times"
    ports = {"read": level.read_bandwidth, "write": level.write_bandwidth, "shared": level.shared_bandwidth}
    given = [f"{name} {words:g}" for name, words in ports.items() if words is not None]
    if given:
        yield f"words a cycle: {', '.join(given)}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _bytes(bits: int) -> str:
    for unit, size in (("MiB", 8 * 2**20), ("KiB", 8 * 2**10), ("B", 8)):
        if bits >= size:
            return f"{bits / size:.4g} {unit}"
    return _many(bits, "bit")
