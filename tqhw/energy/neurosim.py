"""The integer adder of Accelergy's NeuroSim plug-in, which answers at nodes where the Aladdin plug-in does not.

Source: the plug-in at commit bf874bc with NeuroSim 388f421: `intadder` with `n_bits`, a straight line in the bits, at
nine nodes, linear in the node between them. Which of the two plug-ins answers at 40 and 45 nm depends, in Accelergy,
on what is installed and in which order; here it is the option ``adder``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from tqhw.energy.query import Primitive, Query, table
from tqhw.energy.technology import neurosim_nm

ADDERS = ("aladdin", "neurosim")
"""Who answers an `intadder` that has `n_bits`; the first where nothing is said."""
_FREE = ("write", "update")


@cache
def _rows() -> dict[tuple[int, int], Mapping[str, str]]:
    return {(int(row["node"]), int(row["n_bits"])): row for row in table("neurosim_adder.csv")}


def _value(query: Query, column: str) -> float:
    """A column for the adder's bits, between the nodes that NeuroSim runs at."""
    technology = query.attributes.get("technology")
    try:
        node = neurosim_nm(technology)
    except ValueError:
        raise query.refusal(
            f"technology '{technology}' is no node from 7 to 130 nm", 'write it as "45nm", or give an ERT and ART'
        ) from None
    nodes = sorted({n for n, _ in _rows()})
    below, above = max(n for n in nodes if n <= node), min(n for n in nodes if n >= node)
    if below == above:
        return _bits(query, node, column)
    share = (node - below) / (above - below)
    return (1 - share) * _bits(query, below, column) + share * _bits(query, above, column)


def _bits(query: Query, node: int, column: str) -> float:
    bits = query.whole("n_bits")
    if (node, bits) in _rows():
        return float(_rows()[node, bits][column])
    one, most = (float(_rows()[node, n][column]) for n in (1, 64))
    return one + (most - one) * (bits - 1) / 63


def _energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    if action == "leak":
        return _value(query, "leak_pj_per_ns") * (query.cycle_seconds / 1e-9) * 1e-12
    return 0.0 if action in _FREE else _value(query, "add_pj") * 1e-12


def _area_m2(query: Query) -> float:
    return _value(query, "area_um2") * 1e-12


def adder() -> Primitive:
    """The class `intadder` as NeuroSim answers it."""
    return Primitive(("add", "read", "compute", *_FREE), _energy_j, _area_m2, reads=("n_bits", "width"))
