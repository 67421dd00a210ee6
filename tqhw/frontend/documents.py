"""One rendered text as a tree: YAML as the front end reads it, with its tags for merging and including.

Differences to :mod:`tqhw.spec.yamlio`: any tag is taken at a mapping; an anchor may be defined again; keys that ``<<``
merges in stand behind the mapping's own; ``!nomerge``, ``!include_loaded`` (what the ``include`` of a template writes),
``!include`` and ``!includedir`` are known. Source of the semantics: Accelergy's ``utils/yaml.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tqhw.errors import TqhwError
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map, Quoted


class KeptMap(Map):
    """A mapping under ``!nomerge``."""


class KeptList(list[Any]):
    """A list under ``!nomerge``."""


class Several(list[Any]):
    """The trees that one ``include_all`` found; an index is taken of each."""


Fetch = Callable[[str, bool, str], Any]
"""(name, whether it is a folder, place) -> the tree of what ``!include`` or ``!includedir`` names."""


class _FormReader(yamlio.Loader):
    loaded: Mapping[str, Any] = {}
    fetch: Fetch

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)  # an anchor may be defined again
        return super().compose_node(parent, index)


def read(text: str, source: str, loaded: Mapping[str, Any], fetch: Fetch) -> Any:
    """The tree of a rendered ``text``; ``loaded`` are the trees that its template included, by their names."""

    if re.match(r"\ufeff?%YAML\s+1\.1\b", text):
        lever = "remove the line: 010 and yes mean other things in YAML 1.2, as Timeloop reads it"
        raise TqhwError("YAML 1.1 is not read", place=f"{source}:1", lever=lever)

    def reader(text: str) -> _FormReader:
        made = _FormReader(text)
        made.loaded, made.fetch = loaded, fetch
        return made

    return yamlio.parse(text, source, reader)


def _place(reader: _FormReader, node: yaml.Node) -> str:
    return f"{reader.source}:{node.start_mark.line + 1}"


def _map(reader: _FormReader, node: yaml.Node) -> Map:
    return _filled(reader, node, Map())


def _filled(reader: _FormReader, node: yaml.Node, result: Map) -> Map:
    result.line, result.source = node.start_mark.line + 1, reader.source
    result.tag = node.tag if node.tag.startswith("!") and node.tag != "!nomerge" else None
    if not isinstance(node, yaml.MappingNode):
        raise TqhwError(f"tag {node.tag} needs a mapping", place=_place(reader, node), lever=f"write {node.tag} {{}}")
    merged: list[Map] = []
    seen: set[str] = set()
    for key_node, value_node in node.value:
        place = _place(reader, key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise TqhwError("a key must be a plain word", place=place, lever="quote a {{ of a template that is no more")
        key = str(key_node.value)
        if key in seen:
            raise TqhwError(f"key '{key}' is given twice", place=place, lever="keep one")
        seen.add(key)
        if key_node.tag == "tag:yaml.org,2002:merge":
            merged = _merged(reader, value_node)
            continue
        result.lines[key] = key_node.start_mark.line + 1
        result[key] = reader.construct_object(value_node, deep=True)
    for one in merged:
        for key, value in one.items():
            result.setdefault(key, value)
    return result


def _merged(reader: _FormReader, node: yaml.Node) -> list[Map]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for one in nodes:
        if not isinstance(one, yaml.MappingNode):
            raise TqhwError(
                "<< merges mappings only",
                place=_place(reader, one),
                lever="write <<<, which merges what an include gives, too",
            )
    return [reader.construct_object(one, deep=True) for one in nodes]


def _kept(reader: _FormReader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return KeptList(reader.construct_sequence(node, deep=True))
    if isinstance(node, yaml.MappingNode):
        return _filled(reader, node, KeptMap())
    raise TqhwError("!nomerge keeps a list or a mapping", place=_place(reader, node), lever="remove it here")


def _loaded(reader: _FormReader, node: yaml.Node) -> Any:
    name, *index = str(node.value).split(".")
    place = _place(reader, node)
    if name not in reader.loaded:
        raise TqhwError(
            "an include inside a text that include_text brought in",
            place=place,
            lever="use include() for that file, or {% include %}",
        )
    found = reader.loaded[name]
    for key in index:
        if isinstance(found, Several):
            found = Several(_part(one, key, place) for one in found)
        else:
            found = _part(found, key, place)
    return list(found) if isinstance(found, Several) else found


def _part(tree: Any, key: str, place: str) -> Any:
    if isinstance(tree, dict) and key in tree:
        return tree[key]
    known = f"it has {', '.join(tree)}" if isinstance(tree, dict) else "an index is of mappings only"
    where = f" of {tree.source}" if isinstance(tree, Map) else ""
    raise TqhwError(f"an include asks for '{key}', which is not there{where}", place=place, lever=known)


def _included(reader: _FormReader, node: yaml.Node) -> Any:
    return reader.fetch(str(node.value).removesuffix(","), node.tag == "!includedir", _place(reader, node))


def _other(reader: _FormReader, tag: str, node: yaml.Node) -> Any:
    """What stands under a tag that means nothing: a mapping keeps it."""
    if isinstance(node, yaml.SequenceNode):
        return reader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.ScalarNode) and node.value:
        return Quoted(node.value)
    return _map(reader, node)


def _int(reader: _FormReader, node: yaml.ScalarNode) -> int:
    text = str(node.value).replace("_", "").lower()
    return yamlio.whole(text, 0 if text.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)


# numerals with _, and octal and binary ones, which YAML 1.2 does not have and ruamel.yaml reads
for _name, _pattern in (
    ("int", r"^[-+]?(?:[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)$"),
    ("float", r"^[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*)(?:[eE][-+]?[0-9]+)?$"),
):
    _FormReader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), [*"-+.0123456789"])
_WHOLE = yamlio.checked_scalar("a whole number that a double holds", _int)
_FormReader.add_constructor("tag:yaml.org,2002:int", _WHOLE)
_FormReader.add_constructor("tag:yaml.org,2002:map", _map)
_FormReader.add_constructor("!nomerge", _kept)
_FormReader.add_constructor("!include_loaded", _loaded)
_FormReader.add_constructor("!include", _included)
_FormReader.add_constructor("!includedir", _included)
for _tag in yamlio.TAGS:
    _FormReader.add_constructor(_tag, _map)
_FormReader.add_multi_constructor("!", _other)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")  # no subtraction, 2024-01-02
_FormReader.add_implicit_resolver("tag:yaml.org,2002:timestamp", _DATE, [*"0123456789"])
_FormReader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: Quoted(node.value))
