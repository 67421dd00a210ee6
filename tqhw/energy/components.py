"""Accelergy v0.4 compound component files (``components`` or ``compound_components``) as frozen objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio
from tqhw.spec.yamlio import Map, as_map

PACKAGED = "tqhw/energy/data/components.yaml"
MUST_SPECIFY = "must_specify"


@dataclass(frozen=True)
class Call:
    """One action of a subcomponent, run ``energy_scale`` times with ``arguments`` (expressions)."""

    name: str
    energy_scale: Any
    arguments: Mapping[str, Any]
    place: str


@dataclass(frozen=True)
class ActionStep:
    """What an action does with one subcomponent, or with a range of them: ``cells[1..row_bits]``."""

    subcomponent: str
    calls: tuple[Call, ...]
    place: str


@dataclass(frozen=True)
class Action:
    """An action of a compound class; ``arguments`` are ranges such as ``0..1``."""

    name: str
    arguments: Mapping[str, Any]
    steps: tuple[ActionStep, ...]
    place: str


@dataclass(frozen=True)
class Subcomponent:
    """A part, or a range of equal ones: name, class, attributes and scales (expressions of the compound's)."""

    name: str
    class_: str
    attributes: Mapping[str, Any]
    energy_scale: Any
    area_scale: Any
    place: str


@dataclass(frozen=True)
class CompoundClass:
    """A class made of subcomponents. An attribute has a default, an expression, or must be specified."""

    name: str
    attributes: Mapping[str, Any]
    subcomponents: tuple[Subcomponent, ...]
    actions: Mapping[str, Action]
    place: str

    def action(self, name: str, place: str) -> Action:
        """The action of that name; the nearest known name if there is none."""
        if name not in self.actions:
            raise unknown(f"action of class '{self.name}'", name, self.actions, place)
        return self.actions[name]


Components = Mapping[str, CompoundClass]


def load_components(path: str | Path) -> Components:
    """The classes of a component file. Raises TqhwError for anything that Accelergy v0.4 would not read as meant."""
    return parse_components(yamlio.load(path), str(path))


def own_components(text: str, name: str) -> Components | None:
    """The classes in the text that an architecture of that ``name`` brings along; None where it brings none."""
    source = f"components of {name}"
    return parse_components(yamlio.parse(text, source), source) if text else None


@cache
def packaged_components() -> Components:
    """The classes that tqhw ships (data/components.yaml)."""
    return parse_components(yamlio.parse(packaged_components_text(), PACKAGED), PACKAGED)


def packaged_components_text() -> str:
    """The shipped component file, for Timeloop and Accelergy to read."""
    return resources.files("tqhw.energy").joinpath("data", "components.yaml").read_text(encoding="utf-8")


def parse_components(document: Any, source: str) -> Components:
    """The classes of a parsed component document (see :func:`load_components`)."""
    top = as_map(document, source, "a component file")
    for key in ("components", "compound_components"):
        if key in top:
            body = as_map(top[key], top.place(key), key)
            break
    else:
        raise TqhwError("there is no 'components' in the file", place=source, lever="add `components: {classes: ...}`")
    _only(body, ("version", "classes"))
    if str(body.get("version", "0.4")) != "0.4":
        raise TqhwError(f"version {body['version']} is not read", place=body.place("version"), lever="use version 0.4")
    classes: dict[str, CompoundClass] = {}
    for item in _list(body, "classes"):
        class_ = _class(item)
        if class_.name in classes:
            lever = f"rename one; the other is at {classes[class_.name].place}"
            raise TqhwError(f"two classes are named '{class_.name}'", place=class_.place, lever=lever)
        classes[class_.name] = class_
    return classes


def _class(item: Map) -> CompoundClass:
    if "primitive_type" in item:
        raise TqhwError("'primitive_type' is not modelled", place=item.place(), lever="give subcomponents instead")
    _only(item, ("name", "attributes", "subcomponents", "actions"))
    subcomponents = tuple(_subcomponent(part) for part in _list(item, "subcomponents"))
    actions = [_action(action) for action in _list(item, "actions")]
    # Accelergy lets the last of two equal names win.
    _distinct("subcomponents", [(s.name.partition("[")[0], s.place) for s in subcomponents])
    _distinct("actions", [(a.name, a.place) for a in actions])
    attributes = _mapping(item, "attributes")
    return CompoundClass(_name(item), attributes, subcomponents, {a.name: a for a in actions}, item.place())


def _subcomponent(item: Map) -> Subcomponent:
    _only(item, ("name", "class", "attributes", "energy_scale", "area_scale"))
    attributes = _mapping(item, "attributes")
    return Subcomponent(
        _name(item),
        _name(item, "class"),
        attributes,
        # A scale may also stand among the attributes, where Accelergy looks for it next.
        item.get("energy_scale", attributes.get("energy_scale", 1)),
        item.get("area_scale", attributes.get("area_scale", 1)),
        item.place(),
    )


def _action(item: Map) -> Action:
    _only(item, ("name", "arguments", "subcomponents"))
    steps = tuple(_step(part) for part in _list(item, "subcomponents"))
    _distinct("entries of one action", [(step.subcomponent, step.place) for step in steps])
    return Action(_name(item), _mapping(item, "arguments"), steps, item.place())


def _step(item: Map) -> ActionStep:
    _only(item, ("name", "actions"))
    return ActionStep(_name(item), tuple(_call(call) for call in _list(item, "actions")), item.place())


def _call(item: Map) -> Call:
    _only(item, ("name", "arguments", "energy_scale", "repeat"))  # `repeat` is Accelergy's other name for the scale
    if "energy_scale" in item and "repeat" in item:
        raise TqhwError("'energy_scale' and 'repeat' are the same", place=item.place(), lever="keep one")
    scale = item.get("repeat", item.get("energy_scale", 1))
    return Call(_name(item), scale, _mapping(item, "arguments"), item.place())


def _name(item: Map, key: str = "name") -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise TqhwError(f"an entry needs '{key}', found '{value}'", place=item.place())
    return str(value)


def _list(item: Map, key: str) -> list[Map]:
    """The mappings listed under ``key``, which has to be there: Accelergy wants even an empty one written."""
    value = item.get(key)
    if not isinstance(value, list):
        raise TqhwError(f"'{key}' must be a list", place=item.place(key), lever=f"write `{key}: []` if it is empty")
    return [as_map(entry, item.place(key), f"an entry of '{key}'") for entry in value]


def _mapping(item: Map, key: str) -> Map:
    value = item.get(key)
    return as_map(Map() if value is None else value, item.place(key), f"'{key}'")


def _distinct(what: str, named: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, place in named:
        if name in seen:
            raise TqhwError(
                f"two {what} are named '{name}', of which Accelergy would take the last",
                place=place,
                lever=f"merge or rename them; the other is at {seen[name]}",
            )
        seen[name] = place


def _only(item: Map, known: tuple[str, ...]) -> None:
    for key in item:
        if key not in known:
            raise unknown("key", key, known, item.place())
