"""One Protocol for all engines, chosen by name and never silently."""

from tqhw.backends.protocol import (
    Backend,
    Design,
    Found,
    Job,
    Search,
    Target,
)
from tqhw.backends.registry import BACKENDS, backend
from tqhw.backends.settings import Settings
from tqhw.backends.words import with_word_bits
from tqhw.objectives import OBJECTIVES, Objective

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
    "with_word_bits",
]
