"""The primitive classes that the packaged tables answer, by the names of Accelergy's plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from tqhw.energy import aladdin_library, aladdin_plugin, aladdin_structures, neurosim, sram
from tqhw.energy.query import Primitive, Query, table
from tqhw.errors import TqhwError, nearest, unknown

# Classes that Accelergy has and these tables refuse, each with its reason.
_REFUSED = {
    "FIFO": "the Aladdin plug-in's FIFO fails in Accelergy too",
    "cache": "only plain SRAM was tabulated, no cache with tags",
}


def _dram_pj_per_bit() -> dict[str, float]:
    return {row["type"]: float(row["pj_per_bit"]) for row in table("dram.csv")}


def _dram_energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    known = _dram_pj_per_bit()
    type_ = str(query.attributes.get("type", "LPDDR4"))
    if type_ not in known:
        raise unknown("DRAM type", type_, known, query.place)
    width = query.whole("width")
    return 0.0 if action == "leak" else known[type_] * 1e-12 * width


def _dram_area_m2(query: Query) -> float:
    _dram_energy_j(query, "leak", {})  # off chip: no area, but a wrong type is refused here too
    return 0.0


@cache
def primitives() -> Mapping[str, Primitive]:
    """Every class by name."""
    dram = Primitive(("read", "write", "update"), _dram_energy_j, _dram_area_m2, reads=("width", "type"))
    return {
        **aladdin_library.primitives(),
        **aladdin_plugin.primitives(),
        **aladdin_structures.primitives(),
        **sram.primitives(),
        "DRAM": dram,
        "dram": dram,
    }


def primitive(query: Query, compounds: Iterable[str] = (), adder: str = neurosim.ADDERS[0]) -> Primitive:
    """The class that ``query`` names, its common attributes checked.

    ``adder``: who answers an `intadder` that has `n_bits` (see neurosim.ADDERS). Raises TqhwError for an unknown class
    (with the nearest of the primitives and ``compounds``), for a missing technology and for a choice of plug-in.
    """
    if adder not in neurosim.ADDERS:
        raise unknown("adder", adder, neurosim.ADDERS, "energy.adder")
    if query.class_ not in primitives():
        if query.class_ in _REFUSED:
            raise TqhwError(f"class '{query.class_}' is not costed: {_REFUSED[query.class_]}", place=query.place)
        raise TqhwError(
            f"unknown component class '{query.class_}'",
            place=query.place,
            lever=f"{nearest(query.class_, (*compounds, *primitives()))}; your own classes stand under `components:`,"
            " your own energies in an ERT",
        )
    query.check()
    if query.class_ == "intadder" and adder == "neurosim" and "n_bits" in query.attributes:
        return neurosim.adder()
    return primitives()[query.class_]
