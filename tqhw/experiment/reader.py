"""Reading experiment files: settings on top, and every complaint as one message that says what to do.

Nothing about a particular key stands here: names, rules and meanings come from :mod:`tqhw.experiment.schema`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from tqhw.errors import TqhwError, unknown
from tqhw.experiment.schema import Experiment, Section
from tqhw.spec import yamlio

_RULES = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a section with keys of its own",
    "model_type": "must be a section with keys of its own",
    "too_short": "must not be empty",
}


def load(path: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """The experiment in a YAML file, with ``key.sub=value`` settings on top.

    Raises TqhwError with line, nearest known key and rule for whatever does not fit.
    """
    return parse(yamlio.load(path), str(path), settings)


def parse(document: Any, source: str = "experiment", settings: Sequence[str] = ()) -> Experiment:
    """A YAML document as an experiment; see :func:`load`."""
    top = yamlio.as_map(document, source, "an experiment")
    for setting in settings:
        apply_setting(top, setting)
    try:
        return Experiment.model_validate(_plain(top))
    except ValidationError as error:
        raise _readable(error, top, source, settings) from None


def apply_setting(top: yamlio.Map, setting: str) -> None:
    """``key.sub=value``: the value is YAML, so ``bits=[2,8]`` and ``training=null`` work."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise TqhwError(f"'{setting}' is not key=value", place="--set", lever="for example --set bits=[2,8]")
    value = yamlio.parse(text, f"--set {path}") if text.strip() else None
    inner = top
    for key in keys[:-1]:
        if not isinstance(inner.get(key), dict):
            inner[key] = yamlio.Map()
        inner = inner[key]
    inner[keys[-1]] = value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _readable(error: ValidationError, top: yamlio.Map, source: str, settings: Sequence[str]) -> TqhwError:
    """Pydantic's first complaint as value, rule, place and lever."""
    # A list with a bad item is also called too short, for the items that are left.
    complaints = [c for c in error.errors() if c["type"] != "too_short" or not c["input"]]
    # A wrong key explains more than the types that fail with it.
    wrong_key = [c for c in complaints if c["type"] == "extra_forbidden"]
    # Of a union such as full-or-bits, the branch of the value's own type.
    fitting = [c for c in complaints if (c["type"] == "literal_error") == isinstance(c["input"], str)]
    first = (wrong_key or fitting or complaints)[0]
    path = _keys_of(first["loc"], wrong_key=first["type"] == "extra_forbidden")
    place = _place(path, top, source, settings)
    if first["type"] == "extra_forbidden":
        return unknown("key", path[-1], _section(path[:-1]).model_fields, place)
    field = _field(path)
    if first["type"] == "literal_error":
        choices = [str(value) for value in _choices(field)]
        return unknown("value", str(first["input"]), choices, place)
    if first["type"] == "value_error" or field is None:
        return TqhwError(first["msg"].removeprefix("Value error, "), place=place)
    return TqhwError(f"{first['input']!r} {_rule(first)}", place=place, lever=field.description)


def _rule(complaint: Any) -> str:
    bounds = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}
    if complaint["type"] in bounds:
        words = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
        key = bounds[complaint["type"]]
        return f"must be {words[key]} {complaint['ctx'][key]}"
    text = str(complaint["msg"])
    return _RULES.get(complaint["type"], f"does not fit: {text[0].lower()}{text[1:]}")


def _keys_of(location: Sequence[str | int], wrong_key: bool) -> list[str]:
    """The keys among the parts of pydantic's location, which also names list positions and branches of unions."""
    found: list[str] = []
    for part in location:
        if str(part) in _section(found).model_fields:
            found.append(str(part))
    return [*found, str(location[-1])] if wrong_key else found


def _place(path: Sequence[str], top: yamlio.Map, source: str, settings: Sequence[str]) -> str:
    dotted = ".".join(path)
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if dotted and (dotted == key or dotted.startswith(f"{key}.") or key.startswith(f"{dotted}.")):
            return f"--set {key}"
    where, line = top, top.line
    for part in path:
        line = where.lines.get(part, line)
        found = where.get(part)
        if not isinstance(found, yamlio.Map):
            break
        where = found
    return f"{source}:{line}: {dotted}" if dotted else f"{source}:{line}"


def _section(path: Sequence[str]) -> type[Section]:
    section: type[Section] = Experiment
    for part in path:
        field = section.model_fields.get(part)
        inner = next((t for t in _parts(field.annotation) if _is_section(t)), None) if field else None
        if inner is None:
            return section
        section = inner
    return section


def _field(path: Sequence[str]) -> Any:
    return _section(path[:-1]).model_fields.get(path[-1]) if path else None


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside its unions, containers and Annotated."""
    yield annotation
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, tuple, dict):
        for part in get_args(annotation):
            yield from _parts(part)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _choices(field: Any) -> list[Any]:
    parts = list(_parts(field.annotation))
    return [value for part in parts if get_origin(part) is Literal for value in get_args(part)]


def documented_keys(section: type[Section] = Experiment, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key of an experiment with its default, as YAML, and its meaning."""
    for name, field in section.model_fields.items():
        inner = next((part for part in _parts(field.annotation) if _is_section(part)), None)
        if inner is not None:
            yield from documented_keys(inner, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        shown = yamlio.dump(list(default) if isinstance(default, tuple) else default).split("\n")[0]
        yield f"{prefix}{name}", shown, str(field.description)


def keys_table() -> str:
    """The keys as a Markdown table: what ``tqhw run --keys`` prints and docs/experiment.md holds."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | `{default}` | {' '.join(meaning.split())} |" for key, default, meaning in documented_keys()]
    return "\n".join(lines) + "\n"
