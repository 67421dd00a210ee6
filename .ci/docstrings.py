"""Docstrings as Markdown, for mkdocstrings: examples in fences, and names without Sphinx's roles."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):`")
EXAMPLE = re.compile(r"^>>> (?:.+\n?)+", flags=re.MULTILINE)


class Markdown(griffe.Extension):
    """Rewrites every docstring before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            text = ROLE.sub("`", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```python\n{found.group().rstrip()}\n```\n", text)
