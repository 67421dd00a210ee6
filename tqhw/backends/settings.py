"""What a backend may be told beside its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tqhw.options import ContainerOptions, TimeloopOptions


@dataclass(frozen=True)
class Settings:
    """Options of the real Timeloop (``timeloop``), of its container, and the folder where finished layers are kept.

    The embedded engine takes none of them; :func:`tqhw.backends.backend` refuses what would be ignored.
    """

    timeloop: TimeloopOptions | None = None
    container: ContainerOptions | None = None
    folder: Path | None = field(default=None, compare=False)
