"""Mapping constraints of one architecture node, as Timeloop v0.4's front end reads them.

Source of the semantics: timeloopfe ``v4/constraints.py`` and ``processors/constraint_macro.py``, and Timeloop
``src/mapping/constraints.cpp``. A permutation is a *prefix*, innermost loop first; the dimensions it leaves out
stay free (outside the prefix). ``split`` counts positions of the permutation that are mapped along X.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec.fields import as_names, is_number, is_whole
from tqhw.spec.yamlio import Map, as_map

_FACTOR = re.compile(r"\s*([A-Za-z_][\w-]*?)\s*(<=|>=|=)\s*([0-9]{1,18})\s*$", re.ASCII)
_ENGINE_FACTOR = re.compile(r"\s*([A-Za-z]+)\s*([0-9]{1,18})\s*$")
_REMAINDER = re.compile(r"\s*([A-Za-z_][\w-]*?)\s*=?\s*([0-9]{1,18})\s*,\s*([0-9]{1,18})\s*$", re.ASCII)


@dataclass(frozen=True)
class LoopConstraint:
    """Constraints on the temporal or the spatial loops of a level.

    ``factors``, ``at_most``, ``at_least``: dimension -> bound; a factor of 0 means the whole problem dimension.
    ``others_one``: dimensions without a factor get factor 1 (``factors_only``).
    ``not_over``: data spaces whose dimensions get factor 1 (``no_iteration_over_dataspaces``).
    ``no_links``, spatial loops only: data spaces that neighbours do not hand on (``no_link_transfer``).
    """

    factors: Mapping[str, int] = field(default_factory=dict)
    at_most: Mapping[str, int] = field(default_factory=dict)
    at_least: Mapping[str, int] = field(default_factory=dict)
    permutation: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    split: int | None = None
    others_one: bool = False
    not_over: tuple[str, ...] = ()
    no_links: tuple[str, ...] = ()

    def links(self, data_spaces: Iterable[str], place: str) -> tuple[bool, ...]:
        """Whether neighbours may hand on the words of every data space. Raises TqhwError for one that is none."""
        names = tuple(data_spaces)
        for name in self.no_links:
            if name != "*" and name not in names:
                raise unknown("data space", name, names, place)
        return tuple(name not in self.no_links and "*" not in self.no_links for name in names)


@dataclass(frozen=True)
class Constraints:
    """Constraints of a node. ``keep``/``bypass`` name data spaces; ``"*"`` stands for all of them.

    ``bypass_all_but``/``keep_all_but`` settle every data space they do not list (``keep_only``/``bypass_only``,
    and the branches of a ``!Parallel``); None leaves the rest free. ``min_utilization``: least share of the
    compute units that a mapping must use. ``place``: FILE:LINE, "" where they come from no file.
    """

    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()
    bypass_all_but: tuple[str, ...] | None = None
    keep_all_but: tuple[str, ...] | None = None
    temporal: LoopConstraint = LoopConstraint()
    spatial: LoopConstraint = LoopConstraint()
    min_utilization: float = 0.0
    place: str = field(default="", compare=False)

    def kept(self, data_spaces: Iterable[str], place: str) -> dict[str, bool | None]:
        """True (kept), False (bypassed) or None (free) for every data space of a problem."""
        names = tuple(data_spaces)
        for name in (*self.keep, *self.bypass, *(self.bypass_all_but or ()), *(self.keep_all_but or ())):
            if name != "*" and name not in names:
                raise unknown("data space", name, names, place)
        result: dict[str, bool | None] = {}
        for name in names:
            keep = name in self.keep or "*" in self.keep
            bypass = name in self.bypass or "*" in self.bypass
            if keep and bypass:
                raise TqhwError(f"{name} is both kept and bypassed", place=place, lever="remove one of the two")
            if not keep and not bypass:
                bypass = self.bypass_all_but is not None and name not in self.bypass_all_but
                keep = self.keep_all_but is not None and name not in self.keep_all_but
            result[name] = True if keep else False if bypass else None
        return result


def parse_factors(value: Any, place: str) -> dict[str, dict[str, int]]:
    """``[C=4, M<=2]`` or ``"C=4,M<=2"`` or the engine's ``"C4 M2"`` as {"=": {...}, "<=": {...}, ">=": {...}}.

    Raises TqhwError for a factor with a remainder, which only a mapping may have.
    """
    result, remainders = parse_remainders(value, place)
    for name, remainder in remainders.items():
        raise TqhwError(
            f"factor '{name}={result['='][name]},{remainder}' has a remainder: a constraint's factors have none",
            place=place,
            lever=f"fix {name} to a factor that divides its bound, or leave it free and search `factors: imperfect`",
        )
    return result


def parse_remainders(value: Any, place: str) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """:func:`parse_factors` of a mapping, and the remainders of the factors that have one that differs: ``P=6,4``.

    Six iterations, and four in the last pass of the loops outside. A remainder lies between 1 and its factor.
    """
    if value is None or value == {}:
        value = ""
    items = value if isinstance(value, list) else re.split(r"[,\s]+(?=[A-Za-z_])", str(value).strip())
    result: dict[str, dict[str, int]] = {"=": {}, "<=": {}, ">=": {}}
    remainders: dict[str, int] = {}
    for item in _joined(items):
        text = item.strip().rstrip(",")
        if not text:
            continue
        match = _FACTOR.match(text)
        engine = None if match else _ENGINE_FACTOR.match(text)
        if match:
            name, operator, number = match.groups()
        elif engine:
            name, operator, number = engine[1], "=", engine[2]
        elif uneven := _REMAINDER.match(text):
            name, operator, number = uneven[1], "=", uneven[2]
            if not 1 <= int(uneven[3]) <= int(number):
                raise TqhwError(
                    f"factor '{text}' has a remainder of {int(uneven[3])}: it must lie between 1 and the factor",
                    place=place,
                    lever=f"write {name}={number},4 for {number} iterations of which the last pass makes 4"
                    if int(number) > 4
                    else f"write {name}={number} where every pass is whole",
                )
            if int(uneven[3]) < int(number):
                remainders[name] = int(uneven[3])
        else:
            raise TqhwError(f"factor '{text}' is not of the form C=4, C<=4 or C>=4", place=place)
        if name in result[operator]:
            raise TqhwError(f"the factor of {name} is given twice", place=place, lever="keep one")
        result[operator][name] = int(number)
    return result, remainders


def _joined(items: list[Any]) -> list[str]:
    """The items as texts; a number that stands alone, which YAML made of ``[M=6,4]``, with the factor before it."""
    result: list[str] = []
    for item in items:
        if result and (is_whole(item, 0) or (isinstance(item, str) and item.strip().isdecimal())):
            result[-1] += f",{item}"
        else:
            result.append(str(item))
    return result


def parse_permutation(value: Any, place: str = "permutation") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(innermost dimensions, outermost dimensions after a ``_``) of a list, ``"C,M"`` or ``"CM"``."""
    if isinstance(value, str):
        listed = value.strip().removesuffix(",").split(",")
        value = [part.strip() for part in listed] if "," in value else list(value.replace(" ", ""))
    names = as_names(value, place, "a permutation")
    if "_" not in names:
        return names, ()
    at = names.index("_")
    return names[:at], names[at + 1 :]


NO_LINKS = "no_link_transfer"
_LOOP_KEYS = (
    "factors",
    "permutation",
    "split",
    "factors_only",
    "no_iteration_over_dataspaces",
    "default_max_factor",
    "default_min_factor",
    "type",
    "target",
)
_DATASPACE_KEYS = ("keep", "bypass", "keep_only", "bypass_only", "type", "target")
_HOMES = {
    "`constraints` itself": ("dataspace", "temporal", "spatial", "utilization"),
    "`temporal`": _LOOP_KEYS,
    "`spatial`": (*_LOOP_KEYS, NO_LINKS),
    "`dataspace`": _DATASPACE_KEYS,
}
_COUNTS = "which the engine and the mapper's bounds do not have; remove it, or run Timeloop's own programs"
_SIZES = "it depends on the problem's sizes: `map`, `evaluate` and `run` carry it out; elsewhere write the factors"
_NOT_MODELLED = {  # and why; what they do was looked at in runs of timeloop-model
    "no_reuse": f"over time it fetches every tile anew, over space it sends and adds up word by word: counts {_COUNTS}",
    "no_temporal_reuse": f"it fetches every tile anew: counts {_COUNTS}",
    "no_multicast_no_reduction": f"it sends and adds up word by word for every instance: counts {_COUNTS}",
    "rmw_first_update": f"it reads outputs before their first update, too: counts {_COUNTS}",
    "no_coalesce": "what Timeloop counts of it is no memory's (a tile of 0 words, at which it aborts where it is the"
    " outermost's); remove it",
    "remainders": "it is of Ruby, another mapspace of Timeloop's; search with `factors: imperfect` instead",
    "maximize_dims": _SIZES,
    "maximize_dims_capacity": _SIZES,
    "must_iterate_over_dataspaces": _SIZES,
}


def _refuse_unknown(entry: Map, known: Iterable[str]) -> None:
    for key, value in entry.items():
        if key in known or value in (None, [], {}):
            continue
        if key in _NOT_MODELLED:
            raise TqhwError(f"'{key}' is not modelled", place=entry.place(), lever=_NOT_MODELLED[key])
        raise unknown("constraint", key, known, entry.place(), _HOMES)


def _loops(value: Any, place: str, more: tuple[str, ...] = ()) -> LoopConstraint:
    if value in (None, {}, []):
        return LoopConstraint()
    entry = as_map(value, place, "a loop constraint")
    _refuse_unknown(entry, (*_LOOP_KEYS, *more))
    factors = parse_factors(entry.get("factors"), entry.place("factors"))
    only = parse_factors(entry.get("factors_only"), entry.place("factors_only"))
    prefix, suffix = parse_permutation(entry.get("permutation"), entry.place("permutation"))
    for key in ("default_max_factor", "default_min_factor"):
        if entry.get(key) is not None:
            raise TqhwError(f"'{key}' is not modelled", place=entry.place(), lever="list the factors instead")
    split = entry.get("split")
    if split is not None and not is_whole(split, least=0):
        raise TqhwError(f"split '{split}' must be a whole number of at least 0", place=entry.place("split"))
    return LoopConstraint(
        factors={**factors["="], **only["="]},
        at_most={**factors["<="], **only["<="]},
        at_least={**factors[">="], **only[">="]},
        permutation=prefix,
        suffix=suffix,
        split=None if split is None else int(split),
        others_one=entry.get("factors_only") is not None,
        not_over=as_names(entry.get("no_iteration_over_dataspaces"), entry.place(), "no_iteration_over_dataspaces"),
        no_links=as_names(entry.get(NO_LINKS), entry.place(NO_LINKS), NO_LINKS, star=True),
    )


def parse_constraints(value: Any, place: str) -> Constraints:
    """The ``constraints`` of a node."""
    if value in (None, {}):
        return Constraints()
    entry = as_map(value, place, "constraints")
    _refuse_unknown(entry, _HOMES["`constraints` itself"])
    spaces = Map()
    if entry.get("dataspace") is not None:
        spaces = as_map(entry["dataspace"], entry.place("dataspace"), "a dataspace constraint")
        _refuse_unknown(spaces, _DATASPACE_KEYS)
    keep, bypass, keep_only, bypass_only = (
        as_names(spaces.get(key), spaces.place(key), key, star=True)
        for key in ("keep", "bypass", "keep_only", "bypass_only")
    )
    minimum = entry.get("utilization")
    if isinstance(minimum, Map):
        _refuse_unknown(minimum, ("min",))
        minimum = minimum.get("min")
    minimum = 0.0 if minimum is None else minimum
    if not is_number(minimum) or not 0 <= minimum <= 1:
        raise TqhwError(f"utilization '{minimum}' must lie between 0 and 1", place=entry.place("utilization"))
    return Constraints(
        keep=(*keep, *keep_only),
        bypass=(*bypass, *bypass_only),
        bypass_all_but=None if spaces.get("keep_only") is None else keep_only,
        keep_all_but=None if spaces.get("bypass_only") is None else bypass_only,
        temporal=_loops(entry.get("temporal"), entry.place("temporal")),
        spatial=_loops(entry.get("spatial"), entry.place("spatial"), more=(NO_LINKS,)),
        min_utilization=float(minimum),
        place=entry.place(),
    )
