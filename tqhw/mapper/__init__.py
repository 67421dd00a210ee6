"""From a problem and constrained hardware to the best mapping."""

from tqhw.mapper.answer import OBJECTIVES, Answer, NoMapping, NoMappingError, SearchResult
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.many import Task, search_many
from tqhw.mapper.mapspace import Mapspace, build_mapspace
from tqhw.mapper.search import search

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
