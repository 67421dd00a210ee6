"""Constraints as a specification writes them, and how two for one target are joined.

Source: the front end's ``v4/constraints.py``. What they mean for the mapspace is :mod:`tqhw.spec.constraints`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.base import Key, is_empty
from tqhw.frontend.nodes import GrowingItems, Items, Section
from tqhw.frontend.sections import VERSIONED, ProblemNode


class Factor(str):
    """One factor, ``C=4``, ``C<=4`` or ``C>=4``."""

    @property
    def parts(self) -> tuple[str, str, int]:
        return _split(self)


def _split(text: str) -> tuple[str, str, int]:
    """(dimension, sign, number). Raises ValueError where the text is no factor."""
    for sign in ("<=", ">=", "="):
        if sign in text:
            dimension, number = text.split(sign)
            return dimension, sign, int(number)
    raise ValueError(text)


def _factor(value: Any, place: str) -> Any:
    if not isinstance(value, str):
        if not isinstance(value, Iterable):
            raise TqhwError(f"'{value}' is no factor", place=place, lever="write C=4")
        value = "".join(str(part) for part in value)
    try:
        _split(value)
    except ValueError:
        return value  # may be an expression in parentheses; refused in the end where it is none
    return Factor(value)


class Factors(GrowingItems):
    """Factors; one dimension has at most one ``=``, or a ``<=`` and a ``>=``."""

    fields: ClassVar = {"": Key((Factor,), convert=_factor)}

    def __init__(self, given: Any = None, place: str = "") -> None:
        super().__init__(given, place)
        self.settle(place)

    def combine(self, other: GrowingItems, place: str) -> Factors:
        super().combine(other, place)
        self.settle(place)
        return self

    def settle(self, place: str) -> None:
        """Takes out repetitions. Raises TqhwError where two factors contradict each other."""
        self[:] = reversed(list(dict.fromkeys(reversed(self))))  # the last of equal ones stays
        first: dict[str, Factor] = {}
        for item in self:
            if not isinstance(item, Factor):
                continue
            dimension, sign, number = item.parts
            earlier = first.setdefault(dimension, item)
            other_sign, other_number = earlier.parts[1:]
            if number != other_number and {sign, other_sign} != {"<=", ">="}:
                raise TqhwError(
                    f"the factor of {dimension} is given twice: {earlier} and {item}",
                    place=place,
                    lever="keep one; several sections constrain one target together",
                )

    @property
    def split(self) -> list[tuple[str, str, int]]:
        found = []
        for item in self:
            try:
                found.append(_split(item))
            except ValueError:
                raise self._no_factor(item) from None
        return found

    def _no_factor(self, item: Any) -> TqhwError:
        lever = "write C=4, C<=4 or C>=4"
        if isinstance(item, str) and "," in item:
            lever = "the front end takes no remainders; a mapping file of the programs is given with --mapping"
        return TqhwError(f"'{item}' is no factor", place=self.place, lever=lever)

    def unknown_item(self, item: Any) -> TqhwError:
        return self._no_factor(item)

    def check(self) -> None:
        for item in self:
            if not isinstance(item, Factor):
                raise self._no_factor(item)

    @property
    def dimensions(self) -> list[str]:
        return [dimension for dimension, _, _ in self.split]

    def add(self, dimension: str, number: int) -> None:
        """Adds ``dimension=number``."""
        self.append(Factor(f"{dimension}={number}"))
        self.settle(self.place)


def _factors(value: Any, place: str) -> Any:
    if isinstance(value, Factors):
        return value
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split(" ")
    if not isinstance(value, list):
        raise TqhwError(f"factors are a list or a text, found {value!r:.60}", place=place, lever="write [C=4, M=2]")
    return Factors([item for item in value if item], place)


def _only_factors(value: Any, place: str) -> Any:
    return None if value is None else _factors(value, place)


class Permutation(Items):
    """Dimensions, innermost first."""


def _permutation(value: Any, place: str) -> Any:
    if isinstance(value, Permutation):
        return value
    if value is None:
        raise TqhwError("a permutation is a list or a text, found nothing", place=place, lever="write [C, M]")
    if isinstance(value, str):
        value = [part.strip() for part in (value.split(",") if "," in value else value) if part]
    return Permutation(value, place)


class Spaces(Items):
    """Names of data spaces; ``*`` stands for all."""

    fields: ClassVar = {"": Key((str,))}

    def fill(self, names: list[str]) -> None:
        """Writes ``*`` out."""
        if "*" in self:
            self[:] = [name for name in self if name != "*"]
            self.extend(name for name in names if name not in self)


def _some_spaces(value: Any, place: str) -> Any:
    return value if value is None or isinstance(value, Spaces) else Spaces(value, place)


_ONLY = Key((Spaces, None), None, _some_spaces)


class Constraint(Section):
    """``kind`` is its type in the file; ``disjoint``: lists of which a data space stands in one at most."""

    fields: ClassVar = {"type": Key((str,), ""), "target": Key((str,), "")}
    kind = ""
    disjoint: tuple[tuple[str, ...], ...] = ()

    def __init__(self, given: Any = None, place: str = "", **own: Any) -> None:
        super().__init__(given, place, **own)
        self["type"] = self.kind

    def is_empty(self) -> bool:
        return all(is_empty(value) for name, value in self.items() if name not in ("type", "target"))

    def elsewhere(self) -> dict[str, list[str]]:
        return {f"constraints of type {name}": [*kind.known()] for name, kind in KINDS.items()}

    def combine(self, other: Section, place: str) -> Section:
        for names in self.disjoint:
            self._join_lists(other, names, place)
        return super().combine(other, place)

    def _join_lists(self, other: Section, names: tuple[str, ...], place: str) -> None:
        mine, theirs = self._listed(self, names, place), self._listed(other, names, place)
        for space in mine:
            if space in theirs and theirs[space] != mine[space]:
                raise TqhwError(f"{space} is in {mine[space]} and in {theirs[space]}", place=place, lever="keep one")
        both = {**mine, **theirs}
        for name in names:
            self[name] = Spaces([space for space, where in both.items() if where == name], place)
            other[name] = Spaces([], place)

    def _listed(self, section: Section, names: tuple[str, ...], place: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in names:
            for space in section.get(name) or []:
                if found.setdefault(space, name) != name:
                    raise TqhwError(f"{space} is in {' and in '.join(names)}", place=place, lever="keep one")
        return found


class Iteration(Constraint):
    fields: ClassVar = {
        "factors": Key((Factors,), [], _factors),
        "permutation": Key((Permutation,), [], _permutation),
        "default_max_factor": Key((int,), None),
        "default_min_factor": Key((int,), None),
        "remainders": Key((int,), None),
        "factors_only": Key((), None, _only_factors),
        "no_iteration_over_dataspaces": _ONLY,
        "must_iterate_over_dataspaces": _ONLY,
        "maximize_dims": Key((Items,), None),
        "maximize_dims_capacity": Key((int,), None),
    }

    @property
    def factors(self) -> Factors:
        found = self["factors"]
        if not isinstance(found, Factors):
            raise TqhwError("factors are a list or a text, found nothing", place=self.place, lever="write [C=4, M=2]")
        return found


class SpatialConstraint(Iteration):
    kind = "spatial"
    disjoint = (("no_reuse",), ("no_link_transfer",))
    fields: ClassVar = {
        "no_reuse": Key((Spaces,), []),
        "no_link_transfer": Key((Spaces,), []),
        "split": Key((int,), None),
    }


class TemporalConstraint(Iteration):
    kind = "temporal"
    disjoint = (("no_reuse",),)
    fields: ClassVar = {"no_reuse": Key((Spaces,), []), "rmw_first_update": Key((Spaces,), [])}


class DataspaceConstraint(Constraint):
    kind = "dataspace"
    disjoint = (("bypass", "keep"),)
    fields: ClassVar = {
        "bypass": Key((Spaces,), []),
        "keep": Key((Spaces,), []),
        "no_coalesce": Key((Spaces,), []),
        "keep_only": _ONLY,
        "bypass_only": _ONLY,
    }


class OverbookedConstraint(Constraint):
    kind = "max_overbooked_proportion"
    fields: ClassVar = {"proportion": Key((float,), None)}


KINDS: dict[str, type[Constraint]] = {
    kind.kind: kind for kind in (SpatialConstraint, TemporalConstraint, DataspaceConstraint, OverbookedConstraint)
}


def _constraint(value: Any, place: str) -> Any:
    if isinstance(value, Constraint):
        return value
    if not isinstance(value, dict):
        raise TqhwError(f"a constraint is a mapping, found {value!r:.60}", place=place)
    if "type" not in value:
        raise TqhwError("the constraint has no type", place=place, lever=f"add `type:` with one of {', '.join(KINDS)}")
    kind = str(value["type"])
    if kind not in KINDS:
        raise unknown("constraint type", kind, KINDS, place)
    return KINDS[kind](value, place)


class ConstraintList(GrowingItems):
    fields: ClassVar = {"": Key(tuple(KINDS.values()), convert=_constraint)}


class ConstraintsNode(Section):
    fields: ClassVar = {**VERSIONED, "targets": Key((ConstraintList,), [])}


class ConstraintGroup(Section):
    """The constraints of one node."""

    fields: ClassVar = {
        "spatial": Key((SpatialConstraint,), {}),
        "temporal": Key((TemporalConstraint,), {}),
        "dataspace": Key((DataspaceConstraint,), {}),
        "max_overbooked_proportion": Key((OverbookedConstraint,), {}),
    }


def keeps_nothing(problem: ProblemNode, place: str) -> ConstraintGroup:
    """What a level without a memory is constrained to: no loops over time, nothing kept."""
    dimensions = problem.shape.dimensions
    group = ConstraintGroup({}, place)
    loops = {"factors": [f"{d}=1" for d in dimensions], "permutation": dimensions}
    group["temporal"] = TemporalConstraint(loops, place)
    group["dataspace"] = DataspaceConstraint({"bypass": problem.shape.names}, place)
    return group
