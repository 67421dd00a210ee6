"""Shapes beyond the packaged ones, and small machines, several chips among them."""

from __future__ import annotations

from collections.abc import Sequence

from tqhw.spec import ERT, Hardware, Problem, Shape, flatten, make_problem, parse_architecture, parse_shape, yamlio


def shape(name: str, dimensions: str, coefficients: str, **projections: str) -> Shape:
    """A shape of one-letter dimensions and coefficients; Outputs are read and written."""
    spaces = [
        f"- {{name: {space}, projection: {ranks}{', read_write: true' if space == 'Outputs' else ''}}}"
        for space, ranks in projections.items()
    ]
    given = ", ".join(f"{{name: {c}, default: 1}}" for c in coefficients)
    head = f"name: {name}\ndimensions: [{', '.join(dimensions)}]\ncoefficients: [{given}]\ndata_spaces:\n"
    return parse_shape(yamlio.parse(head + "\n".join(spaces)), name)


CUSTOM = {
    found.name: found
    for found in (
        # A halo in the outputs: a transposed convolution, and one where every data space has a halo.
        shape("transposed", "KPR", "ab", Weights="[[[K]],[[R]]]", Inputs="[[[P]]]", Outputs="[[[K]],[[P,a],[R,b]]]"),
        shape("three_halos", "PRS", "ab", Weights="[[[R],[S,b]]]", Inputs="[[[P,a],[R]]]", Outputs="[[[P],[S]]]"),
        # A dimension in two ranks of a data space.
        shape(
            "diagonal", "KPR", "ab", Weights="[[[K]],[[R]]]", Inputs="[[[P,a],[R,b]],[[P]]]", Outputs="[[[K]],[[P]]]"
        ),
        shape(
            "two_diagonals", "PRS", "ab", Weights="[[[R]],[[S]]]", Inputs="[[[P,a],[R,b]],[[P],[S]]]", Outputs="[[[P]]]"
        ),
        # Two data spaces with a halo; a rank of three dimensions.
        shape(
            "two_halos", "PQRS", "ab", Weights="[[[R,a],[Q,b]]]", Inputs="[[[P],[S,b]],[[R]]]", Outputs="[[[P]],[[Q]]]"
        ),
        shape(
            "triple",
            "KPRT",
            "abc",
            Weights="[[[K]],[[R]],[[T]]]",
            Inputs="[[[P,a],[R,b],[T,c]]]",
            Outputs="[[[K]],[[P]]]",
        ),
    )
}

_DRAM = "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}"


def _part(name: str, keep: str, bypass: str, size: str = "") -> str:
    return (
        f"- !Component {{name: {name}, class: SRAM, attributes: {{datawidth: 8{size}}}, "
        f"constraints: {{dataspace: {{keep: [{keep}], bypass: [{bypass}]}}}}}}"
    )


_MAC = "- !Component {name: mac, class: compute}"


def _buffer(entries: int, keep: str = "") -> str:
    kept = f", constraints: {{dataspace: {{keep: [{keep}]}}}}" if keep else ""
    return f"- !Component {{name: Buffer, class: SRAM, attributes: {{datawidth: 8, entries: {entries}}}{kept}}}"


def _units(name: str, x: int, y: int = 1) -> str:
    return f"- !Container {{name: {name}, spatial: {{meshX: {x}, meshY: {y}}}}}"


MACHINES: dict[str, Sequence[str]] = {
    "row": (_DRAM, _units("PE", 5, 3), _MAC),
    "square": (_DRAM, _units("PE", 2, 2), _MAC),
    "holes": (
        _DRAM,
        _units("PE", 3),
        _part("Buffer", "Inputs, Outputs", "Weights", ", entries: 8, block_size: 3"),
        _MAC,
    ),
    "line": (_DRAM, _units("PE", 3), _MAC),
    "behind_buffer": (_DRAM, _buffer(12, "Outputs"), _units("PE", 2), _MAC),
    "private_buffers": (_DRAM, _units("PE", 2), _buffer(24, "Weights, Outputs"), _MAC),
    "chips": (_units("Chip", 1, 2), _DRAM, _buffer(8, "Inputs"), _MAC),
    "throttled_chips": (
        _units("Chip", 1, 2),
        _DRAM,
        "- !Component {name: Buffer, class: SRAM, attributes: {datawidth: 8, block_size: 2, entries: 8, "
        "read_bandwidth: 2}, constraints: {dataspace: {keep: [Inputs]}, temporal: {permutation: [R]}}}",
        _MAC,
    ),
    "blocks": (
        "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8, block_size: 4}, "
        "constraints: {temporal: {factors: [Q=1, S=2]}}}",
        _units("PE", 5, 4),
        "- !Component {name: Buffer, class: SRAM, attributes: {datawidth: 8, entries: 6}, "
        "constraints: {dataspace: {keep: [Outputs], bypass: [Weights, Inputs]}}}",
        _MAC,
    ),
    # Levels one after the other with no fan-out between: the same loops can stand at either.
    "split": (
        _part("DRAM", "Weights", "Inputs, Outputs"),
        _part("DRAM2", "Inputs, Outputs", "Weights", ", block_size: 2"),
        _units("PE", 3),
        _part("Buffer", "Inputs", "Weights, Outputs", ", entries: 6"),
        _MAC,
    ),
    "split_buffers": (
        _DRAM,
        _part("Buffer", "Inputs, Outputs", "Weights", ", entries: 14, block_size: 2"),
        _part("Buffer2", "Weights", "Inputs, Outputs", ", entries: 10"),
        _units("PE", 2, 2),
        _MAC,
    ),
    "stacked": (
        _part("DRAM", "Weights, Inputs, Outputs", ""),
        _units("Row", 1, 2),
        _units("PE", 3),
        _part("Buffer", "Inputs, Outputs", "Weights", ", entries: 7"),
        _part("Buffer2", "Weights", "Inputs, Outputs", ", entries: 4"),
        _MAC,
    ),
    "chips_of_units": (_units("Chip", 3), _DRAM, _buffer(8, "Outputs"), _units("PE", 2), _MAC),
}


def build(nodes: Sequence[str]) -> tuple[Hardware, ERT]:
    """Hardware of these nodes, with energies for DRAM, Buffer, a second of each, and mac."""
    text = "architecture:\n  version: 0.4\n  nodes:\n" + "".join(f"  {node}\n" for node in nodes)
    hardware = flatten(parse_architecture(yamlio.parse(text), "custom"))
    ert = ERT(
        {
            "DRAM": {"read": 100.0, "write": 110.0, "leak": 0.5},
            "DRAM2": {"read": 90.0, "write": 95.0, "leak": 0.25},
            "Buffer": {"read": 10.0, "write": 10.0},
            "Buffer2": {"read": 7.0, "write": 9.0, "leak": 0.125},
            "mac": {"compute": 1.0},
        }
    )
    return hardware, ert


def problem_of(name: str, bounds: Sequence[int], coefficients: Sequence[int]) -> Problem:
    """A layer of a custom shape; what is given beyond its dimensions or coefficients is left out."""
    found = CUSTOM[name]
    sizes = dict(zip(found.dimensions, bounds, strict=False))
    return make_problem(found, {**sizes, **dict(zip(found.coefficients, coefficients, strict=False))}, name)
