"""From a problem and constrained hardware to the best mapping."""

from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.diagnosis import NoMapping, NoMappingError
from tqhw.mapper.many import Answer, Task, search_many
from tqhw.mapper.mapspace import Mapspace, build_mapspace
from tqhw.mapper.search import SearchResult, search
from tqhw.mapper.solve import OBJECTIVES

__all__ = [
    "OBJECTIVES",
    "Answer",
    "MappingCache",
    "Mapspace",
    "NoMapping",
    "NoMappingError",
    "SearchResult",
    "Task",
    "build_mapspace",
    "cache_key",
    "search",
    "search_many",
]
