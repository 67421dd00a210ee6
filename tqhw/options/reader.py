"""Reading a YAML document into its sections: settings on top, and every complaint as one message that says what to do.

Nothing about a particular key stands here: names, rules and meanings are those of the sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tqhw.errors import TqhwError
from tqhw.options.recipe import as_written
from tqhw.options.section import explained, fields_of, section_in
from tqhw.spec import yamlio

T = TypeVar("T")


def read(kind: type[T], top: Mapping[str, Any], source: str, settings: Sequence[str] = ()) -> T:
    """A document as a section. Raises TqhwError with line, nearest known key and rule for whatever does not fit.

    ``settings``: what :func:`apply_setting` has put into the document, to be named as the place where it is wrong.
    """
    try:
        return TypeAdapter(kind).validate_python(_plain(top))
    except ValidationError as error:
        raise explained(error, kind, lambda path: place_of(as_written(path, top), top, source, settings)) from None


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


def place_of(path: Sequence[str], top: Mapping[str, Any], source: str, settings: Sequence[str] = ()) -> str:
    """Where a key stands: file, line and key, or the setting that gave it."""
    dotted = ".".join(path)
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if dotted and (dotted == key or dotted.startswith(f"{key}.") or key.startswith(f"{dotted}.")):
            return f"--set {key}"
    if not isinstance(top, yamlio.Map):  # a document that no file held
        return f"{source}: {dotted}" if dotted else source
    where, line = top, top.line
    for part in path:
        line = where.lines.get(part, line)
        found = where.get(part)
        if not isinstance(found, yamlio.Map):
            break
        where = found
    at = f"{source}:{line}" if line else source
    return f"{at}: {dotted}" if dotted else at


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def documented_keys(kind: type, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key of a section with its default, as YAML, and its meaning."""
    for name, field in fields_of(kind).items():
        inner = section_in(field.annotation)
        if inner is not None:
            yield from documented_keys(inner, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        shown = yamlio.dump(list(default) if isinstance(default, tuple) else default).split("\n")[0]
        yield f"{prefix}{name}", shown, str(field.description)
