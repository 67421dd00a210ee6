"""From a class name and attributes to the tree of parts, by Accelergy 0.4's rules of inheritance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tqhw.energy.components import MUST_SPECIFY, PACKAGED, Components, CompoundClass, Subcomponent
from tqhw.energy.part import Part
from tqhw.energy.primitives import primitive, primitives
from tqhw.energy.query import Primitive, Query
from tqhw.energy.resolve import hand_down, name_and_range, number, resolve
from tqhw.errors import TqhwError, nearest
from tqhw.spec.yamlio import Quoted

MAX_PARTS = 10_000
Answer = Callable[[Query, Iterable[str]], Primitive]
"""A primitive class by its query; the names of the compound classes are for messages."""


def build(
    class_: str,
    attributes: Mapping[str, Any],
    components: Components,
    place: str,
    energy_scale: float = 1.0,
    area_scale: float = 1.0,
    answer: Answer = primitive,
) -> Part:
    """The tree of one component of the architecture. ``attributes`` are values: texts among them are final.

    ``answer``: who says what a primitive class costs.

    Raises TqhwError for an unknown class, an attribute that must be specified, a class that contains itself, a
    bad range or expression, and whatever a primitive refuses.
    """
    values = {key: Quoted(v) if isinstance(v, str) else v for key, v in attributes.items() if v is not None}
    if class_ in components:
        defaults = _defaults(components[class_], values, place)
        values = resolve({**values, **defaults}, {}, components[class_].place)
    hand_down(values, {}, place)
    builder = _Builder(components, answer)
    return builder.part(Query(class_, values, place), None, energy_scale, area_scale, ())


def without_hidden_primitive(class_: str, attributes: Mapping[str, Any], known: Components) -> Components:
    """``known`` without the packaged class of that name, where it hides Accelergy's own that the attributes mean.

    `intmac` with a `width` is the Aladdin plug-in's, with a `multiplier_width` Timeloop's public compound class.
    """
    hiding = known.get(class_)
    if hiding is None or not hiding.place.startswith(PACKAGED) or class_ not in primitives():
        return known
    needed = [name for name, default in hiding.attributes.items() if default == MUST_SPECIFY]
    if all(attributes.get(name) is not None for name in needed):
        return known
    return {name: compound for name, compound in known.items() if name != class_}


def _defaults(compound: CompoundClass, given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The attributes of a class, in its order: as given, else its default."""
    result = {}
    for key, default in compound.attributes.items():
        if given.get(key) is not None:
            result[key] = given[key]
        elif default == MUST_SPECIFY:
            lever = nearest(key, given)
            raise TqhwError(f"class '{compound.name}' needs the attribute '{key}'", place=place, lever=lever)
        else:
            result[key] = default
    return result


class _Builder:
    """Descends through the classes; ``stack`` are the compounds that a part stands in."""

    def __init__(self, components: Components, answer: Answer) -> None:
        self.components, self.answer = components, answer
        self.made = 0

    def part(
        self,
        query: Query,
        span: tuple[int, int] | None,
        energy_scale: float,
        area_scale: float,
        stack: tuple[str, ...],
    ) -> Part:
        self.made += 1
        if self.made > MAX_PARTS:
            raise TqhwError(f"class '{stack[0]}' has more than {MAX_PARTS} parts", place=query.place)
        name = query.class_
        if name in stack:
            chain = " > ".join((*stack[stack.index(name) :], name))
            raise TqhwError(f"class '{name}' contains itself: {chain}", place=query.place, lever="break the circle")
        if name not in self.components:
            return Part(query, span, energy_scale, area_scale, primitive=self.answer(query, self.components))
        compound = self.components[name]
        parts = {}
        for sub in compound.subcomponents:
            base, sub_span = name_and_range(sub.name, query.attributes, f"{sub.place}: name")
            values = self.attributes(sub, query.attributes)
            names = {**query.attributes, **values}
            parts[base] = self.part(
                Query(sub.class_, values, sub.place),
                sub_span,
                number(sub.energy_scale, names, f"{sub.place}: energy_scale"),
                number(sub.area_scale, names, f"{sub.place}: area_scale"),
                (*stack, name),
            )
        return Part(query, span, energy_scale, area_scale, compound=compound, parts=parts)

    def attributes(self, sub: Subcomponent, parent: Mapping[str, Any]) -> dict[str, Any]:
        """A subcomponent's attributes: its own, then its class's in the class's order, then what is handed down.

        Expressions see the parent's attributes under the subcomponent's own; so a nested class's default also
        sees the parent's attribute of a name that the class resolves only further down.
        """
        place = f"{sub.place}: attributes"
        values = resolve(sub.attributes, parent, place)
        hand_down(values, parent, place)
        if sub.class_ in self.components:
            compound = self.components[sub.class_]
            of_class = _defaults(compound, values, place)
            others = {key: value for key, value in values.items() if key not in of_class}
            values = resolve({**others, **of_class}, parent, f"{compound.place}: attributes")
            hand_down(values, parent, place)
        return values
