"""Attributes of an architecture that nothing reads: misspelt ones, most of the time.

Read are those of the engine and the front end (``spec.memory``), those of the component's energy class, and the
names in the file's own expressions.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from tqhw.energy.components import Components, CompoundClass, packaged_components
from tqhw.energy.primitives import primitives
from tqhw.energy.query import COMMON_READS
from tqhw.errors import TqhwError
from tqhw.spec import Architecture, Component, Container
from tqhw.spec.architecture import leaves
from tqhw.spec.memory import ATTRIBUTES, is_attribute
from tqhw.spec.yamlio import Map

CLOSE = 0.8  # so alike is a misspelt name to the one that was meant
_NAME = re.compile(r"[A-Za-z_]\w*")


def unread(
    architecture: Architecture, components: Components | None = None, *, strict: bool = False
) -> tuple[str, ...]:
    """A warning for every attribute that nothing reads, with the nearest name and its place.

    ``components``: the file's own compound classes. Of a class that neither they nor the packaged ones have, only
    attributes that look like a known one are told. Raises TqhwError with the first of them if ``strict``.
    """
    asked = [
        (node, own, name)
        for node in leaves(architecture.nodes)
        if isinstance(node, Container)
        for own in (node.own if isinstance(node, Component) else node.attributes,)
        for name in own
        if not is_attribute(name) and name not in architecture.computed_from
    ]
    if not asked:  # most of the time; the packaged classes take longer to read than an architecture
        return ()
    known = {**packaged_components(), **(components or {})}
    by_class = {c.name: _reads(c.energy_class, known) for c in architecture.components()}
    everything = set().union(*(names or () for names in by_class.values()))
    foreign = None in by_class.values()
    warnings = []
    for node, own, name in asked:
        is_component = isinstance(node, Component)
        names = by_class[node.name] if is_component else everything
        strange = names is None if is_component else foreign
        if name in (names or ()):
            continue
        nearest = difflib.get_close_matches(name, [*ATTRIBUTES, *sorted(names or ())], n=1, cutoff=CLOSE)
        if strange and not nearest:
            continue
        place = own.place(name) if isinstance(own, Map) else node.place
        lever = f"did you mean '{nearest[0]}'?" if nearest else "remove it"
        message = f"{node.name}: nothing reads the attribute '{name}'"
        if strict:
            raise TqhwError(message, place=place, lever=lever)
        warnings.append(f"{place}: {message} ({lever})")
    return tuple(warnings)


def _reads(class_: str, components: Components) -> frozenset[str] | None:
    """The attributes that count for a class; None for a class that is not known."""
    names: set[str] = set()
    if class_ in components:
        names.update(components[class_].attributes, _names(components[class_]))
    if class_ in primitives():  # a packaged class may have the name of one of Accelergy's own
        names.update(primitives()[class_].reads)
    return frozenset((*COMMON_READS, *names)) if names else None


def _names(compound: CompoundClass) -> Iterator[str]:
    """Every word in the expressions of a class: a function's name too much does no harm."""
    texts: list[Any] = [*compound.attributes.values()]
    for sub in compound.subcomponents:
        texts += [sub.name, *sub.attributes.values(), sub.energy_scale, sub.area_scale]
    for action in compound.actions.values():
        texts += action.arguments.values()
        for step in action.steps:
            texts.append(step.subcomponent)
            for call in step.calls:
                texts += [call.energy_scale, *call.arguments.values()]
    for text in texts:
        if isinstance(text, str):
            yield from _NAME.findall(text)
