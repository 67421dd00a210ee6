"""Mappings: which level keeps what, and the temporal and spatial loops of every level.

Both of Timeloop's dialects load: the engine's (``map.yaml``: ``type: datatype``, ``C4 M2``, ``CMRS``, pseudo levels
``inter_PE_spatial``) and the front end's (``type: dataspace``, ``[C=4, M=2]``, lists, containers by their name).
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
from tqhw.spec.constraints import NO_LINKS, parse_permutation, parse_remainders
from tqhw.spec.fields import as_name, as_names, is_whole
from tqhw.spec.yamlio import Map, as_map
from tqhw.system import html


@dataclass(frozen=True)
class Loops:
    """Loops of one level: a factor per dimension (absent: 1; 0: the rest of it), and their order, innermost first.

    ``split``, spatial loops only: positions of the permutation below it are mapped along X, the others along Y;
    None means all along X. ``remainders``: iterations in the last pass of the loops outside, where that are fewer.
    ``no_links``, spatial loops only: data spaces that neighbours do not hand on, beside those of the constraints.
    """

    factors: MappingABC[str, int] = field(default_factory=dict)
    permutation: tuple[str, ...] = ()
    split: int | None = None
    remainders: MappingABC[str, int] = field(default_factory=dict)
    no_links: tuple[str, ...] = ()

    def factor(self, dimension: str) -> str:
        """``6``, or ``6,4`` with a remainder."""
        factor = str(self.factors.get(dimension, 1))
        return f"{factor},{self.remainders[dimension]}" if dimension in self.remainders else factor


@dataclass(frozen=True)
class LevelMapping:
    """One level: the data spaces it keeps and bypasses (named in neither: kept), its loops.

    ``place``: file and line of its first directive, "" where it comes from no file.
    """

    target: str
    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()
    temporal: Loops = Loops()
    spatial: Loops | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class Mapping:
    """A mapping, a level each. The order of the levels carries no meaning."""

    levels: tuple[LevelMapping, ...]

    def _repr_html_(self) -> str:
        """What a notebook shows: loops by level, each level's innermost loop first."""
        rows = [
            (part.target, _told(part.temporal), _told(part.spatial), ", ".join(part.bypass)) for part in self.levels
        ]
        return html.table(("Level", "Loops", "In parallel", "Bypassed by"), rows)

    def level(self, target: str) -> LevelMapping:
        """The part of a level; a level that the mapping does not name keeps everything and has no loops."""
        return next((level for level in self.levels if level.target == target), LevelMapping(target))


def has_remainders(mapping: Mapping) -> bool:
    """Whether a loop of the mapping makes fewer iterations in the last pass of the loops outside."""
    return any(loops.remainders for level in mapping.levels for loops in (level.temporal, level.spatial or Loops()))


def _told(loops: Loops | None) -> str:
    """``C2 M16``: the loops that turn more than once, the innermost first."""
    if loops is None:
        return ""
    order = [*loops.permutation, *(name for name in loops.factors if name not in loops.permutation)]
    return " ".join(f"{name}{loops.factor(name)}" for name in order if loops.factors.get(name, 1) != 1)


def filled(mapping: Mapping, bounds: MappingABC[str, int]) -> Mapping:
    """``mapping`` with its factors of 0 written out: the rest of the dimension, which in Timeloop has no other factor.

    Raises TqhwError where a dimension has two of them, or other factors that do not divide its bound.
    """
    loops = [(level, part) for level in mapping.levels for part in (level.temporal, level.spatial or Loops())]
    rests: dict[str, int] = {}
    for level, part in loops:
        for name in (name for name, factor in part.factors.items() if factor == 0 and name in bounds):
            place = level.place or f"level {level.target}"
            if name in rests:
                raise TqhwError(f"{name}=0 is the rest of {name}, it stands here for a second time", place=place)
            if uneven := next((other for _, other in loops if name in other.remainders), None):
                message = (
                    f"{name}=0 is the rest of {name}, which is not known beside a remainder: {uneven.factor(name)}"
                )
                raise TqhwError(message, place=place, lever=f"write the factor of {name} here")
            others = math.prod(other.factors.get(name, 1) or 1 for _, other in loops)
            if bounds[name] % others:
                message = (
                    f"{name}=0 is the rest of {name}: {bounds[name]} is no multiple of {others}, the other factors"
                )
                raise TqhwError(message, place=place)
            rests[name] = bounds[name] // others
    if not rests:
        return mapping

    def written_out(part: Loops) -> Loops:
        return replace(part, factors={name: factor or rests.get(name, 0) for name, factor in part.factors.items()})

    return Mapping(
        tuple(
            replace(
                level,
                temporal=written_out(level.temporal),
                spatial=None if level.spatial is None else written_out(level.spatial),
            )
            for level in mapping.levels
        )
    )


_KEYS = {
    "datatype": ("target", "type", "keep", "bypass"),
    "temporal": ("target", "type", "factors", "permutation"),
    "spatial": ("target", "type", "factors", "permutation", "split", NO_LINKS),
}
_HOMES = {f"a directive of type {kind}": keys for kind, keys in _KEYS.items()}
_SYNONYMS = {"dataspace": "datatype", "bypass": "datatype"}


def parse_mapping(document: Any, source: str = "mapping") -> Mapping:
    """A list of directives, or a document ``{mapping: [...]}``."""
    if isinstance(document, MappingABC):
        if "mapping" not in document:
            raise TqhwError(
                "there is no 'mapping' in the file", place=source, lever="add `mapping:` and its directives"
            )
        document = document["mapping"]
    if not isinstance(document, list) or not document:
        raise TqhwError("a mapping must be a list of at least one directive", place=source)
    levels: dict[str, dict[str, Any]] = {}
    for number, item in enumerate(document):
        place = f"{source}: directive {number + 1}"
        entry = as_map(item if isinstance(item, Map) else _map(item), place, "a directive")
        place = entry.place() if entry.source else place
        kind = _SYNONYMS.get(str(entry.get("type")), str(entry.get("type")))
        if kind not in _KEYS:
            raise unknown("directive type", str(entry.get("type")), _KEYS, place)
        for key in entry:
            if key[:1].isdigit() and entry.get("factors"):  # {factors: M=6,4 K3, ...}, which YAML splits at the comma
                factor = f"{str(entry['factors']).split()[-1]},{key.split()[0]}"
                raise TqhwError(
                    f"'{factor}' has a remainder, and YAML ends the factors at its comma",
                    place=place,
                    lever="put the factors into quotes",
                )
            if key not in _KEYS[kind]:
                raise unknown("key", key, _KEYS[kind], place, _HOMES)
        if entry.get("target") is None:
            raise TqhwError("the directive has no target", place=place, lever="add `target:` with a level's name")
        target = as_name(entry["target"], place, "a target")
        parts = levels.setdefault(target, {"place": place})
        if kind in parts:
            raise TqhwError(f"two {kind} directives for '{target}'", place=place, lever="keep one")
        parts[kind] = _names(entry, place) if kind == "datatype" else _loops(entry, kind, place)
    return Mapping(
        tuple(
            LevelMapping(
                target,
                keep=parts.get("datatype", ((), ()))[0],
                bypass=parts.get("datatype", ((), ()))[1],
                temporal=parts.get("temporal", Loops()),
                spatial=parts.get("spatial"),
                place=parts["place"],
            )
            for target, parts in levels.items()
        )
    )


def _map(value: Any) -> Any:
    return Map(value) if isinstance(value, dict) else value


def _names(entry: Map, place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    keep, bypass = (as_names(entry.get(key), place, key) for key in ("keep", "bypass"))
    if both := set(keep) & set(bypass):
        raise TqhwError(f"{', '.join(sorted(both))} both kept and bypassed", place=place, lever="remove one")
    return keep, bypass


def _loops(entry: Map, kind: str, place: str) -> Loops:
    factors, remainders = parse_remainders(entry.get("factors"), place)
    if factors["<="] or factors[">="]:
        raise TqhwError("a mapping has exact factors", place=place, lever="write C=4, not C<=4")
    permutation, suffix = parse_permutation(entry.get("permutation"), place)
    permutation = (*permutation, *suffix)
    if len(set(permutation)) != len(permutation):
        raise TqhwError(f"permutation {''.join(permutation)} names a dimension twice", place=place)
    split = entry.get("split")
    if split is not None and not is_whole(split, least=0):
        raise TqhwError(f"split '{split}' must be a whole number of at least 0", place=place)
    no_links = as_names(entry.get(NO_LINKS), place, NO_LINKS, star=True)
    return Loops(factors["="], permutation, None if split is None else int(split), remainders, no_links)


def load_mapping(path: str | Path) -> Mapping:
    """The mapping in a YAML file (either dialect)."""
    return parse_mapping(yamlio.load(path), str(path))


def directives(mapping: Mapping, dimensions: tuple[str, ...]) -> list[dict[str, Any]]:
    """The mapping in the engine's dialect: what the reference cases and Timeloop's ``map.yaml`` hold."""

    def loops(target: str, kind: str, found: Loops) -> dict[str, Any]:
        order = (*found.permutation, *(d for d in dimensions if d not in found.permutation))
        single = all(len(d) == 1 for d in dimensions)
        sign = "" if all(d.isalpha() for d in dimensions) else "="  # K1=3, where K13 would be K of 13
        entry: dict[str, Any] = {
            "target": target,
            "type": kind,
            "factors": " ".join(f"{d}{sign}{found.factor(d)}" for d in dimensions),
            "permutation": "".join(order) if single else ",".join(order) + ("," if len(order) == 1 else ""),
        }
        if kind == "spatial":
            entry["split"] = len(dimensions) if found.split is None else found.split
            if found.no_links:
                entry[NO_LINKS] = list(found.no_links)
        return entry

    result: list[dict[str, Any]] = [
        {"target": m.target, "type": "datatype", "keep": list(m.keep), "bypass": list(m.bypass)} for m in mapping.levels
    ]
    for m in mapping.levels:
        result.append(loops(m.target, "temporal", m.temporal))
        if m.spatial is not None:
            result.append(loops(m.target, "spatial", m.spatial))
    return result


def dump_mapping(mapping: Mapping, dimensions: tuple[str, ...]) -> str:
    """The mapping as YAML that Timeloop's C++ programs and :func:`load_mapping` read."""
    return yamlio.dump({"mapping": directives(mapping, dimensions)})
