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
from tqhw.mapper import FrontPoint, MappingFront
from tqhw.objectives import OBJECTIVES, Goal, Objective

__all__ = [
    "BACKENDS",
    "OBJECTIVES",
    "Backend",
    "Design",
    "Found",
    "FrontPoint",
    "Goal",
    "Job",
    "MappingFront",
    "Objective",
    "Search",
    "Settings",
    "Target",
    "backend",
    "with_word_bits",
]
