"""From a problem and constrained hardware to the best mapping."""

from tqhw.mapper.cache import VERSION, MappingCache, cache_key
from tqhw.mapper.parallel import Task, search_keys, search_many
from tqhw.mapper.result import Answer, NoMapping, NoMappingError, SearchResult
from tqhw.mapper.search import search
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.objectives import OBJECTIVES, Objective

__all__ = [
    "OBJECTIVES",
    "VERSION",
    "Answer",
    "MappingCache",
    "Mapspace",
    "NoMapping",
    "NoMappingError",
    "Objective",
    "SearchResult",
    "Task",
    "build_mapspace",
    "cache_key",
    "search",
    "search_keys",
    "search_many",
]
