"""The sections of a specification apart from architecture and constraints: what each takes and its defaults.

Source: the front end's ``v4`` package: problem.py, mapper.py, mapspace.py, globals.py, components.py, ert.py, art.py,
sparse_optimizations.py, variables.py, version.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any, ClassVar

from tqhw.errors import TqhwError
from tqhw.frontend.base import Key, is_empty
from tqhw.frontend.nodes import GrowingItems, Items, Section

VERSION = "0.4"


def _version(value: Any, place: str) -> str:
    if str(value) != VERSION:
        lever = "trees of 0.2 and 0.3 are read by themselves, without sections of 0.4"
        raise TqhwError(f"version {value} is not {VERSION}", place=place, lever=lever)
    return str(value)


VERSIONED = {"version": Key(default=VERSION, convert=_version)}
ANY = Key(part=True, keep_name=True)


class Words(Items):
    """A list of texts."""

    fields: ClassVar = {"": Key((str,))}


class Variables(Section):
    fields: ClassVar = {**VERSIONED, "": ANY}
    evaluated = True
    open = True


class DataSpaceNode(Section):
    fields: ClassVar = {
        "name": Key((str,)),
        "projection": Key((list,)),
        "read_write": Key((str, bool, int), False),
    }

    @property
    def dimensions(self) -> list[str]:
        """The names that the projection mentions, coefficients too."""
        found: list[str] = []
        waiting = list(self["projection"])
        while waiting:
            item = waiting.pop(0)
            if isinstance(item, list):
                waiting.extend(item)
            else:
                found.append(item)
        return found


class DataSpaces(Items):
    fields: ClassVar = {"": Key((DataSpaceNode,))}


class ShapeNode(Section):
    fields: ClassVar = {
        "name": Key((str,), ""),
        "dimensions": Key((Items,)),
        "data_spaces": Key((DataSpaces,)),
        "coefficients": Key((Items,), []),
    }

    @property
    def dimensions(self) -> list[str]:
        return list(self["dimensions"])

    @property
    def names(self) -> list[str]:
        """The data spaces' names."""
        return [space["name"] for space in self["data_spaces"]]


class Density(Section):
    fields: ClassVar = {
        "density": Key((Number, str)),
        "distribution": Key(("fixed_structured", "hypergeometric", "banded")),
        "band_width": Key((int,), 0),
        "workload_tensor_size": Key((int,), 0),
    }


class Densities(Section):
    fields: ClassVar = {"": Key((Density,), part=True, keep_name=True)}


class Instance(Section):
    fields: ClassVar = {"densities": Key((Densities,), {}), "": Key((int,), part=True, keep_name=True)}


class ProblemNode(Section):
    fields: ClassVar = {**VERSIONED, "instance": Key((Instance,)), "shape": Key((ShapeNode,))}

    @property
    def shape(self) -> ShapeNode:
        shape = self["shape"]
        assert isinstance(shape, ShapeNode)
        return shape

    def size(self, dimension: str, place: str) -> int:
        """The bound of a dimension. Raises TqhwError for one without."""
        instance: Mapping[str, int] = self["instance"]
        if dimension not in instance or dimension == "densities":
            raise TqhwError(
                f"the dimension '{dimension}' has no size in the problem's instance",
                place=place,
                lever=f"sizes are given for {', '.join(k for k in instance if k != 'densities')}",
            )
        return instance[dimension]


class Metrics(Items):
    fields: ClassVar = {"": Key(("delay", "energy", "edp", "last_level_accesses"))}


class Mapper(Section):
    open = True
    fields: ClassVar = {
        **VERSIONED,
        "out_prefix": Key((str,), "timeloop-mapper"),
        "num_threads": Key((int,), 8),
        "optimization_metric": Key((Metrics,), []),
        "search_size": Key((int,), None),
        "timeout": Key((int,), 1000),
        "victory_condition": Key((int,), None),
        "sync_interval": Key((int,), None),
        "log_interval": Key((int,), 1),
        **dict.fromkeys(
            (
                "log_oaves",
                "log_oaves_mappings",
                "log_stats",
                "log_suboptimal",
                "live_status",
                "diagnostics",
                "penalize_consecutive_bypass_fails",
                "emit_whoop_nest",
            ),
            Key((bool,), False),
        ),
        "max_temporal_loops_in_a_mapping": Key((int,), -1),
        "algorithm": Key(("random", "exhaustive", "linear_pruned", "hybrid", "random_pruned"), "hybrid"),
        "filter_revisits": Key((bool,), False),
        "max_permutations_per_if_visit": Key((int,), 16),
    }


class MapspaceNode(Section):
    fields: ClassVar = {**VERSIONED, "template": Key((str,), "uber")}


class Environment(Section):
    open = True


class Paths(GrowingItems):
    fields: ClassVar = {"": Key((str,))}


class Globals(Section):
    fields: ClassVar = {
        **VERSIONED,
        "environment_variables": Key((Environment,), []),
        "expression_custom_functions": Key((Paths,), []),
        "accelergy_plug_ins": Key((Paths,), []),
    }


class Classes(Items):
    """Component classes; lists of lists, as ``include_all`` makes them, are flattened as the front end does it."""

    def __init__(self, given: Any = None, place: str = "") -> None:
        super().__init__(given, place)
        self._flatten()

    def _flatten(self) -> None:
        while any(isinstance(item, list) for item in self):
            for index, item in enumerate(self):
                if isinstance(item, list):
                    self.extend(self.pop(index))

    def combine(self, other: Classes, place: str) -> Classes:
        self.extend(other)
        self._flatten()
        return self


class Components(Section):
    fields: ClassVar = {**VERSIONED, "classes": Key((Classes,), [])}

    def evaluate(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return dict(names)  # Accelergy reads the classes' expressions


class ActionNode(Section):
    fields: ClassVar = {"name": Key((str,)), "arguments": Key((Section,)), "energy": Key((float,))}


class Actions(Items):
    fields: ClassVar = {"": Key((ActionNode,))}


class EnergyTable(Section):
    fields: ClassVar = {"name": Key((str,)), "actions": Key((Actions,))}


class EnergyTablesNode(Items):
    fields: ClassVar = {"": Key((EnergyTable,))}


class AreaTable(Section):
    fields: ClassVar = {"name": Key((str,)), "area": Key((float,))}


class AreaTables(Items):
    fields: ClassVar = {"": Key((AreaTable,))}


class Ert(Section):
    fields: ClassVar = {"version": Key(default=VERSION), "tables": Key((EnergyTablesNode,))}


class Art(Section):
    fields: ClassVar = {"version": Key(default=VERSION), "tables": Key((AreaTables,))}


class Rank(Section):
    fields: ClassVar = {
        "format": Key(("CP", "B", "RLE", "UOP")),
        "metadata_word_bits": Key((int,), None),
        "payload_word_bits": Key((int,), None),
        "flattened_rankIDs": Key((list,), None),
    }


class Ranks(Items):
    fields: ClassVar = {"": Key((Rank,))}


class StoredSpace(Section):
    fields: ClassVar = {"name": Key((str,)), "ranks": Key((Ranks,))}


class StoredSpaces(Items):
    fields: ClassVar = {"": Key((StoredSpace,))}


class Format(Section):
    fields: ClassVar = {"data_spaces": Key((StoredSpaces,), [])}


class Option(Section):
    fields: ClassVar = {"target": Key((str,)), "condition_on": Key((list,))}


class OptionsNode(Items):
    fields: ClassVar = {"": Key((Option,))}


class ActionOptimization(Section):
    fields: ClassVar = {"type": Key(("gating", "skipping", "spatial_skipping")), "options": Key((OptionsNode,))}


class ActionOptimizations(Items):
    fields: ClassVar = {"": Key((ActionOptimization,))}


class ComputeKinds(GrowingItems):
    fields: ClassVar = {"": Key(("gating", "skipping"))}


class ComputeOptimization(Section):
    fields: ClassVar = {"type": Key((ComputeKinds,))}


class ComputeOptimizations(Items):
    fields: ClassVar = {"": Key((ComputeOptimization,))}


class SparseGroup(Section):
    fields: ClassVar = {
        "target": Key((str,), None),
        "action_optimization": Key((ActionOptimizations,), []),
        "representation_format": Key((Format,), {}),
        "compute_optimization": Key((ComputeOptimizations,), []),
    }

    def is_empty(self) -> bool:
        return all(
            is_empty(self.get(k)) for k in ("action_optimization", "representation_format", "compute_optimization")
        )


class SparseGroups(Items):
    fields: ClassVar = {"": Key((SparseGroup,))}


class Sparse(Section):
    fields: ClassVar = {**VERSIONED, "targets": Key((SparseGroups,), [])}
