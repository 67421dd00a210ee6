"""Backends by name. An entry is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from tqhw.backends.protocol import Backend
from tqhw.backends.settings import Settings
from tqhw.errors import TqhwError
from tqhw.registry import Registry


def _embedded(settings: Settings) -> Backend:
    from tqhw.backends.embedded import Embedded

    _refuse(settings, "embedded", "timeloop", "container")
    return Embedded()


def _timeloop(settings: Settings) -> Backend:
    from tqhw.backends.timeloop import Timeloop

    _refuse(settings, "timeloop", "container")
    return Timeloop(settings.timeloop, folder=settings.folder)


def _container(settings: Settings) -> Backend:
    from tqhw.backends.container import ContainerBackend

    return ContainerBackend(settings.container, timeloop=settings.timeloop, folder=settings.folder)


def _refuse(settings: Settings, backend: str, *keys: str) -> None:
    for key in keys:
        if getattr(settings, key) is not None:
            raise TqhwError(
                f"backend {backend} takes no options of '{key}'",
                place=key,
                lever=f"leave them out, or choose --backend {key}",
            )


Maker = Callable[[Settings], Backend]
"""How a backend is made; it refuses what it would ignore."""

BACKENDS: Registry[Maker] = Registry(
    "backend", "tqhw.backends", {"embedded": _embedded, "timeloop": _timeloop, "container": _container}
)


def backend(name: str, settings: Settings | None = None) -> Backend:
    """The backend of that name. Raises TqhwError for any other, and for settings that it would ignore."""
    return BACKENDS.named(name, "backend")(settings or Settings())
