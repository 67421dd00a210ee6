"""Backends by name. An entry is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tqhw.backends.protocol import Backend
from tqhw.errors import unknown


def _embedded() -> Backend:
    from tqhw.backends.embedded import Embedded

    return Embedded()


BACKENDS: Mapping[str, Callable[[], Backend]] = {"embedded": _embedded}
"""Name -> how to make it. A new engine is one entry more."""


def backend(name: str) -> Backend:
    """The backend of that name. Raises TqhwError, with the names there are, for any other."""
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS, "backend")
    return BACKENDS[name]()
