"""What the tables of a run do not show of padding and of mappings with remainders."""

from __future__ import annotations

import math

from tqhw.pipeline.hardware import Evaluated
from tqhw.workload import Workload


def uneven_notes(workload: Workload, evaluated: Evaluated) -> tuple[str, ...]:
    """How many operations padding wastes, and how much of the work Timeloop leaves out: of which layers, at most.

    All renderings of the first costing of scratchpads count. What each search says stands in the provenance.
    """
    wasted: dict[str, float] = {}
    missing: dict[str, float] = {}
    for (index, _), found in evaluated.found.items():
        layer = workload.layers[index]
        for one in (found,) if found.front is None else found.front.points:
            if one.padded is not None:
                part = 1.0 - layer.problem.computes / math.prod(one.padded.values())
                wasted[layer.names[0]] = max(part, wasted.get(layer.names[0], 0.0))
        if found.whole is not None and found.stats.computes != layer.problem.computes:
            part = found.whole.energy_pj / found.stats.energy_pj - 1.0
            missing[layer.names[0]] = max(part, missing.get(layer.names[0], -math.inf))
    notes = []
    if wasted:
        notes.append(
            "padding wastes operations, which are counted in energy, cycles and utilization; at most, "
            + ", ".join(f"{part:.1%} of those of {name}" for name, part in wasted.items())
        )
    if missing:
        notes.append(
            "energies and cycles are Timeloop's, which counts other work than there is of mappings with remainders; "
            "the whole work costs, at most, " + ", ".join(f"{part:+z.1%} at {name}" for name, part in missing.items())
        )
    return tuple(notes)
