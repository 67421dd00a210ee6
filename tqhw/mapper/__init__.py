"""From a problem and constrained hardware to the best mapping."""

from tqhw.mapper.cache import VERSION, MappingCache, cache_key
from tqhw.mapper.parallel import Task, search_keys, search_many
from tqhw.mapper.result import Answer, FrontPoint, MappingFront, NoMapping, NoMappingError, SearchResult
from tqhw.mapper.search import search
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.objectives import OBJECTIVES, Goal, Objective, Tradeoff

__all__ = [
    "OBJECTIVES",
    "VERSION",
    "Answer",
    "FrontPoint",
    "Goal",
    "MappingCache",
    "MappingFront",
    "Mapspace",
    "NoMapping",
    "NoMappingError",
    "Objective",
    "SearchResult",
    "Task",
    "Tradeoff",
    "build_mapspace",
    "cache_key",
    "search",
    "search_keys",
    "search_many",
]
