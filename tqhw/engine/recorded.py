"""What a recorded Timeloop case says of a mapping, field by field, against what the engine counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tqhw.engine.batch import Batch, expansion
from tqhw.engine.kernel import Counts
from tqhw.engine.model import Model
from tqhw.spec import Hardware, Problem
from tqhw.spec.stats import ENERGY_TOLERANCE

REQUIRED = (
    "keep",
    "tile_size",
    "utilized_instances",
    "reads",
    "fills",
    "updates",
    "energy",
    "leakage_energy",
    "cycles",
)


@dataclass(frozen=True)
class Deviation:
    """One value that is not what Timeloop recorded."""

    case: str
    field: str
    ours: Any
    theirs: Any


def compare(
    case: dict[str, Any], problem: Problem, hardware: Hardware, model: Model, batch: Batch, counts: Counts
) -> Iterator[Deviation]:
    """Every value of a valid case that the first mapping of ``counts`` does not have.

    KeyError where the case lacks one of the values that everything else follows from.
    """
    name, expected = case["id"], case["expected"]
    cycles, compute_cycles, computes = (int(n[0]) for n in (counts.cycles, counts.compute_cycles, counts.computes))
    ours: dict[str, Any] = {
        "cycles": cycles,
        "computes": computes,
        "utilization": computes / hardware.compute.instances / cycles,
        "energy": float(counts.energy_pj[0]),
        "compute_level.name": hardware.compute.name,
        "compute_level.utilized_instances": math.prod(expansion(batch, -1)),
        "compute_level.cycles": compute_cycles,
        "compute_level.energy": computes * model.compute_pj,
    }
    if "avg_utilized_instances" in expected["compute_level"]:
        ours["compute_level.avg_utilized_instances"] = int(counts.units[0]) or math.prod(expansion(batch, -1))
    for field, value in ours.items():
        recorded = expected
        for key in field.split("."):
            recorded = recorded[key]
        yield from _differ(name, field, value, recorded)
    storage = [level.name for level in hardware.levels if level.kind == "storage"]
    named = [level["name"] for level in expected["levels"]]
    if named != storage:
        yield Deviation(name, "levels", storage, named)
        return
    for level in expected["levels"]:
        fields = level_fields(model, batch, counts, hardware.level_names.index(level["name"]))
        for field, value in fields.items():
            if field in level or field in REQUIRED:
                yield from _differ(name, f"{level['name']}.{field}", value, level[field])


def level_fields(model: Model, batch: Batch, counts: Counts, i: int) -> dict[str, Any]:
    """Everything the reference records of a level, from the first mapping of a batch; lists are per data space."""
    keep = batch.keep[0, i]
    reads, fills, updates = counts.reads[0, i], counts.fills[0, i], counts.updates[0, i]
    read_write = model.read_write
    spaces = len(keep)
    x, y = expansion(batch, i)
    used = int(counts.used[0, i])
    spread = x * y / used  # above 1 where remainders leave instances idle
    clusters = min(float(x * y), model.instances[i] / model.cluster_size[i])
    energy = counts.ds_energy_pj[0, i]
    compute_cycles, slowdown = int(counts.compute_cycles[0]), counts.slowdown[0, i]
    words, rows = model.row_words[i], model.row_count[i]
    return {
        "keep": keep.astype(int).tolist(),
        "tile_size": counts.tile[0, i].tolist(),
        "utilized_capacity": counts.tile[0, i].tolist(),
        "partition_size": counts.partition[0, i].tolist(),
        "utilized_instances": [used] * spaces,
        "utilized_x_expansion": [x] * spaces,
        "utilized_y_expansion": [y] * spaces,
        "utilized_clusters": [clusters] * spaces,
        "reads": reads.tolist(),
        "fills": fills.tolist(),
        "updates": updates.tolist(),
        "temporal_reductions": np.where(read_write, reads, 0).tolist(),
        "address_generations": np.where(read_write, updates + fills, reads + fills).tolist(),
        "vector_reads": (-(-reads * rows // words)).tolist(),
        "vector_fills": (-(-fills * rows // words)).tolist(),
        "vector_updates": (-(-updates * rows // words)).tolist(),
        "energy_per_instance": (energy / used).tolist(),
        "energy": energy.tolist(),
        "read_bandwidth": (np.ceil(reads / spread) / compute_cycles * slowdown).tolist(),
        "write_bandwidth": (np.ceil((fills + updates) / spread) / compute_cycles * slowdown).tolist(),
        "leakage_energy": float(counts.leak_pj[0, i]),
        "leaks_per_cycle": max(1, used),
        "slowdown": float(slowdown),
        "cycles": int(counts.level_cycles[0, i]),
        "energy_total": float(energy.sum() + counts.leak_pj[0, i]),
    }


def _differ(case: str, field: str, ours: Any, theirs: Any) -> Iterator[Deviation]:
    """Integers must be equal, floating-point numbers equal to ENERGY_TOLERANCE."""
    mine, recorded = (v if isinstance(v, list) else [v] for v in (ours, theirs))
    same = len(mine) == len(recorded) and all(
        a == b or (isinstance(a, float) and math.isclose(a, b, rel_tol=ENERGY_TOLERANCE, abs_tol=0.0))
        for a, b in zip(mine, recorded, strict=True)
    )
    if not same:
        yield Deviation(case, field, ours, theirs)
