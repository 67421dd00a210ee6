"""From a problem and constrained hardware to the best mapping."""

from tqhw.mapper.mapspace import Mapspace, build_mapspace
from tqhw.mapper.search import SearchResult, search
from tqhw.mapper.solve import OBJECTIVES

__all__ = ["OBJECTIVES", "Mapspace", "SearchResult", "build_mapspace", "search"]
