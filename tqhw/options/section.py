"""How a choice is declared: one frozen dataclass whose fields say rule, default and meaning, for Python and for files.

The docstring below a field is its meaning wherever it is told: in ``tqhw run --keys``, in messages and in the docs.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from difflib import SequenceMatcher
from functools import wraps
from typing import Annotated, Any, Final, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from tqhw.errors import TqhwError, unknown

T = TypeVar("T")

Bits = Annotated[int, Field(strict=True, ge=1, le=8)]
Positive = Annotated[int, Field(strict=True, ge=1)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, lt=1)]

_TYPES = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "dict_type": "must be a section with keys of its own",
    "model_type": "must be a section with keys of its own",
    "dataclass_type": "must be a section with keys of its own",
    "too_short": "must not be empty",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"),
    "less_than": ("lt", "less than"),
}
_REFUSED = "refused"
_ALIKE = 0.8
"""So like a key must be that another section has, to be meant."""


class DocumentSection(BaseModel):
    """A section of a document that Python does not make by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def section(kind: type[T]) -> type[T]:
    """A frozen dataclass that checks its fields by their annotations. Raises TqhwError for what does not fit."""
    rules = ConfigDict(extra="forbid", use_attribute_docstrings=True, populate_by_name=True)
    made = checked_dataclass(kind, frozen=True, config=rules)
    for base in reversed(made.__mro__[1:-1]):  # pydantic reads the docstrings of a class's own fields alone
        for name, inherited in fields_of(base).items():
            fields_of(made)[name].description = fields_of(made)[name].description or inherited.description
    check = made.__init__
    in_order = [field.name for field in dataclasses.fields(made) if not field.kw_only]

    @wraps(check)
    def init(self: Any, *values: Any, **named: Any) -> None:
        if len(values) <= len(in_order) and not {*named} & {*in_order[: len(values)]}:
            values, named = (), {**dict(zip(in_order, values, strict=False)), **named}  # a complaint then has a key
        try:
            check(self, *values, **named)
        except ValidationError as error:
            raise explained(error, type(self), ".".join) from None

    made.__init__ = init  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


def refused(message: str, key: str = "", lever: str | None = None) -> PydanticCustomError:
    """What a rule over several fields raises: ``key`` is the one to mend."""
    return PydanticCustomError(_REFUSED, "{message}", {"message": message, "key": key, "lever": lever})


def explained(error: ValidationError, kind: type, place: Callable[[Sequence[str]], str]) -> TqhwError:
    """Pydantic's first complaint about a ``kind`` as value, rule, place and lever; ``place``: of a path of keys."""
    # A list with a bad item is also called too short, for the items that are left.
    complaints = [c for c in error.errors() if c["type"] != "too_short" or not c["input"]]
    # Of list-or-mapping, what is wrong inside of a mapping.
    inside = [c for c in complaints if c["type"] != "tuple_type" or not isinstance(c["input"], Mapping)]
    complaints = inside or complaints
    # A wrong key explains more than the types that fail with it.
    wrong_key = [c for c in complaints if c["type"] in ("extra_forbidden", "unexpected_keyword_argument")]
    # Of a union such as full-or-bits, the branch of the value's own type.
    fitting = [c for c in complaints if (c["type"] == "literal_error") == isinstance(c["input"], str)]
    first = (wrong_key or fitting or complaints)[0]
    path = _keys_of(kind, first["loc"], wrong_key=bool(wrong_key))
    if wrong_key:
        return _unknown_key(kind, path, place(path) or None)
    if first["type"] == _REFUSED:
        told: Any = first["ctx"]
        path = [*path, *told["key"].split(".")] if told["key"] else path
        return TqhwError(told["message"], place=place(path) or None, lever=told["lever"])
    found = _field(kind, path)
    if first["type"] == "literal_error":
        return unknown("value", str(first["input"]), [str(v) for v in _choices(found)], place(path) or None)
    if first["type"] == "value_error" or found is None:
        return TqhwError(first["msg"].removeprefix("Value error, "), place=place(path) or None)
    return TqhwError(f"{first['input']!r} {_rule(first)}", place=place(path) or None, lever=found.description)


def _unknown_key(kind: type, path: Sequence[str], place: str | None) -> TqhwError:
    """The error for a key that its section does not have; where another one has it, or one all but like it, where."""
    key, own = path[-1], [*fields_of(section_at(kind, path[:-1])), *_old_keys(kind, path[:-1])]
    wrong = unknown("key", key, own, place)
    elsewhere = [found for found in _paths_in(kind) if found[:-1] != tuple(path[:-1])]
    same = [found for found in elsewhere if found[-1] == key]
    known = f"known: {', '.join(own)}"
    if same:
        outside = len(same) == 1 and len(same[0]) == 1
        lever = f"{_told(same)} {'stands outside of all sections' if outside else 'is the key'}; {known}"
    else:
        alike = {found: _likeness(key, found[-1:]) for found in elsewhere}
        best = max(alike.values(), default=0.0)
        if best < _ALIKE or best <= _likeness(key, own):
            return wrong
        likely = _told([found for found in elsewhere if alike[found] == best])
        lever = f"did you mean {likely}? {known}"
    return TqhwError(wrong.message, place=wrong.place, lever=lever)


def _likeness(name: str, known: Iterable[str]) -> float:
    """How much ``name`` is like the known name that is most like it, from 0 to 1."""
    return max((SequenceMatcher(None, one, name).ratio() for one in known), default=0.0)


def _told(paths: Sequence[Sequence[str]]) -> str:
    return " or ".join(f"`{'.'.join(path)}`" for path in paths)


def _rule(complaint: Any) -> str:
    if complaint["type"] in _BOUNDS:
        key, words = _BOUNDS[complaint["type"]]
        bound = complaint["ctx"][key]
        return f"must be {words} {f'{bound:g}' if isinstance(bound, float) else bound}"
    text = str(complaint["msg"])
    return _TYPES.get(complaint["type"], f"does not fit: {text[0].lower()}{text[1:]}")


def fields_of(kind: type) -> dict[str, FieldInfo]:
    """The fields of a section by the keys that files have; a word of Python's has another name there."""
    found: dict[str, FieldInfo] = getattr(
        kind, "model_fields" if issubclass(kind, BaseModel) else "__pydantic_fields__", {}
    )
    return {field.alias or name: field for name, field in found.items() if not field.exclude}


def section_in(annotation: Any) -> type | None:
    """The section that an annotation holds, alone or among other things."""
    return next((part for part in _parts(annotation) if _is_section(part)), None)


def takes_list(annotation: Any) -> bool:
    """Whether an annotation takes a list, alone or among other things."""
    return any(get_origin(part) is tuple for part in _parts(annotation))


def takes_map(annotation: Any) -> bool:
    """Whether an annotation takes keys of the user's own, likewise."""
    return any(get_origin(part) in (dict, Mapping) for part in _parts(annotation))


def section_at(kind: type, path: Sequence[str]) -> type:
    """The section at a path of keys inside ``kind``, or the last one on the way."""
    for part in path:
        found = fields_of(kind).get(part)
        inner = section_in(found.annotation) if found else None
        if inner is None:
            return kind
        kind = inner
    return kind


def _paths_in(kind: type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key inside ``kind``, with the sections that it stands in."""
    for name, known in fields_of(kind).items():
        yield (*path, name)
        inner = section_in(known.annotation)
        if inner is not None:
            yield from _paths_in(inner, (*path, name))


def _old_keys(kind: type, path: Sequence[str]) -> list[str]:
    """Keys of earlier documents that are still read, at a path of keys."""
    split = [key.rpartition(".") for key in getattr(kind, "old", ())]
    return [key for section, _, key in split if section == ".".join(path)]


def _field(kind: type, path: Sequence[str]) -> FieldInfo | None:
    """The field that a path of keys ends in, or, of a key of the user's own, the one that holds it."""
    found = None
    for part in path:
        known = fields_of(kind).get(part)
        if known is None:
            break
        found, kind = known, section_in(known.annotation) or object
    return found


_BRANCH: Final = re.compile(r"(tuple|list|dict)\[.*\]$")
"""What pydantic calls a container that is one of several types of a key."""


def _keys_of(kind: type, location: Sequence[str | int], wrong_key: bool) -> list[str]:
    """The keys among the parts of pydantic's location, which also names list positions and branches of unions."""
    found: list[str] = []
    mapped = False  # whether what comes next is a key of the user's own
    for part in location:
        if _BRANCH.match(str(part)) or (mapped and isinstance(part, int)):
            continue
        known = fields_of(section_at(kind, found)).get(str(part)) if not mapped else None
        if known is not None or mapped:
            found.append(str(part))
        mapped = known is not None and takes_map(known.annotation)
    return [*found, str(location[-1])] if wrong_key else found


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside its unions, containers and Annotated."""
    yield annotation
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, tuple, dict, Mapping):
        for part in get_args(annotation):
            yield from _parts(part)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and (
        issubclass(annotation, DocumentSection) or is_pydantic_dataclass(annotation)
    )


def _choices(found: FieldInfo | None) -> list[Any]:
    parts = [] if found is None else list(_parts(found.annotation))
    return [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
