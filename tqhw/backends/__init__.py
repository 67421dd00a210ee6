"""One Protocol for all engines, chosen by name and never silently."""

from tqhw.backends.protocol import (
    OBJECTIVES,
    Backend,
    Design,
    Found,
    Job,
    Objective,
    Search,
    Target,
)
from tqhw.backends.registry import BACKENDS, backend
from tqhw.backends.settings import Settings

__all__ = [
    "BACKENDS",
    "OBJECTIVES",
    "Backend",
    "Design",
    "Found",
    "Job",
    "Objective",
    "Search",
    "Settings",
    "Target",
    "backend",
]
