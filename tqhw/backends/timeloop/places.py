"""From what Timeloop and Accelergy say to the line of our file that they mean."""

from __future__ import annotations

import re

from tqhw.backends.protocol import Design
from tqhw.spec import Component

# Source files in assertions and tracebacks: their names are words such as `buffer`, too.
_SOURCES = re.compile(r"""\S+\.(?:[ch]pp|py)\b[^\s"]*""")
# Accelergy on an attribute that it cannot read: the value, then the attribute's name.
_ATTRIBUTE = re.compile(r"Failed to evaluate: (?P<value>.+?) *(?:;|\n)[^\n;]*attribute \"(?P<name>\w+)\"")


def place_in(message: str, design: Design) -> str:
    """FILE:LINE of the component that a message means, or the file where it names none.

    It may name a component or its class, or an attribute together with its value.
    """
    said = _SOURCES.sub("", message)
    components = list(design.architecture.components())
    found = [c for c in components if _has_word(said, c.name)]
    if match := _ATTRIBUTE.search(said):
        found += [c for c in components if _given(c, match["name"]) == match["value"]]
    found += [c for c in components if _has_word(said, c.energy_class)]
    return found[0].place if found else design.architecture.source or design.name


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def _given(component: Component, name: str) -> str | None:
    return str(component.own[name]) if name in component.own else None
